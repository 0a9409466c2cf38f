"""Deliveries: what was told to whom, attempt by attempt, and sending one again."""

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.notifications.send_again import SendAgain
from application.ports.leases import Held
from application.ports.store import Slice
from domain.catalogue import CATALOGUE
from domain.notifications.deliveries import DeliveryState
from domain.refusals import Refusal
from entrypoints.api.paging import listing
from entrypoints.console.gathering import destination_of, destinations
from entrypoints.console.pages import REFUSED, Page

_STATES = {state.value: state for state in DeliveryState}


class DeliveryPages(Controller):
    """/console/deliveries"""

    path = "/deliveries"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, with filters."""
        chosen = _STATES.get(page.choice("status") or "")
        filters: dict[str, object] = {"state": chosen} if chosen else {}
        if page.choice("type"):
            filters["event_type"] = page.choice("type")
        if page.choice("destination"):
            filters["destination_id"] = page.choice("destination")
        async with page.reading() as work:
            known = await destinations(work)
            found = await work.deliveries.page(slice, **filters)
        return page(
            "deliveries.html",
            deliveries=listing(found, lambda delivery: (delivery, destination_of(known, delivery))),
            destinations=known,
            states=_STATES,
            types=tuple(CATALOGUE),
            filters=page.filters("status", "type", "destination"),
        )

    @get("/{delivery_id:str}")
    async def show(self, page: Page, delivery_id: str) -> Response[str]:
        """One delivery with its event and its attempts."""
        return await _show(page, delivery_id)

    @post("/{delivery_id:str}/again")
    async def send_again(self, page: Page, caller: Caller, delivery_id: str, send_again: SendAgain) -> Response[str]:
        """A new delivery of the same event to the same destination."""
        try:
            again = await send_again(caller, delivery_id)
        except REFUSED as refused:
            return await _show(page, delivery_id, refused=refused)
        return page.go(f"/console/deliveries/{again.id}", done="sent-again")


async def _show(page: Page, delivery_id: str, *, refused: Refusal | Held | None = None) -> Response[str]:
    async with page.reading() as work:
        delivery = await work.deliveries.get(delivery_id)
        event = await work.events.find(delivery.event_id)
        attempts = await work.attempts.of(delivery_id)
        destination = destination_of(await destinations(work), delivery)
        siblings = (await work.deliveries.page(Slice(20), event_id=delivery.event_id)).items
    return page(
        "delivery.html",
        refused=refused,
        delivery=delivery,
        event=event,
        attempts=attempts[::-1],
        destination=destination,
        replays=[one for one in siblings if one.replay_of == delivery.id],
        may_send=delivery.state is not DeliveryState.PENDING or delivery.attempts > 0,
    )
