"""Publish events, list them, see what types there are."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.caller import Caller
from application.notifications.publish_event import PublishEvent
from application.ports.store import Slice, Store
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.telling import EventView


class EventPublished(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Something that happened in the host application."""

    type: Annotated[str, msgspec.Meta(max_length=100, examples=["invoice.created"])]
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Events(Controller):
    """The host application's own door."""

    path = "/api/events"
    tags = ("Events",)

    @post("/", scope=Scope.EVENTS_WRITE, status_code=201, summary="Publish an event")
    async def publish(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[EventPublished],
        publish_event: NamedDependency[PublishEvent],
        idempotency: NamedDependency[Idempotency],
    ) -> EventView:
        """Durable when it answers: the event is kept and a delivery made for everyone who wants it."""
        event = await publish_event(
            caller, type=data.type, data=data.data, occurred_at=data.occurred_at, once=idempotency.once(EventView.of)
        )
        return EventView.of(event)

    @get("/", scope=Scope.EVENTS_READ, summary="List events")
    async def list_events(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        event_type: Annotated[str | None, QueryParameter(name="type", required=False)] = None,
    ) -> Listing[EventView]:
        """Newest first; `type` shows one type only."""
        async with store.reading(caller.organisation_id) as work:
            page = await work.events.page(slice, **({"type": event_type} if event_type else {}))
        return listing(page, EventView.of)

    @get("/{event_id:str}", scope=Scope.EVENTS_READ, summary="One event")
    async def get_event(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], event_id: FromPath[str]
    ) -> EventView:
        """The event with this id."""
        async with store.reading(caller.organisation_id) as work:
            return EventView.of(await work.events.get(event_id))
