"""Carry replays out: step by step, each step's deliveries and the place it has come to in one transaction.

So a crash loses nothing and repeats nothing: whoever goes on begins where the last commit was. A lease keeps two nodes
from working at the same replay; if it fails to, the replay's version makes one of them write nothing.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from application.connections.connect import PublicUrl
from application.notifications.replays import missed_delivery
from application.notifications.send_again import told_today
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.journal import Journal
from application.ports.leases import Held, Leases
from application.ports.store import StaleWrite, Store, Work
from application.upkeep.jobs import Retention
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import Endpoint, EndpointMode
from domain.notifications.payload import Payload
from domain.notifications.replays import MOST_WAITING, Allowance, Replay, ReplayKind
from domain.notifications.selection import Selection

CHUNK = 500
"""Deliveries of one transaction."""

TURN = timedelta(seconds=4)
"""How long one replay is worked at before it is looked whether there are others."""

LEASE = timedelta(seconds=30)
"""If a node dies, another goes on after this."""

_AT_ONCE = 8
"""Replays that one node works at."""

_A_MOMENT = 0.1
"""Seconds until it is looked whether a lane has become emptier."""

_PATIENCE = 5
"""Failures in a row after which a replay is given up."""


@attrs.define
class RunReplays:
    """One turn at every replay that is under way."""

    _store: Store
    _leases: Leases
    _clock: Clock
    _ids: Ids
    _journal: Journal
    _public_url: PublicUrl
    _retention: Retention
    _allowances: dict[str, Allowance] = attrs.field(factory=dict, init=False)
    _failures: dict[str, int] = attrs.field(factory=dict, init=False)

    async def __call__(self, turn: timedelta = timedelta(), stopping: asyncio.Event | None = None) -> int:
        """A step for each destination of each replay, and for so long more of them. Returns how many deliveries were made.

        What another node works at is left to it. Once `stopping` is set, no further step begins.
        """
        running = await self._store.running_replays()
        self._failures = {one.id: n for one in running if (n := self._failures.get(one.id))}
        if not running:
            self._allowances.clear()
            return 0
        places, stop = asyncio.Semaphore(_AT_ONCE), stopping or asyncio.Event()

        async def one(replay: Replay) -> int:
            async with places:
                return 0 if stop.is_set() else await self._guarded(replay, turn, stop)

        return sum(await asyncio.gather(*(one(replay) for replay in running)))

    async def _guarded(self, replay: Replay, turn: timedelta, stop: asyncio.Event) -> int:
        """One replay's trouble is not another's."""
        try:
            async with self._leases.hold(f"replay:{replay.id}", for_=LEASE):
                made = await self._turn(replay, self._clock.now() + turn, stop)
        except (Held, StaleWrite):
            return 0  # someone else works at it, or has just stopped it
        except Exception as error:  # noqa: BLE001
            self._journal.troubled("replaying", error)
            self._failures[replay.id] = self._failures.get(replay.id, 0) + 1
            if self._failures[replay.id] >= _PATIENCE:
                await self._give_up(replay, error)
            return 0
        self._failures.pop(replay.id, None)
        return made

    async def _turn(self, replay: Replay, until: datetime, stop: asyncio.Event) -> int:
        """Every destination in its turn, so that a slow one delays no other."""
        made = 0
        while replay.running:
            before = replay
            for destination in tuple(replay.ahead):
                began = self._clock.now()
                after = await self._step(replay, destination)
                made += after.done - replay.done
                moved, replay = after is not replay, after
                if not replay.running or stop.is_set():
                    return made
                # As long as it has kept others from writing, it lets them write.
                await asyncio.sleep((self._clock.now() - began).total_seconds() if moved else 0)
            if self._clock.now() >= until:
                return made
            if replay is before:
                await asyncio.sleep(_A_MOMENT)
        return made

    async def _step(self, replay: Replay, destination_id: str) -> Replay:
        """Make some of what is ahead for one destination. Returns the replay as it is kept then; itself if there is no room."""
        now = self._clock.now()
        after = replay.ahead[destination_id]
        async with self._store.reading(replay.organisation_id) as work:
            endpoint = await work.endpoints.find(destination_id)
            there = endpoint.active if endpoint is not None else await _listens(work, destination_id)
            room, waiting = await self._room(work, destination_id, endpoint, now)
            if there and not room:
                return replay
            new, up_to = (
                await self._new(work, replay, destination_id, endpoint, after, room, now) if there else ((), None)
            )
        async with self._store.of(replay.organisation_id) as work:
            made = await work.deliveries.add_replayed(new) if new else 0
            saved = await work.replays.save(replay.advanced(destination_id, made, up_to, now))
            await work.commit()
        if waiting is not None:
            self._allowances[destination_id] = self._allowances[destination_id].added(waiting + made, now)
        return saved

    async def _room(
        self, work: Work, destination_id: str, endpoint: Endpoint | None, now: datetime
    ) -> tuple[int, int | None]:
        """How many may be made, and how many wait; what waits to be fetched holds nothing up, and is not counted."""
        if endpoint is not None and endpoint.mode is EndpointMode.POLL:
            return CHUNK, None
        waiting = await work.deliveries.count_due(destination_id, now, MOST_WAITING)
        allowance = self._allowances.get(destination_id, Allowance()).seen(waiting, now)
        self._allowances[destination_id] = allowance
        return min(CHUNK, allowance.room(waiting)), waiting

    async def _new(
        self,
        work: Work,
        replay: Replay,
        destination_id: str,
        endpoint: Endpoint | None,
        after: str,
        limit: int,
        now: datetime,
    ) -> tuple[Sequence[Delivery], str | None]:
        if replay.kind is ReplayKind.AGAIN:
            stretch = await work.deliveries.to_replay(replay.wanted, destination_id, after, limit)
            again = [one.send_again(id=self._ids.new("delivery"), now=now) for one in stretch.found]
            return [told_today(one, endpoint) for one in again], stretch.up_to
        assert endpoint is not None, "only an endpoint can have missed something"
        wanted = self._known(replay.wanted, now)
        events = await work.deliveries.missed(wanted, endpoint.events, destination_id, after, limit)
        made = [
            missed_delivery(endpoint, Payload.of(event, self._public_url.url), self._ids.new("delivery"), now)
            for event in events.found
        ]
        return [one for one in made if one is not None], events.up_to

    def _known(self, wanted: Selection, now: datetime) -> Selection:
        """Without the time of which it is no longer known what was delivered: that grows while the replay goes on."""
        horizon = now - self._retention.keep
        assert wanted.since is not None
        assert wanted.until is not None
        if wanted.since >= horizon:
            return wanted
        return attrs.evolve(wanted, since=min(horizon, wanted.until - timedelta(microseconds=1)))

    async def _give_up(self, replay: Replay, error: Exception) -> None:
        async with self._store.of(replay.organisation_id) as work:
            latest = await work.replays.get(replay.id)
            if latest.running:
                why = f"It failed {_PATIENCE} times in a row: {type(error).__name__}."
                await work.replays.save(latest.failed(why, self._clock.now()))
                await work.commit()


async def _listens(work: Work, notification_id: str) -> bool:
    notification = await work.notifications.find(notification_id)
    return notification is not None and notification.is_active
