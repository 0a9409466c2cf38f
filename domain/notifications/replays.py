"""Sending again what was sent before, or what an endpoint missed: many deliveries, by a filter, in the background."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.notifications.deliveries import DeliveryState
from domain.notifications.selection import Selection
from domain.refusals import Conflict

MOST_REPLAYED = 1_000_000
"""Deliveries of one replay; more is to be asked for in parts, by time."""

AT_ONCE = 3
"""Replays of one organisation that may be under way together."""

ENDED = (DeliveryState.FAILED, DeliveryState.EXPIRED, DeliveryState.CANCELLED, DeliveryState.DELIVERED)
"""What can be sent again."""

USUALLY = (DeliveryState.FAILED, DeliveryState.EXPIRED)
"""What is sent again unless something else is asked for."""

_START = ""
"""Before every id."""


class ReplayKind(Enum):
    """What is sent."""

    AGAIN = "again"
    """Deliveries that were made before, each as a new row."""
    MISSED = "missed"
    """Events of a time for which the endpoint has no delivery: it was created, or subscribed, later."""


class ReplayState(Enum):
    """Where a replay stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@attrs.frozen
class Replay:
    """wanted: the filter, with both ends of its time. total: how many it found when it began. done: how many deliveries
    it has made. ahead: for each destination that it is not through with, the id after which it goes on there. error: why
    it failed."""

    id: str
    organisation_id: str
    kind: ReplayKind
    wanted: Selection
    asked_by: str
    created_at: datetime
    updated_at: datetime
    total: int
    state: ReplayState = ReplayState.RUNNING
    done: int = 0
    ahead: Mapping[str, str] = attrs.field(factory=dict)
    error: str | None = None
    version: int = 1

    @classmethod
    def of(
        cls,
        kind: ReplayKind,
        wanted: Selection,
        destinations: tuple[str, ...],
        *,
        id: str,
        organisation_id: str,
        asked_by: str,
        total: int,
        now: datetime,
    ) -> "Replay":
        """A new one; it is done at once if it found nothing."""
        state = ReplayState.RUNNING if total else ReplayState.DONE
        ahead = dict.fromkeys(destinations, _START) if total else {}
        return cls(id, organisation_id, kind, wanted, asked_by, now, now, total, state, ahead=ahead)

    @property
    def running(self) -> bool:
        """Whether more is to be made."""
        return self.state is ReplayState.RUNNING

    @property
    def left_out(self) -> int:
        """Of those found at the beginning, how many were gone or settled when it came to them; known when it is done."""
        return max(0, self.total - self.done) if self.state is ReplayState.DONE else 0

    @property
    def share(self) -> float:
        """How far it is, from 0 to 1."""
        return 1.0 if self.state is ReplayState.DONE else min(1.0, self.done / self.total) if self.total else 0.0

    def per_second(self, now: datetime) -> float | None:
        """Deliveries made in a second, on average; None before it has made any."""
        took = ((now if self.running else self.updated_at) - self.created_at).total_seconds()
        return self.done / took if self.done and took > 0 else None

    def ends_at(self, now: datetime) -> datetime | None:
        """When it is done if it goes on as it did; None if that cannot be said."""
        rate = self.per_second(now)
        if not self.running or rate is None:
            return None
        return now + timedelta(seconds=max(0, self.total - self.done) / rate)

    def advanced(self, destination_id: str, made: int, up_to: str | None, now: datetime) -> "Replay":
        """So many more were made for a destination, up to this id; None: that was the last of it."""
        ahead = {id_: after for id_, after in self.ahead.items() if id_ != destination_id}
        if up_to is not None:
            ahead[destination_id] = up_to
        state = self.state if ahead else ReplayState.DONE
        return attrs.evolve(self, done=self.done + made, ahead=ahead, state=state, updated_at=now)

    def failed(self, why: str, now: datetime) -> "Replay":
        """It cannot go on."""
        return attrs.evolve(self, state=ReplayState.FAILED, error=why, updated_at=now)

    def cancel(self, now: datetime) -> "Replay":
        """A person stops it; what it has made so far stays. Raises Conflict when it has ended."""
        if not self.running:
            raise Conflict(f"This replay is {self.state.value}.")
        return attrs.evolve(self, state=ReplayState.CANCELLED, updated_at=now)


FEWEST_WAITING, MOST_WAITING = 20, 1_000
_AT_FIRST = 100
_WAIT = 2.0
"""Seconds of a receiver's time that a replay may take in advance: so long live events wait behind it."""


@attrs.frozen
class Allowance:
    """How many deliveries may wait in one lane because of a replay: what the receiver took in the last two seconds, from
    20 to 1,000. Lanes are served in the order of time, so a live event waits for all that a replay has put before it.

    filled: how many waited when the replay last added some, and when that was.
    """

    size: int = _AT_FIRST
    filled: tuple[int, datetime] | None = None

    def seen(self, waiting: int, now: datetime) -> "Allowance":
        """So many wait now: learn how fast the receiver is."""
        if self.filled is None:
            return self
        before, at = self.filled
        took = (now - at).total_seconds()
        size = self.size
        if waiting == 0 and before >= size // 2 and took <= _WAIT:
            size = min(2 * size, MOST_WAITING)
        elif waiting > 0 and took >= _WAIT / 2:
            size = round(max(0, before - waiting) / took * _WAIT)
        return attrs.evolve(self, size=max(FEWEST_WAITING, min(size, MOST_WAITING)))

    def room(self, waiting: int) -> int:
        """How many may be added now: none before half of the place is free, so that they are not added one by one."""
        return self.size - waiting if 2 * waiting <= self.size else 0

    def added(self, waiting: int, now: datetime) -> "Allowance":
        """So many wait now that some were added."""
        return attrs.evolve(self, filled=(waiting, now))
