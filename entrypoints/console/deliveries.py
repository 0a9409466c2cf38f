"""Deliveries: what was told to whom, attempt by attempt; sending one again, now, or never."""

from collections.abc import Callable
from datetime import UTC, datetime

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.notifications.send_again import SendAgain
from application.notifications.skipping import SkipDelivery
from application.ports.leases import Held
from application.ports.store import Page as Part
from application.ports.store import Slice
from domain.catalogue import CATALOGUE
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.selection import Selection, Trouble
from domain.refusals import Invalid, Refusal
from entrypoints.api.deliveries import as_sent
from entrypoints.api.paging import listing
from entrypoints.console.gathering import destination_of, destinations
from entrypoints.console.pages import REFUSED, Page

STATES = {state.value: state for state in DeliveryState}
TROUBLES = {trouble.value: trouble for trouble in Trouble}
TROUBLE_WORDS = {
    "4xx": "Refused (4xx)",
    "5xx": "Receiver's error (5xx)",
    "timeout": "No answer in time",
    "unreachable": "Not reached",
}
FILTERS = ("status", "type", "destination", "error", "since", "until")
_OPEN = (DeliveryState.PENDING, DeliveryState.WAITING)


class DeliveryPages(Controller):
    """/console/deliveries"""

    path = "/deliveries"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, with filters."""
        refused: Refusal | None = None
        found: Part[Delivery] = Part((), None)
        async with page.reading() as work:
            known = await destinations(work)
            try:
                found = await work.deliveries.selected(slice, selection_of(page.choice))
            except Invalid as invalid:
                refused = invalid
        return page(
            "deliveries.html",
            refused=refused,
            deliveries=listing(found, lambda delivery: (delivery, destination_of(known, delivery))),
            destinations=known,
            states=STATES,
            troubles=TROUBLE_WORDS,
            types=tuple(CATALOGUE),
            filters=page.filters(*FILTERS),
        )

    @get("/{delivery_id:str}")
    async def show(self, page: Page, delivery_id: str) -> Response[str]:
        """One delivery with its event and its attempts."""
        return await _show(page, delivery_id)

    @post("/{delivery_id:str}/again")
    async def send_again(self, page: Page, caller: Caller, delivery_id: str, send_again: SendAgain) -> Response[str]:
        """What waits for its next attempt is tried now; of what has ended, a new delivery is made."""
        try:
            again = await send_again(caller, delivery_id)
        except REFUSED as refused:
            return await _show(page, delivery_id, refused=refused)
        done = "tried-now" if again.id == delivery_id else "sent-again"
        return page.go(f"/console/deliveries/{again.id}", done=done)

    @post("/{delivery_id:str}/skip")
    async def skip(self, page: Page, caller: Caller, delivery_id: str, skip_delivery: SkipDelivery) -> Response[str]:
        """It is not tried any more."""
        try:
            await skip_delivery(caller, delivery_id)
        except REFUSED as refused:
            return await _show(page, delivery_id, refused=refused)
        return page.go(f"/console/deliveries/{delivery_id}", done="skipped")


def selection_of(choice: Callable[[str], str | None]) -> Selection:
    """The filter that an address or a form has in its fields. Raises Invalid, naming the field."""
    status, error, type_ = choice("status") or "", choice("error") or "", choice("type")
    return Selection(
        choice("destination"),
        (type_,) if type_ else (),
        (STATES[status],) if status in STATES else (),
        (TROUBLES[error],) if error in TROUBLES else (),
        moment_of(choice("since"), "since"),
        moment_of(choice("until"), "until"),
    )


def moment_of(text: str | None, field: str) -> datetime | None:
    """What a field for a moment holds, in UTC unless it says otherwise. Raises Invalid."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid.field(field, "Write a moment as 2026-05-04T09:00.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _show(page: Page, delivery_id: str, *, refused: Refusal | Held | None = None) -> Response[str]:
    async with page.reading() as work:
        delivery = await work.deliveries.get(delivery_id)
        event = await work.events.find(delivery.event_id)
        attempts = await work.attempts.of(delivery_id)
        destination = destination_of(await destinations(work), delivery)
        siblings = (await work.deliveries.page(Slice(20), event_id=delivery.event_id)).items
    shown = attempts if event is None else as_sent(attempts, delivery, event, page.public_url)
    pending = delivery.state is DeliveryState.PENDING
    return page(
        "delivery.html",
        refused=refused,
        delivery=delivery,
        event=event,
        attempts=list(shown)[::-1],
        destination=destination,
        replays=[one for one in siblings if one.replay_of == delivery.id],
        may_try=pending and (delivery.attempts > 0 or delivery.due_at > page.reader.now),
        may_send=delivery.state not in _OPEN,
        may_skip=delivery.state in _OPEN,
    )
