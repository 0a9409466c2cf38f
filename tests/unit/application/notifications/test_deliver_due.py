"""Delivering: on schedule, once, and no receiver's trouble becomes another's."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final

import attrs
import pytest

from application.notifications.deliver_due import LEASE
from application.ports.outgoing import Outgoing, Reply, Unreachable
from domain.connections.connection import ConnectionState
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import EndpointState
from domain.notifications.schedule import DEFAULT, RetrySchedule
from tests.fakes.outgoing import FakeOutgoing, reply
from tests.unit.application.bench import Bench

ONCE = RetrySchedule(())


async def bench_with(outgoing: Outgoing, schedule: RetrySchedule = DEFAULT) -> Bench:
    """A bench whose receivers answer as told."""
    return await Bench(outgoing, schedule).prepare()


async def publish(bench: Bench, count: int = 1, type: str = "order.shipped") -> None:
    """Events of the host application's."""
    for _ in range(count):
        await bench.publish(bench.caller, type=type, data={"id": 1})


async def attempts(bench: Bench, delivery: Delivery) -> tuple[Attempt, ...]:
    """Of one delivery."""
    async with bench.look() as work:
        return await work.attempts.of(delivery.id)


async def endpoint_state(bench: Bench, id: str) -> tuple[EndpointState, int]:
    """An endpoint's state and its count of failures."""
    async with bench.look() as work:
        found = await work.endpoints.get(id)
    return found.state, found.failures


async def test_what_arrives_is_done(bench: Bench) -> None:
    """With an attempt on record, and nothing more to do."""
    await bench.endpoint()
    await publish(bench)
    assert await bench.deliver() == 1
    (delivery,) = await bench.deliveries()
    assert (delivery.state, delivery.attempts, delivery.last_status) == (DeliveryState.DELIVERED, 1, 200)
    (attempt,) = await attempts(bench, delivery)
    assert (attempt.number, attempt.outcome.verdict, attempt.at) == (1, Verdict.DELIVERED, bench.clock.now())
    assert await bench.deliver() == 0
    assert len(bench.outgoing.requests) == 1  # type: ignore[attr-defined]


async def test_what_fails_is_tried_again_on_the_stated_schedule() -> None:
    """Twelve attempts, then it is given up; the message id stays the same all the time."""
    outgoing = FakeOutgoing(otherwise=reply(503, "busy"))
    bench = await bench_with(outgoing)
    endpoint = await bench.endpoint()
    await publish(bench)
    waits = []
    while (due := await bench.store.next_due()) is not None:
        waits.append(due - bench.clock.now())
        bench.clock.advance(due - bench.clock.now())
        assert await bench.deliver() == 1
        assert await bench.deliver() == 0, "not before its time"
    assert tuple(waits) == (timedelta(), *DEFAULT.delays)
    (delivery,) = await bench.deliveries()
    assert (delivery.state, delivery.attempts, delivery.last_status) == (DeliveryState.FAILED, 12, 503)
    assert [one.number for one in await attempts(bench, delivery)] == list(range(1, 13))
    assert {request.headers["webhook-id"] for request in outgoing.requests} == {delivery.message_id}
    assert await endpoint_state(bench, endpoint.id) == (EndpointState.ACTIVE, 1)


async def test_a_receiver_that_asks_for_time_gets_it() -> None:
    """Retry-After counts when it is longer than our own wait."""
    bench = await bench_with(FakeOutgoing(reply(429, headers={"retry-after": "120"})))
    await bench.endpoint()
    await publish(bench)
    await bench.deliver()
    assert await bench.store.next_due() == bench.clock.now() + timedelta(seconds=120)


async def test_a_receiver_that_is_gone_is_switched_off_and_that_is_told() -> None:
    """410: what waits for it is cancelled, and the other endpoint hears of it."""
    bench = await bench_with(FakeOutgoing(reply(410)))
    gone = await bench.endpoint("gone.example", "order.*")
    await publish(bench, 3)
    witness = await bench.endpoint("witness.example", "webhook.*")
    assert await bench.deliver(limit=1) == 1
    assert await endpoint_state(bench, gone.id) == (EndpointState.DISABLED, 0)
    states = [one.state for one in await bench.deliveries(gone.id)]
    assert states == [DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.CANCELLED]
    (told,) = await bench.deliveries(witness.id)
    assert told.event_type == "webhook.disabled"
    assert await bench.deliver() == 1
    await publish(bench)
    assert len(await bench.deliveries(gone.id)) == 3


async def test_the_tenth_failure_in_a_row_switches_an_endpoint_off() -> None:
    """Ten deliveries that failed for good; it is told once, although several fail at the same moment."""
    bench = await bench_with(FakeOutgoing(otherwise=reply(500)), ONCE)
    broken = await bench.endpoint("broken.example", "order.*")
    witness = await bench.endpoint("witness.example", "webhook.*")
    await publish(bench, 9)
    while await bench.deliver():
        pass
    assert await endpoint_state(bench, broken.id) == (EndpointState.ACTIVE, 9)
    await publish(bench, 4)
    await bench.deliver()
    state, failures = await endpoint_state(bench, broken.id)
    assert (state, failures >= 10) == (EndpointState.DISABLED, True)
    assert [one.event_type for one in await bench.deliveries(witness.id)] == ["webhook.disabled"]
    async with bench.look() as work:
        reason = (await work.endpoints.get(broken.id)).reason
    assert "10 deliveries in a row" in (reason or "")


async def test_a_delivery_that_arrives_starts_the_count_again() -> None:
    """Nine failures and a success are no reason to switch off."""
    outgoing = FakeOutgoing(otherwise=reply(500))
    bench = await bench_with(outgoing, ONCE)
    endpoint = await bench.endpoint()
    await publish(bench, 9)
    while await bench.deliver():
        pass
    outgoing.otherwise = reply(204)
    await publish(bench)
    await bench.deliver()
    assert await endpoint_state(bench, endpoint.id) == (EndpointState.ACTIVE, 0)


@final
class Hanging(Outgoing):
    """Hosts that begin with "slow" answer only when `let_go` is set; "taken" calls `meanwhile` first."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.meanwhile: Any = None
        self.asked: list[str] = []

    async def check(self, url: str, *, field: str = "url") -> None:
        """Anything goes."""

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout: timedelta
    ) -> Reply:
        """200, sooner or later; 500 for a broken host; a fault of ours for a "faulty" one."""
        self.asked.append(url)
        if "//slow" in url:
            await self.let_go.wait()
        if "//faulty" in url:
            raise RuntimeError("a bug of ours")
        if "//away" in url:
            raise Unreachable("connection refused")
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return reply(200)


async def test_one_slow_destination_holds_up_no_other() -> None:
    """Much waits for it; the others of the round are delivered and on record while it still hangs."""
    outgoing = Hanging()
    bench = await bench_with(outgoing)
    slow = await bench.endpoint("slow.example", "order.*")
    await publish(bench, 30)
    quick = [await bench.endpoint(f"quick{n}.example", "news.*") for n in range(3)]
    await publish(bench, 2, "news.flash")
    task = asyncio.create_task(bench.deliver())

    async def quick_ones() -> list[DeliveryState]:
        return [one.state for endpoint in quick for one in await bench.deliveries(endpoint.id)]

    async with asyncio.timeout(5):
        while set(await quick_ones()) != {DeliveryState.DELIVERED}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert sum("slow" in url for url in outgoing.asked) == 8
        outgoing.let_go.set()
        assert await task == 14
    assert sum(one.state is DeliveryState.DELIVERED for one in await bench.deliveries(slow.id)) == 8


async def test_what_is_begun_fills_each_destinations_share_and_no_more(bench: Bench) -> None:
    """Whatever was begun before and is still under way counts."""
    some, full, fresh = [await bench.endpoint(f"host{n}.example") for n in range(3)]
    await publish(bench, 12)
    begun = await bench.deliver.begin(64, {some.id: 5, full.id: 8, "wh_elsewhere": 7})
    assert Counter(one.delivery.destination_id for one in begun) == {fresh.id: 8, some.id: 1}
    begun = await bench.deliver.begin(64, {some.id: 6, full.id: 8, fresh.id: 8})
    assert Counter(one.delivery.destination_id for one in begun) == {some.id: 2}
    assert await bench.deliver.begin(64, {some.id: 8, full.id: 8, fresh.id: 8}) == ()
    assert len(await bench.deliver.begin(3, {some.id: 7})) == 3


async def test_a_worker_that_lost_its_lease_records_nothing() -> None:
    """Another one has taken over and recorded: one attempt, and one consequence."""
    outgoing = Hanging()
    bench = await bench_with(outgoing)
    endpoint = await bench.endpoint()
    await publish(bench)

    async def take_over() -> None:
        bench.clock.advance(LEASE)
        assert await bench.deliver() == 1

    outgoing.meanwhile = take_over
    assert await bench.deliver() == 1
    (delivery,) = await bench.deliveries(endpoint.id)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)
    assert len(await attempts(bench, delivery)) == 1
    assert len(outgoing.asked) == 2


async def test_a_delivery_that_is_cancelled_on_its_way_stays_cancelled() -> None:
    """Its endpoint was removed in that very moment."""
    outgoing = Hanging()
    bench = await bench_with(outgoing)
    endpoint = await bench.endpoint()
    await publish(bench)

    async def remove() -> None:
        async with bench.store.of(bench.org) as work:
            await work.endpoints.remove(endpoint.id)
            await work.deliveries.cancel_pending(endpoint.id, "removed", bench.clock.now())
            await work.commit()

    outgoing.meanwhile = remove
    await bench.deliver()
    (delivery,) = await bench.deliveries()
    assert (delivery.state, delivery.last_error) == (DeliveryState.CANCELLED, "removed")
    assert await attempts(bench, delivery) == ()


async def test_a_fault_of_ours_takes_no_other_delivery_along() -> None:
    """It is on record with its traceback, and is tried again: it may be mended by then."""
    bench = await bench_with(Hanging())
    endpoints = [await bench.endpoint(f"{host}.example") for host in ("faulty", "away", "well")]
    await publish(bench)
    assert await bench.deliver() == 3
    faulty, away, well = [(await bench.deliveries(one.id))[0] for one in endpoints]
    assert [one.state.value for one in (faulty, away, well)] == ["pending", "pending", "delivered"]
    assert (faulty.attempts, away.last_error) == (1, "connection refused")
    assert "a bug of ours" in (faulty.last_error or "")
    assert "Traceback" in (faulty.last_error or "")


async def test_a_notification_whose_channel_is_gone_is_switched_off(bench: Bench) -> None:
    """A deleted Slack webhook: the connection shows it, and it is told."""
    connection = await bench.connect(bench.org, provider="board", secrets={"webhook_url": "https://board.example"})
    board = bench.make.notification(bench.org, connection_id=connection.id, events=("order.*",))
    await bench.add("notifications", board)
    await publish(bench, 2)
    bench.providers.posted.next.append(Outcome(Verdict.GONE, timedelta(), 404, "no such webhook"))
    await bench.deliver(limit=1)
    async with bench.look() as work:
        found = await work.notifications.get(board.id)
        assert (found.is_active, found.reason) == (False, "no such webhook")
        assert (await work.connections.get(connection.id)).state is ConnectionState.FAILING
    assert [one.state.value for one in await bench.deliveries(board.id)] == ["failed", "cancelled"]
    assert "integration.failing" in await bench.told()


async def test_credentials_that_cannot_be_opened_are_said_and_not_retried(bench: Bench) -> None:
    """They were sealed with another key; waiting does not help."""
    connection = await bench.connect(bench.org, provider="board", secrets={"webhook_url": "https://board.example"})
    async with bench.store.of(bench.org) as work:
        await work.connections.save(attrs.evolve(connection, sealed={"webhook_url": "?"}))
        await work.commit()
    await bench.add("notifications", bench.make.notification(bench.org, connection_id=connection.id))
    await publish(bench)
    await bench.deliver()
    (delivery,) = await bench.deliveries()
    assert delivery.state is DeliveryState.FAILED
    assert "sealed" in (delivery.last_error or "")


@pytest.mark.parametrize("how", ["removed", "paused"])
async def test_what_waits_for_nobody_is_refused_without_a_request(bench: Bench, how: str) -> None:
    """Its endpoint went between the claim and the attempt."""
    endpoint = await bench.endpoint()
    await publish(bench)
    async with bench.store.of(bench.org) as work:
        if how == "removed":
            await work.endpoints.remove(endpoint.id)
        else:
            await work.endpoints.save(endpoint.pause(bench.clock.now()))
        await work.commit()
    await bench.deliver()
    (delivery,) = await bench.deliveries()
    assert delivery.state is DeliveryState.FAILED
    assert "switched off" in (delivery.last_error or "")
    assert bench.outgoing.requests == []  # type: ignore[attr-defined]
