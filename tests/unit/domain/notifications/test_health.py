"""A destination's health: when it is left alone, when people are warned, when it is given up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.health import (
    BREAKS_AT,
    FAILURES_UNTIL_DISABLED,
    FIRST_BREAK,
    LONGEST_BREAK,
    LONGEST_FAILING,
    LONGEST_THROTTLE,
    WELL,
    Breaker,
    Health,
)
from domain.notifications.schedule import LONGEST_ASKED
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ARRIVED = Outcome(Verdict.DELIVERED, SECOND, 200)
DOWN = Outcome(Verdict.RETRY, SECOND, 500)


def missed(status: int | None = 503, **changes: Any) -> Outcome:
    """An attempt that failed."""
    return Outcome(Verdict.RETRY, SECOND, status, **changes)


def after(outcomes: list[Outcome], health: Health = WELL, at: datetime = NOW) -> Health:
    """One attempt after the other, each begun when it may be."""
    for outcome in outcomes:
        at = max(at, health.paused_until or at)
        health = health.attempted(outcome, at, at)
    return health


def test_five_failures_in_a_row_open_the_breaker() -> None:
    """Four do not, nor nine with a success among them."""
    assert after([DOWN] * 4).breaker(NOW) is Breaker.CLOSED
    assert after([DOWN] * 4 + [ARRIVED] + [DOWN] * 4).breaker(NOW) is Breaker.CLOSED
    opened = after([DOWN] * BREAKS_AT)
    assert opened.paused_until == NOW + FIRST_BREAK
    assert opened.breaker(NOW + FIRST_BREAK - SECOND) is Breaker.OPEN
    assert opened.breaker(NOW + FIRST_BREAK) is Breaker.HALF_OPEN


def test_each_probe_that_fails_doubles_the_wait_up_to_ten_minutes() -> None:
    """A receiver that is down for a day is asked now and then."""
    health, waits = after([DOWN] * BREAKS_AT), []
    for _ in range(8):
        at = health.paused_until or NOW
        health = health.attempted(DOWN, at, at)
        waits.append(((health.paused_until or at) - at).total_seconds())
    assert waits == [60, 120, 240, 480, *([LONGEST_BREAK.total_seconds()] * 4)]


def test_a_probe_that_arrives_closes_the_breaker() -> None:
    """All is forgotten."""
    assert after([DOWN] * 7 + [ARRIVED]) == WELL


def test_what_was_under_way_when_it_opened_says_nothing_new() -> None:
    """Sixty attempts at once must not make it half a day."""
    opened = after([DOWN] * BREAKS_AT)
    for _ in range(60):
        opened = opened.attempted(DOWN, NOW - SECOND, NOW + SECOND)
    assert (opened.breaks, opened.paused_until) == (1, NOW + FIRST_BREAK)


@pytest.mark.parametrize("outcome", [missed(429), missed(502), missed(503), missed(504), missed(None, timed_out=True)])
def test_a_receiver_that_is_strained_is_spared_for_a_moment(outcome: Outcome) -> None:
    """A second at first, then twice as long, until the breaker opens."""
    health, waits, at = WELL, list[float](), NOW
    for _ in range(4):
        health = health.attempted(outcome, at, at)
        waits.append(((health.paused_until or at) - at).total_seconds())
        at = health.paused_until or at
    assert waits == [1, 2, 4, 8]
    assert timedelta(minutes=1) == LONGEST_THROTTLE


@pytest.mark.parametrize("outcome", [DOWN, missed(404), missed(None)])
def test_another_failure_is_about_the_delivery_and_no_reason_to_wait(outcome: Outcome) -> None:
    """Perhaps the next one fares better."""
    assert after([outcome]).paused_until is None


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(timedelta(seconds=90), 90), (timedelta(milliseconds=1), 1), (timedelta(days=3), LONGEST_ASKED.total_seconds())],
)
def test_who_asks_for_time_gets_it_up_to_a_day(asked: timedelta, seconds: float) -> None:
    """With 429 or 503; it counts when it is longer than our own wait."""
    for status in (429, 503):
        assert after([missed(status, retry_after=asked)]).paused_until == NOW + timedelta(seconds=seconds)
    assert after([missed(500, retry_after=asked)]).paused_until is None


def test_a_pause_never_becomes_shorter() -> None:
    """An attempt that was under way before comes back with another wish."""
    long = after([missed(503, retry_after=timedelta(hours=1))])
    assert long.attempted(missed(503, retry_after=SECOND), NOW, NOW).paused_until == long.paused_until


def test_what_is_refused_or_gone_is_no_sign_of_strain() -> None:
    """Only since when it has been failing is kept."""
    for verdict in (Verdict.REFUSED, Verdict.GONE):
        assert after([Outcome(verdict, SECOND)]) == Health(failing_since=NOW)


def test_ten_given_up_in_a_row_or_five_days_exhaust_it() -> None:
    """And nothing less."""
    nine, ten = (Health(failures=n) for n in (FAILURES_UNTIL_DISABLED - 1, FAILURES_UNTIL_DISABLED))
    assert nine.exhausted(NOW) is None
    assert "10 deliveries in a row" in (ten.exhausted(NOW) or "")
    since = Health(failing_since=NOW)
    assert since.exhausted(NOW + LONGEST_FAILING - SECOND) is None
    assert "5 days" in (since.exhausted(NOW + LONGEST_FAILING) or "")
    assert WELL.exhausted(NOW) is None


@pytest.mark.parametrize(
    ("health", "days", "level"),
    [
        (Health(failures=4), 0, None),
        (Health(failures=5), 0, 50),
        (Health(failures=7, warned=50), 0, None),
        (Health(failures=8, warned=50), 0, 80),
        (Health(failures=8), 0, 80),
        (Health(failures=9, warned=80), 0, None),
        (Health(failing_since=NOW), 2.4, None),
        (Health(failing_since=NOW), 2.5, 50),
        (Health(failing_since=NOW, warned=50), 3.9, None),
        (Health(failing_since=NOW, warned=50), 4, 80),
        (WELL, 9, None),
    ],
)
def test_people_are_warned_at_half_and_at_four_fifths(health: Health, days: float, level: int | None) -> None:
    """Once for each level, whichever of the two counts got there."""
    assert health.due_warning(NOW + timedelta(days=days)) == level


def test_a_person_who_asks_to_try_at_once_ends_the_pause_only() -> None:
    """The breaker is half-open: one attempt tells."""
    opened = after([DOWN] * BREAKS_AT)
    resumed = opened.resumed()
    assert resumed == attrs.evolve(opened, paused_until=None)
    assert resumed.breaker(NOW) is Breaker.HALF_OPEN
    assert not resumed.paused(NOW)
    again = resumed.attempted(DOWN, NOW, NOW)
    assert again.paused_until == NOW + 2 * FIRST_BREAK


@patiently
@given(
    st.lists(
        st.tuples(st.sampled_from([ARRIVED, DOWN, missed(), missed(None, timed_out=True)]), st.integers(0, 900)),
        max_size=60,
    )
)
def test_whatever_happens_it_is_asked_again_within_a_while(history: list[tuple[Outcome, int]]) -> None:
    """No pause of ours is longer than ten minutes from when it was decided, and one success ends all."""
    health, at = WELL, NOW
    for outcome, seconds in history:
        at += seconds * SECOND
        health = health.attempted(outcome, at, at)
        assert health.paused_until is None or health.paused_until - at <= LONGEST_BREAK
    assert health.attempted(ARRIVED, at, at) == WELL
