"""Webhook endpoints of the host application's, and the deliveries to them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from application.caller import Caller
from application.notifications.endpoints import ChangeEndpoint, CreateEndpoint, Issued, RemoveEndpoint, RotateSecret
from application.notifications.looking import LookAtEndpoints
from application.notifications.previews import PreviewEndpoint
from application.notifications.try_out import TryOut
from application.ports.store import Slice, Store
from domain.catalogue import CATALOGUE
from domain.notifications.named_shapes import NAMED
from domain.organisations import Scope
from entrypoints.api.deliveries import OfType, Status, filters
from entrypoints.api.endpoint_bodies import (
    EndpointChanged,
    EndpointCreated,
    EndpointPreviewAsked,
    endpoint_settings,
    shape_settings,
)
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.versions import versioned
from entrypoints.api.views.telling import DeliveryView, EndpointPreview, EndpointView, TemplateView, TestView


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


class Webhooks(Controller):
    """Webhook endpoints: signed by Standard Webhooks, retried for three days, every attempt recorded."""

    path = "/api/webhooks"
    tags = ("Webhooks",)

    @get("/", scope=Scope.WEBHOOKS_READ, summary="List webhook endpoints")
    async def list_endpoints(
        self,
        caller: NamedDependency[Caller],
        slice: NamedDependency[Slice],
        look_at_endpoints: NamedDependency[LookAtEndpoints],
    ) -> Listing[EndpointView]:
        """Newest first, each with how it fares."""
        return listing(await look_at_endpoints.page(caller.organisation_id, slice), EndpointView.of)

    @get("/events", scope=Scope.WEBHOOKS_READ, summary="The event catalogue")
    async def list_event_types(self) -> list[EventTypeView]:
        """Every type of event the hub itself tells, with a JSON Schema and a sample. Types of your own are welcome too."""
        return [EventTypeView(t.name, t.group, t.description, dict(t.schema), t.sample) for t in CATALOGUE.values()]

    @get("/templates", scope=Scope.WEBHOOKS_READ, summary="The named templates")
    async def list_templates(self) -> list[TemplateView]:
        """Bodies that well-known receivers take, to be used by name or to be copied and changed."""
        return [
            TemplateView(name, n.description, n.source, n.shape.envelope, n.shape.template, n.shape.template_type)
            for name, n in NAMED.items()
        ]

    @post("/preview", scope=Scope.WEBHOOKS_WRITE, status_code=200, summary="Preview what an endpoint would be sent")
    async def preview_endpoint(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[EndpointPreviewAsked],
        request: Request[Any, Any, Any],
        preview_endpoint: NamedDependency[PreviewEndpoint],
    ) -> EndpointPreview:
        """Body, headers, signature, and why the filter lets the event through or not. Nothing is kept or sent."""
        given = shape_settings(data, await request.body())
        return EndpointPreview.of(await preview_endpoint(caller, data.sample, id=data.id, **given))

    @post("/", scope=Scope.WEBHOOKS_WRITE, summary="Create a webhook endpoint")
    async def create_endpoint(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[EndpointCreated],
        request: Request[Any, Any, Any],
        create_endpoint: NamedDependency[CreateEndpoint],
        look_at_endpoints: NamedDependency[LookAtEndpoints],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[EndpointView]:
        """The answer holds the signing secret; it is not shown again."""

        def shown(issued: Issued) -> EndpointView:
            return EndpointView.of(look_at_endpoints.new(issued.endpoint), issued.secret)

        given = endpoint_settings(data, await request.body())
        issued = await create_endpoint(caller, once=idempotency.once(shown), **given)
        return versioned(shown(issued), issued.endpoint.version, status=201)

    @get("/{webhook_id:str}", scope=Scope.WEBHOOKS_READ, summary="One webhook endpoint")
    async def get_endpoint(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        look_at_endpoints: NamedDependency[LookAtEndpoints],
    ) -> Response[EndpointView]:
        """The endpoint with this id: how it is set up and how it fares."""
        look = await look_at_endpoints.one(caller.organisation_id, webhook_id)
        return versioned(EndpointView.of(look), look.endpoint.version)

    @put("/{webhook_id:str}", scope=Scope.WEBHOOKS_WRITE, summary="Change a webhook endpoint")
    async def change_endpoint(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        data: JSONBody[EndpointChanged],
        request: Request[Any, Any, Any],
        change_endpoint: NamedDependency[ChangeEndpoint],
        look_at_endpoints: NamedDependency[LookAtEndpoints],
        if_match: NamedDependency[int | None],
    ) -> Response[EndpointView]:
        """Only what is given changes; null clears. `active: true` also switches a disabled endpoint on again."""
        given = endpoint_settings(data, await request.body())
        await change_endpoint(caller, webhook_id, active=data.active, version=if_match, **given)
        look = await look_at_endpoints.one(caller.organisation_id, webhook_id)
        return versioned(EndpointView.of(look), look.endpoint.version)

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
        look_at_endpoints: NamedDependency[LookAtEndpoints],
        data: JSONBody[SecretRotated | None] = None,
    ) -> EndpointView:
        """The new secret is in the answer, once. Until the grace is over, deliveries carry both signatures."""
        grace = timedelta(seconds=(data or SecretRotated()).grace_seconds)
        issued = await rotate_secret(caller, webhook_id, grace=grace)
        return EndpointView.of(await look_at_endpoints.one(caller.organisation_id, webhook_id), issued.secret)

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
                slice, destination_id=webhook_id, **filters(state=status, event_type=event_type)
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
