"""What moved in a Flutterwave account, by its own lists."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from adapters.providers.flutterwave import mapping
from adapters.providers.flutterwave.transactions import Transactions
from application.ports.payments import Intent, IntentState, ProviderRefund, RefundState
from application.ports.payouts import PayoutStanding, ProviderPayout
from application.ports.settlements import Movement, Settled, Settlements
from domain.money import Currency

_SLACK = timedelta(hours=2)
"""The lists are asked for by day, of a clock that may be Lagos' (UTC+1)."""
_REMEMBERED = 1_000


class Listed(Transactions, Settlements):
    """Transactions, refunds and transfers by the day they were made."""

    @property
    def settled_after(self) -> timedelta:
        """A quarter of an hour: the lists are current, and mobile money is confirmed some minutes later."""
        return timedelta(minutes=15)

    async def settled_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[Settled]:
        """Payments with their fees, refunds, and transfers. A payment is listed at the moment it was begun."""
        days = {"from": f"{since - _SLACK:%Y-%m-%d}", "to": f"{until + _SLACK:%Y-%m-%d}"}
        async for row in self._rows(access, "/transactions", days):
            at = mapping.moment(row.get("created_at"))
            if since <= at < until:
                counted, odd = mapping.countable(row, "amount", Currency(str(row["currency"])))
                yield attrs.evolve(_payment(mapping.intent_of(counted), at), unreadable=odd)
        currencies: dict[str, Currency | None] = {}
        async for row in self._api.pages(access, "/refunds", days):
            at = mapping.moment(row.get("created_at"))
            if since <= at < until:
                of = str(row.get("transaction_id") or row.get("tx_id"))
                currency = await self._currency(access, of, currencies)
                if currency is not None:
                    counted, odd = mapping.countable(row, "amount_refunded", currency)
                    yield attrs.evolve(_refund(mapping.refund_of(counted, of, currency), at), unreadable=odd)
        async for row in self._rows(access, "/transfers", days):
            at = mapping.moment(row.get("created_at"))
            if since <= at < until:
                counted, odd = mapping.countable(row, "amount", Currency(str(row["currency"])))
                yield attrs.evolve(_payout(mapping.payout_of(counted), at), unreadable=odd)

    async def _rows(
        self, access: Mapping[str, str], path: str, days: Mapping[str, str]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Those in a currency that is kept here; what is in another cannot be ours, and must not end the list."""
        async for row in self._api.pages(access, path, days):
            if mapping.known(row.get("currency")) is not None:
                yield row

    async def _currency(self, access: Mapping[str, str], of: str, known: dict[str, Currency | None]) -> Currency | None:
        """A refund is listed without its currency, which is its transaction's; None for one that is not kept here."""
        if of not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[of] = mapping.known((await self._transaction(access, of)).get("currency"))
        return known[of]


def _payment(intent: Intent, at: datetime) -> Settled:
    done = intent.state is IntentState.SUCCEEDED
    return Settled(Movement.PAYMENT, intent.reference, intent.amount, intent.fee, at, done, metadata=intent.metadata)


def _refund(refund: ProviderRefund, at: datetime) -> Settled:
    done = refund.state is RefundState.SUCCEEDED
    return Settled(Movement.REFUND, refund.reference, refund.amount, None, at, done, refund.intent_reference)


def _payout(payout: ProviderPayout, at: datetime) -> Settled:
    done = payout.standing is PayoutStanding.PAID
    return Settled(Movement.PAYOUT, payout.reference, payout.amount, payout.fee, at, done)
