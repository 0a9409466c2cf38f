"""Sending one again, or now, by a person's decision."""

from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.notifications.send_again import RetryLane, SendAgain
from application.ports.work_queue import Topic
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.endpoints import EndpointMode
from domain.refusals import Conflict, NotFound
from tests.unit.application.bench import Bench

MINUTE = timedelta(minutes=1)


async def a_delivery(bench: Bench, destination: str, **changes: Any) -> Delivery:
    """One that waits for its second attempt, in five minutes."""
    now = bench.clock.now()
    event = bench.make.event(bench.org)
    delivery = bench.make.delivery(bench.org, event, destination)
    delivery = attrs.evolve(delivery, **{"attempts": 1, "due_at": now + 5 * MINUTE, "last_status": 503, **changes})
    await bench.add("events", event)
    await bench.add("deliveries", delivery)
    return delivery


@pytest.fixture
def send_again(bench: Bench) -> SendAgain:
    """The use case."""
    return SendAgain(bench.store, bench.tell, bench.clock, bench.ids)


async def kept(bench: Bench, id: str) -> Delivery:
    """A delivery as it is now."""
    async with bench.look() as work:
        return await work.deliveries.get(id)


async def actions(bench: Bench) -> list[str]:
    """What is in the audit trail."""
    async with bench.look() as work:
        return [entry.action for entry in await work.audit.all()]


async def test_what_waits_is_due_at_once(bench: Bench, send_again: SendAgain) -> None:
    """The same row with all its attempts; whoever holds the lane is called."""
    delivery = await a_delivery(bench, (await bench.endpoint()).id)
    now = bench.clock.now()
    assert await send_again(bench.caller, delivery.id) == attrs.evolve(delivery, due_at=now)
    assert await kept(bench, delivery.id) == attrs.evolve(delivery, due_at=now)
    assert len(await bench.deliveries()) == 1
    assert bench.queue.announced[-1] is Topic.SETTINGS
    assert bench.queue.lanes[-1] == {delivery.destination_id}
    assert await actions(bench) == ["delivery.retried"]


async def test_the_first_of_a_lane_keeps_its_place(bench: Bench, send_again: SendAgain) -> None:
    """An endpoint that is served in order pauses as a whole: its first is due already, and must not move behind others."""
    due = bench.clock.now() - MINUTE
    delivery = await a_delivery(bench, (await bench.endpoint()).id, due_at=due)
    assert (await send_again(bench.caller, delivery.id)).due_at == due
    assert (await kept(bench, delivery.id)).due_at == due
    assert Topic.SETTINGS in bench.queue.announced


async def test_what_is_held_back_is_let_go(bench: Bench, send_again: SendAgain) -> None:
    """It was never tried, but is not due either: its sender asked for a later time."""
    delivery = await a_delivery(bench, (await bench.endpoint()).id, attempts=0)
    assert (await send_again(bench.caller, delivery.id)).due_at == bench.clock.now()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"attempts": 0, "due_at": None}, "already on its way"),
        ({"state": DeliveryState.WAITING}, "fetch"),
    ],
    ids=["about to go", "to be fetched"],
)
async def test_what_need_not_be_sent_is_not(
    bench: Bench, send_again: SendAgain, changes: dict[str, Any], why: str
) -> None:
    """And the answer says why."""
    if "due_at" in changes:
        changes = {**changes, "due_at": bench.clock.now()}
    delivery = await a_delivery(bench, (await bench.endpoint()).id, **changes)
    with pytest.raises(Conflict, match=why):
        await send_again(bench.caller, delivery.id)
    assert await actions(bench) == []


async def test_what_has_ended_becomes_a_new_delivery(bench: Bench, send_again: SendAgain) -> None:
    """Under the same message id; a second click while it is on its way sends nothing."""
    now = bench.clock.now()
    ended = await a_delivery(
        bench, (await bench.endpoint()).id, state=DeliveryState.DELIVERED, finished_at=now, last_status=200
    )
    again = await send_again(bench.caller, ended.id)
    assert (again.replay_of, again.message_id, again.state, again.attempts) == (
        ended.id,
        ended.message_id,
        DeliveryState.PENDING,
        0,
    )
    with pytest.raises(Conflict, match="being sent again already"):
        await send_again(bench.caller, ended.id)
    assert len(await bench.deliveries()) == 2
    assert await actions(bench) == ["delivery.sent_again"]


async def test_a_polled_endpoint_fetches_it(bench: Bench, send_again: SendAgain) -> None:
    """No worker calls an endpoint that has no address."""
    endpoint = bench.make.endpoint(bench.org, mode=EndpointMode.POLL, url="")
    await bench.add("endpoints", endpoint)
    ended = await a_delivery(bench, endpoint.id, state=DeliveryState.FAILED, finished_at=bench.clock.now())
    assert (await send_again(bench.caller, ended.id)).state is DeliveryState.WAITING


async def test_nothing_is_sent_without_its_event(bench: Bench, send_again: SendAgain) -> None:
    """It would wait for ever."""
    ended = await a_delivery(
        bench, (await bench.endpoint()).id, state=DeliveryState.FAILED, finished_at=bench.clock.now()
    )
    async with bench.store.of(bench.org) as work:
        await work.events.remove(ended.event_id)
        await work.commit()
    with pytest.raises(Conflict, match="no longer kept"):
        await send_again(bench.caller, ended.id)


async def test_nobody_is_sent_what_is_switched_off_or_gone(bench: Bench, send_again: SendAgain) -> None:
    """Of an endpoint and of a notification alike."""
    board = bench.make.notification(bench.org, is_active=False)
    await bench.add("notifications", board)
    ended = {"state": DeliveryState.FAILED, "finished_at": bench.clock.now()}
    silent = await a_delivery(bench, board.id, kind=DestinationKind.NOTIFICATION, **ended)
    with pytest.raises(Conflict, match="Switch it on first"):
        await send_again(bench.caller, silent.id)
    lost = await a_delivery(bench, "wh_gone", **ended)
    with pytest.raises(NotFound):
        await send_again(bench.caller, lost.id)


async def test_a_lane_is_tried_now(bench: Bench) -> None:
    """What waits for a further attempt is due; what its sender holds back is not."""
    endpoint = await bench.endpoint()
    waiting = [await a_delivery(bench, endpoint.id) for _ in range(3)]
    held_back = await a_delivery(bench, endpoint.id, attempts=0)
    retry = RetryLane(bench.store, bench.tell, bench.clock)
    assert await retry(bench.caller, endpoint.id) == 3
    assert {(await kept(bench, one.id)).due_at for one in waiting} == {bench.clock.now()}
    assert await kept(bench, held_back.id) == held_back
    assert Topic.SETTINGS in bench.queue.announced
    assert await actions(bench) == ["lane.retried"]
    with pytest.raises(NotFound):
        await retry(bench.caller, "wh_gone")
