"""Taking money through Flutterwave."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Any, final

import attrs

from adapters.http.vendor import TIMEOUT
from adapters.providers.flutterwave import mapping, webhook
from adapters.providers.flutterwave.client import BASE_URL, FlutterwaveApi
from adapters.providers.flutterwave.off_session import TokenCharges
from adapters.providers.flutterwave.payouts import Transfers
from adapters.providers.flutterwave.plans import PaymentPlans
from adapters.providers.flutterwave.provider import ABILITIES, PROVIDER
from adapters.providers.flutterwave.refunds import Refunds
from adapters.providers.flutterwave.settlements import Listed
from application.ports.clock import Clock
from application.ports.payments import (
    Account,
    Action,
    CheckoutOrder,
    CheckoutState,
    HostedCheckout,
    Intent,
    PaymentProvider,
    ProviderEvent,
    ProviderRefused,
)
from domain.connections.abilities import Ability
from domain.money import Money

_LONGEST_SESSION = 1440
"""Minutes (developer.flutterwave.com/docs/flutterwave-standard-1)."""
_OVER = ("disabled", "expired", "inactive")
"""In the words of a refusal: nobody can pay on the page any more."""
_TRIES = 5
"""How often a payer may try on one page."""


@final
class FlutterwavePayments(Refunds, TokenCharges, PaymentPlans, Transfers, Listed, PaymentProvider):
    """Flutterwave's v3 API.

    It knows no idempotency keys: our key goes along as `tx_ref` of a payment, `reference` of a transfer and in the
    comment of a refund, and what got no answer is looked up by it.

    Args:
        base_url: where the API is, without `/v3`; None for Flutterwave's own.
        timeout: how long one call may take.
    """

    def __init__(self, base_url: str | None, clock: Clock, *, timeout: timedelta = TIMEOUT) -> None:
        self._api = FlutterwaveApi(base_url or BASE_URL, timeout)
        self._clock = clock

    async def aclose(self) -> None:
        """Close the connections to Flutterwave."""
        await self._api.aclose()

    @property
    def slug(self) -> str:
        """`flutterwave`."""
        return PROVIDER.slug

    @property
    def currencies(self) -> frozenset[str]:
        """What accounts collect in."""
        return mapping.CURRENCIES

    def keeps_keys(self, action: Action) -> timedelta | None:
        """None: v3 knows no keys."""
        return None

    def check_amount(self, amount: Money, *, field: str = "amount") -> None:
        """Raise domain.refusals.Invalid naming `field` unless the amount can be asked for."""
        mapping.check_chargeable(amount, field=field)

    async def account(self, access: Mapping[str, str]) -> Account:
        """The account. Flutterwave names it only on its transactions: before the first one, the key stands for it."""
        envelope = await self._api.ask(access, "GET", "/transactions", query={"page": 1})
        mode = "live" if PROVIDER.is_live(access) else "test"
        rows = envelope.get("data")
        ids = [row.get("account_id") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        known = next((str(id_) for id_ in ids if id_), None)
        digest = sha256(access["secret_key"].encode()).hexdigest()[:16]
        name = f"Flutterwave account {known}" if known else "Flutterwave account"
        return Account(f"{known or f'key-{digest}'}/{mode}", f"{name} ({mode})")

    async def create_checkout(self, access: Mapping[str, str], order: CheckoutOrder, *, key: str) -> HostedCheckout:
        """A hosted page. `tx_ref` is the key: Flutterwave opens another page for the same key, and both lead to the same
        reference. Flutterwave wants an e-mail address; the order must have one."""
        if not order.customer_email:
            raise ProviderRefused("Flutterwave wants the payer's e-mail address.", code="email_needed", field="email")
        left = ceil((order.expires_at - self._clock.now()).total_seconds() / 60)
        body: dict[str, Any] = {
            "tx_ref": key,
            "amount": mapping.to_wire(order.amount),
            "currency": order.amount.currency.code,
            "redirect_url": order.success_url,
            "customer": {
                "email": order.customer_email,
                **({"name": order.customer_name} if order.customer_name else {}),
            },
            "customizations": {"title": (order.description.strip() or f"Payment {order.reference}")[:100]},
            "meta": dict(order.metadata),
            "session_duration": min(max(left, 1), _LONGEST_SESSION),
            "max_retry_attempt": _TRIES,
        }
        if order.save_method or self._whole_only(order.amount):
            # Only a card leaves a token; and M-Pesa would refuse an amount with decimals.
            body["payment_options"] = "card"
        envelope = await self._api.ask(access, "POST", "/payments", body=body)
        data = envelope.get("data")
        link = data.get("link") if isinstance(data, Mapping) else None
        if not isinstance(link, str) or not link.startswith(("https://", "http://")):
            raise ProviderRefused("Flutterwave gave no address of the page.", code="no_link")
        return HostedCheckout(
            key, link, CheckoutState.OPEN, order.amount, order.expires_at, False, None, dict(order.metadata)
        )

    async def fetch_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """What was paid on the page. Of one that nobody has paid on Flutterwave tells nothing, not even that it is."""
        return mapping.checkout_of(reference, await self._transaction_for(access, reference))

    async def capture_checkout(self, access: Mapping[str, str], reference: str, *, key: str) -> HostedCheckout:
        """Flutterwave captures by itself; the page as it is now."""
        return await self.fetch_checkout(access, reference)

    async def expire_checkout(
        self, access: Mapping[str, str], reference: str, *, url: str | None = None
    ) -> HostedCheckout:
        """Close the page by its address, then look whether it was paid before that. Without the address nothing can be
        closed, and the page is returned as it is."""
        refusal: ProviderRefused | None = None
        if url:
            try:
                await self._api.ask(access, "POST", "/payments/link/disable", body={"link": url})
            except ProviderRefused as refused:
                refusal = refused
        page = await self.fetch_checkout(access, reference)
        if page.state is not CheckoutState.OPEN or not url:
            return page
        if refusal is not None and not (refusal.missing or any(word in refusal.code for word in _OVER)):
            raise refusal
        return attrs.evolve(page, state=CheckoutState.EXPIRED)

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
        """Refused: Flutterwave has no such thing."""
        raise _no_intents()

    async def confirm_intent(self, access: Mapping[str, str], reference: str, *, method: str, key: str) -> Intent:
        """Refused: Flutterwave has no such thing."""
        raise _no_intents()

    async def cancel_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """A transaction cannot be given up; it is returned as it is."""
        return await self.fetch_intent(access, reference)

    async def fetch_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """The transaction as it is now, with what went back of it."""
        transaction = await self._transaction(access, reference)
        intent = mapping.intent_of(transaction)
        if not intent.received:
            return intent
        back = await self._back(access, reference, intent.amount.currency)
        return attrs.evolve(intent, refunded=back)

    async def find_payment(self, access: Mapping[str, str], key: str) -> Intent | None:
        """The transaction with this `tx_ref`: the one that succeeded, if there are several."""
        transaction = await self._transaction_for(access, key)
        return None if transaction is None else mapping.intent_of(transaction)

    async def register_webhook(self, access: Mapping[str, str], url: str, *, key: str) -> tuple[str, str]:
        """Refused: only the dashboard can."""
        raise ProviderRefused(
            f"Flutterwave takes webhooks only in its dashboard: set the address {url} and a secret hash under Settings →"
            " Webhooks, and paste the hash here.",
            code="not_offered",
        )

    async def remove_webhook(self, access: Mapping[str, str], reference: str) -> None:
        """Nothing: only the dashboard can, and the hub never registered one."""

    def webhook_secret_of(self, settings: Mapping[str, str], secret: str) -> str:
        """The secret hash with the connection's webhook version: a webhook of the other version does not fit it."""
        return webhook.marked(settings.get("webhook_version", "v3"), secret)

    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """Verify and read. Raises BadSignature, or ValueError."""
        webhook.verify(secrets, headers, body)
        return webhook.read(body)

    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """Read a body that was verified when it came. Raises ValueError when it is not one of Flutterwave's events."""
        return webhook.read(body)

    @staticmethod
    def _whole_only(amount: Money) -> bool:
        """Whether mobile money in this currency would refuse the amount's decimals."""
        return amount.currency.code in mapping.WHOLE_UNITS and amount.amount % 10**amount.currency.exponent != 0


def _no_intents() -> ProviderRefused:
    return ProviderRefused(ABILITIES[Ability.INTENTS].note, code="not_offered")
