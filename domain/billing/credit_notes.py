"""Credit notes: what is taken back of an invoice that was sent."""

from collections.abc import Sequence
from datetime import datetime

import attrs

from domain.billing.invoices import Invoice
from domain.billing.lines import Discount, Line, Tax, half_up
from domain.billing.totals import Totals, reckon, spread
from domain.money import Money
from domain.refusals import Fault, Invalid


@attrs.frozen
class CreditedLine:
    """So much of an invoice's line is taken back. line: its place on the invoice, from 0."""

    line: int
    quantity: int


@attrs.frozen
class CreditNote:
    """Takes back part or all of an invoice. number: without gaps, a sequence of its own (CN-0001). amount: with tax.

    tax: of it. refund_id: the refund that sends the money back, if it was paid. lines: what of which line, where it was
    written by lines.
    """

    id: str
    organisation_id: str
    number: str
    invoice_id: str
    amount: Money
    tax: Money
    reason: str
    created_at: datetime
    refund_id: str | None = None
    lines: tuple[CreditedLine, ...] = ()
    version: int = 1


def amount_of_lines(invoice: Invoice, lines: Sequence[CreditedLine], earlier: Sequence[CreditNote]) -> Money:
    """What these quantities come to with tax and less discounts: the invoice as it is, less the invoice without them.

    Raises Invalid naming each line that is not there, or of which less is left than is to be taken back.
    """
    left = _quantities(invoice, earlier)
    before = _left_of(invoice, left).total
    faults: list[Fault] = []
    for place, asked in enumerate(lines):
        if asked.line not in left:
            faults.append(Fault(f"lines.{place}.line", f"The invoice has the lines 0 to {len(left) - 1}."))
        elif not 1 <= asked.quantity <= left[asked.line]:
            faults.append(Fault(f"lines.{place}.quantity", f"{left[asked.line]} of this line can still be credited."))
        else:
            left[asked.line] -= asked.quantity
    if faults:
        raise Invalid(*faults)
    return before - _left_of(invoice, left).total


def tax_of(invoice: Invoice, amount: Money, earlier: Sequence[CreditNote], lines: Sequence[CreditedLine] = ()) -> Money:
    """The tax in a credit note over this much. By lines: theirs. By amount: in proportion to what is left, rounded half up.

    The last note takes what is left of it, so that all notes have the invoice's tax; no note leaves more tax than money.
    """
    totals = invoice.totals
    tax = totals.tax.amount - sum(note.tax.amount for note in earlier)
    money = totals.total.amount - invoice.credited
    if amount.amount >= money:
        return Money(tax, invoice.currency)
    by_lines = sum(_taxes_of_lines(invoice, lines, earlier).values())
    share = by_lines if lines else half_up(tax * amount.amount, money)
    least = max(tax - (money - amount.amount), 0)
    return Money(max(min(share, tax, amount.amount), least), invoice.currency)


def taxes_of(invoice: Invoice, note: CreditNote, notes: Sequence[CreditNote]) -> tuple[tuple[Tax, Money], ...]:
    """The note's tax by rate, in the order of the invoice. notes: all of the invoice, in the order they were written.

    By lines: the lines' own taxes. By amount: spread over what is left of each rate.
    """
    left = {one.tax: one.amount.amount for one in invoice.totals.taxes}
    parts: dict[Tax, int] = {}
    for place, one in enumerate(notes):
        parts = _taxes_of_lines(invoice, one.lines, notes[:place]) if one.lines else {}
        if sum(parts.values()) != one.tax.amount or any(part > left[tax] for tax, part in parts.items()):
            parts = dict(zip(left, spread(one.tax.amount, list(left.values())), strict=True))
        left = {tax: amount - parts.get(tax, 0) for tax, amount in left.items()}
        if one.id == note.id:
            break
    return tuple((tax, Money(parts[tax], invoice.currency)) for tax in left if parts.get(tax))


def _quantities(invoice: Invoice, notes: Sequence[CreditNote]) -> dict[int, int]:
    """What these notes leave of each line."""
    left = {index: line.quantity for index, line in enumerate(invoice.lines)}
    for note in notes:
        for credited in note.lines:
            left[credited.line] -= credited.quantity
    return left


def _taxes_of_lines(invoice: Invoice, lines: Sequence[CreditedLine], earlier: Sequence[CreditNote]) -> dict[Tax, int]:
    """The tax of these quantities by rate: the invoice as it is, less the invoice without them."""
    left = _quantities(invoice, earlier)
    taxes = {one.tax: one.amount.amount for one in _left_of(invoice, left).taxes}
    for credited in lines:
        left[credited.line] -= credited.quantity
    for one in _left_of(invoice, left).taxes:
        taxes[one.tax] -= one.amount.amount
    return taxes


def _left_of(invoice: Invoice, left: dict[int, int]) -> Totals:
    """The invoice with these quantities; an amount off a line, or off the whole, shrinks with it."""
    lines: list[Line] = []
    for index, line in enumerate(invoice.lines):
        if left[index]:
            off = _shrunk(line.discount, left[index], line.quantity)
            lines.append(attrs.evolve(line, quantity=left[index], discount=off))
    whole = invoice.totals.subtotal.amount
    rest = reckon(lines, None, invoice.currency).subtotal.amount
    return reckon(lines, _shrunk(invoice.discount, max(rest, 0), whole), invoice.currency)


def _shrunk(discount: Discount | None, part: int, whole: int) -> Discount | None:
    if discount is None or discount.amount is None or whole <= 0:
        return discount
    return attrs.evolve(discount, amount=half_up(discount.amount * part, whole))
