"""What must be true of the money, whatever has happened."""

from collections import Counter
from typing import Any

import attrs

from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import FactKind, Payment
from tests.simulation.money.shops import Taken


class Broken(AssertionError):
    """Something that must be true is not."""


@attrs.frozen
class Seen:
    """The books at one moment."""

    invoices: tuple[Invoice, ...]
    payments: tuple[Payment, ...]
    refunds: tuple[Any, ...]
    balances: tuple[Any, ...]
    events: tuple[Any, ...]
    inbox: tuple[Any, ...]
    wrong: tuple[str, ...]


def taken(payment: Payment) -> Taken:
    """A payment as the hub has it."""
    sums = (payment.captured, payment.refunded, payment.fee, payment.disputed)
    return Taken(payment.currency.code, *(one.amount for one in sums))


def never_back_more(truth: dict[str, Taken]) -> None:
    """At the provider, nothing went back beyond what came. Raises Broken."""
    for reference, there in truth.items():
        if there.refunded > there.captured:
            raise Broken(f"{reference}: {there.refunded} of {there.captured} went back at the provider")


def paid_once(seen: Seen) -> None:
    """No invoice holds more than it asked for without somebody being told so. Raises Broken."""
    for invoice in seen.invoices:
        mine = [one for one in seen.payments if one.invoice_id == invoice.id]
        count = [one for one in mine if one.counts and one.currency == invoice.currency]
        came = sum(one.captured.amount for one in count)
        held = came - sum(one.refunded.amount for one in count)
        # A refund that comes back is told by itself.
        named = any(one.conflict or one.resolution or _came_back(one) for one in mine)
        if held > invoice.total.amount and not named:
            raise Broken(f"{held} is held for {invoice.number} over {invoice.total}, and nobody was told")
        if came != invoice.amount_paid.amount:
            raise Broken(f"{invoice.number} says {invoice.amount_paid} came; its payments say {came}")
        if invoice.state is InvoiceState.VOID and held and not named:
            raise Broken(f"{invoice.number} is void and holds {held}, and nobody was told")


def _came_back(payment: Payment) -> bool:
    return any(fact.kind is FactKind.REFUND_FAILED for fact in payment.facts)


def told_once(seen: Seen) -> None:
    """Each fact is told once, whatever happened to whoever told it. Raises Broken."""
    told: Counter[tuple[str, str]] = Counter()
    for event in seen.events:
        body = event.data
        if event.type in ("payment.received", "payment.refunded", "payment.refund_failed"):
            told[event.type, body["payment"]["id"]] += 1
        elif event.type == "invoice.paid":
            told[event.type, body["invoice"]["id"]] += 1
    expected: Counter[tuple[str, str]] = Counter()
    kinds = {
        FactKind.CAPTURED: "payment.received",
        FactKind.REFUNDED: "payment.refunded",
        FactKind.REFUND_FAILED: "payment.refund_failed",
    }
    for payment in seen.payments:
        for fact in payment.facts:
            if fact.kind in kinds:
                expected[kinds[fact.kind], payment.id] += 1
    paid = {key: count for key, count in told.items() if key[0] == "invoice.paid"}
    facts = {key: count for key, count in told.items() if key[0] != "invoice.paid"}
    if facts != dict(expected):
        raise Broken(f"told {facts}, known {dict(expected)}")
    if any(count > 1 for count in paid.values()):
        raise Broken(f"an invoice was told as paid more than once: {paid}")
