"""Deliveries to webhook endpoints and notification channels, and mails to clients."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import attrs
import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from application.caller import Caller
from application.notifications.send_again import RetryLane, SendAgain
from application.notifications.skipping import SkipDelivery
from application.ports.store import Slice, Store
from domain.events import Event
from domain.notifications.attempts import KEPT_BODY, Attempt
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.envelopes import JSON
from domain.notifications.payload import Payload
from domain.notifications.selection import Selection, Trouble
from domain.notifications.shape import Shape
from domain.organisations import Scope
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.telling import AttemptView, DeliveryDetail, DeliveryView, EventView
from entrypoints.settings import Settings

Status = Annotated[DeliveryState | None, QueryParameter(name="status", required=False)]
OfType = Annotated[str | None, QueryParameter(name="event_type", required=False)]
Statuses = Annotated[
    list[DeliveryState] | None,
    QueryParameter(name="status", required=False, description="One state, or several by repeating it."),
]
OfTypes = Annotated[
    list[str] | None,
    QueryParameter(name="event_type", required=False, description="A type or a pattern such as invoice.*; repeatable."),
]
Troubles = Annotated[
    list[Trouble] | None,
    QueryParameter(name="error", required=False, description="What the last attempt met; repeatable."),
]
Since = Annotated[
    datetime | None, QueryParameter(name="since", required=False, description="Made at or after this moment.")
]
Until = Annotated[datetime | None, QueryParameter(name="until", required=False, description="Made before this moment.")]


def filters(**given: object) -> dict[str, object]:
    """The filters that were given."""
    return {name: value for name, value in given.items() if value is not None}


class LaneRetried(msgspec.Struct, frozen=True):
    """How many deliveries that waited for a further attempt are due now."""

    destination_id: str
    deliveries: int


class Deliveries(Controller):
    """Deliveries to webhook endpoints and notification channels, and mails to clients."""

    path = "/api/deliveries"
    tags = ("Deliveries",)

    @get("/", scope=Scope.WEBHOOKS_READ, summary="List deliveries")
    async def list_deliveries(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        status: Statuses = None,
        event_type: OfTypes = None,
        event_id: Annotated[str | None, QueryParameter(name="event_id", required=False)] = None,
        destination_id: Annotated[str | None, QueryParameter(name="destination_id", required=False)] = None,
        error: Troubles = None,
        since: Since = None,
        until: Until = None,
    ) -> Listing[DeliveryView]:
        """Newest first. The same filters, without `event_id`, start a replay."""
        selection = Selection(
            destination_id, tuple(event_type or ()), tuple(status or ()), tuple(error or ()), since, until, event_id
        )
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.deliveries.selected(slice, selection), DeliveryView.of)

    @get("/{delivery_id:str}", scope=Scope.WEBHOOKS_READ, summary="One delivery with its attempts")
    async def get_delivery(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        settings: NamedDependency[Settings],
        delivery_id: FromPath[str],
    ) -> DeliveryDetail:
        """What was sent, what came back, attempt by attempt."""
        async with store.reading(caller.organisation_id) as work:
            delivery = await work.deliveries.get(delivery_id)
            event = await work.events.get(delivery.event_id)
            attempts = await work.attempts.of(delivery_id)
        shown = as_sent(attempts, delivery, event, settings.public_url)
        return DeliveryDetail(DeliveryView.of(delivery), EventView.of(event), [AttemptView.of(a) for a in shown])

    @post("/{delivery_id:str}/retry", scope=Scope.WEBHOOKS_WRITE, status_code=202, summary="Try now, or send again")
    async def retry_delivery(
        self, caller: NamedDependency[Caller], delivery_id: FromPath[str], send_again: NamedDependency[SendAgain]
    ) -> DeliveryView:
        """One that waits for its next attempt is tried now. Of one that has ended, a new delivery of the same event to the
        same destination is made, with the same message id."""
        return DeliveryView.of(await send_again(caller, delivery_id))

    @post("/{delivery_id:str}/skip", scope=Scope.WEBHOOKS_WRITE, status_code=200, summary="Give a delivery up")
    async def skip_delivery(
        self, caller: NamedDependency[Caller], delivery_id: FromPath[str], skip_delivery: NamedDependency[SkipDelivery]
    ) -> DeliveryView:
        """It is cancelled. At an endpoint that is served in order, what waits behind it goes on."""
        return DeliveryView.of(await skip_delivery(caller, delivery_id))

    @post(
        "/lanes/{destination_id:str}/retry",
        scope=Scope.WEBHOOKS_WRITE,
        status_code=202,
        summary="Try a destination now",
    )
    async def retry_lane(
        self, caller: NamedDependency[Caller], destination_id: FromPath[str], retry_lane: NamedDependency[RetryLane]
    ) -> LaneRetried:
        """The pause of an endpoint or a notification is ended, and what waits for a further attempt there is due now."""
        return LaneRetried(destination_id, await retry_lane(caller, destination_id))


def as_sent(attempts: Sequence[Attempt], delivery: Delivery, event: Event, source_url: str) -> list[Attempt]:
    """The attempts with the body that was sent: the event's own is not kept a second time, and is made again here."""
    if delivery.kind is not DestinationKind.ENDPOINT:
        return list(attempts)
    body: str | None = None
    shown = []
    for attempt in attempts:
        outcome = attempt.outcome
        if not outcome.request_body and outcome.request_headers.get("content-type") == JSON:
            if body is None:
                sent = Shape().compose(Payload.of(event, source_url)).body
                body = sent[:KEPT_BODY].decode("utf-8", "replace")
            attempt = attrs.evolve(attempt, outcome=attrs.evolve(outcome, request_body=body))  # noqa: PLW2901
        shown.append(attempt)
    return shown
