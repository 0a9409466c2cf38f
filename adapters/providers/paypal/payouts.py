"""Sending money out of the PayPal account, to whoever has an e-mail address (Payouts v1). One payout is a batch of one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from adapters.providers.paypal import mapping
from adapters.providers.paypal.client import PayPalSaid, named
from adapters.providers.paypal.opened import Opened
from application.ports.payments import ProviderRefused, RetryLater
from application.ports.payouts import PayoutOrder, Payouts, PayoutStanding, ProviderPayout
from domain.connections.provider import Field
from domain.money import Money
from domain.refusals import Fault, Invalid

_RECEIVER = 127
_NOTE = 4000
_ITEM = 63
_KEY = 256
_LOOKED_THROUGH = timedelta(days=7)

_BATCHES = {
    "DENIED": PayoutStanding.FAILED,
    "PENDING": PayoutStanding.PENDING,
    "PROCESSING": PayoutStanding.IN_TRANSIT,
    "CANCELED": PayoutStanding.CANCELED,
}
_ITEMS = {
    "SUCCESS": PayoutStanding.PAID,
    "FAILED": PayoutStanding.FAILED,
    "PENDING": PayoutStanding.IN_TRANSIT,
    # The receiver has 30 days to open an account; then it comes back.
    "UNCLAIMED": PayoutStanding.IN_TRANSIT,
    "ONHOLD": PayoutStanding.IN_TRANSIT,
    "RETURNED": PayoutStanding.FAILED,
    "BLOCKED": PayoutStanding.FAILED,
    "REFUNDED": PayoutStanding.FAILED,
    "REVERSED": PayoutStanding.FAILED,
}


class PayPalPayouts(Opened, Payouts):
    """The part of the adapter that pays out."""

    @property
    def destination_fields(self) -> tuple[Field, ...]:
        """An e-mail address."""
        return (Field("email", "E-mail address", help="Of the receiver's PayPal account, or to open one with."),)

    def check_payout(self, order: PayoutOrder) -> None:
        """Raise domain.refusals.Invalid naming every field that is wrong."""
        faults: list[Fault] = []
        email = order.destination.get("email", "").strip()
        if len(email) > _RECEIVER or not mapping.is_email(email):
            faults.append(Fault("destination.email", "This is not an e-mail address such as pat@example.com."))
        faults += [
            Fault(f"destination.{name}", "PayPal has no such field.") for name in order.destination if name != "email"
        ]
        try:
            mapping.check_chargeable(order.amount)
        except Invalid as invalid:
            faults += invalid.faults
        if faults:
            raise Invalid(*faults)

    async def create_payout(self, access: Mapping[str, str], order: PayoutOrder, *, key: str) -> ProviderPayout:
        """A batch of one. PayPal takes a batch's number once in 30 days and names the batch that has it: that is ours."""
        note = order.description.strip()
        item: dict[str, Any] = {
            "recipient_type": "EMAIL",
            "amount": {"currency": order.amount.currency.code, "value": mapping.to_paypal(order.amount)},
            "receiver": order.destination.get("email", "").strip(),
            "sender_item_id": order.our_reference[:_ITEM],
        }
        if note:
            item["note"] = note[:_NOTE]
        body = {"sender_batch_header": {"sender_batch_id": key[:_KEY]}, "items": [item]}
        try:
            answer = await self._client.call(access, "POST", "/v1/payments/payouts", body=body, key=key, writes=True)
        except ProviderRefused as refused:
            known = _batch_named(refused)
            if known is None:
                raise
            return await self.fetch_payout(access, known)
        return payout_of(answer.body, order.amount)

    async def fetch_payout(self, access: Mapping[str, str], reference: str) -> ProviderPayout:
        """The batch as it is now."""
        answer = await self._client.call(access, "GET", f"/v1/payments/payouts/{reference}", writes=False)
        return payout_of(answer.body, None)

    async def find_payout(self, access: Mapping[str, str], key: str) -> ProviderPayout | None:
        """PayPal finds no batch by its number, but tells of each in an event. One without any may still be on its way;
        asking for the payout again with the same key is safe for 30 days, and tells for sure."""
        now = self._clock.now()
        query: dict[str, str | int] = {
            "page_size": 300,
            "start_time": mapping.stamp(now - _LOOKED_THROUGH),
            "end_time": mapping.stamp(now),
            "event_type": "PAYMENT.PAYOUTSBATCH.PROCESSING",
        }
        answer = await self._client.call(access, "GET", "/v1/notifications/webhooks-events", query=query, writes=False)
        for event in answer.field("events") or ():
            header = (event.get("resource") or {}).get("batch_header") or {}
            if (header.get("sender_batch_header") or {}).get("sender_batch_id") == key[:_KEY]:
                return await self.fetch_payout(access, str(header["payout_batch_id"]))
        raise RetryLater("PayPal has told of no such payout yet; ask for it again with the same key.")


def payout_of(batch: Mapping[str, Any], asked: Money | None) -> ProviderPayout:
    """A batch of one; its item tells how it went, once there is one. asked: the amount, for a batch without its items."""
    header = batch.get("batch_header") or {}
    status = str(header.get("batch_status") or "")
    items = batch.get("items") or [{}]
    item: Mapping[str, Any] = items[0]
    standing = _BATCHES.get(status, PayoutStanding.UNKNOWN)
    word = str(item.get("transaction_status") or "")
    if word and standing in (PayoutStanding.UNKNOWN, PayoutStanding.IN_TRANSIT, PayoutStanding.PENDING):
        standing = _ITEMS.get(word, PayoutStanding.UNKNOWN)
    elif status == "SUCCESS":
        standing = PayoutStanding.IN_TRANSIT
    amount = mapping.money_of((item.get("payout_item") or {}).get("amount")) or mapping.money_of(header.get("amount"))
    amount = amount or asked
    if amount is None:
        raise ProviderRefused("PayPal's payout has no amount.", code="amount_does_not_fit")
    error = item.get("errors") or {}
    done = mapping.moment(item.get("time_processed")) if standing is PayoutStanding.PAID else None
    failed = standing in (PayoutStanding.FAILED, PayoutStanding.CANCELED)
    return ProviderPayout(
        reference=str(header["payout_batch_id"]),
        standing=standing,
        raw_status=word or status,
        amount=amount,
        fee=mapping.money_of(item.get("payout_item_fee")) or mapping.money_of(header.get("fees")),
        failure=(str(error.get("message") or "") or f"PayPal says: {(word or status).lower()}.") if failed else None,
        arrives_on=done.date() if done else None,
        key=(header.get("sender_batch_header") or {}).get("sender_batch_id"),
    )


def _batch_named(refused: ProviderRefused) -> str | None:
    """The batch that a refusal of its number leads to."""
    said = refused.__cause__
    if not named(refused, "USER_BUSINESS_ERROR") and "BATCH" not in refused.code:
        return None
    if not isinstance(said, PayPalSaid) or not isinstance(said.answer.body, dict):
        return None
    leads = [str(one.get("href")) for one in said.answer.field("links") or () if isinstance(one, dict)]
    return next((href.rstrip("/").rsplit("/", 1)[-1] for href in leads if "/v1/payments/payouts/" in href), None)
