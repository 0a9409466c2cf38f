"""Delivering by hand, round by round: on schedule, once; the engine at work is in tests/unit/application/delivery."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import final

import attrs
import pytest

from application.delivery.tenure import LEASE
from application.ports.outgoing import ClientIdentity, Outgoing, Reply, Unreachable
from domain.connections.connection import ConnectionState
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import EndpointState
from domain.notifications.health import WELL
from domain.notifications.schedule import DEFAULT, RetrySchedule
from tests.fakes.outgoing import FakeOutgoing, reply
from tests.unit.application.bench import Bench

ONCE = RetrySchedule(())


async def bench_with(outgoing: Outgoing, schedule: RetrySchedule = DEFAULT) -> Bench:
    """A bench whose receivers answer as told."""
    return await Bench(outgoing, schedule).prepare()


async def attempts(bench: Bench, delivery: Delivery) -> tuple[Attempt, ...]:
    """Of one delivery."""
    async with bench.look() as work:
        return await work.attempts.of(delivery.id)


async def endpoint_state(bench: Bench, id: str) -> EndpointState:
    """Whether an endpoint is told."""
    async with bench.look() as work:
        return (await work.endpoints.get(id)).state


async def test_what_arrives_is_done(bench: Bench) -> None:
    """With an attempt on record, and nothing more to do."""
    await bench.endpoint()
    await bench.tell_all()
    assert await bench.deliver() == 1
    (delivery,) = await bench.deliveries()
    assert (delivery.state, delivery.attempts, delivery.last_status) == (DeliveryState.DELIVERED, 1, 200)
    (attempt,) = await attempts(bench, delivery)
    assert (attempt.number, attempt.outcome.verdict, attempt.at) == (1, Verdict.DELIVERED, bench.clock.now())
    assert await bench.deliver() == 0
    assert len(bench.outgoing.requests) == 1  # type: ignore[attr-defined]


async def test_what_fails_is_tried_again_on_the_stated_schedule() -> None:
    """Twelve attempts, then it is given up; the message id stays the same all the time."""
    outgoing = FakeOutgoing(otherwise=reply(500, "broken"))
    bench = await bench_with(outgoing)
    endpoint = await bench.endpoint("acme.example", "order.*")
    await bench.tell_all()
    waits = []
    while (due := await bench.dispatch.next_due()) is not None:
        waits.append(due - bench.clock.now())
        bench.clock.advance(due - bench.clock.now())
        assert await bench.deliver() == 1
        assert await bench.deliver() == 0, "not before its time"
    assert tuple(waits) == (timedelta(), *DEFAULT.delays)
    (delivery,) = await bench.deliveries()
    assert (delivery.state, delivery.attempts, delivery.last_status) == (DeliveryState.FAILED, 12, 500)
    assert [one.number for one in await attempts(bench, delivery)] == list(range(1, 13))
    assert {request.headers["webhook-id"] for request in outgoing.requests} == {delivery.message_id}
    assert (await bench.lane(endpoint.id)).health.failures == 1
    assert await endpoint_state(bench, endpoint.id) is EndpointState.ACTIVE


async def test_a_receiver_that_asks_for_time_gets_it() -> None:
    """Retry-After counts when it is longer than our own wait."""
    bench = await bench_with(FakeOutgoing(reply(429, headers={"retry-after": "120"})))
    await bench.endpoint()
    await bench.tell_all()
    await bench.deliver()
    assert await bench.dispatch.next_due() == bench.clock.now() + timedelta(seconds=120)


async def test_a_receiver_that_is_gone_is_switched_off_and_that_is_told() -> None:
    """410: what waits for it is cancelled, and the other endpoint hears of it."""
    bench = await bench_with(FakeOutgoing(reply(410)))
    gone = await bench.endpoint("gone.example", "order.*")
    await bench.tell_all(3)
    witness = await bench.endpoint("witness.example", "webhook.*")
    assert await bench.deliver(limit=1) == 1
    assert await endpoint_state(bench, gone.id) is EndpointState.DISABLED
    states = [one.state for one in await bench.deliveries(gone.id)]
    assert states == [DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.CANCELLED]
    (told,) = await bench.deliveries(witness.id)
    assert told.event_type == "webhook.disabled"
    assert await bench.deliver() == 1
    await bench.tell_all()
    assert len(await bench.deliveries(gone.id)) == 3


async def rounds(bench: Bench) -> None:
    """Until nothing is pending, however often the breaker keeps it waiting."""
    while (due := await bench.dispatch.next_due()) is not None:
        bench.clock.advance(max(due - bench.clock.now(), timedelta()))
        await bench.deliver()


async def test_the_tenth_failure_in_a_row_switches_an_endpoint_off() -> None:
    """Ten deliveries that failed for good; at five and at eight people are warned, once each."""
    bench = await bench_with(Hanging(), ONCE)
    broken = await bench.endpoint("broken.example", "order.*")
    witness = await bench.endpoint("witness.example", "webhook.*")
    for _ in range(9):
        await bench.tell_all()
        await rounds(bench)
    assert (await bench.lane(broken.id)).health.failures == 9
    assert await endpoint_state(bench, broken.id) is EndpointState.ACTIVE
    await bench.tell_all(4)
    await rounds(bench)
    assert await endpoint_state(bench, broken.id) is EndpointState.DISABLED
    told = [one.event_type for one in await bench.deliveries(witness.id)]
    assert told == ["webhook.failing", "webhook.failing", "webhook.disabled"]
    async with bench.look() as work:
        reason = (await work.endpoints.get(broken.id)).reason
    assert "10 deliveries in a row" in (reason or "")


async def test_a_delivery_that_arrives_starts_the_count_again() -> None:
    """Nine failures and a success are no reason to switch off."""
    outgoing = FakeOutgoing(otherwise=reply(500))
    bench = await bench_with(outgoing, ONCE)
    endpoint = await bench.endpoint("acme.example", "order.*")
    await bench.tell_all(9)
    await rounds(bench)
    outgoing.otherwise = reply(204)
    await bench.tell_all()
    await rounds(bench)
    assert (await bench.lane(endpoint.id)).health == WELL
    assert await endpoint_state(bench, endpoint.id) is EndpointState.ACTIVE


@final
class Hanging(Outgoing):
    """By how the host's name begins; `meanwhile` is called once, before an answer."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.asked: list[str] = []

    async def check(self, url: str, *, field: str = "url") -> None:
        """Anything goes."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout: timedelta,
        identity: ClientIdentity | None = None,
    ) -> Reply:
        """200, or 500 for a "broken" host; a fault of ours for a "faulty" one; "away" cannot be reached."""
        self.asked.append(url)
        if "//faulty" in url:
            raise RuntimeError("a bug of ours")
        if "//away" in url:
            raise Unreachable("connection refused")
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return reply(500 if "//broken" in url else 200)


async def test_what_a_live_worker_holds_is_left_to_it(bench: Bench) -> None:
    """A round by hand beside a running hub does nothing twice."""
    await bench.endpoint()
    await bench.tell_all(3)
    now = bench.clock.now()
    other = await bench.dispatch.enlist("wrk_1", now, now + LEASE)
    await bench.dispatch.take(other, await bench.dispatch.survey(other, now), now)
    assert await bench.deliver() == 0
    bench.clock.advance(LEASE)
    assert await bench.deliver() == 3


async def test_a_round_delivers_no_more_than_asked_for(bench: Bench) -> None:
    """What is left is the next round's."""
    await bench.endpoint()
    await bench.tell_all(7)
    assert [await bench.deliver(limit=3) for _ in range(4)] == [3, 3, 1, 0]


async def test_a_round_goes_through_a_backlog(bench: Bench) -> None:
    """More than is read at once."""
    await bench.endpoint()
    await bench.tell_all(700)
    assert await bench.deliver(limit=1000) == 700


async def test_a_worker_that_lost_its_lease_records_nothing() -> None:
    """Another one has taken over and recorded: one attempt, and one consequence."""
    outgoing = Hanging()
    bench = await bench_with(outgoing)
    endpoint = await bench.endpoint()
    await bench.tell_all()

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
    await bench.tell_all()

    async def remove() -> None:
        async with bench.store.of(bench.org) as work:
            await work.endpoints.remove(endpoint.id)
            await work.deliveries.cancel_pending(endpoint.id, "removed", bench.clock.now())
            await work.commit()

    outgoing.meanwhile = remove
    await bench.deliver()
    (delivery,) = await bench.deliveries()
    assert (delivery.state, delivery.last_error) == (DeliveryState.CANCELLED, "removed")
    assert len(await attempts(bench, delivery)) == 1, "it was made, and that is on record"


async def test_a_fault_of_ours_takes_no_other_delivery_along() -> None:
    """It is on record with its traceback, and is tried again: it may be mended by then."""
    bench = await bench_with(Hanging())
    endpoints = [await bench.endpoint(f"{host}.example") for host in ("faulty", "away", "well")]
    await bench.tell_all()
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
    await bench.tell_all(2)
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
    await bench.tell_all()
    await bench.deliver()
    (delivery,) = await bench.deliveries()
    assert delivery.state is DeliveryState.FAILED
    assert "sealed" in (delivery.last_error or "")


@pytest.mark.parametrize("how", ["removed", "paused"])
async def test_what_waits_for_nobody_is_refused_without_a_request(bench: Bench, how: str) -> None:
    """Its endpoint went between the claim and the attempt."""
    endpoint = await bench.endpoint()
    await bench.tell_all()
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
