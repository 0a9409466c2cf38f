"""Taking money through PayPal: orders that a payer agrees to, captures that take the money, refunds of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, final

import attrs

from adapters.http.vendor import TIMEOUT
from adapters.providers.paypal import mapping, notes, webhook
from adapters.providers.paypal.certificates import Certificates
from adapters.providers.paypal.client import PayPalClient, named
from adapters.providers.paypal.event_list import PayPalEventList
from adapters.providers.paypal.evidence import PayPalEvidence
from adapters.providers.paypal.payouts import PayPalPayouts
from adapters.providers.paypal.provider import PROVIDER
from adapters.providers.paypal.recurring import PayPalRecurring
from adapters.providers.paypal.refunds import PayPalRefunds
from application.ports.clock import Clock
from application.ports.payments import (
    Account,
    Action,
    CheckoutOrder,
    CheckoutState,
    HostedCheckout,
    Intent,
    IntentState,
    PaymentProvider,
    ProviderEvent,
    ProviderRefused,
    RetryLater,
)
from domain.ids import made_at
from domain.money import Money

_SHOWN = 127
"""Characters that PayPal keeps of a description, and of an invoice number."""
_KEYS_KEPT = {
    Action.CHECKOUT: timedelta(hours=6),
    Action.CHARGE: timedelta(hours=6),
    Action.REFUND: timedelta(days=45),
    Action.SUBSCRIPTION: timedelta(hours=72),
    Action.PAYOUT: timedelta(days=30),
}
_FOR_CLOCKS = timedelta(minutes=30)
_LONGEST_OPEN = timedelta(hours=3)
"""For so long, at least, a payer can agree to an order; a page is not handed out later."""
_NOT_YET = ("ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED")
_TOO_LATE = ("ORDER_ALREADY_CAPTURED", "ORDER_COMPLETED_OR_VOIDED")
_ON_HOSTS_PAGE = "paypal"
"""The method of an order that its payer has approved with PayPal's buttons; any other is a vaulted one."""
_LOOKED_THROUGH = timedelta(days=31)
_SURELY_LISTED = timedelta(days=1)


@final
class PayPalPayments(
    PayPalRefunds,
    PayPalEventList,
    PayPalEvidence,
    PayPalRecurring,
    PayPalPayouts,
    PaymentProvider,
):
    """PayPal, through its REST API.

    Args:
        base_url: where PayPal's API is, so that an emulator can stand in; None for PayPal's own, by the connection's mode.
        timeout: how long one call may take.
    """

    def __init__(self, clock: Clock, base_url: str | None = None, *, timeout: timedelta = TIMEOUT) -> None:
        self._clock = clock
        self._client = PayPalClient(clock, base_url, timeout=timeout)
        self._certificates = Certificates(clock, self._client.base_url)

    async def aclose(self) -> None:
        """Close the connections to PayPal."""
        await self._client.aclose()
        await self._certificates.aclose()

    @property
    def slug(self) -> str:
        """`paypal`."""
        return PROVIDER.slug

    @property
    def currencies(self) -> frozenset[str]:
        """What PayPal charges in."""
        return mapping.CURRENCIES

    def keeps_keys(self, action: Action) -> timedelta | None:
        """As PayPal's descriptions of PayPal-Request-Id say for each call; a little less, for clocks that differ."""
        return _KEYS_KEPT[action] - _FOR_CLOCKS

    def check_amount(self, amount: Money, *, field: str = "amount") -> None:
        """Raise domain.refusals.Invalid naming `field` unless PayPal can charge the amount in its currency."""
        mapping.check_chargeable(amount, field=field)

    async def account(self, access: Mapping[str, str]) -> Account:
        """The application that the client id is of; a token proves it. PayPal tells the id of the account behind it only
        to applications with a permission more, and a token's own `app_id` is the same for all of the sandbox's."""
        await self._client.prove(access)
        application, mode = access["client_id"], "live" if access.get("mode") == "live" else "sandbox"
        return Account(f"{application}/{mode}", f"PayPal application {application[:8]}… ({mode})")

    async def create_checkout(self, access: Mapping[str, str], order: CheckoutOrder, *, key: str) -> HostedCheckout:
        """An order for one amount. PayPal keeps it open for some hours, and takes no end of ours: the hub closes it itself."""
        note = notes.Note(order.metadata, min(order.expires_at, self._clock.now() + _LONGEST_OPEN))
        unit = _unit(order.amount, note, key, order.description.strip() or f"Payment {order.reference}")
        wallet: dict[str, Any] = {
            "experience_context": {
                "user_action": "PAY_NOW",
                "shipping_preference": "NO_SHIPPING",
                "return_url": order.success_url,
                "cancel_url": order.cancel_url,
            }
        }
        if mapping.is_email(order.customer_email):
            wallet["email_address"] = order.customer_email
        body = {"intent": "CAPTURE", "purchase_units": [unit], "payment_source": {"paypal": wallet}}
        answer = await self._client.call(access, "POST", "/v2/checkout/orders", body=body, key=key, writes=True)
        return mapping.checkout_of(answer.body, self._clock.now())

    async def fetch_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """The order as it is now."""
        return mapping.checkout_of(await self._order(access, reference), self._clock.now())

    async def capture_checkout(self, access: Mapping[str, str], reference: str, *, key: str) -> HostedCheckout:
        """Take the money. Raises ProviderRefused when the payer's funding is declined; they may then choose another at the
        page's address, which a fetch tells."""
        page = await self.fetch_checkout(access, reference)
        if page.state is not CheckoutState.APPROVED:
            return page
        try:
            answer = await self._capture(access, reference, key)
        except ProviderRefused as refused:
            if refused.code in (*_NOT_YET, *_TOO_LATE):
                return await self.fetch_checkout(access, reference)
            raise
        return mapping.checkout_of(answer, self._clock.now())

    async def expire_checkout(
        self, access: Mapping[str, str], reference: str, *, url: str | None = None
    ) -> HostedCheckout:
        """PayPal closes no order; a mark on it says that the hub takes its money no more, whoever agrees to it."""
        order = await self._order(access, reference)
        page = mapping.checkout_of(order, self._clock.now())
        if page.state not in (CheckoutState.COMPLETE, CheckoutState.EXPIRED) or _unmarked(order, page):
            await self._mark_closed(access, order)
            page = await self.fetch_checkout(access, reference)
        return page

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
        """An order that PayPal's buttons on the host's own page approve; they are given its id, as `client_secret`."""
        unit = _unit(amount, notes.Note(metadata or {}, own_page=True), key, description.strip() or "Payment")
        body = {"intent": "CAPTURE", "purchase_units": [unit]}
        answer = await self._client.call(access, "POST", "/v2/checkout/orders", body=body, key=key, writes=True)
        return mapping.order_as_intent(answer.body)

    async def confirm_intent(self, access: Mapping[str, str], reference: str, *, method: str, key: str) -> Intent:
        """Take the money. method: `paypal` for what the payer approved on the page, else a vaulted PayPal method. An order
        that waits for its payer is returned as it is; declined funding raises ProviderRefused."""
        source = None if method == _ON_HOSTS_PAGE else {"payment_source": {"paypal": {"vault_id": method}}}
        order = await self._order(access, reference)
        if mapping.order_as_intent(order).state is not IntentState.CANCELED:
            try:
                await self._capture(access, reference, key, source)
            except ProviderRefused as refused:
                if refused.code not in (*_NOT_YET, *_TOO_LATE):
                    raise
        return await self.fetch_intent(access, reference)

    async def fetch_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """A capture, or the order for a page of the host's own, as it is now, with what went back."""
        try:
            answer = await self._client.call(access, "GET", f"/v2/payments/captures/{reference}", writes=False)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            order = await self._order(access, reference)
            capture = mapping.last_capture(order)
            if capture is None:
                return mapping.order_as_intent(order)
            links = {"supplementary_data": {"related_ids": {"order_id": reference}}}
            return mapping.intent_of({**capture, **links}, self.refunds_in(order, reference))
        return mapping.intent_of(answer.body, await self.refunds_if_any(access, answer.body))

    async def find_payment(self, access: Mapping[str, str], key: str) -> Intent | None:
        """PayPal finds no order by a merchant's number, so its list of transactions is looked through for the key, which is
        kept as `invoice_id`. A key of which nothing is listed a day after it was made was never paid with."""
        now, asked_at = self._clock.now(), made_at(key)
        since = now - _LOOKED_THROUGH if asked_at is None else min(asked_at, now) - _FOR_CLOCKS
        try:
            listed_until, transaction = await self._listed_with(access, _invoice_number(key), since)
        except ProviderRefused as refused:
            # Transaction search may be switched off for the application: not knowing is not the same as there being none.
            raise RetryLater(
                f"PayPal does not list transactions: {refused.reason}", after=timedelta(hours=1)
            ) from refused
        if transaction is not None:
            return await self.fetch_intent(access, transaction)
        if asked_at is not None and asked_at + _SURELY_LISTED < listed_until:
            return None
        late = "PayPal lists transactions late; whether it was paid cannot be told yet."
        raise RetryLater(late, after=timedelta(hours=1))

    async def _listed_with(
        self, access: Mapping[str, str], number: str, since: datetime
    ) -> tuple[datetime, str | None]:
        """Up to when PayPal's list is complete, and the payment in it that has an invoice number."""
        now = listed_until = self._clock.now()
        async for page in self.transactions(access, since, now + timedelta(seconds=1)):
            listed_until = mapping.moment(page.get("last_refreshed_datetime")) or listed_until
            for row in page.get("transaction_details") or ():
                info = row.get("transaction_info") or {}
                is_payment = str(info.get("transaction_event_code")).startswith("T00")
                if is_payment and info.get("invoice_id") == number:
                    return listed_until, str(info["transaction_id"])
        return listed_until, None

    async def cancel_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """Mark the order as closed; a payment that was made is returned as it is."""
        intent = await self.fetch_intent(access, reference)
        if intent.state is not IntentState.WAITING:
            return intent
        await self._mark_closed(access, await self._order(access, reference))
        return await self.fetch_intent(access, reference)

    async def register_webhook(self, access: Mapping[str, str], url: str, *, key: str) -> tuple[str, str]:
        """A webhook for the events that the hub reads; its id is what signatures are made over. One that is there for the
        same address is used again: PayPal keeps one for each address, and ten in all."""
        wanted = {"url": url, "event_types": [{"name": name} for name in webhook.EVENTS]}
        try:
            answer = await self._client.call(access, "POST", "/v1/notifications/webhooks", body=wanted, writes=True)
        except ProviderRefused as refused:
            if not named(refused, "WEBHOOK_URL_ALREADY_EXISTS"):
                raise
            listed = await self._client.call(access, "GET", "/v1/notifications/webhooks", writes=False)
            known = [str(one["id"]) for one in listed.field("webhooks") or () if one.get("url") == url]
            if not known:
                raise
            return known[0], known[0]
        return str(answer.field("id")), str(answer.field("id"))

    async def remove_webhook(self, access: Mapping[str, str], reference: str) -> None:
        """Delete the webhook."""
        try:
            await self._client.call(access, "DELETE", f"/v1/notifications/webhooks/{reference}", writes=True)
        except ProviderRefused as refused:
            if not refused.missing:
                raise

    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """Verify the raw body and read it. Raises BadSignature, CannotVerify, or ValueError. secrets: webhooks' ids."""
        webhook.verify(secrets, headers, body, now, lambda url: self._certificates.at_hand(url, now))
        return webhook.read(body)

    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """Read a body that was verified when it came. Raises ValueError when it is not one of PayPal's events."""
        return webhook.read(body)

    async def _capture(
        self, access: Mapping[str, str], reference: str, key: str, body: Mapping[str, Any] | None = None
    ) -> Any:
        path = f"/v2/checkout/orders/{reference}/capture"
        answer = await self._client.call(access, "POST", path, body=body or {}, key=f"{key}-capture", writes=True)
        return answer.body

    async def _mark_closed(self, access: Mapping[str, str], order: Mapping[str, Any]) -> None:
        unit = mapping.unit_of(order)
        closed = attrs.evolve(notes.read(unit.get("custom_id")), closed=True).text
        where = f"/purchase_units/@reference_id=='{unit.get('reference_id') or 'default'}'/custom_id"
        patch = [{"op": "replace" if unit.get("custom_id") else "add", "path": where, "value": closed}]
        try:
            await self._client.call(access, "PATCH", f"/v2/checkout/orders/{order['id']}", body=patch, writes=True)
        except ProviderRefused as refused:
            if refused.code not in ("ORDER_ALREADY_COMPLETED", *_TOO_LATE):
                raise


def _unit(amount: Money, note: notes.Note, key: str, description: str) -> dict[str, Any]:
    """The order's one purchase unit. The key is its invoice number: PayPal lists that with the transaction, and takes no
    second payment for one that was paid."""
    unit: dict[str, Any] = {
        "reference_id": "default",
        "amount": mapping.wire(amount),
        "description": description[:_SHOWN],
        "invoice_id": _invoice_number(key),
    }
    if note.text:
        unit["custom_id"] = note.text
    return unit


def _invoice_number(key: str) -> str:
    return key[:_SHOWN]


def _unmarked(order: Mapping[str, Any], page: HostedCheckout) -> bool:
    """Whether an order that is over by its time alone has no mark yet."""
    closed = notes.read(mapping.unit_of(order).get("custom_id")).closed
    return page.state is CheckoutState.EXPIRED and not closed and order.get("status") != "VOIDED"
