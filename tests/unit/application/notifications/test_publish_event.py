"""Publishing: the event, who is told, and the answer become true together, or none of them."""

from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.once import KeyReused, Once
from application.ports.store import AlreadyThere
from application.ports.work_queue import Topic
from domain.events import Event
from domain.notifications.deliveries import DeliveryState, DestinationKind
from domain.refusals import Invalid
from tests.unit.application.bench import Bench


def once(key: str = "k", request: str = "hash") -> Once:
    """A call with an Idempotency-Key."""

    def render(event: Any) -> tuple[int, bytes, dict[str, str]]:
        assert isinstance(event, Event)
        return 202, event.id.encode(), {}

    return Once(key, request, render)


async def test_whoever_wants_it_is_told_and_nobody_else(bench: Bench) -> None:
    """By name, by family, or everything; the switched off are not, nor another organisation's."""
    wants = [await bench.endpoint("a.example", *events) for events in (("order.shipped",), ("order.*",), ("*",))]
    await bench.endpoint("b.example", "order.returned")
    off = await bench.endpoint("c.example")
    board = bench.make.notification(bench.org, events=("order.*",))
    silent = bench.make.notification(bench.org, is_active=False)
    await bench.add("notifications", board, silent)
    other = await bench.found()
    await bench.add("endpoints", bench.make.endpoint(other))
    async with bench.store.of(bench.org) as work:
        await work.endpoints.save(off.pause(bench.clock.now()))
        await work.commit()
    event = await bench.publish(bench.caller, type="order.shipped", data={"id": 1})
    deliveries = await bench.deliveries()
    assert {one.destination_id for one in deliveries} == {*(one.id for one in wants), board.id}
    assert {(one.event_id, one.message_id, one.state) for one in deliveries} == {
        (event.id, event.id, DeliveryState.PENDING)
    }
    assert [one.kind for one in deliveries if one.destination_id == board.id] == [DestinationKind.NOTIFICATION]
    assert Topic.DELIVERIES in bench.queue.announced


async def test_the_answer_is_kept_with_the_event(bench: Bench) -> None:
    """The same call after a crash finds it; the same call at the same moment fails as a whole."""
    await bench.endpoint()
    event = await bench.publish(bench.caller, type="order.shipped", data={}, once=once())
    async with bench.look() as work:
        answer = await work.answers.find("k")
    assert answer is not None
    assert (answer.status, answer.body, answer.created_at) == (202, event.id.encode(), bench.clock.now())
    with pytest.raises(AlreadyThere):
        await bench.publish(bench.caller, type="order.shipped", data={}, once=once())
    assert await bench.told() == ["order.shipped"]
    assert len(await bench.deliveries()) == 1
    once().check(answer)
    with pytest.raises(KeyReused):
        once(request="another").check(answer)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "Shipped"}, "type"),
        ({"type": "a." + "b" * 100}, "type"),
        ({"data": {"a": "x" * 262_144}}, "data"),
        ({"data": {"a": float("nan")}}, "data"),
        ({"data": {"a": {1, 2}}}, "data"),
        ({"ahead": timedelta(days=1, seconds=1)}, "occurred_at"),
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_is_written(
    bench: Bench, changes: dict[str, Any], field: str
) -> None:
    """The field is named."""
    ahead = changes.pop("ahead", None)
    asked = {"type": "order.shipped", "data": {}, **changes}
    if ahead is not None:
        asked["occurred_at"] = bench.clock.now() + ahead
    with pytest.raises(Invalid) as refused:
        await bench.publish(bench.caller, **asked, once=once())
    assert [fault.field for fault in refused.value.faults] == [field]
    assert await bench.told() == []
    async with bench.look() as work:
        assert await work.answers.find("k") is None


async def test_the_moment_it_happened_may_lie_back(bench: Bench) -> None:
    """When the hub learned of it is kept beside it."""
    then = bench.clock.now() - timedelta(days=400)
    event = await bench.publish(bench.caller, type="order.shipped", data={}, occurred_at=then)
    assert event == attrs.evolve(event, occurred_at=then, created_at=bench.clock.now())
