"""The worker: deliveries and webhooks side by side. The engine itself is tested in tests/unit/application/delivery."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import attrs

from application.inbox.handle import HandleInbox
from application.notifications.deliver_due import DeliverDue
from application.notifications.run_replays import RunReplays
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch
from application.ports.inbox import WebhookInbox
from application.ports.work_queue import WorkQueue
from application.upkeep.jobs import Retention
from domain.inbox import InboxState
from domain.notifications.deliveries import DeliveryState
from entrypoints.wiring import Hub
from entrypoints.worker import Worker
from tests.unit.application.bench import PUBLIC
from tests.unit.application.delivery.scene import Scene, Watched, answers, away


@attrs.define
class Work:
    """A worker at work over a scene."""

    scene: Scene
    dispatch: Watched
    inbox: Watched
    worker: Worker
    task: "asyncio.Task[None]"

    async def paid(self) -> None:
        """Someone pays, and the provider tells the hub."""
        bench = self.scene
        before = len(bench.fake.events)
        bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
        await bench.webhook(next(body for body in bench.fake.events[before:] if b"intent.succeeded" in body))

    async def handled(self) -> int:
        """How many webhooks were."""
        async with self.scene.look() as work:
            return sum(one.state is InboxState.HANDLED for one in await work.inbox.all())


@asynccontextmanager
async def working() -> AsyncIterator[Work]:
    """A worker that is stopped at the end."""
    scene = await Scene.of()
    dispatch, inbox = Watched(scene.dispatch), Watched(cast("Any", scene.inbox))
    parts: dict[Any, Any] = {
        WorkQueue: scene.queue,
        WebhookInbox: inbox,
        Dispatch: scene.dispatch,
        Clock: scene.clock,
        DeliverDue: attrs.evolve(scene.deliver, dispatch=cast("Dispatch", dispatch)),
        HandleInbox: attrs.evolve(scene.handle, inbox=cast("WebhookInbox", inbox)),
        RunReplays: RunReplays(
            scene.store, scene.leases, scene.clock, scene.ids, scene.journal, PUBLIC, Retention(timedelta(days=90))
        ),
    }

    class Parts:
        def resolve(self, kind: type[Any]) -> Any:
            return parts[kind]

    worker = Worker(cast("Hub", Parts()))
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0.01)
    try:
        yield Work(scene, dispatch, inbox, worker, task)
    finally:
        worker.stop()
        async with asyncio.timeout(20):
            await task


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that the worker does in the background."""
    async with asyncio.timeout(20):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_deliveries_and_webhooks_are_done_until_nothing_is_due() -> None:
    """What a webhook brings about is told as well."""
    async with working() as work:
        endpoint = await work.scene.endpoint()
        await work.scene.tell_all(3)
        await work.paid()
        assert await work.worker.drain(timedelta(seconds=10))
        assert await work.handled() == 1
        found = await work.scene.deliveries(endpoint.id)
        assert {one.state for one in found} == {DeliveryState.DELIVERED}
        assert {"order.shipped", "payment.received"} <= {one.event_type for one in found}


async def test_draining_gives_up_when_its_time_is_over() -> None:
    """A receiver that hangs keeps nobody waiting for ever."""
    async with working() as work:
        await work.scene.endpoint("slow.example")
        work.scene.receivers.by_host["slow.example"] = answers(after=1)
        await work.scene.tell_all()
        assert not await work.worker.drain(timedelta(seconds=0.2))


async def test_a_webhook_that_hangs_delays_no_other() -> None:
    """A provider that does not answer for one payment may answer for the next."""
    answered, asked = asyncio.Event(), asyncio.Event()
    async with working() as work:

        async def hang() -> None:
            work.scene.between.before.clear()
            asked.set()
            await answered.wait()

        work.scene.between.before["fetch_intent"] = hang
        await work.paid()
        async with asyncio.timeout(20):
            await asked.wait()
        await work.paid()

        async def other_is_handled() -> bool:
            return await work.handled() == 1

        await until(other_is_handled)
        answered.set()

        async def both_are() -> bool:
            return await work.handled() == 2

        await until(both_are)


async def test_stopping_finishes_what_is_under_way() -> None:
    """In both loops; nothing new is begun."""
    async with working() as work:
        endpoint = await work.scene.endpoint("slow.example", "order.*")
        work.scene.receivers.by_host["slow.example"] = answers(after=0.3)
        await work.scene.tell_all(20)

        async def begun() -> bool:
            return bool(work.scene.receivers.seen)

        await until(begun)
        work.worker.stop()
        async with asyncio.timeout(20):
            await work.task
        count = len(work.scene.receivers.seen)
        assert 0 < count < 20
        states = await work.scene.states(endpoint.id)
        assert states == {DeliveryState.DELIVERED: count, DeliveryState.PENDING: 20 - count}


async def test_a_database_that_is_away_for_a_moment_ends_no_loop() -> None:
    """Deliveries and webhooks go on when it is back."""
    async with working() as work:
        endpoint = await work.scene.endpoint("acme.example", "order.*")
        work.dispatch.before["record"] = away
        work.inbox.before["claim"] = work.inbox.before["next_due"] = away
        await work.scene.tell_all(3)
        await work.paid()
        await asyncio.sleep(0.3)
        work.inbox.before.clear()
        work.dispatch.before.clear()

        async def all_done() -> bool:
            return await work.handled() == 1 and await work.scene.states(endpoint.id) == {DeliveryState.DELIVERED: 3}

        await until(all_done)
        assert len(work.scene.receivers.seen) == 3
