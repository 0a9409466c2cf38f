"""Money that came in another way than it was asked for: named, shown, and settled by a person."""

from enum import Enum

import attrs

from domain.billing.invoices import Invoice, InvoiceState
from domain.money import Money


class ConflictKind(Enum):
    """In which way a payment is not what was asked for."""

    WRONG_CURRENCY = "wrong_currency"
    """It counts towards nothing."""
    PAID_TWICE = "paid_twice"
    """The invoice was paid already, by another payment: it does not count until a person says so."""
    AFTER_VOID = "after_void"
    """The invoice had been withdrawn: it counts towards nothing."""
    OVERPAID = "overpaid"
    """More than was due, or asked for: the invoice is paid, and what is too much is shown."""
    UNDERPAID = "underpaid"
    """Less than its page asked for: the invoice is partly paid."""


COUNT = (ConflictKind.OVERPAID, ConflictKind.UNDERPAID)
"""Their money is the invoice's all the same."""


@attrs.frozen
class Finding:
    """What is wrong, by its name and in a sentence for people."""

    kind: ConflictKind
    why: str


def judged(captured: Money, asked: Money, invoice: Invoice | None) -> Finding | None:
    """What is wrong with money that has just come; None when it is what was asked for.

    asked: what the hosted page, or the charge, asked for. invoice: as it stands without this money, if it is for one.
    """
    if invoice is not None:
        if invoice.currency != captured.currency:
            return _currency(captured, f"the invoice is in {invoice.currency.code}")
        if invoice.state is InvoiceState.VOID:
            return Finding(ConflictKind.AFTER_VOID, f"It was paid after invoice {invoice.number} was made void.")
        if invoice.state is InvoiceState.PAID:
            return Finding(ConflictKind.PAID_TWICE, f"Invoice {invoice.number} had been paid already.")
        if captured > invoice.amount_due:
            return Finding(
                ConflictKind.OVERPAID, f"{captured} came for invoice {invoice.number}; {invoice.amount_due} was due."
            )
    if captured.currency != asked.currency:
        return _currency(captured, f"{asked.currency.code} was asked for")
    if captured > asked:
        return Finding(ConflictKind.OVERPAID, f"{captured} came; {asked} was asked for.")
    if captured < asked:
        return Finding(ConflictKind.UNDERPAID, f"{captured} came; {asked} was asked for.")
    return None


def _currency(captured: Money, other: str) -> Finding:
    return Finding(ConflictKind.WRONG_CURRENCY, f"It was made in {captured.currency.code}, {other}.")
