"""Sending money back through PayPal. PayPal lists no refunds: an order has those of its captures; a subscription's payment
has no order, and the list of transactions tells."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from adapters.providers.paypal import mapping, notes
from adapters.providers.paypal.settlements import PayPalSettlements
from application.ports.payments import ProviderRefund, ProviderRefused
from domain.money import Money

_NOTE = 255
"""Characters of what the payer is told."""
_REFUNDED = ("REFUNDED", "PARTIALLY_REFUNDED")
_AS_REFUND = "T1107"


class PayPalRefunds(PayPalSettlements):
    """The part of the adapter that refunds."""

    async def refund(
        self, access: Mapping[str, str], intent_reference: str, amount: Money, *, key: str, reason: str = ""
    ) -> ProviderRefund:
        """Send money back; the payer sees the reason. The key is kept in `custom_id`."""
        body: dict[str, Any] = {"amount": mapping.wire(amount), "custom_id": key[: notes.LONGEST]}
        if reason.strip():
            body["note_to_payer"] = reason.strip()[:_NOTE]
        capture = await self._capture_id(access, intent_reference)
        path = f"/v2/payments/captures/{capture}/refund"
        answer = await self._client.call(access, "POST", path, body=body, key=key, writes=True)
        return mapping.refund_of(answer.body, intent_reference)

    async def refunds_of(self, access: Mapping[str, str], intent_reference: str) -> tuple[ProviderRefund, ...]:
        """Every refund of the payment: an order has all of its own."""
        try:
            path = f"/v2/payments/captures/{intent_reference}"
            capture = (await self._client.call(access, "GET", path, writes=False)).body
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return self.refunds_in(await self._order(access, intent_reference), intent_reference)
        return await self._refunds(access, capture)

    async def find_refund(self, access: Mapping[str, str], intent_reference: str, key: str) -> ProviderRefund | None:
        """Among the payment's refunds, by the key in `custom_id`."""
        kept = key[: notes.LONGEST]
        return next((one for one in await self.refunds_of(access, intent_reference) if one.key == kept), None)

    def refunds_in(self, order: Mapping[str, Any], intent: str) -> tuple[ProviderRefund, ...]:
        """The refunds that an order has, of the capture that counts."""
        payments = mapping.unit_of(order).get("payments") or {}
        return tuple(mapping.refund_of(refund, intent) for refund in payments.get("refunds") or ())

    async def refunds_if_any(self, access: Mapping[str, str], capture: Mapping[str, Any]) -> tuple[ProviderRefund, ...]:
        """A capture's refunds; nobody is asked where it says that nothing went back."""
        return await self._refunds(access, capture) if capture.get("status") in _REFUNDED else ()

    async def _refunds(self, access: Mapping[str, str], capture: Mapping[str, Any]) -> tuple[ProviderRefund, ...]:
        intent, order = mapping.intent_reference(capture), mapping.order_id(capture)
        if order is not None:
            return self.refunds_in(await self._order(access, order), intent)
        if capture.get("status") not in _REFUNDED:
            return ()
        begun = mapping.moment(capture.get("create_time")) or self._clock.now() - timedelta(days=180)
        found = []
        async for page in self.transactions(access, begun, self._clock.now() + timedelta(seconds=1)):
            for row in page.get("transaction_details") or ():
                info = row.get("transaction_info") or {}
                if (
                    info.get("transaction_event_code") == _AS_REFUND
                    and info.get("paypal_reference_id") == capture["id"]
                ):
                    path = f"/v2/payments/refunds/{info['transaction_id']}"
                    answer = await self._client.call(access, "GET", path, writes=False)
                    found.append(mapping.refund_of(answer.body, intent))
        return tuple(found)

    async def _capture_id(self, access: Mapping[str, str], intent_reference: str) -> str:
        """The capture of a payment that goes by its order's id; any other goes by its own."""
        try:
            order = await self._order(access, intent_reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return intent_reference
        capture = mapping.last_capture(order)
        if capture is None:
            raise ProviderRefused("Nothing was paid yet.", code="ORDER_NOT_CAPTURED")
        return str(capture["id"])
