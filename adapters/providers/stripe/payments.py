"""Taking money through Stripe."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast, final

import stripe
from stripe.params import (
    CustomerCreateParams,
    EventListParams,
    PaymentIntentCreateParams,
    RefundCreateParams,
    WebhookEndpointCreateParams,
)
from stripe.params.checkout import SessionCreateParams

from adapters.providers.stripe import mapping, webhook
from adapters.providers.stripe.client import API_VERSION, BASE_URL, TIMEOUT, Transport, open_client, plain_errors
from adapters.providers.stripe.provider import PROVIDER
from application.ports.payments import (
    CheckoutOrder,
    CheckoutState,
    EventList,
    HostedCheckout,
    Intent,
    ListedEvent,
    PaymentProvider,
    ProviderCustomer,
    ProviderEvent,
    ProviderRefund,
    ProviderRefused,
)
from domain.money import Money

_DESCRIPTION = 1000
"""Characters that Stripe keeps of a description."""
_NOTE = 500
"""Characters that Stripe keeps of a metadata value."""
_PAGE = 100
_WINDOW = 2 * 60 * 60
"""Seconds of events that are listed at a time: Stripe lists the newest first, and they are wanted oldest first."""
_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_WITH_CHARGE = ["latest_charge"]


@final
class StripePayments(PaymentProvider, EventList):
    """Stripe, through its official SDK.

    Args:
        base_url: where Stripe's API is; a sandbox or an emulator may stand in for it.
        timeout: how long one call may take.
    """

    def __init__(self, base_url: str = BASE_URL, *, timeout: timedelta = TIMEOUT) -> None:
        self._base_url = base_url
        self._transport = Transport(timeout)

    async def aclose(self) -> None:
        """Close the connections to Stripe."""
        await self._transport.close_async()

    @property
    def slug(self) -> str:
        """`stripe`."""
        return PROVIDER.slug

    def check_amount(self, amount: Money, *, field: str = "amount") -> None:
        """Raise domain.refusals.Invalid naming `field` unless Stripe can charge the amount in its currency."""
        mapping.check_chargeable(amount, field=field)

    async def account(self, access: Mapping[str, str]) -> str:
        """The account's name for people, else its id (`acct_…`)."""
        with plain_errors(writes=False):
            account = _plain(await self._open(access).v1.accounts.retrieve_current_async())
        profile = account.get("business_profile") or {}
        shown = ((account.get("settings") or {}).get("dashboard") or {}).get("display_name")
        return str(profile.get("name") or shown or account.get("email") or account["id"])

    async def create_checkout(self, access: Mapping[str, str], order: CheckoutOrder, *, key: str) -> HostedCheckout:
        """A Checkout Session for one line. Stripe wants `expires_at` 30 minutes to 24 hours ahead of its own clock."""
        metadata = dict(order.metadata)
        shown = (order.description.strip() or f"Payment {order.reference}")[:_DESCRIPTION]
        params: SessionCreateParams = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": order.amount.currency.code.lower(),
                        "unit_amount": mapping.to_stripe(order.amount),
                        "product_data": {"name": shown},
                    },
                }
            ],
            "payment_intent_data": {"description": shown, "metadata": metadata},
            "client_reference_id": order.reference,
            "metadata": metadata,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "expires_at": int(order.expires_at.timestamp()),
        }
        if order.customer_email:
            params["customer_email"] = order.customer_email
        with plain_errors(writes=True):
            session = await self._open(access).v1.checkout.sessions.create_async(params, {"idempotency_key": key})
        return mapping.checkout_of(_plain(session))

    async def fetch_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """The Checkout Session as it is now."""
        with plain_errors(writes=False):
            session = await self._open(access).v1.checkout.sessions.retrieve_async(reference)
        return mapping.checkout_of(_plain(session))

    async def expire_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """Close the page. Stripe refuses for one that is not open, which is then returned as it is."""
        try:
            with plain_errors(writes=True):
                session = await self._open(access).v1.checkout.sessions.expire_async(reference)
        except ProviderRefused as refused:
            if refused.missing:
                raise
            now = await self.fetch_checkout(access, reference)
            if now.state is CheckoutState.OPEN:
                raise
            return now
        return mapping.checkout_of(_plain(session))

    async def create_intent(
        self,
        access: Mapping[str, str],
        amount: Money,
        *,
        key: str,
        description: str = "",
        customer_reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Intent:
        """A PaymentIntent without methods that lead the payer elsewhere: those need an address to come back to."""
        params: PaymentIntentCreateParams = {
            "amount": mapping.to_stripe(amount),
            "currency": amount.currency.code.lower(),
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": dict(metadata or {}),
            "expand": _WITH_CHARGE,
        }
        if description.strip():
            params["description"] = description.strip()[:_DESCRIPTION]
        if customer_reference:
            params["customer"] = customer_reference
        with plain_errors(writes=True):
            intent = await self._open(access).v1.payment_intents.create_async(params, {"idempotency_key": key})
        return mapping.intent_of(_plain(intent))

    async def confirm_intent(self, access: Mapping[str, str], reference: str, *, method: str, key: str) -> Intent:
        """Confirm with a PaymentMethod (`pm_…`). A declined card raises ProviderRefused with the decline code."""
        with plain_errors(writes=True):
            intent = await self._open(access).v1.payment_intents.confirm_async(
                reference, {"payment_method": method, "expand": _WITH_CHARGE}, {"idempotency_key": key}
            )
        return mapping.intent_of(_plain(intent))

    async def fetch_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """The PaymentIntent as it is now, with what went back of it."""
        with plain_errors(writes=False):
            intent = await self._open(access).v1.payment_intents.retrieve_async(reference, {"expand": _WITH_CHARGE})
        return mapping.intent_of(_plain(intent))

    async def cancel_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """Cancel the PaymentIntent; Stripe refuses this for one that succeeded or that belongs to a Checkout Session."""
        try:
            with plain_errors(writes=True):
                intent = await self._open(access).v1.payment_intents.cancel_async(reference, {"expand": _WITH_CHARGE})
        except ProviderRefused as refused:
            if refused.code != "payment_intent_unexpected_state":
                raise
            return await self.fetch_intent(access, reference)
        return mapping.intent_of(_plain(intent))

    async def refund(
        self, access: Mapping[str, str], intent_reference: str, amount: Money, *, key: str, reason: str = ""
    ) -> ProviderRefund:
        """Send money back. A reason that is not one of Stripe's three words is kept as metadata `reason`."""
        params: RefundCreateParams = {"payment_intent": intent_reference, "amount": mapping.to_stripe(amount)}
        reason = reason.strip()
        if reason in _REASONS:
            params["reason"] = cast(Any, reason)
        elif reason:
            params["metadata"] = {"reason": reason[:_NOTE]}
        with plain_errors(writes=True):
            refund = await self._open(access).v1.refunds.create_async(params, {"idempotency_key": key})
        return mapping.refund_of(_plain(refund))

    async def refunds_of(self, access: Mapping[str, str], intent_reference: str) -> tuple[ProviderRefund, ...]:
        """Every refund of the payment, newest first, to the last page."""
        with plain_errors(writes=False):
            page = await self._open(access).v1.refunds.list_async({"payment_intent": intent_reference, "limit": _PAGE})
            return tuple([mapping.refund_of(_plain(refund)) async for refund in page.auto_paging_iter()])

    async def ensure_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None, name: str | None, key: str
    ) -> ProviderCustomer:
        """A Customer with our reference in its metadata, under `reference`."""
        params: CustomerCreateParams = {"metadata": {"reference": our_reference}}
        if email:
            params["email"] = email
        if name:
            params["name"] = name
        with plain_errors(writes=True):
            customer = await self._open(access).v1.customers.create_async(params, {"idempotency_key": key})
        return mapping.customer_of(_plain(customer))

    async def register_webhook(self, access: Mapping[str, str], url: str, *, key: str) -> tuple[str, str]:
        """A webhook endpoint for the events that the hub reads, in the version that it reads."""
        params: WebhookEndpointCreateParams = {
            "url": url,
            "enabled_events": cast(Any, list(mapping.EVENTS)),
            "api_version": API_VERSION,
            "description": "Patchbay",
        }
        with plain_errors(writes=True):
            endpoint = await self._open(access).v1.webhook_endpoints.create_async(params, {"idempotency_key": key})
        return endpoint.id, endpoint.secret or ""

    async def remove_webhook(self, access: Mapping[str, str], reference: str) -> None:
        """Delete the webhook endpoint."""
        try:
            with plain_errors(writes=True):
                await self._open(access).v1.webhook_endpoints.delete_async(reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise

    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """Verify the raw body and read it. Raises BadSignature, or ValueError."""
        return webhook.read_webhook(secrets, headers, body, now)

    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """Read a body that was verified when it came. Raises ValueError when it is not one of Stripe's events."""
        return webhook.read(body)

    @property
    def events_kept(self) -> timedelta:
        """30 days (docs.stripe.com/api/events)."""
        return timedelta(days=30)

    async def events_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[ListedEvent]:
        """Of the types that the hub asks to be sent. A key that may not read Events raises ReconnectNeeded."""
        client = self._open(access)
        begin, end = int(since.timestamp()), int(until.timestamp())
        while begin < end:
            edge = min(begin + _WINDOW, end)
            asked: EventListParams = {
                "created": {"gte": begin, "lt": edge},
                "types": list(mapping.EVENTS),
                "limit": _PAGE,
            }
            with plain_errors(writes=False):
                page = await client.v1.events.list_async(asked)
                newest_first = [_plain(event) async for event in page.auto_paging_iter()]
            for event in reversed(newest_first):
                body = json.dumps(event, separators=(",", ":")).encode()
                yield ListedEvent(webhook.read(body), body)
            begin = edge

    def _open(self, access: Mapping[str, str]) -> stripe.StripeClient:
        return open_client(access, self._transport, self._base_url)


def _plain(answer: stripe.StripeObject) -> dict[str, Any]:
    """The SDK's object as the JSON it was."""
    return answer.to_dict()
