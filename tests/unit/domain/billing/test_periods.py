"""Periods are counted from their anchor."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.billing.periods import next_end, nth_end
from domain.billing.plans import Interval

moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))
lengths = st.sampled_from(
    [(Interval.DAY, 10), (Interval.WEEK, 2), (Interval.MONTH, 1), (Interval.MONTH, 3), (Interval.YEAR, 1)]
)


def test_a_day_that_a_month_lacks_is_its_last() -> None:
    """And the months after are not moved by it."""
    anchor = datetime(2027, 1, 31, 9, tzinfo=UTC)
    ends = [nth_end(anchor, Interval.MONTH, 1, n) for n in range(1, 5)]
    assert [(end.month, end.day, end.hour) for end in ends] == [(2, 28, 9), (3, 31, 9), (4, 30, 9), (5, 31, 9)]
    assert nth_end(anchor, Interval.MONTH, 1, 13).date().isoformat() == "2028-02-29"


def test_a_leap_day_comes_back_every_four_years() -> None:
    """A yearly plan begun on 29 February."""
    anchor = datetime(2028, 2, 29, tzinfo=UTC)
    days = [nth_end(anchor, Interval.YEAR, 1, n).date().isoformat() for n in (1, 3, 4)]
    assert days == ["2029-02-28", "2031-02-28", "2032-02-29"]


@given(moments, lengths, st.integers(1, 60))
def test_periods_follow_each_other_without_gap_or_overlap(
    anchor: datetime, length: tuple[Interval, int], count: int
) -> None:
    """The next end after one end is the end after it, however far it is from the anchor."""
    end = nth_end(anchor, *length, count)
    following = nth_end(anchor, *length, count + 1)
    assert next_end(anchor, *length, end) == following
    assert next_end(anchor, *length, following - timedelta(microseconds=1)) == following
    assert end < following
