"""A lane while a worker holds it: what was read of it, what is under way, and when it may be served next."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

import attrs

from application.notifications.carry import Carrier
from application.ports.dispatch import Chunk, Lane, Ready, Want
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.health import Breaker, Health
from domain.notifications.windows import Pace, Window

MOST_READ = 256
"""How many deliveries of one lane are read at once."""

REWIND = timedelta(seconds=1)

_MOST_BYTES = 1024 * 1024
"""About how many bytes of events one lane keeps in memory."""


@attrs.define(eq=False)
class HeldLane:
    """Belongs to one worker's event loop.

    ready: read, not begun. known: ids that are ready, under way or being recorded; a read skips them. unread: the
    database may hold more that is due; rewind: also before what was read last. busy: attempts under way. unrecorded:
    ended, not yet written down. stirred: its health is to be written down.
    """

    lane: Lane
    generation: int
    carrier: Carrier
    taken_at: datetime
    ready: deque[Ready] = attrs.field(factory=deque)
    known: set[str] = attrs.field(factory=set)
    unread: bool = True
    rewind: bool = True
    busy: int = 0
    unrecorded: int = 0
    window: Window = attrs.field(factory=Window)
    pace: Pace | None = None
    stirred: bool = False
    queued: bool = False
    dropped: bool = False
    idle_since: datetime | None = None
    reading: bool = False
    _lately: set[str] = attrs.field(factory=set)
    _limit: int = 32
    _rewound_at: datetime | None = None
    _cursor: tuple[datetime, str] | None = None

    def __attrs_post_init__(self) -> None:
        self.opened(self.carrier)

    @property
    def id(self) -> str:
        """The destination's."""
        return self.lane.destination_id

    @property
    def health(self) -> Health:
        """How the destination fares."""
        return self.lane.health

    @health.setter
    def health(self, health: Health) -> None:
        if health is not self.lane.health:
            self.lane = attrs.evolve(self.lane, health=health)
            self.stirred = True

    def opened(self, carrier: Carrier) -> None:
        """The destination's settings were read (again)."""
        rate = carrier.options.rate
        if rate is None:
            self.pace = None
        elif self.pace is None or self.carrier.options.rate != rate:
            self.pace = Pace(rate, self.taken_at if self.lane.inherited else self.lane.sent_at)
        self.carrier = carrier

    def places(self, now: datetime) -> int:
        """How many more attempts may begin now, rates aside."""
        if self.carrier.options.fifo:
            # Recorded, not only answered: a crash between the two would send this one after the next.
            return 1 - min(1, self.busy + self.unrecorded)
        if self.health.breaks and self.health.breaker(now) is Breaker.HALF_OPEN:
            return 1 - min(1, self.busy)
        return self.window.size - self.busy

    def not_before(self, now: datetime) -> datetime | None:
        """Until when nothing may begin (the receiver's pause, the breaker, the rate), or None."""
        if self.health.paused_until is not None and self.health.paused(now):
            return self.health.paused_until
        if self.pace is not None:
            at = self.pace.next(now)
            return at if at > now else None
        return None

    def begin(self, now: datetime) -> Ready:
        """Take the next one."""
        ready = self.ready.popleft()
        if self.pace is not None:
            self.pace.sent(now)
            self.lane = attrs.evolve(self.lane, sent_at=now)
            self.stirred = True
        self.busy += 1
        self.idle_since = None
        return ready

    def offered(self, ready: Ready) -> bool:
        """Take one that was just committed, unless it has to wait for others that were not read yet.

        A FIFO lane reads everything: what another process committed before may come before it.
        """
        crowded = len(self.ready) >= MOST_READ or self.carrier.options.fifo
        if crowded or self.unread or self.reading or ready.delivery.id in self.known:
            self.unread = True
            return False
        self.ready.append(ready)
        self.known.add(ready.delivery.id)
        place = (ready.delivery.due_at, ready.delivery.id)
        if self._cursor is None or place > self._cursor:
            self._cursor = place
        self.idle_since = None
        return True

    def want(self, now: datetime) -> Want | None:
        """What is to be read now, if anything."""
        if not self.hungry:
            return None
        after = None if self.rewind or self.carrier.options.fifo else self._cursor
        if after is None:
            self._rewound_at = now
        self.reading, self.unread, self.rewind = True, False, False
        return Want(self.id, self._limit if after else self._limit + len(self.known), after)

    def took(self, chunk: Chunk, want: Want) -> None:
        """What the read brought. The next one goes on after it, unless something may have become due before."""
        if self.rewind and self.carrier.options.fifo:  # since it began; what comes first is not in it
            self.forget_read()
            return
        fresh = [
            one for one in chunk.ready if one.delivery.id not in self.known and one.delivery.id not in self._lately
        ]
        self.ready.extend(fresh)
        self.known.update(one.delivery.id for one in fresh)
        full = len(chunk.ready) >= want.limit
        self.unread = self.unread or full
        if chunk.ready:
            last = chunk.ready[-1].delivery
            if full or self._cursor is None or (last.due_at, last.id) > self._cursor:
                self._cursor = (last.due_at, last.id)
        self.forget_read()
        if fresh:
            average = sum(len(one.payload.data_json) for one in fresh) // len(fresh) + 1
            self._limit = max(4, min(MOST_READ, 2 * self._limit if full else self._limit, _MOST_BYTES // average))
            self.idle_since = None

    def forget_read(self) -> None:
        """The read is over, or it failed."""
        self.reading = False
        self._lately.clear()

    def recorded(self, delivery: Delivery) -> None:
        """It was written down; if it is due again, it will be read again."""
        self.unrecorded -= 1
        self.known.discard(delivery.id)
        if self.reading:  # that read may have seen it as it was before
            self._lately.add(delivery.id)
        if self.carrier.options.fifo and delivery.state is DeliveryState.PENDING:
            self.clear()  # it comes before all that was read

    def clear(self) -> Iterable[Ready]:
        """Put back what was not begun; it is still in the database."""
        back = tuple(self.ready)
        self.ready.clear()
        self.known.difference_update(one.delivery.id for one in back)
        self.look_again()
        return back

    def look_again(self) -> None:
        """Something may have become due anywhere in the lane."""
        self.unread = self.rewind = True

    def glance(self, now: datetime) -> None:
        """Something is pending, which may be what is known already. Once a second it is looked for from the start."""
        self.unread = True
        if self._rewound_at is None or now - self._rewound_at >= REWIND:
            self.rewind = True

    @property
    def hungry(self) -> bool:
        """Whether it is time to read."""
        return self.unread and not self.reading and 2 * len(self.ready) <= self._limit
