"""Where providers send their webhooks. Public: what admits a call is its signature over the raw body."""

from typing import Any

import msgspec
from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from application.caller import Caller
from application.inbox.handle import HandleAgain
from application.inbox.receive import ReceiveWebhook
from application.ports.store import Slice, Store
from domain.inbox import Received
from domain.organisations import Scope
from entrypoints.api.paging import Listing, listing


class Taken(msgspec.Struct, frozen=True):
    """The webhook was taken in. `duplicate` when it had come before."""

    received: bool
    duplicate: bool


class ReceivedView(msgspec.Struct, frozen=True):
    """A provider's webhook as it was taken in, and what became of it."""

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
        )


class ProviderWebhooks(Controller):
    """The doors for providers. Stripe's is known under four addresses; all lead to the same handler."""

    tags = ("Provider webhooks",)

    @post(
        "/api/integrations/{provider:str}/webhook/{connection_id:str}",
        public=True,
        status_code=200,
        summary="A provider's webhook for one connection",
    )
    async def take_for_connection(
        self,
        request: Request[Any, Any, Any],
        provider: FromPath[str],
        connection_id: FromPath[str],
        receive_webhook: NamedDependency[ReceiveWebhook],
    ) -> Taken:
        """The address that connecting registers with the provider."""
        return await _take(receive_webhook, request, provider, connection_id)

    @post("/api/integrations/{provider:str}/webhook", public=True, status_code=200, summary="A provider's webhook")
    async def take(
        self, request: Request[Any, Any, Any], provider: FromPath[str], receive_webhook: NamedDependency[ReceiveWebhook]
    ) -> Taken:
        """The connection is found by whose secret made the signature."""
        return await _take(receive_webhook, request, provider)

    @post(
        ["/api/billing/webhooks/stripe", "/api/payments/stripe/webhook", "/api/webhooks/stripe"],
        public=True,
        status_code=200,
        summary="Stripe's webhook (other addresses)",
    )
    async def take_stripe(
        self, request: Request[Any, Any, Any], receive_webhook: NamedDependency[ReceiveWebhook]
    ) -> Taken:
        """The same as /api/integrations/stripe/webhook."""
        return await _take(receive_webhook, request, "stripe")


class Inbox(Controller):
    """What providers sent, and what became of it."""

    path = "/api/inbox"
    tags = ("Provider webhooks",)

    @get("/", scope=Scope.INTEGRATIONS_READ, summary="List received webhooks")
    async def list_received(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[ReceivedView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.inbox.page(slice), ReceivedView.of)

    @post("/{received_id:str}/retry", scope=Scope.INTEGRATIONS_WRITE, status_code=202, summary="Handle one again")
    async def handle_again(
        self, caller: NamedDependency[Caller], received_id: FromPath[str], handle_again: NamedDependency[HandleAgain]
    ) -> ReceivedView:
        """One that failed or was ignored."""
        return ReceivedView.of(await handle_again(caller, received_id))


async def _take(
    receive: ReceiveWebhook, request: Request[Any, Any, Any], provider: str, connection_id: str | None = None
) -> Taken:
    headers = {name.lower(): value for name, value in request.headers.items()}
    taken = await receive(provider, headers, await request.body(), connection_id=connection_id)
    return Taken(True, taken.duplicate)
