"""Publish events, list them, see what types there are."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.caller import Caller
from application.notifications.publish_events import MAX_EVENTS, Published, PublishEvents
from application.ports.intake import NewEvent
from application.ports.store import Answer, Slice, Store
from application.ports.vault import Vault
from domain.organisations import Scope
from entrypoints.api.idempotency import AlreadyAnswered, IdempotencyKey, keyed, opened
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.telling import EventView

MAX_BATCH = 8 * 1024 * 1024
"""How many bytes the body of a batch may have (8 MiB)."""


class EventPublished(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Something that happened in the host application. Nobody is told before `deliver_at` or after `expires_at`."""

    type: Annotated[str, msgspec.Meta(max_length=100, examples=["invoice.created"])]
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    deliver_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    @property
    def published(self) -> Published:
        """As the use case takes it."""
        return Published(self.type, self.data, self.occurred_at, self.deliver_at, self.expires_at)


class EventsPublished(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Up to 1,000 events, kept together or not at all."""

    events: Annotated[list[EventPublished], msgspec.Meta(min_length=1, max_length=MAX_EVENTS)]


class EventTaken(msgspec.Struct, frozen=True):
    """An event of a batch, as it was kept."""

    id: str
    type: str
    occurred_at: datetime
    created_at: datetime


class EventsTaken(msgspec.Struct, frozen=True):
    """The events of a batch, in their order."""

    items: list[EventTaken]


class NewEventView(msgspec.Struct, frozen=True):
    """An event as it was kept: EventView, with the data as the text that was kept."""

    id: str
    type: str
    data: msgspec.Raw
    occurred_at: datetime
    created_at: datetime


def shown(events: tuple[NewEvent, ...]) -> NewEventView:
    """What the publication of one event is answered with."""
    payload = events[0].payload
    data = msgspec.Raw(payload.data_json)
    return NewEventView(payload.id, payload.type, data, payload.occurred_at, events[0].created_at)


def all_shown(events: tuple[NewEvent, ...]) -> EventsTaken:
    """What the publication of many events is answered with."""
    return EventsTaken([EventTaken(e.payload.id, e.payload.type, e.payload.occurred_at, e.created_at) for e in events])


class Events(Controller):
    """The host application's own door."""

    path = "/api/events"
    tags = ("Events",)

    @post("/", scope=Scope.EVENTS_WRITE, status_code=201, summary="Publish an event")
    async def publish(
        self,
        request: Request[Any, Any, Any],
        caller: NamedDependency[Caller],
        data: JSONBody[EventPublished],
        publish_events: NamedDependency[PublishEvents],
        vault: NamedDependency[Vault],
        idempotency_key: IdempotencyKey = None,
    ) -> EventView:
        """Durable when it answers: the event is kept and a delivery made for everyone who wants it."""
        idempotency = keyed(caller, vault, request.method, request.url.path, await request.body(), idempotency_key)
        event = await publish_events.one(caller, data.published, idempotency.once(shown))
        if isinstance(event, Answer):
            raise AlreadyAnswered(opened(idempotency, vault, caller, event))
        payload = event.payload
        return EventView(payload.id, payload.type, data.data, payload.occurred_at, event.created_at)

    @post(
        "/batch",
        scope=Scope.EVENTS_WRITE,
        status_code=201,
        summary="Publish many events",
        request_max_body_size=MAX_BATCH,
    )
    async def publish_batch(
        self,
        request: Request[Any, Any, Any],
        caller: NamedDependency[Caller],
        data: JSONBody[EventsPublished],
        publish_events: NamedDependency[PublishEvents],
        vault: NamedDependency[Vault],
        idempotency_key: IdempotencyKey = None,
    ) -> EventsTaken:
        """All of them or none, in one transaction; a mistake in one of them refuses them all and is named."""
        idempotency = keyed(caller, vault, request.method, request.url.path, await request.body(), idempotency_key)
        events = await publish_events(caller, [one.published for one in data.events], idempotency.once(all_shown))
        if isinstance(events, Answer):
            raise AlreadyAnswered(opened(idempotency, vault, caller, events))
        return all_shown(events)

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
