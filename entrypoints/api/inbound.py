"""Where providers send their webhooks. Public: what admits a call is its signature over the raw body.

Most go through the door in front of the framework (webhook_door.py); what is unusual, and every refusal, comes here.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from application.inbox.receive import ReceiveWebhook
from application.ports.inbox import InboxUnavailable
from entrypoints.api.errors import problem

MOST_HEADERS = 16 * 1024
"""Bytes of a webhook's headers, names and values together. Its body may have as many as any (app.MAX_BODY, 1 MiB)."""

RETRY_AFTER_S = 5
"""Seconds that a provider is asked to wait with the next try. Most go by a schedule of their own, and any answer but 2xx
has them try again (Stripe for three days, docs.stripe.com/webhooks)."""

UNAVAILABLE = (503, "inbox-unavailable", "Not kept, send it again")


OTHER_ADDRESSES: Mapping[str, str] = {
    "/api/billing/webhooks/flutterwave": "flutterwave",
    "/api/billing/webhooks/stripe": "stripe",
    "/api/payments/paypal/webhook": "paypal",
    "/api/payments/stripe/webhook": "stripe",
    "/api/webhooks/stripe": "stripe",
}
"""Addresses beside /api/integrations/{provider}/webhook, and whose they are."""


def _addresses(provider: str) -> list[str]:
    return [path for path, whose in OTHER_ADDRESSES.items() if whose == provider]


class Taken(msgspec.Struct, frozen=True):
    """The webhook was taken in. `duplicate` when it had come before."""

    received: bool
    duplicate: bool


class ProviderWebhooks(Controller):
    """The doors for providers. Some are known under several addresses; all lead to the same handler."""

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
    ) -> Response[Taken]:
        """The address that connecting registers with the provider."""
        return await _take(receive_webhook, request, provider, connection_id)

    @post("/api/integrations/{provider:str}/webhook", public=True, status_code=200, summary="A provider's webhook")
    async def take(
        self, request: Request[Any, Any, Any], provider: FromPath[str], receive_webhook: NamedDependency[ReceiveWebhook]
    ) -> Response[Taken]:
        """The connection is found by whose secret made the signature."""
        return await _take(receive_webhook, request, provider)

    @post(
        _addresses("stripe"),
        public=True,
        status_code=200,
        summary="Stripe's webhook (other addresses)",
    )
    async def take_stripe(
        self, request: Request[Any, Any, Any], receive_webhook: NamedDependency[ReceiveWebhook]
    ) -> Response[Taken]:
        """The same as /api/integrations/stripe/webhook."""
        return await _take(receive_webhook, request, "stripe")

    @post(_addresses("paypal"), public=True, status_code=200, summary="PayPal's webhook (other address)")
    async def take_paypal(
        self, request: Request[Any, Any, Any], receive_webhook: NamedDependency[ReceiveWebhook]
    ) -> Response[Taken]:
        """The same as /api/integrations/paypal/webhook."""
        return await _take(receive_webhook, request, "paypal")

    @post(_addresses("flutterwave"), public=True, status_code=200, summary="Flutterwave's webhook (other address)")
    async def take_flutterwave(
        self, request: Request[Any, Any, Any], receive_webhook: NamedDependency[ReceiveWebhook]
    ) -> Response[Taken]:
        """The same as /api/integrations/flutterwave/webhook."""
        return await _take(receive_webhook, request, "flutterwave")


async def _take(
    receive: ReceiveWebhook, request: Request[Any, Any, Any], provider: str, connection_id: str | None = None
) -> Response[Any]:
    refuse_odd_headers(request.scope["headers"])
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        taken = await receive(provider, headers, await request.body(), connection_id=connection_id)
    except InboxUnavailable as error:
        return problem(request, *UNAVAILABLE, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})
    return Response(Taken(received=True, duplicate=taken.duplicate))


def refuse_odd_headers(headers: Any) -> None:
    """Raises HTTPException 431 for too many headers, 415 for a body in another coding: the signature is over the bytes
    that the provider made, so they are taken as they come or not at all."""
    if sum(len(name) + len(value) for name, value in headers) > MOST_HEADERS:
        raise HTTPException(f"The headers have more than {MOST_HEADERS} bytes.", status_code=431)
    coding = b",".join(value for name, value in headers if name.lower() == b"content-encoding").strip().lower()
    if coding not in (b"", b"identity"):
        shown = coding.decode("latin-1")[:40]
        raise HTTPException(f"Send the body as it was signed, without Content-Encoding: {shown}.", status_code=415)
