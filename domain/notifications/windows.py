"""How many attempts to one destination may be under way at once, and how fast they may follow each other."""

from collections import deque
from datetime import datetime, timedelta

import attrs

from domain.refusals import Invalid

FIRST_WINDOW = 8
LARGEST_WINDOW = 64


@attrs.define
class Window:
    """The share of one destination: small at first, one more for each attempt that arrives, half for each time-out.

    So a receiver that hangs holds a few places, and a quick one gets many (the additive increase and multiplicative
    decrease of RFC 5681, in attempts instead of segments).
    """

    size: int = FIRST_WINDOW

    def arrived(self) -> None:
        """The receiver took one."""
        if self.size < LARGEST_WINDOW:
            self.size += 1

    def strained(self) -> None:
        """The receiver was too slow, or said that it is too much."""
        self.size = max(1, self.size // 2)


@attrs.frozen
class Rate:
    """At most `limit` attempts (1 to 10000) in any `per_s` seconds (1 to 3600). Raises Invalid for other numbers."""

    limit: int
    per_s: int = 1

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.limit <= 10_000:
            raise Invalid.field("rate_limit", "A rate limit is from 1 to 10000 attempts.")
        if not 1 <= self.per_s <= 3600:
            raise Invalid.field("rate_period_s", "A rate limit's period is from 1 to 3600 seconds.")

    @property
    def period(self) -> timedelta:
        """per_s as a length of time."""
        return timedelta(seconds=self.per_s)


class Pace:
    """Keeps a Rate exactly: it remembers when the last `limit` attempts were sent.

    since: what is unknown of the time before is taken for a full period's attempts at this moment (a new holder of the
    lane does not know what the last one sent).
    """

    def __init__(self, rate: Rate, since: datetime | None = None) -> None:
        self._rate = rate
        self._sent: deque[datetime] = deque(maxlen=rate.limit)
        self._not_before = None if since is None else since + rate.period

    def next(self, now: datetime) -> datetime:
        """When the next attempt may be sent: `now`, or later. On a clock that was set back, a period from now."""
        latest = self._sent[-1] if self._sent else None
        if (latest is not None and latest > now) or (
            self._not_before is not None and self._not_before > now + self._rate.period
        ):
            self._sent.clear()
            self._not_before = now + self._rate.period
        earliest = now if self._not_before is None else max(now, self._not_before)
        if len(self._sent) < self._rate.limit:
            return earliest
        return max(earliest, self._sent[0] + self._rate.period)

    def sent(self, now: datetime) -> None:
        """One was sent."""
        self._sent.append(now)
