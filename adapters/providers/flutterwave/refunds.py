"""Sending money back through Flutterwave, and finding what was sent."""

from collections.abc import Mapping
from datetime import timedelta

import attrs

from adapters.providers.flutterwave import mapping
from adapters.providers.flutterwave.transactions import Transactions
from application.ports.clock import Clock
from application.ports.payments import ProviderRefund, ProviderRefused, RefundState, RetryLater
from domain.money import Currency, Money

_COUNTS = (RefundState.SUCCEEDED, RefundState.PENDING)
_DAY = timedelta(days=1)


class Refunds(Transactions):
    """Refunds. Flutterwave knows no keys for them: ours is written into the comment, and read back from its list."""

    _clock: Clock

    async def refund(
        self, access: Mapping[str, str], intent_reference: str, amount: Money, *, key: str, reason: str = ""
    ) -> ProviderRefund:
        """Send money back, out of the available balance. Asking twice refunds twice: what got no answer is looked up
        with `find_refund` first."""
        transaction = await self._transaction(access, intent_reference)
        paid = mapping.from_wire(transaction.get("amount"), transaction.get("currency"))
        if paid.currency != amount.currency:
            raise ProviderRefused(f"The payment is in {paid.currency.code}.", code="wrong_currency", field="amount")
        envelope = await self._api.ask(
            access,
            "POST",
            f"/transactions/{intent_reference}/refund",
            body={"amount": mapping.to_wire(amount), "comments": mapping.comment_with(key, reason)},
        )
        data = envelope.get("data")
        if not isinstance(data, Mapping) or not data.get("id"):
            raise RetryLater("Flutterwave's answer has no refund in it.", may_have_happened=True)
        return attrs.evolve(mapping.refund_of(data, intent_reference, amount.currency), key=key)

    async def refunds_of(self, access: Mapping[str, str], intent_reference: str) -> tuple[ProviderRefund, ...]:
        """Every refund of the transaction, to the last page."""
        transaction = await self._transaction(access, intent_reference)
        amount = mapping.from_wire(transaction.get("amount"), transaction.get("currency"))
        return await self._refunds(access, intent_reference, amount.currency, {"id": intent_reference})

    async def find_refund(self, access: Mapping[str, str], intent_reference: str, key: str) -> ProviderRefund | None:
        """The refund whose comment holds the key. Not found by the transaction, all refunds since it was made are looked
        through: to be told wrongly that there is none would send the money twice."""
        try:
            return await self._looked_for(access, intent_reference, key)
        except ProviderRefused as refused:
            # Whatever it objects to, the refund may have been made.
            raise RetryLater(f"Flutterwave would not tell of its refunds: {refused.reason}") from refused

    async def _looked_for(self, access: Mapping[str, str], intent_reference: str, key: str) -> ProviderRefund | None:
        transaction = await self._transaction(access, intent_reference)
        amount = mapping.from_wire(transaction.get("amount"), transaction.get("currency"))
        since = mapping.moment(transaction.get("created_at")) - _DAY
        days = {"from": f"{since:%Y-%m-%d}", "to": f"{self._clock.now() + _DAY:%Y-%m-%d}"}
        for asked in ({"id": intent_reference}, days):
            refunds = await self._refunds(access, intent_reference, amount.currency, asked)
            found = next((one for one in refunds if one.key == key), None)
            if found is not None:
                return found
            if any(one.key is None for one in refunds):
                # Made in the dashboard, or told without its comment.
                raise RetryLater("Flutterwave lists a refund without saying which of ours it is.")
        return None

    async def _refunds(
        self, access: Mapping[str, str], transaction_id: str, currency: Currency, query: Mapping[str, str]
    ) -> tuple[ProviderRefund, ...]:
        return tuple(
            [
                mapping.refund_of(row, transaction_id, currency)
                async for row in self._api.pages(access, "/refunds", query)
                if str(row.get("transaction_id") or row.get("tx_id")) == transaction_id
            ]
        )

    async def _back(self, access: Mapping[str, str], transaction_id: str, currency: Currency) -> Money:
        """What went back of a transaction, or is on its way."""
        refunds = await self._refunds(access, transaction_id, currency, {"id": transaction_id})
        return sum((one.amount for one in refunds if one.state in _COUNTS), Money.zero(currency))
