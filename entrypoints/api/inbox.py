"""What providers sent and what became of it: listed, looked at, handled again, skipped."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.caller import Caller
from application.inbox.decide import DownloadWebhook, HandleAgain, HandleManyAgain, SkipWebhook
from application.ports.inbox import Wanted, WebhookInbox
from application.ports.store import Slice, Store
from domain.inbox import LONGEST_REASON, InboxState, Received
from domain.organisations import Scope
from domain.refusals import Invalid
from entrypoints.api.paging import Listing, listing


class ReceivedView(msgspec.Struct, frozen=True):
    """A provider's webhook as it was taken in, and what became of it.

    `error` is why it was ignored or skipped, or what went wrong at its last try (a sentence; a
    traceback where nobody expected it), without what looks like a secret.
    `object` is what it is about: webhooks about one object are handled one after the other. `found_by` is `event list`
    for one that no webhook brought.
    """

    id: str
    provider: str
    connection_id: str
    external_id: str
    type: str
    status: str
    tries: int
    received_at: Any
    handled_at: Any
    error: str | None
    object: str | None
    due_at: Any
    found_by: str

    @classmethod
    def of(cls, received: Received) -> "ReceivedView":
        return cls(
            received.id,
            received.provider,
            received.connection_id,
            received.external_id,
            received.type,
            received.state.value,
            received.tries,
            received.received_at,
            received.handled_at,
            received.error,
            received.object,
            received.due_at if received.state is InboxState.PENDING else None,
            "event list" if received.found_by_list else "webhook",
        )


class ReceivedDetail(msgspec.Struct, frozen=True):
    """One webhook with the headers that were kept and the size of its body in bytes."""

    webhook: ReceivedView
    headers: dict[str, str]
    size: int


class Skipped(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why a webhook is not to be handled."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_REASON)]


Status = Annotated[InboxState | None, QueryParameter(name="status", required=False)]
Moment = datetime | None


class Repeat(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which webhooks are to be handled again: of those that failed, were ignored or skipped. `dry_run` only counts."""

    provider: str | None = None
    connection_id: str | None = None
    status: InboxState | None = None
    type: str | None = None
    object: str | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    dry_run: bool = False


class RepeatedView(msgspec.Struct, frozen=True):
    """`matching`: how many there were. `taken`: how many are handled again now; at most 10,000, the oldest first."""

    matching: int
    taken: int


class Inbox(Controller):
    """What providers sent, and what became of it."""

    path = "/api/inbox"
    tags = ("Provider webhooks",)

    @get("/", scope=Scope.INTEGRATIONS_READ, summary="List received webhooks")
    async def list_received(
        self,
        caller: NamedDependency[Caller],
        webhook_inbox: NamedDependency[WebhookInbox],
        slice: NamedDependency[Slice],
        status: Status = None,
        provider: Annotated[str | None, QueryParameter(name="provider", required=False)] = None,
        connection_id: Annotated[str | None, QueryParameter(name="connection_id", required=False)] = None,
        event_type: Annotated[str | None, QueryParameter(name="type", required=False)] = None,
        about: Annotated[str | None, QueryParameter(name="object", required=False)] = None,
        since: Annotated[Moment, QueryParameter(name="since", required=False)] = None,
        until: Annotated[Moment, QueryParameter(name="until", required=False)] = None,
    ) -> Listing[ReceivedView]:
        """Newest first. `object` is an object as the list shows it, or the provider's own id of it."""
        states = () if status is None else (status,)
        moments = (aware(since, "since"), aware(until, "until"))
        wanted = Wanted(provider, connection_id, states, event_type, about, *moments)
        return listing(await webhook_inbox.page(caller.organisation_id, wanted, slice), ReceivedView.of)

    @get("/{received_id:str}", scope=Scope.INTEGRATIONS_READ, summary="One received webhook")
    async def get_received(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], received_id: FromPath[str]
    ) -> ReceivedDetail:
        """With what went wrong at its last try, if that failed."""
        async with store.reading(caller.organisation_id) as work:
            received = await work.inbox.get(received_id)
        return ReceivedDetail(ReceivedView.of(received), dict(received.headers), len(received.body))

    @get("/{received_id:str}/body", scope=Scope.INTEGRATIONS_READ, summary="A webhook's body, byte for byte")
    async def get_body(
        self,
        caller: NamedDependency[Caller],
        received_id: FromPath[str],
        download_webhook: NamedDependency[DownloadWebhook],
    ) -> Response[bytes]:
        """As the provider sent it, for the signature to be checked elsewhere. Who took it is in the audit log."""
        return downloaded(await download_webhook(caller, received_id))

    @post("/{received_id:str}/retry", scope=Scope.INTEGRATIONS_WRITE, status_code=202, summary="Handle one again")
    async def handle_again(
        self, caller: NamedDependency[Caller], received_id: FromPath[str], handle_again: NamedDependency[HandleAgain]
    ) -> ReceivedView:
        """One that failed, was ignored or was skipped."""
        return ReceivedView.of(await handle_again(caller, received_id))

    @post("/{received_id:str}/skip", scope=Scope.INTEGRATIONS_WRITE, status_code=200, summary="Skip one")
    async def skip(
        self,
        caller: NamedDependency[Caller],
        received_id: FromPath[str],
        data: JSONBody[Skipped],
        skip_webhook: NamedDependency[SkipWebhook],
    ) -> ReceivedView:
        """One that waits or failed is not handled any more, and holds up nothing."""
        return ReceivedView.of(await skip_webhook(caller, received_id, data.reason))

    @post("/retry", scope=Scope.INTEGRATIONS_WRITE, status_code=202, summary="Handle many again")
    async def handle_many_again(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[Repeat],
        handle_many_again: NamedDependency[HandleManyAgain],
    ) -> RepeatedView:
        """Count first with `dry_run`."""
        states = () if data.status is None else (data.status,)
        wanted = Wanted(data.provider, data.connection_id, states, data.type, data.object, data.since, data.until)
        done = await handle_many_again(caller, wanted, only_count=data.dry_run)
        return RepeatedView(done.matching, done.taken)


def aware(moment: datetime | None, field: str) -> datetime | None:
    """The moment. Raises Invalid for one without a time zone."""
    if moment is not None and moment.tzinfo is None:
        raise Invalid.field(field, "Give the moment with its zone, as in 2026-03-03T10:00:00Z.")
    return moment


def downloaded(received: Received) -> Response[bytes]:
    """The body as a file."""
    name = "".join(letter for letter in received.id if letter.isalnum() or letter == "_")
    return Response(
        received.body,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}.bin"', "Cache-Control": "no-store"},
    )
