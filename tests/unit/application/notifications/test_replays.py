"""Replays: what is counted is what is sent, each once, whatever happens in between."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.connections.connect import PublicUrl
from application.notifications.replays import MOST_FILTERED, CancelReplay, StartReplay
from application.notifications.run_replays import LEASE, RunReplays
from application.ports.store import Store
from application.upkeep.jobs import Retention
from domain.notifications import replays as rules
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import Endpoint, EndpointMode
from domain.notifications.options import Options
from domain.notifications.replays import Replay, ReplayKind, ReplayState
from domain.notifications.selection import Selection
from domain.refusals import Conflict, Invalid
from tests.unit.application.bench import Bench

HOUR = timedelta(hours=1)
KEEP = Retention(timedelta(days=30))
AGAIN, MISSED = ReplayKind.AGAIN, ReplayKind.MISSED


class Desk:
    """The use cases of replays on a bench, and what they find there."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.start = StartReplay(bench.store, bench.tell, bench.clock, bench.ids, KEEP)
        self.cancel = CancelReplay(bench.store, bench.tell, bench.clock)
        self.run = self.node()

    def node(self) -> RunReplays:
        """Another node, which knows nothing yet."""
        bench, public = self.bench, PublicUrl("https://hub.example")
        return RunReplays(bench.store, bench.leases, bench.clock, bench.ids, bench.journal, public, KEEP)

    async def failed(self, endpoint: Endpoint, count: int = 1, **changes: Any) -> list[Delivery]:
        """Deliveries that failed just now; a minute passes."""
        made = []
        now = self.bench.clock.now()
        for number in range(count):
            event = self.bench.make.event(self.bench.org, data={"n": number}, created_at=now)
            usual: dict[str, Any] = {
                "state": DeliveryState.FAILED,
                "attempts": 3,
                "finished_at": now,
                "created_at": now,
            }
            delivery = self.bench.make.delivery(self.bench.org, event, endpoint.id, **{**usual, **changes})
            await self.bench.add("events", event)
            await self.bench.add("deliveries", delivery)
            made.append(delivery)
        self.bench.clock.advance(timedelta(minutes=1))
        return made

    async def begin(self, kind: ReplayKind = AGAIN, **wanted: Any) -> Replay:
        """A replay of the last hour."""
        selection = Selection(**{"since": self.bench.clock.now() - HOUR, **wanted})
        return await self.start(self.bench.caller, kind, selection)

    async def now(self, replay: Replay) -> Replay:
        """A replay as it is kept."""
        async with self.bench.look() as work:
            return await work.replays.get(replay.id)

    async def made(self) -> list[Delivery]:
        """What replays have made."""
        return [one for one in await self.bench.deliveries() if one.state.value in ("pending", "waiting")]


@pytest.fixture
async def desk(bench: Bench) -> Desk:
    """A desk."""
    return Desk(bench)


async def test_a_step_is_as_large_as_a_lane_has_room(desk: Desk) -> None:
    """A hundred at first; more only as they are delivered, so that live events do not wait behind a replay."""
    endpoint = await desk.bench.endpoint()
    await desk.failed(endpoint, 250)
    replay = await desk.begin()
    assert [await desk.run() for _ in range(3)] == [100, 0, 0]
    async with desk.bench.store.of(desk.bench.org) as work:
        await work.deliveries.cancel_pending(endpoint.id, "taken", desk.bench.clock.now())
        await work.commit()
    desk.bench.clock.advance(timedelta(seconds=1))
    assert await desk.run() == 150, "it took them in a second: there is room for two hundred"
    assert (await desk.now(replay)).state is ReplayState.DONE


async def test_one_slow_receiver_delays_no_other(desk: Desk) -> None:
    """Each goes on from its own place."""
    slow, quick = await desk.bench.endpoint("slow.example"), await desk.bench.endpoint("quick.example")
    await desk.failed(slow, 130)
    await desk.failed(quick, 30)
    replay = await desk.begin()
    assert await desk.run() == 130
    now = await desk.now(replay)
    assert set(now.ahead) == {slow.id}, "the other is through"


async def test_two_nodes_make_each_once(desk: Desk) -> None:
    """At the same moment, over the same replay."""
    endpoint = await desk.bench.endpoint()
    failed = await desk.failed(endpoint, 60)
    await desk.begin()
    nodes = [desk.node() for _ in range(3)]
    assert sum(await asyncio.gather(*(node() for node in nodes))) == 60
    assert sorted(one.replay_of or "" for one in await desk.made()) == sorted(one.id for one in failed)


async def test_what_lost_its_lease_writes_nothing(desk: Desk) -> None:
    """A node that stood still while another went on: the version stops it, not the lease."""
    endpoint = await desk.bench.endpoint()
    await desk.failed(endpoint, 10)
    replay = await desk.begin()
    stale = desk.node()
    assert await desk.run() == 10
    before = await desk.made()
    assert await stale._guarded(replay, timedelta(), asyncio.Event()) == 0
    assert await desk.made() == before


async def test_a_dead_node_s_replay_is_taken_over(desk: Desk) -> None:
    """When its lease is over."""
    await desk.failed(await desk.bench.endpoint(), 5)
    replay = await desk.begin()
    async with desk.bench.leases.hold(f"replay:{replay.id}", for_=LEASE):
        assert await desk.run() == 0
        desk.bench.clock.advance(LEASE)
        assert await desk.run() == 5


class Flaky:
    """A store that cannot be read now and then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if name == "reading" and self.away:
            raise OSError("the disk is away")
        return getattr(self._store, name)


async def test_it_goes_on_when_the_database_comes_back(desk: Desk) -> None:
    """And is given up after the fifth time in a row: a worker is not kept busy for ever."""
    bench = desk.bench
    await desk.failed(await bench.endpoint(), 150)
    replay = await desk.begin()
    flaky: Any = Flaky(bench.store)
    public = PublicUrl("https://hub.example")
    run = RunReplays(flaky, bench.leases, bench.clock, bench.ids, bench.journal, public, KEEP)
    for _ in range(2):
        flaky.away = True
        assert [await run() for _ in range(4)] == [0] * 4
        flaky.away = False
        await run()
    flaky.away = True
    assert [(await run(), (await desk.now(replay)).running) for _ in range(5)] == [*[(0, True)] * 4, (0, False)]
    ended = await desk.now(replay)
    assert (ended.state, ended.done, ended.error) == (
        ReplayState.FAILED,
        100,
        "It failed 5 times in a row: OSError.",
    )


async def test_a_polled_endpoint_fetches_it(desk: Desk) -> None:
    """It waits to be fetched; no worker calls an endpoint that has no address. Nothing is held back for it."""
    endpoint = await desk.bench.endpoint()
    await desk.failed(endpoint, 150)
    async with desk.bench.store.of(desk.bench.org) as work:
        await work.endpoints.save(attrs.evolve(endpoint, mode=EndpointMode.POLL))
        await work.commit()
    await desk.begin()
    assert await desk.run() == 150
    assert {one.state for one in await desk.made()} == {DeliveryState.WAITING}


async def test_who_is_switched_off_meanwhile_gets_nothing_more(desk: Desk) -> None:
    """The others do."""
    off, on = await desk.bench.endpoint("off.example"), await desk.bench.endpoint("on.example")
    await desk.failed(off, 3)
    await desk.failed(on, 2)
    replay = await desk.begin()
    async with desk.bench.store.of(desk.bench.org) as work:
        await work.endpoints.save(off.pause(desk.bench.clock.now()))
        await work.commit()
    assert await desk.run() == 2
    ended = await desk.now(replay)
    assert (ended.state, ended.done, ended.left_out) == (ReplayState.DONE, 2, 3)
    assert {one.destination_id for one in await desk.made()} == {on.id}


async def test_what_was_missed_passes_the_filter_of_today(desk: Desk) -> None:
    """Counted and sent alike, with the life that the endpoint gives its events."""
    await desk.failed(await desk.bench.endpoint(), 6)
    options = Options(filter="data.n >= 4", expires_after_s=60)
    late = attrs.evolve(await desk.bench.endpoint("late.example"), options=options)
    async with desk.bench.store.of(desk.bench.org) as work:
        await work.endpoints.save(late)
        await work.commit()
    replay = await desk.begin(MISSED, destination_id=late.id)
    assert replay.total == 2
    assert await desk.run() == 2
    now = desk.bench.clock.now()
    for one in await desk.bench.deliveries(late.id):
        assert (one.message_id, one.replay_of, one.expires_at) == (one.event_id, None, now + timedelta(seconds=60))


async def test_too_much_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do instead; counting itself has an end."""
    from application.notifications import replays

    await desk.failed(await desk.bench.endpoint(), 4)
    monkeypatch.setattr(replays, "MOST_REPLAYED", 3)
    with pytest.raises(Conflict, match="Ask for a shorter time"):
        await desk.begin()
    monkeypatch.setattr(replays, "MOST_FILTERED", 3)
    late = attrs.evolve(await desk.bench.endpoint("late.example"), options=Options(filter="data.n == 1"))
    async with desk.bench.store.of(desk.bench.org) as work:
        await work.endpoints.save(late)
        await work.commit()
    with pytest.raises(Conflict, match="filter"):
        await desk.begin(MISSED, destination_id=late.id)
    assert (rules.MOST_REPLAYED, MOST_FILTERED) == (1_000_000, 100_000)


async def test_what_was_missed_before_the_retention_time_is_unknown(desk: Desk) -> None:
    """Deliveries of then are deleted: everything would seem to have been missed."""
    late = await desk.bench.endpoint()
    with pytest.raises(Invalid, match="kept for 30 days"):
        await desk.begin(MISSED, destination_id=late.id, since=desk.bench.clock.now() - timedelta(days=31))


async def test_stopping_wins_against_a_step(desk: Desk) -> None:
    """Both at the same moment: one of them is first, and the other sees it."""
    await desk.failed(await desk.bench.endpoint(), 30)
    replay = await desk.begin()
    outcomes = await asyncio.gather(desk.run(), desk.cancel(desk.bench.caller, replay.id), return_exceptions=True)
    ended = await desk.now(replay)
    assert len(await desk.made()) == ended.done == outcomes[0]
    assert ended.state in (ReplayState.CANCELLED, ReplayState.DONE)
