"""Writes down what became of attempts, many at once, and does what follows from it for their destinations."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import attrs

from application.delivery.consequences import Consequences
from application.delivery.held import HeldLane
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch, Tried
from application.ports.journal import Journal
from domain.notifications.attempts import Outcome, Verdict

MOST_AT_ONCE = 500
FEW = 64
GATHER_S = 0.002
"""Fewer than these wait a moment for more: a commit costs the same for one as for many."""

_AFTER_AN_ERROR = 1.0
"""Seconds."""


@attrs.define
class _Ended:
    lane: HeldLane
    tried: Tried

    @property
    def key(self) -> tuple[int, str]:
        """Which holding of the lane it belongs to."""
        return self.lane.generation, self.lane.id

    @property
    def gone(self) -> Outcome | None:
        """The outcome that says the receiver is gone for good, if it does."""
        attempt = self.tried.attempt
        return attempt.outcome if attempt is not None and attempt.outcome.verdict is Verdict.GONE else None


@attrs.define(eq=False)
class Recorder:
    """What ended waits here until it is committed; it is kept as long as the database is away.

    recorded: called with the lanes of what was written. lost: called with a lane that others hold by now, of which nothing
    was written.
    """

    _dispatch: Dispatch
    _consequences: Consequences
    _clock: Clock
    _journal: Journal
    _recorded: Callable[[Iterable[HeldLane]], None]
    _lost: Callable[[HeldLane], None]
    _ended: deque[_Ended] = attrs.field(factory=deque, init=False)
    _stirred: dict[str, HeldLane] = attrs.field(factory=dict, init=False)
    _under_way: int = attrs.field(default=0, init=False)
    _news: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _written: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    @property
    def waiting(self) -> int:
        """How much is not written down yet."""
        return len(self._ended) + self._under_way

    def note(self, lane: HeldLane, tried: Tried) -> None:
        """An attempt ended, or a delivery did without one."""
        lane.unrecorded += 1
        self._ended.append(_Ended(lane, tried))
        self._news.set()

    def stir(self, lane: HeldLane) -> None:
        """How a destination fares is to be written down, although no attempt may end."""
        if not lane.dropped:
            lane.stirred = True
            self._stirred[lane.id] = lane
            self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._news.wait()
            if len(self._ended) < FEW:
                await asyncio.sleep(GATHER_S)
            self._news.clear()
            await self.write_all()

    async def until_written(self) -> None:
        """Return when nothing waits; `run` goes on meanwhile."""
        while self.waiting:
            self._written.clear()
            await self._written.wait()

    async def write_all(self) -> None:
        """Each batch takes along what ended while the one before was being committed."""
        most = MOST_AT_ONCE
        while self._ended or self._stirred:
            batch = [self._ended.popleft() for _ in range(min(most, len(self._ended)))]
            self._under_way = len(batch)
            try:
                await self._write(batch)
            except Exception as error:  # noqa: BLE001  # disk full, database away: it is kept here and tried again
                self._ended.extendleft(reversed(batch))
                self._journal.troubled("recording deliveries", error)
                if most == 1 and batch and await self._others_can_write(batch[0]):
                    self._ended[0] = _bare(batch[0], error)
                most = max(1, len(batch) // 2)
                await asyncio.sleep(_AFTER_AN_ERROR if most == 1 else _AFTER_AN_ERROR / 10)
            else:
                most = MOST_AT_ONCE
            finally:
                self._under_way = 0
                self._written.set()

    async def _others_can_write(self, ended: _Ended) -> bool:
        """Whether it is this one that cannot be kept, and not the database that is away or full."""
        try:
            await self._dispatch.record(ended.lane.generation, (), (ended.lane.lane,), self._clock.now())
        except Exception:  # noqa: BLE001
            return False
        return True

    async def _write(self, batch: Sequence[_Ended]) -> None:
        # A destination may be here twice: as it was held before the lease was lost, and as it is held now.
        lanes = {one.key: one.lane for one in batch}
        also = {(lane.generation, lane.id): lane for lane in self._stirred.values()}
        self._stirred.clear()
        stirred = [lane for lane in {**lanes, **also}.values() if lane.stirred]
        for lane in stirred:
            lane.stirred = False
        lost: set[tuple[int, str]] = set()
        try:
            for generation in {lane.generation for lane in (*lanes.values(), *stirred)}:
                gone = await self._dispatch.record(
                    generation,
                    [one.tried for one in batch if one.lane.generation == generation],
                    [lane.lane for lane in stirred if lane.generation == generation],
                    self._clock.now(),
                )
                lost |= {(generation, id_) for id_ in gone}
        except BaseException:
            for lane in stirred:
                self.stir(lane)
            raise
        for one in batch:
            one.lane.recorded(one.tried.delivery)
            if one.key not in lost and one.tried.attempt is not None:
                self._journal.tried(one.tried.delivery, one.tried.attempt)
        for lane in (*lanes.values(), *stirred):
            if (lane.generation, lane.id) in lost and not lane.dropped:
                self._lost(lane)
        await self._follow_up([one for one in batch if one.key not in lost])
        self._recorded(lanes.values())

    async def _follow_up(self, batch: Sequence[_Ended]) -> None:
        """A destination that is gone or has failed for too long is switched off; before that, people are warned."""
        now = self._clock.now()
        for lane in {one.key: one.lane for one in batch}.values():
            gone = next((o for one in batch if one.lane is lane and (o := one.gone) is not None), None)
            if gone is None and lane.health.exhausted(now) is None and lane.health.due_warning(now) is None:
                continue
            try:
                lane.health = await self._consequences(lane.lane, gone)
                self.stir(lane)
            except Exception as error:  # noqa: BLE001  # the next failure asks again
                self._journal.troubled("switching off a destination", error)


def _bare(ended: _Ended, error: Exception) -> _Ended:
    """The same outcome without what the receiver said: something in it cannot be kept."""
    attempt = ended.tried.attempt
    if attempt is None:
        return ended
    outcome = attempt.outcome
    bare = Outcome(
        outcome.verdict, outcome.duration, outcome.status, f"What was said could not be kept ({type(error).__name__})."
    )
    return _Ended(ended.lane, attrs.evolve(ended.tried, attempt=attrs.evolve(attempt, outcome=bare)))
