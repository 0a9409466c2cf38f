"""The inbox: what providers sent, and what became of it."""

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.inbox.handle import HandleAgain
from application.ports.leases import Held
from application.ports.store import Slice
from domain.inbox import MAX_TRIES, InboxState
from domain.refusals import Refusal
from entrypoints.api.paging import listing
from entrypoints.console.pages import REFUSED, Page

_STATES = {state.value: state for state in InboxState}


class InboxPages(Controller):
    """/console/inbox"""

    path = "/inbox"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, of one state or of all."""
        chosen = _STATES.get(page.choice("status") or "")
        async with page.reading() as work:
            found = await work.inbox.page(slice, **({"state": chosen} if chosen else {}))
        received = listing(found, lambda one: one)
        return page("inbox.html", received=received, states=_STATES, filters=page.filters("status"))

    @get("/{received_id:str}")
    async def show(self, page: Page, received_id: str) -> Response[str]:
        """One webhook, word for word."""
        return await _show(page, received_id)

    @post("/{received_id:str}/again")
    async def handle_again(
        self, page: Page, caller: Caller, received_id: str, handle_again: HandleAgain
    ) -> Response[str]:
        """One that failed or was ignored."""
        try:
            await handle_again(caller, received_id)
        except REFUSED as refused:
            return await _show(page, received_id, refused=refused)
        return page.go(f"/console/inbox/{received_id}", done="handled-again")


async def _show(page: Page, received_id: str, *, refused: Refusal | Held | None = None) -> Response[str]:
    async with page.reading() as work:
        received = await work.inbox.get(received_id)
        connection = await work.connections.find(received.connection_id)
    return page("received.html", refused=refused, received=received, connection=connection, most_tries=MAX_TRIES)
