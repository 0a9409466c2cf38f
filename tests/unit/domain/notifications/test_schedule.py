"""The retry schedule."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notifications.schedule import DEFAULT, JITTER, LONGEST_ASKED, RetrySchedule, read_retry_after
from domain.refusals import Invalid

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_default_tries_soon_and_then_for_about_three_days() -> None:
    """The stated schedule is a promise to receivers; its sum, not its list, is what they plan an outage by."""
    at, times = NOW, []
    for number in range(1, DEFAULT.attempts):
        following = DEFAULT.next_attempt(number, at, 0)
        assert following is not None
        times.append((following - at).total_seconds())
        at = following
    assert times == [1, 5, 30, 300, 3600, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert timedelta(hours=76) < at - NOW < timedelta(hours=77)


def test_it_gives_up_after_the_last_attempt() -> None:
    """A delivery that never stops is as bad as one that stops early."""
    assert DEFAULT.attempts == 12
    assert DEFAULT.next_attempt(11, NOW, 0) is not None
    assert DEFAULT.next_attempt(12, NOW, 0) is None
    assert DEFAULT.next_attempt(12, NOW, 0, timedelta(seconds=1)) is None


def test_a_schedule_without_delays_tries_once() -> None:
    """An operator may want no retries."""
    assert RetrySchedule(()).next_attempt(1, NOW, 0) is None


@pytest.mark.parametrize(("jitter", "seconds"), [(-1, 24), (-0.5, 27), (0, 30), (0.5, 33), (1, 36)])
def test_jitter_moves_a_delay_by_a_fifth_at_most(jitter: float, seconds: float) -> None:
    """A receiver that comes back is not met by everyone at once."""
    assert DEFAULT.next_attempt(3, NOW, jitter) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("jitter", [-1.01, 1.01, float("nan"), float("inf")])
def test_a_number_outside_the_range_is_a_mistake(jitter: float) -> None:
    """A jitter of 5 would send a retry into the past."""
    with pytest.raises(ValueError, match="jitter"):
        DEFAULT.next_attempt(1, NOW, jitter)


def test_retry_after_is_honoured_exactly_without_jitter() -> None:
    """The receiver knows best when it is ready again."""
    assert DEFAULT.next_attempt(1, NOW, 0, timedelta(minutes=10)) == NOW + timedelta(minutes=10)


def test_retry_after_does_not_make_the_next_attempt_earlier_than_the_schedule() -> None:
    """`Retry-After: 0` from a failing server must not become a tight loop."""
    assert DEFAULT.next_attempt(5, NOW, 0, timedelta()) == NOW + timedelta(hours=1)


def test_retry_after_is_honoured_up_to_a_day() -> None:
    """A receiver cannot park a delivery for a year."""
    assert DEFAULT.next_attempt(1, NOW, 0, timedelta(days=400)) == NOW + LONGEST_ASKED


@given(
    number=st.integers(1, 11),
    jitter=st.floats(-1, 1),
    asked=st.none() | st.timedeltas(timedelta(), timedelta(days=3)),
)
def test_the_next_attempt_is_never_earlier_than_asked_nor_far_off_the_schedule(
    number: int, jitter: float, asked: timedelta | None
) -> None:
    """The two bounds that hold for every input."""
    at = DEFAULT.next_attempt(number, NOW, jitter, asked)
    assert at is not None
    wait, delay = at - NOW, DEFAULT.delays[number - 1]
    granted = min(asked or timedelta(), LONGEST_ASKED)
    rounding = timedelta(microseconds=1)
    assert wait >= max(granted, delay * (1 - JITTER)) - rounding
    assert wait <= max(granted, delay) * (1 + JITTER) + rounding


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("9" * 400, 10**9),
    ],
)
def test_both_forms_of_retry_after_are_read(value: str, seconds: int) -> None:
    """RFC 9110 allows seconds and a date; a date that has passed means now."""
    assert read_retry_after(value, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [None, "", "soon", "-5", "1.5", "٣", "Fri, 99 Jan 2026 03:05:05 GMT", "Fri, 02 Jan 99999999 00:00:00"]
)
def test_a_malformed_retry_after_is_ignored(value: str | None) -> None:
    """A receiver's mistake must not break the sender."""
    assert read_retry_after(value, NOW) is None


@given(st.text())
def test_no_retry_after_crashes(value: str) -> None:
    """The header is written by strangers."""
    wait = read_retry_after(value, NOW)
    assert wait is None or wait >= timedelta()


def test_a_schedule_can_be_given_in_seconds() -> None:
    """None at all is one attempt; the longest lasts three days and a half."""
    assert RetrySchedule.of_seconds(()).attempts == 1
    assert RetrySchedule.of_seconds((1, 60)).delays == (timedelta(seconds=1), timedelta(minutes=1))
    assert RetrySchedule.of_seconds([302_400 // 28] * 28).attempts == 29


@pytest.mark.parametrize(
    "seconds",
    [(0,), (-1,), (259_201,), (1,) * 31, (259_200, 43_201), [10_081] * 30],
    ids=lambda seconds: str(seconds)[:20],
)
def test_a_schedule_that_is_too_long_or_too_quick_is_refused(seconds: tuple[int, ...]) -> None:
    """The field is named as its caller calls it."""
    with pytest.raises(Invalid) as refused:
        RetrySchedule.of_seconds(seconds, field="retries_by_type.order.*")
    assert [fault.field for fault in refused.value.faults] == ["retries_by_type.order.*"]
