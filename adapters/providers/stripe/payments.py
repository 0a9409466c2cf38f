"""Taking money through Stripe: hosted pages, payments, refunds. What else Stripe does is in the files it inherits from."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast, final
from urllib.parse import quote, urlencode

from stripe.params import PaymentIntentCreateParams, RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from adapters.providers.stripe import amounts, mapping
from adapters.providers.stripe.calls import PAGE, WITH_CHARGE, by_metadata, plain
from adapters.providers.stripe.client import plain_errors, read_json
from adapters.providers.stripe.hooks import StripeHooks
from adapters.providers.stripe.invoices import StripeInvoices
from adapters.providers.stripe.mapping import KEY, REFUND_KEY
from adapters.providers.stripe.payers import StripePayers
from adapters.providers.stripe.payouts import StripePayouts
from adapters.providers.stripe.provider import PROVIDER
from adapters.providers.stripe.recurring import StripeRecurring
from adapters.providers.stripe.settlements import StripeSettlements
from application.ports.payments import (
    Account,
    Action,
    CheckoutOrder,
    CheckoutState,
    HostedCheckout,
    Intent,
    PaymentProvider,
    ProviderRefund,
    ProviderRefused,
)
from domain.money import Money

_DESCRIPTION = 1000
"""Characters that Stripe keeps of a description."""
_NOTE = 500
"""Characters that Stripe keeps of a metadata value."""
_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_SEARCH_LAGS = timedelta(hours=26)
"""How far back payments are looked through one by one, counted from the newest, for the clock is Stripe's own. What is
older, its search has found by then."""
_WITHOUT_SEARCH = timedelta(days=30)
_EXPANDED = urlencode([("expand[]", one) for one in WITH_CHARGE])


@final
class StripePayments(
    StripePayers, StripeRecurring, StripePayouts, StripeSettlements, StripeInvoices, StripeHooks, PaymentProvider
):
    """Stripe, through its official SDK.

    Args:
        base_url: where Stripe's API is; a sandbox or an emulator may stand in for it.
        timeout: how long one call may take.
    """

    @property
    def slug(self) -> str:
        """`stripe`."""
        return PROVIDER.slug

    @property
    def currencies(self) -> frozenset[str]:
        """What Stripe charges in."""
        return amounts.CURRENCIES

    def keeps_keys(self, action: Action) -> timedelta | None:
        """24 hours at least (docs.stripe.com/api/idempotent_requests); a little less, for clocks that differ."""
        return timedelta(hours=23)

    def check_amount(self, amount: Money, *, field: str = "amount") -> None:
        """Raise domain.refusals.Invalid naming `field` unless Stripe can charge the amount in its currency."""
        amounts.check_chargeable(amount, field=field)

    async def account(self, access: Mapping[str, str]) -> Account:
        """The account: its id (`acct_…`) with the key's mode, and its name for people."""
        with plain_errors(writes=False):
            account = plain(await self._open(access).v1.accounts.retrieve_current_async())
        profile = account.get("business_profile") or {}
        shown = ((account.get("settings") or {}).get("dashboard") or {}).get("display_name")
        name = str(profile.get("name") or shown or account.get("email") or account["id"])
        mode = "live" if PROVIDER.is_live(access) else "test"
        return Account(f"{account['id']}/{mode}", name)

    async def create_checkout(self, access: Mapping[str, str], order: CheckoutOrder, *, key: str) -> HostedCheckout:
        """A Checkout Session for one line. Stripe wants `expires_at` 30 minutes to 24 hours ahead of its own clock."""
        metadata = {**order.metadata, KEY: key}
        shown = (order.description.strip() or f"Payment {order.reference}")[:_DESCRIPTION]
        params: SessionCreateParams = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": order.amount.currency.code.lower(),
                        "unit_amount": amounts.to_stripe(order.amount),
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
        if order.customer_reference:
            params["customer"] = order.customer_reference
        elif order.customer_email:
            params["customer_email"] = order.customer_email
        if order.save_method:
            params["payment_intent_data"]["setup_future_usage"] = "off_session"
            if not order.customer_reference:
                params["customer_creation"] = "always"
        with plain_errors(writes=True):
            session = await self._open(access).v1.checkout.sessions.create_async(params, {"idempotency_key": key})
        return mapping.checkout_of(plain(session))

    async def fetch_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """The Checkout Session as it is now."""
        with plain_errors(writes=False):
            session = await self._open(access).v1.checkout.sessions.retrieve_async(reference)
        return mapping.checkout_of(plain(session))

    async def capture_checkout(self, access: Mapping[str, str], reference: str, *, key: str) -> HostedCheckout:
        """Stripe captures by itself; the page as it is now."""
        return await self.fetch_checkout(access, reference)

    async def expire_checkout(
        self, access: Mapping[str, str], reference: str, *, url: str | None = None
    ) -> HostedCheckout:
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
        return mapping.checkout_of(plain(session))

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
            "amount": amounts.to_stripe(amount),
            "currency": amount.currency.code.lower(),
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {**(metadata or {}), KEY: key},
            "expand": WITH_CHARGE,
        }
        if description.strip():
            params["description"] = description.strip()[:_DESCRIPTION]
        if customer_reference:
            params["customer"] = customer_reference
        with plain_errors(writes=True):
            intent = await self._open(access).v1.payment_intents.create_async(params, {"idempotency_key": key})
        return mapping.intent_of(plain(intent))

    async def confirm_intent(self, access: Mapping[str, str], reference: str, *, method: str, key: str) -> Intent:
        """Confirm with a PaymentMethod (`pm_…`). A declined card raises ProviderRefused with the decline code."""
        with plain_errors(writes=True):
            intent = await self._open(access).v1.payment_intents.confirm_async(
                reference, {"payment_method": method, "expand": WITH_CHARGE}, {"idempotency_key": key}
            )
        return mapping.intent_of(plain(intent))

    async def fetch_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """The PaymentIntent as it is now, with what went back of it, what it cost, and what is disputed."""
        with plain_errors(writes=False):
            path = f"/v1/payment_intents/{quote(reference, safe='')}"
            found = await read_json(access, self._transport, self._base_url, path, _EXPANDED)
            if found is None:
                asked = self._open(access).v1.payment_intents.retrieve_async(reference, {"expand": WITH_CHARGE})
                found = plain(await asked)
        return await self._with_disputes(access, found)

    async def cancel_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """Cancel the PaymentIntent; Stripe refuses this for one that succeeded or that belongs to a Checkout Session."""
        try:
            with plain_errors(writes=True):
                intent = await self._open(access).v1.payment_intents.cancel_async(reference, {"expand": WITH_CHARGE})
        except ProviderRefused as refused:
            if refused.code != "payment_intent_unexpected_state":
                raise
            return await self.fetch_intent(access, reference)
        return mapping.intent_of(plain(intent))

    async def refund(
        self, access: Mapping[str, str], intent_reference: str, amount: Money, *, key: str, reason: str = ""
    ) -> ProviderRefund:
        """Send money back. A reason that is not one of Stripe's three words is kept as metadata `reason`."""
        params: RefundCreateParams = {
            "payment_intent": intent_reference,
            "amount": amounts.to_stripe(amount),
            "metadata": {REFUND_KEY: key},
        }
        reason = reason.strip()
        if reason in _REASONS:
            params["reason"] = cast(Any, reason)
        elif reason:
            params["metadata"] = {REFUND_KEY: key, "reason": reason[:_NOTE]}
        with plain_errors(writes=True):
            refund = await self._open(access).v1.refunds.create_async(params, {"idempotency_key": key})
        return mapping.refund_of(plain(refund))

    async def refunds_of(self, access: Mapping[str, str], intent_reference: str) -> tuple[ProviderRefund, ...]:
        """Every refund of the payment, newest first, to the last page."""
        with plain_errors(writes=False):
            page = await self._open(access).v1.refunds.list_async({"payment_intent": intent_reference, "limit": PAGE})
            return tuple([mapping.refund_of(plain(refund)) async for refund in page.auto_paging_iter()])

    async def find_refund(self, access: Mapping[str, str], intent_reference: str, key: str) -> ProviderRefund | None:
        """Among the payment's refunds, by the key in its metadata."""
        return next((r for r in await self.refunds_of(access, intent_reference) if r.key == key), None)

    async def find_payment(self, access: Mapping[str, str], key: str) -> Intent | None:
        """By the key in its metadata; a page that nobody paid on has no payment. Stripe's search may be an hour behind, so
        what it does not find is looked for among the newest payments. Where Stripe offers no search, it looks back a month.
        """
        client = self._open(access)
        back = _SEARCH_LAGS
        try:
            with plain_errors(writes=False):
                found = await client.v1.payment_intents.search_async({"query": by_metadata(KEY, key), "limit": 1})
            if found.data:
                return await self.fetch_intent(access, found.data[0].id)
        except ProviderRefused:
            back = _WITHOUT_SEARCH
        oldest: float | None = None
        reference: str | None = None
        with plain_errors(writes=False):
            page = await client.v1.payment_intents.list_async({"limit": PAGE})
            async for intent in page.auto_paging_iter():
                oldest = intent.created - back.total_seconds() if oldest is None else oldest
                if (plain(intent).get("metadata") or {}).get(KEY) == key:
                    reference = intent.id
                if reference or intent.created < oldest:
                    break
        return await self.fetch_intent(access, reference) if reference else None

    async def _with_disputes(self, access: Mapping[str, str], intent: Mapping[str, Any]) -> Intent:
        charge = intent.get("latest_charge")
        if not isinstance(charge, Mapping) or not charge.get("disputed"):
            return mapping.intent_of(intent)
        with plain_errors(writes=False):
            page = await self._open(access).v1.disputes.list_async({"payment_intent": intent["id"], "limit": PAGE})
            disputes = [plain(dispute) async for dispute in page.auto_paging_iter()]
        return mapping.intent_of(intent, disputes)
