"""The delivery engine: one per worker. It holds lanes, begins attempts fairly, and writes their outcomes down in batches.

Everything here runs in one event loop; only what is awaited can interleave. What may be lost at any moment is memory: a
lane's deliveries stay pending in the database until their outcome is committed (ADR 0020).
"""

import asyncio
import heapq
import traceback
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

import attrs

from application.delivery.consequences import Consequences
from application.delivery.handover import Handover
from application.delivery.held import HeldLane
from application.delivery.places import Places
from application.delivery.recorder import Recorder
from application.delivery.tenure import Tenure
from application.notifications.carry import Carry
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch, Ready, Tried, Waiting
from application.ports.ids import Ids
from application.ports.journal import Journal
from application.ports.work_queue import Topic, WorkQueue
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.deliveries import DeliveryState

SURVEY = timedelta(seconds=1)
"""How long work waits at most whose announcement was lost."""

AFTER_A_CALL = timedelta(milliseconds=20)
"""How soon a survey follows a call that named no lanes; such calls come in swarms."""

LONGEST_SURVEY = timedelta(seconds=5)
"""The same where a survey is slow, and takes a twentieth of the time: one that only waited for its database is no measure."""

LINGER = timedelta(seconds=5)
"""How long a lane is held with nothing to do: the next delivery then finds its worker."""

MOST_LANES = 2_000
MOST_UNRECORDED = 1_000
"""Attempts that ended and are not written down; beyond it nothing new begins: the database does not keep up."""

_AFTER_AN_ERROR = 1.0
"""Seconds."""


@attrs.define(eq=False)
class Dispatcher:
    """`run()` until `stop()`; or `begin()`, `round()` and `end()` by hand."""

    _dispatch: Dispatch
    _carry: Carry
    _consequences: Consequences
    _clock: Clock
    _ids: Ids
    _journal: Journal
    _queue: WorkQueue
    _handover: Handover
    _tenure: Tenure = attrs.field(init=False)
    _recorder: Recorder = attrs.field(init=False)
    _held: dict[str, HeldLane] = attrs.field(factory=dict, init=False)
    _wanted: dict[str, Waiting] = attrs.field(factory=dict, init=False)
    _runnable: deque[HeldLane] = attrs.field(factory=deque, init=False)
    _crowded: dict[str, deque[HeldLane]] = attrs.field(factory=dict, init=False)
    _places: Places = attrs.field(factory=Places, init=False)
    _timers: list[tuple[datetime, int, str]] = attrs.field(factory=list, init=False)
    _numbers: "count[int]" = attrs.field(factory=count, init=False)
    _budget: int | None = attrs.field(default=None, init=False)
    _begun: int = attrs.field(default=0, init=False)
    _attempts: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _attention: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _next_survey: datetime | None = attrs.field(default=None, init=False)
    _next_look: datetime | None = attrs.field(default=None, init=False)
    _stepped_at: datetime = attrs.field(default=datetime.min.replace(tzinfo=UTC), init=False)
    _stopping: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._tenure = Tenure(self._dispatch, self._clock, self._ids, self._journal, self._attention.set)
        self._recorder = Recorder(
            self._dispatch,
            self._consequences,
            self._clock,
            self._journal,
            self._after_recording,
            self._taken_away,
        )

    # Running

    async def run(self) -> None:
        """Deliver until `stop()`, then let what is under way end, and write it down."""
        await self._tenure.begin_at_last()
        self._handover.meet(self.offer)
        helpers = [
            asyncio.create_task(one)
            for one in (
                self._recorder.run(),
                self._tenure.keep(self._look_for_changes),
                self._listen(),
                self._listen_for_settings(),
            )
        ]
        try:
            while not self._stopping:
                await self._step_safely()
                await self._rest()
            for lane in self._held.values():
                lane.clear()
            while self._attempts:
                await asyncio.wait(set(self._attempts))
            await self._recorder.until_written()
        finally:
            self._handover.meet(None)
            for one in helpers:
                one.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            for attempt in self._attempts:
                attempt.cancel()
            await asyncio.gather(*self._attempts, return_exceptions=True)
        with suppress(Exception):  # a database that is away now finds the lease over in a while
            await self.end()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._attention.set()

    async def round(self, budget: int) -> int:
        """Try what is due now, at most `budget` deliveries, and write it down. Returns how many were tried."""
        self._budget, before = budget, self._begun
        self._next_survey = None
        while True:
            await self._step()
            if self._attempts:
                await asyncio.wait(set(self._attempts))
            await self._recorder.write_all()
            if self._attempts:
                continue  # recording made room for the next of a lane
            if self._begun - before >= budget or not self._more():
                return self._begun - before

    async def begin(self) -> None:
        """Take a lease."""
        await self._tenure.begin()

    async def end(self) -> None:
        """Let go of everything."""
        await self._dispatch.release(self._tenure.generation, [lane.lane for lane in self._held.values()])
        await self._dispatch.retire(self._tenure.generation)
        self._held.clear()

    def offer(self, offered: Sequence[Ready]) -> frozenset[str]:
        """These were committed by this process just now: they need not be read. Returns the destinations it holds."""
        mine = set()
        for ready in offered:
            to = ready.delivery
            lane = self._held.get(to.destination_id)
            if lane is None:
                self._wanted[to.destination_id] = Waiting(to.destination_id, to.organisation_id, to.kind, to.due_at)
                self._attention.set()
                continue
            mine.add(lane.id)
            if lane.offered(ready):
                self._enqueue(lane)
            elif lane.hungry:
                self._attention.set()
        self._pump()
        return frozenset(mine)

    # The loop

    async def _step_safely(self) -> None:
        try:
            await self._step()
        except Exception as error:  # noqa: BLE001  # the database may be away for a moment; a loop that ends ends all
            self._journal.troubled("taking deliveries", error)
            await asyncio.sleep(_AFTER_AN_ERROR)

    async def _step(self) -> None:
        self._attention.clear()
        now = self._clock.now()
        if self._tenure.lapsed(now):
            # Under a new number: what is still under way under the old one must not count for what is taken from now on.
            self._drop_all()
            await self._tenure.begin()
            self._next_survey = None
        if now < self._stepped_at:
            # The clock was set back: the moments that were noted are far away now.
            self._next_survey = self._next_look = None
            for lane in self._held.values():
                lane.look_again()
        self._stepped_at = now
        self._ring(now)
        await self._take_up(now)
        await self._fill()
        self._pump()
        await self._let_go(self._clock.now())

    async def _rest(self) -> None:
        """Until something happens, or the next moment at which something is to be done."""
        moments = [moment for moment in (self._next_survey, self._timers[0][0] if self._timers else None) if moment]
        wait = self._clock.seconds_until(min(moments)) if moments else SURVEY.total_seconds()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._attention.wait(), max(wait, 0.001))

    def _ring(self, now: datetime) -> None:
        """The moments that have come."""
        while self._timers and self._timers[0][0] <= now:
            lane = self._held.get(heapq.heappop(self._timers)[2])
            if lane is not None:
                lane.look_again()
                self._enqueue(lane)

    def _at(self, moment: datetime, lane: HeldLane) -> None:
        heapq.heappush(self._timers, (moment, next(self._numbers), lane.id))
        if self._timers[0][2] == lane.id:
            self._attention.set()

    async def _take_up(self, now: datetime) -> None:
        """Hold lanes that have something due."""
        wanted, self._wanted = self._wanted, {}
        if self._next_survey is None or now >= self._next_survey:
            for one in await self._dispatch.survey(self._tenure.generation, now):
                wanted.setdefault(one.destination_id, one)
            took = self._clock.now() - now
            self._next_survey = self._clock.now() + min(max(SURVEY, 20 * took), LONGEST_SURVEY)
        due = []
        for one in wanted.values():
            if one.destination_id in self._held:
                # It may be what this worker knows of already; a read tells.
                if one.due_at <= now:
                    self._held[one.destination_id].glance(now)
            elif one.due_at <= now:
                due.append(one)
            elif self._next_survey is not None:
                self._next_survey = min(self._next_survey, one.due_at)
        due.sort(key=lambda one: one.due_at)
        if due and len(self._held) < MOST_LANES:
            await self._hold(due[: MOST_LANES - len(self._held)], now)

    async def _hold(self, due: Sequence[Waiting], now: datetime) -> None:
        generation = self._tenure.generation
        for lane in await self._dispatch.take(generation, due, now):
            carrier = await self._carry.opened(lane.kind, lane.organisation_id, lane.destination_id)
            held = HeldLane(lane, generation, carrier, now)
            self._held[held.id] = held

    async def _fill(self) -> None:
        """Read what is due, of every lane that runs dry."""
        now = self._clock.now()
        wants = {}
        for lane in self._held.values():
            if lane.not_before(now) is None and (want := lane.want(now)) is not None:
                wants[lane.id] = (lane, want)
        if not wants:
            return
        try:
            chunks = await self._dispatch.read([want for _, want in wants.values()], now)
        except BaseException:
            for lane, _ in wants.values():
                lane.forget_read()
                lane.look_again()
            raise
        for id_, (lane, want) in wants.items():
            chunk = chunks[id_]
            lane.took(chunk, want)
            if chunk.next_due is not None:
                self._at(chunk.next_due, lane)
            self._enqueue(lane)

    async def _let_go(self, now: datetime) -> None:
        """Free lanes that have had nothing to do for a while, or wait for long, so that others may serve them."""
        if self._next_look is not None and now < self._next_look:
            return
        self._next_look = now + SURVEY / 2
        free = [lane for lane in self._held.values() if self._over(lane, now)]
        if free:
            for lane in free:
                self._drop(lane)
            for generation in {lane.generation for lane in free}:
                await self._dispatch.release(generation, [one.lane for one in free if one.generation == generation])

    def _over(self, lane: HeldLane, now: datetime) -> bool:
        if lane.busy or lane.unrecorded or lane.stirred or lane.reading:
            return False
        later = lane.not_before(now)
        if later is not None and later - now > LINGER:
            return True  # it waits as well in the database
        if lane.ready or lane.unread:
            lane.idle_since = None
            return False
        if lane.idle_since is None:
            lane.idle_since = now
            self._at(now + LINGER, lane)
        return now - lane.idle_since >= LINGER

    def _more(self) -> bool:
        """Whether a round has something left to do."""
        now = self._clock.now()
        return bool(self._wanted) or any(
            lane.not_before(now) is None and (lane.ready or lane.unread) for lane in self._held.values()
        )

    # Attempts

    def _enqueue(self, lane: HeldLane) -> None:
        if not lane.queued and not lane.dropped:
            lane.queued = True
            self._runnable.append(lane)

    def _pump(self) -> None:
        """Begin attempts while there is room: one for each lane in turn."""
        runnable = self._runnable
        while runnable and self._room():
            lane = runnable.popleft()
            lane.queued = False
            if not lane.ready:
                if lane.unread:
                    self._attention.set()
                continue
            now = self._clock.now()
            if self._tenure.lapsed(now):
                # Others may hold the lanes by now. When the lease is renewed after all, everything is looked at anew.
                self._enqueue(lane)
                return
            if lane.dropped or lane.places(now) <= 0:
                continue  # it comes back when an attempt of its own ends
            later = lane.not_before(now)
            if later is not None:
                self._at(later, lane)
                continue
            organisation = lane.lane.organisation_id
            if not self._places.free_for(organisation, lane.busy):
                self._crowded.setdefault(organisation, deque()).append(lane)
                continue
            self._start(lane, now)
            if lane.ready:
                self._enqueue(lane)
            if lane.hungry:
                self._attention.set()

    def _room(self) -> bool:
        if self._stopping or self._recorder.waiting >= MOST_UNRECORDED:
            return False
        return self._budget is None or self._budget > 0

    def _start(self, lane: HeldLane, now: datetime) -> None:
        ready = lane.begin(now)
        if self._budget is not None:
            self._budget -= 1
        if ready.delivery.expired(now):
            lane.busy -= 1
            self._recorder.note(lane, Tried(ready.delivery.expire(now), None))
            return
        self._begun += 1
        self._places.take(lane.lane.organisation_id, first=lane.busy == 1)
        task = asyncio.create_task(self._attempt(lane, ready, now))
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)

    async def _attempt(self, lane: HeldLane, ready: Ready, started: datetime) -> None:
        try:
            outcome = await lane.carrier.carry(ready, started)
        except Exception:  # noqa: BLE001  # a fault of ours, which must not take other deliveries along
            outcome = Outcome(Verdict.RETRY, self._clock.now() - started, error=traceback.format_exc(limit=-4))
        finally:
            lane.busy -= 1
            organisation = lane.lane.organisation_id
            self._places.free(organisation, last=not lane.busy)
        self._finish(lane, ready, outcome, started)
        self._let_in(organisation)
        self._enqueue(lane)
        self._pump()

    def _let_in(self, organisation: str) -> None:
        """A place was freed: one that had none may try again; of another organisation, if this one has none waiting."""
        while crowded := self._crowded.get(organisation) or next(iter(self._crowded.values()), None):
            lane = crowded.popleft()
            if not crowded:
                self._crowded.pop(lane.lane.organisation_id, None)
            if not lane.dropped:
                self._enqueue(lane)
                return

    def _finish(self, lane: HeldLane, ready: Ready, outcome: Outcome, started: datetime) -> None:
        """Decide what the delivery becomes, and what it means for its destination."""
        now = self._clock.now()
        schedule = lane.carrier.schedule(ready.delivery.event_type)
        jitter = self._ids.jitter() if outcome.verdict is Verdict.RETRY else 0.0
        after = ready.delivery.after(outcome, now, schedule, jitter)
        attempt = Attempt(self._ids.new("attempt"), after.organisation_id, after.id, after.attempts, started, outcome)
        if outcome.verdict is Verdict.DELIVERED:
            lane.window.arrived()
        elif outcome.timed_out or outcome.status in (429, 503):
            lane.window.strained()
        health = lane.health.attempted(outcome, started, now)
        if after.state is DeliveryState.FAILED and not outcome.unsent:
            health = health.failed_for_good()
        elif after.state is DeliveryState.PENDING:
            if lane.carrier.options.fifo:
                # It stays the first in its lane; the lane waits for it.
                health = attrs.evolve(health, paused_until=max(after.due_at, health.paused_until or after.due_at))
                after = attrs.evolve(after, due_at=ready.delivery.due_at)
                lane.clear()
                self._at(health.paused_until or now, lane)
            else:
                self._at(after.due_at, lane)
        lane.health = health
        if health.paused_until is not None and health.paused(now):
            self._at(health.paused_until, lane)
        self._recorder.note(lane, Tried(after, attempt))

    # What the recorder and the lease say

    def _after_recording(self, lanes: Iterable[HeldLane]) -> None:
        """FIFO lanes wait for this, and those with much unrecorded."""
        for lane in lanes:
            self._enqueue(lane)
        self._pump()
        self._attention.set()

    def _taken_away(self, lane: HeldLane) -> None:
        """Others hold it, although this worker thought that it did."""
        self._drop(lane)
        if lane.generation == self._tenure.generation:
            self._tenure.lose(f"the lane of {lane.id} was taken over")

    # What comes from outside

    async def _listen(self) -> None:
        while True:
            named = await self._queue.wait(Topic.DELIVERIES, timedelta(seconds=30))
            for id_ in named:
                lane = self._held.get(id_)
                if lane is None:
                    self._next_survey = None
                else:
                    lane.look_again()
                    self._enqueue(lane)
            if not named:
                for lane in self._held.values():
                    lane.unread = True
                soon = self._clock.now() + AFTER_A_CALL
                self._next_survey = min(self._next_survey or soon, soon)
            self._attention.set()

    async def _listen_for_settings(self) -> None:
        while True:
            named = await self._queue.wait(Topic.SETTINGS, timedelta(seconds=2))
            try:
                if named:
                    await self._reopen(lane for lane in list(self._held.values()) if lane.id in named)
                elif self._held:
                    await self._look_for_changes()
            except Exception as error:  # noqa: BLE001
                self._journal.troubled("reading settings", error)
                await asyncio.sleep(_AFTER_AN_ERROR)

    async def _look_for_changes(self) -> None:
        """Somebody may have changed a destination, or taken a lane away, without our hearing of it."""
        held = {lane.id: lane for lane in self._held.values() if lane.generation == self._tenure.generation}
        if not held:
            return
        revisions = await self._dispatch.revisions(self._tenure.generation)
        for lane in held.values():
            if lane.id not in revisions and self._held.get(lane.id) is lane:
                self._taken_away(lane)
        changed = [lane for lane in held.values() if revisions.get(lane.id, lane.lane.revision) != lane.lane.revision]
        for lane in changed:
            lane.lane = attrs.evolve(lane.lane, revision=revisions[lane.id])
        await self._reopen(changed)

    async def _reopen(self, lanes: Iterable[HeldLane]) -> None:
        for lane in lanes:
            kept = lane.lane
            lane.opened(await self._carry.opened(kept.kind, kept.organisation_id, kept.destination_id))
            lane.clear()  # what waited may have been cancelled
            lane.health = lane.health.resumed()
            if lane.stirred:
                self._recorder.stir(lane)
            self._enqueue(lane)
        self._attention.set()

    def _drop(self, lane: HeldLane) -> None:
        """Others hold it now. What is under way ends, and its record is refused."""
        lane.dropped = True
        lane.clear()
        lane.stirred = False
        if self._held.get(lane.id) is lane:
            del self._held[lane.id]

    def _drop_all(self) -> None:
        for lane in list(self._held.values()):
            self._drop(lane)
