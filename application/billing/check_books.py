"""Check that the books agree with themselves, with what invoices say is owed and with what payments say was taken."""

from collections.abc import AsyncIterator
from typing import TypeVar

import attrs

from application.ports.store import MAX_PAGE, Collection, Slice, Store, Work
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.ledger import RECEIVABLE, SUSPENSE, WRITTEN_OFF, Entry, balance_at, standing
from domain.billing.payments import FactKind, Payment
from domain.billing.payouts import Payout, PayoutState

T = TypeVar("T")

_OUT = (PayoutState.PENDING, PayoutState.IN_TRANSIT, PayoutState.PAID)

Sums = dict[tuple[str, str], int]
"""By account and currency, in minor units."""


@attrs.define
class CheckBooks:
    """Reads everything an organisation has, a page at a time: for tests, and for a person who wants to be sure."""

    _store: Store

    async def __call__(self, organisation_id: str) -> tuple[str, ...]:
        """What does not agree, each as a sentence; nothing when all is well."""
        async with self._store.reading(organisation_id) as work:
            wrong = await _postings(work)
            held: Sums = {}
            async for invoice in _each(work.invoices):
                wrong += _of_invoice(invoice, await work.ledger.all(subject=invoice.id))
            async for payment in _each(work.payments):
                wrong += _of_payment(payment, await work.ledger.all(subject=payment.id), held)
            async for payout in _each(work.payouts):
                _take_out(payout, held)
            for balance in await work.ledger.balances():
                key = (balance.account, balance.amount.currency.code)
                if balance.account.startswith("balance:"):
                    there = held.pop(key, 0)
                    if balance.amount.amount != there:
                        wrong.append(f"{key}: the ledger has {balance.amount.amount}, the payments come to {there}.")
            wrong += [
                f"{key}: the ledger has nothing, the payments come to {sum_}." for key, sum_ in held.items() if sum_
            ]
        return tuple(wrong)


async def _postings(work: Work) -> list[str]:
    """Every posting adds up to nothing, in each of its currencies, and is for one source."""
    sums: Sums = {}
    async for entry in _each(work.ledger):
        key = (entry.source, entry.amount.currency.code)
        sums[key] = sums.get(key, 0) + entry.amount.amount
    return [f"{source} does not add up: {sum_} {code}." for (source, code), sum_ in sums.items() if sum_]


def _of_invoice(invoice: Invoice, entries: tuple[Entry, ...]) -> list[str]:
    now = standing(entries, invoice.currency)
    owed = now.get(RECEIVABLE, 0)
    due = 0 if invoice.state is InvoiceState.DRAFT else invoice.amount_due.amount
    if invoice.state is InvoiceState.UNCOLLECTIBLE:
        owed += now.get(WRITTEN_OFF, 0)
    if owed == due:
        return []
    return [f"{invoice.number} ({invoice.state.value}): {due} is due, and the ledger has {owed} owed."]


def _of_payment(payment: Payment, entries: tuple[Entry, ...], held: Sums) -> list[str]:
    """What the provider holds of it is added to `held`."""
    signs = {FactKind.FEE: -1, FactKind.DISPUTED: -1, FactKind.DISPUTE_WON: 1}
    other = sum(signs.get(fact.kind, 0) * fact.amount for fact in payment.facts)
    key = (balance_at(payment.provider), payment.currency.code)
    held[key] = held.get(key, 0) + (payment.captured - payment.refunded).amount + other
    unexplained = -standing(entries, payment.currency).get(SUSPENSE, 0)
    expected = 0 if payment.counts else (payment.captured - payment.refunded).amount
    if unexplained == expected:
        return []
    return [f"{payment.id}: {expected} is unexplained, and the ledger has {unexplained} in suspense."]


def _take_out(payout: Payout, held: Sums) -> None:
    if payout.state in _OUT:
        key = (balance_at(payout.provider), payout.amount.currency.code)
        held[key] = held.get(key, 0) - payout.amount.amount - payout.fee


async def _each(collection: Collection[T]) -> AsyncIterator[T]:
    after: str | None = None
    while True:
        page = await collection.page(Slice(MAX_PAGE, after, newest_first=False))
        for one in page.items:
            yield one
        after = page.next
        if after is None:
            return
