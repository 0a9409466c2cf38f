"""The worker: nobody's slowness is another's, nothing is begun after `stop()`, and an idle one is quiet."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast, final
from urllib.parse import urlsplit

import attrs

from application.inbox.handle import HandleInbox
from application.notifications.deliver_due import DeliverDue
from application.ports.clock import Clock
from application.ports.outgoing import Outgoing, Reply
from application.ports.store import Store
from application.ports.work_queue import Topic, WorkQueue
from domain.inbox import InboxState
from domain.notifications.deliveries import DeliveryState
from entrypoints.wiring import Hub
from entrypoints.worker import Worker
from tests.fakes.outgoing import reply
from tests.unit.application.bench import Bench

SHARE = 8


@final
class Gates(Outgoing):
    """Every host but "quick" ones lets a request through only for a call of `gates[host].release()`."""

    def __init__(self) -> None:
        self.gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))
        self.asked, self.now, self.most = Counter[str](), Counter[str](), Counter[str]()

    async def check(self, url: str, *, field: str = "url") -> None:
        """Anything goes."""

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout: timedelta
    ) -> Reply:
        """200, sooner or later."""
        host = urlsplit(url).hostname or ""
        self.asked[host] += 1
        self.now[host] += 1
        self.most[host] = max(self.most[host], self.now[host])
        try:
            if "quick" not in host:
                await self.gates[host].acquire()
        finally:
            self.now[host] -= 1
        return reply(200)

    def open(self, host: str, count: int = 1000) -> None:
        """Let requests through."""
        for _ in range(count):
            self.gates[host].release()


class Watched:
    """Stands before a store: counts what is called, and fails as told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls, self.failing = Counter[str](), Counter[str]()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        if self.failing[name]:
            self.failing[name] -= 1
            raise ConnectionError("the database is away")
        return getattr(self._store, name)


@attrs.define
class Scene:
    """A worker at work over a bench."""

    bench: Bench
    gates: Gates
    store: Watched
    worker: Worker
    task: "asyncio.Task[None]"

    async def publish(self, count: int, type: str) -> None:
        """Events of the host application's."""
        for _ in range(count):
            await self.bench.publish(self.bench.caller, type=type, data={"id": 1})

    async def states(self, destination: str) -> Counter[DeliveryState]:
        """Of one destination's deliveries."""
        return Counter(one.state for one in await self.bench.deliveries(destination))


@asynccontextmanager
async def working() -> AsyncIterator[Scene]:
    """A worker that is stopped at the end, with all gates open."""
    gates = Gates()
    bench = await Bench(gates).prepare()
    watched = Watched(bench.store)
    parts: dict[Any, Any] = {
        WorkQueue: bench.queue,
        Store: watched,
        Clock: bench.clock,
        DeliverDue: attrs.evolve(bench.deliver, store=watched),
        HandleInbox: attrs.evolve(bench.handle, store=watched),
    }

    class Parts:
        def resolve(self, kind: type[Any]) -> Any:
            return parts[kind]

    worker = Worker(cast("Hub", Parts()))
    task = asyncio.create_task(worker.run())
    try:
        yield Scene(bench, gates, watched, worker, task)
    finally:
        worker.stop()
        for host in tuple(gates.gates):
            gates.open(host)
        async with asyncio.timeout(20):
            await task


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that the worker does in the background."""
    async with asyncio.timeout(20):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def until_asked(scene: Scene, host: str, count: int) -> None:
    """Wait until a receiver got this many requests."""

    async def asked() -> bool:
        return scene.gates.asked[host] >= count

    await until(asked)


async def until_delivered(scene: Scene, destination: str, count: int) -> None:
    """Wait until this many arrived and are on record."""

    async def delivered() -> bool:
        return (await scene.states(destination))[DeliveryState.DELIVERED] >= count

    await until(delivered)


async def test_a_receiver_that_hangs_delays_no_other() -> None:
    """What comes later for another destination is delivered while it still hangs."""
    async with working() as scene:
        slow = await scene.bench.endpoint("slow.example", "order.*")
        quick = await scene.bench.endpoint("quick.example", "news.*")
        await scene.publish(30, "order.shipped")
        await until_asked(scene, "slow.example", SHARE)
        for n in range(3):
            await scene.publish(2, "news.flash")
            await until_delivered(scene, quick.id, 2 * (n + 1))
        assert scene.gates.asked["slow.example"] == SHARE
        assert (await scene.states(slow.id))[DeliveryState.DELIVERED] == 0


async def test_a_destination_never_has_more_than_its_share_under_way() -> None:
    """Over all claims: one that ends makes room for one."""
    async with working() as scene:
        slow = await scene.bench.endpoint("slow.example")
        await scene.publish(30, "order.shipped")
        await until_asked(scene, "slow.example", SHARE)
        for n in range(1, 6):
            scene.gates.open("slow.example", 1)
            await until_asked(scene, "slow.example", SHARE + n)
        scene.gates.open("slow.example")
        await until_delivered(scene, slow.id, 30)
        assert scene.gates.asked["slow.example"] == 30
        assert scene.gates.most["slow.example"] == SHARE


async def test_a_webhook_that_hangs_delays_no_other() -> None:
    """A provider that does not answer for one payment may answer for the next."""
    answers, asked = asyncio.Event(), asyncio.Event()
    async with working() as scene:
        bench = scene.bench

        async def hang() -> None:
            bench.between.before.clear()
            asked.set()
            await answers.wait()

        async def handled() -> int:
            async with bench.look() as work:
                return sum(one.state is InboxState.HANDLED for one in await work.inbox.all())

        async def paid() -> None:
            before = len(bench.fake.events)
            bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
            await bench.webhook(next(body for body in bench.fake.events[before:] if b"intent.succeeded" in body))

        bench.between.before["fetch_intent"] = hang
        await paid()
        async with asyncio.timeout(20):
            await asked.wait()
        await paid()

        async def other_is_handled() -> bool:
            return await handled() == 1

        await until(other_is_handled)
        answers.set()

        async def both_are() -> bool:
            return await handled() == 2

        await until(both_are)


async def test_stopping_finishes_what_is_under_way_and_begins_nothing() -> None:
    """A deployment loses no answer of a receiver, and does not wait for the whole backlog."""
    async with working() as scene:
        slow = await scene.bench.endpoint("slow.example")
        await scene.publish(20, "order.shipped")
        await until_asked(scene, "slow.example", SHARE)
        scene.worker.stop()
        await asyncio.sleep(0.05)
        assert not scene.task.done()
        scene.gates.open("slow.example")
        async with asyncio.timeout(20):
            await scene.task
        assert scene.gates.asked["slow.example"] == SHARE
        assert await scene.states(slow.id) == {DeliveryState.DELIVERED: SHARE, DeliveryState.PENDING: 20 - SHARE}
        assert await scene.bench.store.next_due(Topic.DELIVERIES) == scene.bench.clock.now(), "none of those is leased"


async def test_an_idle_worker_is_quiet() -> None:
    """It looks once in a while and takes no lock to write."""
    async with working() as scene:
        await asyncio.sleep(0.4)
        assert (scene.store.calls["claim_deliveries"], scene.store.calls["claim_inbox"]) == (0, 0)
        assert scene.store.calls["next_due"] <= 6


async def test_a_worker_whose_due_deliveries_may_not_begin_yet_is_quiet() -> None:
    """Its only destination has its share, and more is due: it tries now and then, and leaves the inbox alone."""
    async with working() as scene:
        await scene.bench.endpoint("slow.example")
        await scene.publish(30, "order.shipped")
        await until_asked(scene, "slow.example", SHARE)
        scene.store.calls.clear()
        await asyncio.sleep(1.5)  # longer than the longest sleep, so that both loops have looked
        assert scene.store.calls["claim_deliveries"] <= 8
        assert scene.store.calls["claim_inbox"] == 0
        assert scene.store.calls["next_due"] <= 16


async def test_a_database_that_is_away_for_a_moment_ends_no_loop() -> None:
    """What could not be recorded is taken up again when its lease is over; the rest goes on."""
    async with working() as scene:
        quick = await scene.bench.endpoint("quick.example")
        scene.store.failing["record_attempts"] = 1
        await scene.publish(3, "order.shipped")
        await until_delivered(scene, quick.id, 2)
        await scene.publish(1, "order.shipped")
        await until_delivered(scene, quick.id, 3)
        scene.bench.clock.advance(timedelta(minutes=2))
        await until_delivered(scene, quick.id, 4)
