"""Who is told of an event."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import attrs

from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.endpoints import Endpoint, EndpointMode
from domain.notifications.fanout import Subscribers
from domain.notifications.options import Options
from domain.notifications.payload import Payload

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def endpoint(id_: str, *events: str, **changes: Any) -> Endpoint:
    """One that is told."""
    made = Endpoint(id_, "org_1", "https://acme.example", "", events or ("*",), (), NOW, NOW)
    return attrs.evolve(made, **changes)


def payload(type_: str = "order.shipped", data: bytes = b"{}") -> Payload:
    """An event's."""
    return Payload("evt_1", "org_1", type_, NOW - HOUR, data, "")


def made(subscribers: Subscribers, given: Payload | None = None, **more: Any) -> list[Delivery]:
    """The deliveries of one event."""
    numbers = count(1)
    return subscribers.deliveries(given or payload(), lambda: f"dlv_{next(numbers)}", NOW, **more)


def test_each_who_wants_it_gets_a_delivery_of_its_own() -> None:
    """Endpoints first, then notifications; the message id is the event's."""
    board = Notification("ntf_1", "org_1", "Sales", "board", "con_1", ("order.*",), NOW, NOW)
    off = attrs.evolve(board, id="ntf_2", is_active=False)
    endpoints = [
        endpoint("wh_1"),
        endpoint("wh_2", "news.*"),
        endpoint("wh_3").pause(NOW),
        endpoint("wh_4", "order.shipped"),
    ]
    found = made(Subscribers(endpoints, [board, off]))
    kinds = [DestinationKind.ENDPOINT, DestinationKind.ENDPOINT, DestinationKind.NOTIFICATION]
    assert found == [
        Delivery(f"dlv_{n}", "org_1", "evt_1", "order.shipped", kind, destination, "evt_1", NOW, NOW)
        for n, (kind, destination) in enumerate(zip(kinds, ("wh_1", "wh_4", "ntf_1"), strict=True), 1)
    ]


def test_who_wants_a_type_is_counted_before_the_filters() -> None:
    """For the bound of a call."""
    subscribers = Subscribers([endpoint("wh_1"), endpoint("wh_2", "news.*"), picky("wh_3")], [])
    assert [subscribers.count(type_) for type_ in ("order.shipped", "news.flash", "order.shipped")] == [2, 3, 2]


def picky(id_: str) -> Endpoint:
    """One with a filter."""
    return endpoint(id_, options=Options(filter="data.total > 100"))


def test_a_filter_looks_at_each_event() -> None:
    """What is remembered of a type is who wants it, not what the last event was."""
    subscribers = Subscribers([picky("wh_1"), endpoint("wh_2")], [])
    told = [
        [one.destination_id for one in made(subscribers, payload(data=data))]
        for data in (b'{"total":101}', b'{"total":99}', b'{"total":101}')
    ]
    assert told == [["wh_1", "wh_2"], ["wh_2"], ["wh_1", "wh_2"]]


def test_a_polled_endpoint_waits_to_be_asked() -> None:
    """Nothing is sent there."""
    (one,) = made(Subscribers([endpoint("wh_1", mode=EndpointMode.POLL)], []))
    assert one.state is DeliveryState.WAITING


def test_a_delivery_is_due_when_it_is_to_be_told_and_expires_when_it_is_of_no_use() -> None:
    """The sooner end counts; an endpoint's own begins when it is due."""
    subscribers = Subscribers([endpoint("wh_1"), endpoint("wh_2", options=Options(expires_after_s=60))], [])
    minute = timedelta(seconds=60)

    def bounds(**given: Any) -> list[tuple[datetime, datetime | None]]:
        return [(one.due_at, one.expires_at) for one in made(subscribers, **given)]

    assert bounds() == [(NOW, None), (NOW, NOW + minute)]
    assert bounds(deliver_at=NOW + HOUR) == [(NOW + HOUR, None), (NOW + HOUR, NOW + HOUR + minute)]
    assert bounds(deliver_at=NOW - HOUR) == [(NOW, None), (NOW, NOW + minute)]
    soon = NOW + timedelta(seconds=5)
    assert bounds(expires_at=soon) == [(NOW, soon), (NOW, soon)]
    assert bounds(expires_at=NOW + HOUR) == [(NOW, NOW + HOUR), (NOW, NOW + minute)]


def test_many_types_are_not_remembered_for_ever() -> None:
    """A host application that puts ids into its types costs a little time, no memory."""
    subscribers = Subscribers([endpoint("wh_1", "order.*")], [])
    for n in range(2500):
        assert subscribers.count(f"order.n{n}") == 1
    assert len(subscribers._by_type) <= 1000  # there is nothing else to see it by
