"""Periods of a subscription: counted from an anchor, so that 31 January is followed by 28 February and then 31 March.

Each end is computed from the anchor, never from the end before it: a short month does not move the later ones.
"""

from calendar import monthrange
from datetime import datetime, timedelta

from domain.billing.plans import Interval

_MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}
_DAYS = {Interval.DAY: 1, Interval.WEEK: 7}


def nth_end(anchor: datetime, interval: Interval, count: int, n: int) -> datetime:
    """The end of the nth period after the anchor, each `count` intervals long; a day that a month lacks is its last."""
    if interval in _DAYS:
        return anchor + timedelta(days=_DAYS[interval] * count * n)
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + _MONTHS[interval] * count * n, 12)
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, monthrange(year, month + 1)[1]))


def next_end(anchor: datetime, interval: Interval, count: int, start: datetime) -> datetime:
    """The first end after `start`."""
    if interval in _DAYS:
        passed = (start - anchor) // timedelta(days=_DAYS[interval] * count)
    else:
        months = (start.year - anchor.year) * 12 + start.month - anchor.month
        passed = months // (_MONTHS[interval] * count)
    n = max(passed, 1)
    while nth_end(anchor, interval, count, n) <= start:
        n += 1
    return nth_end(anchor, interval, count, n)
