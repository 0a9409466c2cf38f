"""The inbox: what providers sent, and what became of it."""

from datetime import datetime

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.inbox.decide import MOST_AGAIN, DownloadWebhook, HandleAgain, HandleManyAgain, SkipWebhook
from application.ports.inbox import Wanted, WebhookInbox
from application.ports.leases import Held
from application.ports.store import Slice
from domain.inbox import HOLDING_TRIES, LONGEST_REASON, MAX_TRIES, REPEATABLE, InboxState
from domain.refusals import Invalid, Refusal
from entrypoints.api.inbox import aware, downloaded
from entrypoints.api.paging import listing
from entrypoints.console.pages import REFUSED, Form, Page

_STATES = {state.value: state for state in InboxState}
_FILTERS = ("status", "provider", "type", "object", "connection", "since", "until")


class InboxPages(Controller):
    """/console/inbox"""

    path = "/inbox"

    @get("/")
    async def show_all(
        self, page: Page, slice: Slice, webhook_inbox: WebhookInbox, handle_many_again: HandleManyAgain
    ) -> Response[str]:
        """Newest first; and how many of those shown could be handled again."""
        return await _list(page, slice, webhook_inbox, handle_many_again)

    @post("/again")
    async def handle_many_again(
        self,
        page: Page,
        form: Form,
        slice: Slice,
        caller: Caller,
        webhook_inbox: WebhookInbox,
        handle_many_again: HandleManyAgain,
    ) -> Response[str]:
        """Those that the filters show, as far as they can be."""
        try:
            await handle_many_again(caller, _repeatable(_wanted(form.typed)))
        except REFUSED as refused:
            return await _list(page, slice, webhook_inbox, handle_many_again, refused=refused)
        return page.go("/console/inbox", done="handled-again")

    @get("/{received_id:str}")
    async def show(self, page: Page, received_id: str) -> Response[str]:
        """One webhook, word for word."""
        return await _show(page, received_id)

    @get("/{received_id:str}/body")
    async def body(self, caller: Caller, received_id: str, download_webhook: DownloadWebhook) -> Response[bytes]:
        """Its body as a file, byte for byte; who took it is written down."""
        return downloaded(await download_webhook(caller, received_id))

    @post("/{received_id:str}/again")
    async def handle_again(
        self, page: Page, caller: Caller, received_id: str, handle_again: HandleAgain
    ) -> Response[str]:
        """One that failed, was ignored or skipped."""
        try:
            await handle_again(caller, received_id)
        except REFUSED as refused:
            return await _show(page, received_id, refused=refused)
        return page.go(f"/console/inbox/{received_id}", done="handled-again")

    @post("/{received_id:str}/skip")
    async def skip(
        self, page: Page, form: Form, caller: Caller, received_id: str, skip_webhook: SkipWebhook
    ) -> Response[str]:
        """One that waits or failed, with a reason."""
        try:
            await skip_webhook(caller, received_id, form.text("reason"))
        except REFUSED as refused:
            return await _show(page, received_id, refused=refused)
        return page.go(f"/console/inbox/{received_id}", done="changed")


def _wanted(asked: dict[str, str]) -> Wanted:
    """What the filters ask for. Raises Invalid for a moment that is none."""
    state = _STATES.get(asked.get("status", ""))
    return Wanted(
        asked.get("provider") or None,
        asked.get("connection") or None,
        () if state is None else (state,),
        asked.get("type") or None,
        asked.get("object") or None,
        _moment(asked, "since"),
        _moment(asked, "until"),
    )


def _moment(asked: dict[str, str], name: str) -> datetime | None:
    told = asked.get(name, "").strip()
    try:
        return aware(datetime.fromisoformat(told), name) if told else None
    except ValueError as error:
        raise Invalid.field(name, "Write a moment as in 2026-03-03T10:00:00Z.") from error


def _repeatable(wanted: Wanted) -> Wanted:
    return Wanted(
        wanted.provider,
        wanted.connection_id,
        wanted.states or REPEATABLE,
        wanted.type,
        wanted.object,
        wanted.since,
        wanted.until,
    )


async def _list(
    page: Page,
    slice: Slice,
    inbox: WebhookInbox,
    again: HandleManyAgain,
    *,
    refused: Refusal | Held | None = None,
) -> Response[str]:
    filters = page.filters(*_FILTERS)
    try:
        wanted = _wanted(filters)
    except Invalid as fault:
        wanted, refused = Wanted(), fault
    found = await inbox.page(page.caller.organisation_id, wanted, slice)
    can = not wanted.states or wanted.states[0] in REPEATABLE
    repeatable = (await again(page.caller, _repeatable(wanted), only_count=True)).matching if can else 0
    return page(
        "inbox.html",
        refused=refused,
        received=listing(found, lambda one: one),
        states=_STATES,
        filters=filters,
        # Without a filter, "all of them" would be everything that was ever ignored.
        repeatable=repeatable if filters else 0,
        most_again=MOST_AGAIN,
    )


async def _show(page: Page, received_id: str, *, refused: Refusal | Held | None = None) -> Response[str]:
    async with page.reading() as work:
        received = await work.inbox.get(received_id)
        connection = await work.connections.find(received.connection_id)
    return page(
        "received.html",
        refused=refused,
        received=received,
        connection=connection,
        most_tries=MAX_TRIES,
        holding_tries=HOLDING_TRIES,
        longest_reason=LONGEST_REASON,
        repeatable=received.state in REPEATABLE,
    )
