"""Webhook endpoints of the host application's, and the deliveries to them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.caller import Caller
from application.notifications.endpoints import ChangeEndpoint, CreateEndpoint, RemoveEndpoint, RotateSecret
from application.notifications.send_again import SendAgain
from application.notifications.try_out import TryOut
from application.ports.store import Slice, Store
from domain.catalogue import CATALOGUE
from domain.notifications.deliveries import DeliveryState
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.versions import versioned
from entrypoints.api.views.telling import AttemptView, DeliveryDetail, DeliveryView, EndpointView, EventView, TestView

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2000, examples=["https://example.com/hooks"])]
Patterns = Annotated[
    list[str], msgspec.Meta(min_length=1, max_length=200, examples=[["invoice.*", "payment.received"]])
]


class EndpointCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new webhook endpoint."""

    url: Url
    events: Patterns = msgspec.field(default_factory=lambda: ["*"])
    name: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    timeout_s: int = 15


class EndpointChanged(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to change; what is left out stays."""

    url: Url | None = None
    events: Patterns | None = None
    name: str | None = None
    headers: dict[str, str] | None = None
    timeout_s: int | None = None
    active: bool | None = None


class SecretRotated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """For how many seconds the old secret still signs along."""

    grace_seconds: Annotated[int, msgspec.Meta(ge=0, le=604800)] = 86400


class TestSent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which type of event to send; one the endpoint subscribes to by default."""

    event_type: str | None = None


class EventTypeView(msgspec.Struct, frozen=True):
    """A type of event: what its data looks like, and a sample."""

    name: str
    group: str
    description: str
    schema: dict[str, Any]
    sample: dict[str, Any]


class DeliveryHistory(msgspec.Struct, frozen=True):
    """Deliveries to one endpoint, newest first, and how many are in each state."""

    items: list[DeliveryView]
    next_cursor: str | None
    statistics: Mapping[str, int]
    success_rate: float | None


Status = Annotated[DeliveryState | None, QueryParameter(name="status", required=False)]
OfType = Annotated[str | None, QueryParameter(name="event_type", required=False)]


def _filters(**given: object) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}


class Webhooks(Controller):
    """Webhook endpoints: signed by Standard Webhooks, retried for three days, every attempt recorded."""

    path = "/api/webhooks"
    tags = ("Webhooks",)

    @get("/", scope=Scope.WEBHOOKS_READ, summary="List webhook endpoints")
    async def list_endpoints(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[EndpointView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.endpoints.page(slice), EndpointView.of)

    @get("/events", scope=Scope.WEBHOOKS_READ, summary="The event catalogue")
    async def list_event_types(self) -> list[EventTypeView]:
        """Every type of event the hub itself tells, with a JSON Schema and a sample. Types of your own are welcome too."""
        return [EventTypeView(t.name, t.group, t.description, dict(t.schema), t.sample) for t in CATALOGUE.values()]

    @post("/", scope=Scope.WEBHOOKS_WRITE, summary="Create a webhook endpoint")
    async def create_endpoint(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[EndpointCreated],
        create_endpoint: NamedDependency[CreateEndpoint],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[EndpointView]:
        """The answer holds the signing secret; it is not shown again."""
        issued = await create_endpoint(
            caller,
            url=data.url,
            events=tuple(data.events),
            name=data.name,
            headers=data.headers,
            timeout_s=data.timeout_s,
            once=idempotency.once(EndpointView.of_issued),
        )
        return versioned(EndpointView.of_issued(issued), issued.endpoint.version, status=201)

    @get("/{webhook_id:str}", scope=Scope.WEBHOOKS_READ, summary="One webhook endpoint")
    async def get_endpoint(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], webhook_id: FromPath[str]
    ) -> Response[EndpointView]:
        """The endpoint with this id."""
        async with store.reading(caller.organisation_id) as work:
            endpoint = await work.endpoints.get(webhook_id)
        return versioned(EndpointView.of(endpoint), endpoint.version)

    @put("/{webhook_id:str}", scope=Scope.WEBHOOKS_WRITE, summary="Change a webhook endpoint")
    async def change_endpoint(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        data: JSONBody[EndpointChanged],
        change_endpoint: NamedDependency[ChangeEndpoint],
        if_match: NamedDependency[int | None],
    ) -> Response[EndpointView]:
        """Only what is given changes. `active: true` also switches a disabled endpoint on again."""
        changed = await change_endpoint(
            caller,
            webhook_id,
            url=data.url,
            events=None if data.events is None else tuple(data.events),
            name=data.name,
            headers=data.headers,
            timeout_s=data.timeout_s,
            active=data.active,
            version=if_match,
        )
        return versioned(EndpointView.of(changed), changed.version)

    @delete("/{webhook_id:str}", scope=Scope.WEBHOOKS_WRITE, summary="Remove a webhook endpoint")
    async def remove_endpoint(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        remove_endpoint: NamedDependency[RemoveEndpoint],
    ) -> None:
        """What still waits for it is cancelled; its history stays."""
        await remove_endpoint(caller, webhook_id)

    @post(
        "/{webhook_id:str}/regenerate-secret",
        scope=Scope.WEBHOOKS_WRITE,
        status_code=200,
        summary="Rotate the signing secret",
    )
    async def rotate_secret(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        rotate_secret: NamedDependency[RotateSecret],
        data: JSONBody[SecretRotated | None] = None,
    ) -> EndpointView:
        """The new secret is in the answer, once. Until the grace is over, deliveries carry both signatures."""
        grace = timedelta(seconds=(data or SecretRotated()).grace_seconds)
        return EndpointView.of_issued(await rotate_secret(caller, webhook_id, grace=grace))

    @get("/{webhook_id:str}/deliveries", scope=Scope.WEBHOOKS_READ, summary="Deliveries to an endpoint")
    async def list_endpoint_deliveries(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        webhook_id: FromPath[str],
        slice: NamedDependency[Slice],
        status: Status = None,
        event_type: OfType = None,
    ) -> DeliveryHistory:
        """Newest first, with filters and statistics."""
        async with store.reading(caller.organisation_id) as work:
            await work.endpoints.get(webhook_id)
            page = await work.deliveries.page(
                slice, destination_id=webhook_id, **_filters(state=status, event_type=event_type)
            )
            counts = await work.deliveries.counts(webhook_id)
        shown = listing(page, DeliveryView.of)
        ended = counts["delivered"] + counts["failed"]
        rate = round(counts["delivered"] / ended, 4) if ended else None
        return DeliveryHistory(shown.items, shown.next_cursor, counts, rate)

    @post("/{webhook_id:str}/test", scope=Scope.WEBHOOKS_WRITE, status_code=200, summary="Send a test event")
    async def send_test(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        try_out: NamedDependency[TryOut],
        data: JSONBody[TestSent | None] = None,
    ) -> TestView:
        """One attempt now, with the catalogue's sample; nothing is retried."""
        return TestView.of(await try_out.endpoint(caller, webhook_id, data.event_type if data else None))


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
        status: Status = None,
        event_type: OfType = None,
        event_id: Annotated[str | None, QueryParameter(name="event_id", required=False)] = None,
        destination_id: Annotated[str | None, QueryParameter(name="destination_id", required=False)] = None,
    ) -> Listing[DeliveryView]:
        """Newest first."""
        filters = _filters(state=status, event_type=event_type, event_id=event_id, destination_id=destination_id)
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.deliveries.page(slice, **filters), DeliveryView.of)

    @get("/{delivery_id:str}", scope=Scope.WEBHOOKS_READ, summary="One delivery with its attempts")
    async def get_delivery(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], delivery_id: FromPath[str]
    ) -> DeliveryDetail:
        """What was sent, what came back, attempt by attempt."""
        async with store.reading(caller.organisation_id) as work:
            delivery = await work.deliveries.get(delivery_id)
            event = await work.events.get(delivery.event_id)
            attempts = await work.attempts.of(delivery_id)
        return DeliveryDetail(DeliveryView.of(delivery), EventView.of(event), [AttemptView.of(a) for a in attempts])

    @post("/{delivery_id:str}/retry", scope=Scope.WEBHOOKS_WRITE, status_code=202, summary="Send a delivery again")
    async def retry_delivery(
        self, caller: NamedDependency[Caller], delivery_id: FromPath[str], send_again: NamedDependency[SendAgain]
    ) -> DeliveryView:
        """A new delivery of the same event to the same destination, with the same message id."""
        return DeliveryView.of(await send_again(caller, delivery_id))
