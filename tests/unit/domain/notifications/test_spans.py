"""Which time is asked for: whole buckets, never ones that were folded, and not more than a plot can show."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.notifications.spans import Span
from domain.notifications.statistics import Step, fold_before
from domain.refusals import Invalid

NOW = datetime(2026, 5, 17, 10, 23, 45, tzinfo=UTC)
MOST_BUCKETS = 1500


def field_of(**asked: object) -> str:
    """Which field is refused."""
    with pytest.raises(Invalid) as caught:
        Span.asked(NOW, **asked)  # type: ignore[arg-type]
    return caught.value.faults[0].field


def test_the_last_day_by_the_hour_is_what_is_seen_unasked() -> None:
    """With the hour that is still going on."""
    span = Span.asked(NOW)
    assert span.step is Step.HOUR
    assert (span.since, span.until) == (datetime(2026, 5, 16, 10, tzinfo=UTC), datetime(2026, 5, 17, 11, tzinfo=UTC))
    assert len(span.starts) == 25
    assert (span.starts[0], span.starts[-1]) == (span.since, span.until - timedelta(hours=1))


@pytest.mark.parametrize(
    ("back", "step"),
    [(hours, Step.MINUTE) for hours in (0.1, 1, 3)]
    + [(5, Step.HOUR), (190, Step.HOUR), (240, Step.DAY), (9000, Step.DAY)],
)
def test_the_step_is_chosen_by_the_length(back: float, step: Step) -> None:
    """Not more than 200 buckets."""
    span = Span.asked(NOW, since=NOW - timedelta(hours=back))
    assert span.step is step


def test_what_is_too_old_for_minutes_is_shown_by_hours() -> None:
    """However short it is."""
    span = Span.asked(NOW, since=NOW - timedelta(days=2), until=NOW - timedelta(days=2) + timedelta(minutes=5))
    assert (span.step, len(span.starts)) == (Step.HOUR, 1)


def test_a_moment_to_come_is_now() -> None:
    """A plot shows no future in which nothing happened."""
    assert Span.asked(NOW, until=NOW + timedelta(days=3)) == Span.asked(NOW)
    whole = datetime(2026, 5, 17, 10, tzinfo=UTC)
    assert Span.asked(NOW, until=whole).until == whole


@pytest.mark.parametrize("seed", range(200))
def test_no_bucket_of_a_span_was_folded_and_there_are_not_too_many(seed: int) -> None:
    """Whatever is asked for: it is answered in full, or refused with the field that is wrong."""
    chance = random.Random(seed)
    since = NOW - timedelta(seconds=2 ** chance.uniform(0, 26))
    until = chance.choice((None, NOW, since + timedelta(seconds=2 ** chance.uniform(0, 26))))
    step = chance.choice((None, *Step))
    try:
        span = Span.asked(NOW, since=since, until=until, step=step)
    except Invalid as refused:
        fields = {fault.field for fault in refused.faults}
        assert fields <= {"since", "step"}  # either answer is right
        return
    assert span.since <= since < span.until
    assert span.until - span.step.length < min(until or NOW, NOW) <= span.until
    assert span.since >= fold_before(span.step, NOW)
    assert 1 <= len(span.starts) <= MOST_BUCKETS
    assert span.starts[-1] + span.step.length == span.until


def test_the_longest_spans_stay_within_bounds() -> None:
    """Each step as far back as it is kept."""
    counts = [len(Span.asked(NOW, since=NOW - step.kept, step=step).starts) for step in Step]
    assert counts == [361, 337, 401]
    assert max(counts) <= MOST_BUCKETS


def test_what_cannot_be_answered_is_refused() -> None:
    """With the field, and what to ask for instead."""
    assert field_of(since=NOW - timedelta(days=401)) == "since"
    assert field_of(since=NOW) == "since"
    assert field_of(since=NOW + timedelta(days=1)) == "since"
    assert field_of(since=NOW - timedelta(hours=7), step=Step.MINUTE) == "step"
    assert field_of(since=NOW - timedelta(days=15), step=Step.HOUR) == "step"
    assert field_of(since=datetime(2026, 5, 17)) == "since"  # that is what is refused
    assert field_of(until=datetime(2026, 5, 17)) == "until"
    assert field_of(until=datetime.min.replace(tzinfo=UTC)) == "until"
    assert field_of(since=datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))) == "since"
    with pytest.raises(Invalid, match="step=hour, or a later since") as caught:
        Span.asked(NOW, since=NOW - timedelta(hours=7), step=Step.MINUTE)
    assert "2026-05-17T04:23:45Z" in str(caught.value)
