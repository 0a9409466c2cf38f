"""Events: what happened, and who was told."""

from litestar import Controller, Response, get

from application.ports.store import Slice
from domain.catalogue import CATALOGUE
from entrypoints.api.paging import listing
from entrypoints.console.gathering import destination_of, destinations
from entrypoints.console.pages import Page


class EventPages(Controller):
    """/console/events"""

    path = "/events"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, of one type or of all."""
        type_ = page.choice("type")
        async with page.reading() as work:
            found = await work.events.page(slice, **({"type": type_} if type_ else {}))
        events = listing(found, lambda event: event)
        return page("events.html", events=events, types=tuple(CATALOGUE), filters=page.filters("type"))

    @get("/{event_id:str}")
    async def show(self, page: Page, event_id: str) -> Response[str]:
        """One event and its deliveries."""
        async with page.reading() as work:
            event = await work.events.get(event_id)
            found = (await work.deliveries.page(Slice(200), event_id=event_id)).items
            known = await destinations(work)
        deliveries = [(delivery, destination_of(known, delivery)) for delivery in found]
        return page("event.html", event=event, known_type=CATALOGUE.get(event.type), deliveries=deliveries)
