"""Credit notes by lines: what quantities come to, and how much tax is in them."""

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.credit_notes import CreditedLine, CreditNote, amount_of_lines, tax_of, taxes_of
from domain.billing.invoices import Billed, Invoice, InvoiceState
from domain.billing.lines import Discount, Line, Tax
from domain.money import Currency, Money
from domain.refusals import Invalid
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EUR = Currency("EUR")
VAT, LOW = Tax("VAT", 1900), Tax("VAT", 700, included=True)
BILL = Invoice(
    "inv_1",
    "org_1",
    "INV-1",
    Billed("client_1", "Ada", None),
    EUR,
    (
        Line("Design", 2, Money(100_00, EUR), tax=VAT),
        Line("Boards", 3, Money(10_00, EUR), tax=LOW, discount=Discount(amount=3_00)),
    ),
    NOW,
    NOW,
    state=InvoiceState.OPEN,
)


def note(amount: Money, tax: Money, *lines: CreditedLine, id: str = "cn_1") -> CreditNote:
    """One that was written before."""
    return CreditNote(id, "org_1", "CN-0001", BILL.id, amount, tax, "", NOW, lines=lines)


def test_a_line_is_taken_back_with_its_tax() -> None:
    """The client gets back what they were asked for."""
    assert amount_of_lines(BILL, [CreditedLine(0, 1)], ()) == Money(119_00, EUR)


def test_a_lines_discount_is_taken_back_in_proportion() -> None:
    """One of three boards at 10.00 with 3.00 off all of them is 9.00."""
    assert amount_of_lines(BILL, [CreditedLine(1, 1)], ()) == Money(9_00, EUR)


def test_all_lines_are_the_whole_invoice_whatever_came_before() -> None:
    """Whoever takes everything back in steps must end with nothing, not with a cent."""
    bill = attrs.evolve(BILL, discount=Discount(percent=333))
    steps = [[CreditedLine(1, 1)], [CreditedLine(0, 1), CreditedLine(1, 2)], [CreditedLine(0, 1)]]
    notes: list[CreditNote] = []
    for step in steps:
        amount = amount_of_lines(bill, step, notes)
        tax = tax_of(bill, amount, notes, step)
        notes.append(note(amount, tax, *step))
        bill = bill.credit(amount, NOW)
    assert bill.owed == Money(0, EUR)
    assert sum(one.tax.amount for one in notes) == bill.totals.tax.amount


def test_no_more_of_a_line_is_taken_back_than_there_was() -> None:
    """Nor of a line that is not there; each is named."""
    earlier = [note(Money(119_00, EUR), Money(19_00, EUR), CreditedLine(0, 1))]
    with pytest.raises(Invalid) as refused:
        amount_of_lines(BILL, [CreditedLine(0, 2), CreditedLine(7, 1), CreditedLine(1, 0)], earlier)
    assert [fault.field for fault in refused.value.faults] == ["lines.0.quantity", "lines.1.line", "lines.2.quantity"]


@patiently
@given(st.lists(st.integers(1, 200_00), min_size=1, max_size=6))
def test_the_tax_of_all_notes_is_the_tax_of_the_invoice(parts: list[int]) -> None:
    """The tax office adds them up: none may be lost to rounding, and none given back that was not asked."""
    bill, notes = BILL, []
    for part in [*parts, BILL.total.amount]:
        amount = Money(min(part, bill.owed.amount), EUR)
        if amount:
            tax = tax_of(bill, amount, notes)
            assert 0 <= tax.amount <= amount.amount
            notes.append(note(amount, tax))
            bill = bill.credit(amount, NOW)
    assert sum(one.tax.amount for one in notes) == BILL.totals.tax.amount


def test_a_line_gives_back_its_own_tax_and_no_share_of_the_others() -> None:
    """Crediting what was not taxed must not lower the tax that is declared."""
    plain = Line("Stamps", 1, Money(100_00, EUR))
    bill = attrs.evolve(BILL, lines=(Line("Design", 1, Money(100_00, EUR), tax=VAT), plain))
    assert tax_of(bill, Money(100_00, EUR), (), [CreditedLine(1, 1)]) == Money(0, EUR)
    assert tax_of(bill, Money(119_00, EUR), (), [CreditedLine(0, 1)]) == Money(19_00, EUR)


def test_an_amount_after_a_line_has_its_share_of_what_is_left() -> None:
    """Or the last note, over a cent, would have to take back several euros of tax."""
    bill = attrs.evolve(
        BILL, lines=(Line("Design", 1, Money(100_00, EUR), tax=VAT), Line("Stamps", 1, Money(100_00, EUR)))
    )
    earlier = [note(Money(100_00, EUR), Money(0, EUR), CreditedLine(1, 1))]
    bill = bill.credit(Money(100_00, EUR), NOW)
    assert tax_of(bill, Money(118_99, EUR), earlier) == Money(19_00, EUR)
    assert tax_of(bill, Money(59_50, EUR), earlier) == Money(9_50, EUR)


def test_the_tax_of_a_note_is_told_by_rate() -> None:
    """A note by a line has that line's rate alone, one by an amount a share of each; together they are the invoice's."""
    bill, notes = BILL, []
    for key, amount, lines in (("cn_1", 119_00, [CreditedLine(0, 1)]), ("cn_2", 50_00, []), ("cn_3", 96_00, [])):
        tax = tax_of(bill, Money(amount, EUR), notes, lines)
        notes.append(note(Money(amount, EUR), tax, *lines, id=key))
        bill = bill.credit(Money(amount, EUR), NOW)
    told = [dict(taxes_of(bill, one, notes)) for one in notes]
    assert told[0] == {VAT: Money(19_00, EUR)}
    assert [sum(part.amount for part in one.values()) for one in told] == [one.tax.amount for one in notes]
    for one in bill.totals.taxes:
        assert sum(part[one.tax].amount for part in told if one.tax in part) == one.amount.amount


@patiently
@given(st.lists(st.one_of(st.integers(1, 200_00), st.sampled_from((0, 1))), min_size=1, max_size=8))
def test_notes_by_lines_and_by_amounts_share_one_tax(steps: list[int]) -> None:
    """In any order: no note has less than no tax, or more tax than money, and together they have the invoice's."""
    bill, notes = BILL, []
    for step in [*steps, BILL.total.amount]:
        lines = [CreditedLine(step, 1)] if step in (0, 1) else []
        try:
            amount = amount_of_lines(bill, lines, notes) if lines else Money(min(step, bill.owed.amount), EUR)
        except Invalid:
            continue
        if not 0 < amount.amount <= bill.owed.amount:
            continue
        tax = tax_of(bill, amount, notes, lines)
        assert 0 <= tax.amount <= amount.amount
        notes.append(note(amount, tax, *lines, id=f"cn_{len(notes)}"))
        bill = bill.credit(amount, NOW)
        assert sum(part.amount for _, part in taxes_of(bill, notes[-1], notes)) == tax.amount
    assert sum(one.tax.amount for one in notes) == BILL.totals.tax.amount
