"""Publishing: what is wrong is refused by name, and what is right is kept as it was told."""

from datetime import timedelta
from typing import Any

import pytest

from application.notifications.publish_events import MAX_EVENTS, Published
from application.once import KeyReused, Once
from application.ports.intake import NewEvent
from application.ports.store import Answer
from domain.refusals import Invalid
from tests.unit.application.bench import Bench

DAY = timedelta(days=1)


def once(request: str = "hash") -> Once:
    """A call with an Idempotency-Key."""

    def render(events: Any) -> tuple[int, bytes, dict[str, str]]:
        return 202, " ".join(event.payload.id for event in events).encode(), {}

    return Once("k", request, render)


def told(**changes: Any) -> Published:
    """An event as the host application tells it."""
    return Published(**{"type": "order.shipped", "data": {"id": 1}, **changes})


async def test_one_event_is_kept_and_given_back(bench: Bench) -> None:
    """Who calls learns its id, and when the hub learned of it."""
    endpoint = await bench.endpoint()
    event = await bench.publish.one(bench.caller, told())
    assert isinstance(event, NewEvent)
    assert (event.payload.data_json, event.payload.occurred_at, event.created_at) == (
        b'{"id":1}',
        bench.clock.now(),
        bench.clock.now(),
    )
    assert [(one.event_id, one.destination_id) for one in await bench.deliveries()] == [(event.payload.id, endpoint.id)]


async def test_many_are_kept_in_order(bench: Bench) -> None:
    """One call, one answer."""
    made = await bench.publish(bench.caller, [told(type=f"order.n{n}") for n in range(MAX_EVENTS)])
    assert isinstance(made, tuple)
    assert await bench.told() == [f"order.n{n}" for n in range(MAX_EVENTS)]
    async with bench.look() as work:
        assert [event.id for event in await work.events.all()] == [one.payload.id for one in made]


async def test_the_same_call_again_gets_the_answer_of_the_first(bench: Bench) -> None:
    """Nothing is told twice; another request under the same key is found out."""
    await bench.endpoint()
    first = await bench.publish.one(bench.caller, told(), once())
    again = await bench.publish.one(bench.caller, told(), once())
    assert isinstance(first, NewEvent)
    assert isinstance(again, Answer)
    assert (again.status, again.body) == (202, first.payload.id.encode())
    assert len(await bench.deliveries()) == 1
    once().check(again)
    with pytest.raises(KeyReused):
        once("another").check(again)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "Shipped"}, "type"),
        ({"type": "a." + "b" * 100}, "type"),
        ({"data": {"a": "x" * 262_144}}, "data"),
        ({"data": {"a": float("nan")}}, "data"),
        ({"data": {"a": {1, 2}}}, "data"),
        ({"data_json": b'"' + b"x" * 262_144 + b'"'}, "data"),
        ({"occurred_at": DAY + timedelta(seconds=1)}, "occurred_at"),
        ({"occurred_at": -130 * 365 * DAY}, "occurred_at"),
        ({"deliver_at": 31 * DAY + timedelta(seconds=1)}, "deliver_at"),
        ({"expires_at": timedelta()}, "expires_at"),
        ({"deliver_at": DAY, "expires_at": DAY}, "expires_at"),
        ({"expires_at": 7 * DAY + timedelta(seconds=1)}, "expires_at"),
        ({"deliver_at": DAY, "expires_at": 8 * DAY + timedelta(seconds=1)}, "expires_at"),
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_is_written(
    bench: Bench, changes: dict[str, Any], field: str
) -> None:
    """The field is named, in a batch with the event's place; moments are given from now."""
    now = bench.clock.now()
    bad = told(**{name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()})
    with pytest.raises(Invalid) as refused:
        await bench.publish.one(bench.caller, bad, once())
    assert [fault.field for fault in refused.value.faults] == [field]
    with pytest.raises(Invalid) as refused:
        await bench.publish(bench.caller, [told(), bad, bad], once())
    assert [fault.field for fault in refused.value.faults] == [f"events.{n}.{field}" for n in (1, 2)]
    assert await bench.told() == []
    async with bench.look() as work:
        assert await work.answers.find("k") is None


@pytest.mark.parametrize("count", [0, MAX_EVENTS + 1])
async def test_a_call_brings_some_events_and_not_too_many(bench: Bench, count: int) -> None:
    """One transaction must not grow without bound."""
    with pytest.raises(Invalid, match="1000 events"):
        await bench.publish(bench.caller, [told()] * count)


async def test_only_so_many_faults_are_listed(bench: Bench) -> None:
    """An answer must not be longer than the question."""
    with pytest.raises(Invalid) as refused:
        await bench.publish(bench.caller, [told(type="Wrong")] * MAX_EVENTS)
    assert len(refused.value.faults) == 100


async def test_the_bounds_themselves_are_allowed(bench: Bench) -> None:
    """The moment it happened may lie far back; it may be told in a month, and be of use for a week."""
    now = bench.clock.now()
    event = await bench.publish.one(
        bench.caller, told(occurred_at=now - 400 * DAY, deliver_at=now + 31 * DAY, expires_at=now + 38 * DAY)
    )
    assert isinstance(event, NewEvent)
    assert (event.payload.occurred_at, event.created_at) == (now - 400 * DAY, now)
    assert (event.deliver_at, event.expires_at) == (now + 31 * DAY, now + 38 * DAY)
