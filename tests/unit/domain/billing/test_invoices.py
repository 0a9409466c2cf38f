"""An invoice: what it asks for, what may be done to it when, and how payments move it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.invoices import MAX_LINES, MAX_MEMO, Billed, Invoice, InvoiceState, Line
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.settings import Seller
from domain.money import MAX_MINOR_UNITS, Currency, Money
from domain.refusals import Conflict, Invalid
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
TODAY = NOW.date()
USD, JPY = Currency("USD"), Currency("JPY")
DRAFT, OPEN, PARTLY_PAID, PAID, OVERDUE, VOID, UNCOLLECTIBLE = InvoiceState


def usd(cents: int) -> Money:
    """Dollars, in cents."""
    return Money(cents, USD)


def line(cents: int = 100_00, quantity: int = 1, description: str = "Design") -> Line:
    """A line in dollars."""
    return Line(description, quantity, usd(cents))


def invoice(*lines: Line, **changes: Any) -> Invoice:
    """An invoice over 100.00 USD unless lines are given."""
    client = Billed("client_1", "Ada", "ada@acme.example")
    held = changes.pop("lines", lines or (line(),))
    return Invoice("inv_1", "org_1", "INV-1", client, USD, held, NOW, NOW, **changes)


def faults(*lines: Line, **changes: Any) -> list[str]:
    """The fields that are wrong."""
    with pytest.raises(Invalid) as refused:
        invoice(*lines, **changes)
    return [fault.field for fault in refused.value.faults]


def test_the_total_is_the_sum_of_quantity_times_price() -> None:
    """What the client reads under the lines."""
    assert invoice(line(12_50, 3), line(1, 1_000_000)).total == usd(37_50 + 1_000_000)


def test_a_negative_line_is_a_discount() -> None:
    """A discount reads better as a line of its own than as a smaller price."""
    assert invoice(line(100_00), line(-10_00, 2, "Discount")).total == usd(80_00)


@patiently
@given(st.lists(st.tuples(st.integers(-10_000, 10_000), st.integers(1, 50)), min_size=1, max_size=8))
def test_an_invoice_asks_for_exactly_its_lines_or_is_refused(parts: list[tuple[int, int]]) -> None:
    """Nothing is rounded, and nobody is sent a bill over nothing or less."""
    lines = tuple(line(price, quantity) for price, quantity in parts)
    expected = sum(price * quantity for price, quantity in parts)
    if expected > 0:
        assert invoice(*lines).total == usd(expected)
    else:
        assert faults(*lines) == ["lines"]


@pytest.mark.parametrize("cents", [0, -1])
def test_an_invoice_over_nothing_or_less_is_refused(cents: int) -> None:
    """No provider can charge it."""
    assert faults(line(cents)) == ["lines"]
    assert faults(line(100), line(cents - 100)) == ["lines"]


def test_a_cent_is_enough() -> None:
    """What the least charge is, is the provider's business."""
    assert invoice(line(100), line(-99)).total == usd(1)


def test_the_largest_amount_fits_and_one_cent_more_is_refused() -> None:
    """A total too large to keep must be a fault of the lines, not a crash."""
    assert invoice(line(MAX_MINOR_UNITS)).total == usd(MAX_MINOR_UNITS)
    assert faults(line(MAX_MINOR_UNITS), line(1)) == ["lines"]
    assert faults(line(MAX_MINOR_UNITS, 2)) == ["lines"]


def test_an_invoice_has_one_to_a_hundred_lines() -> None:
    """A provider's hosted page takes no more."""
    assert invoice(*[line(1)] * MAX_LINES).total == usd(MAX_LINES)
    assert faults(*[line(1)] * (MAX_LINES + 1)) == ["lines"]
    assert faults(lines=()) == ["lines"]


@pytest.mark.parametrize("description", ["x", "x" * 500])
def test_a_description_at_its_limits_is_kept(description: str) -> None:
    """The limit itself is allowed."""
    assert invoice(line(description=description)).lines[0].description == description


@pytest.mark.parametrize("description", ["", " \t\n", "x" * 501])
def test_a_line_without_a_description_or_with_an_endless_one_is_refused(description: str) -> None:
    """The client is to see what they pay for."""
    assert faults(line(), line(description=description)) == ["lines.1.description"]


@pytest.mark.parametrize("quantity", [1, 1_000_000])
def test_a_quantity_at_its_limits_is_kept(quantity: int) -> None:
    """The limit itself is allowed."""
    assert invoice(line(1, quantity)).total == usd(quantity)


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_a_quantity_out_of_range_is_refused(quantity: int) -> None:
    """A discount is a negative price, not a negative quantity."""
    assert faults(line(), line(1, quantity)) == ["lines.1.quantity"]


def test_a_line_in_another_currency_is_refused() -> None:
    """There is no rate of exchange here."""
    assert faults(line(), Line("Design", 1, Money(100, JPY))) == ["lines.1.unit_price"]


def test_a_memo_has_at_most_two_thousand_characters() -> None:
    """At the limit it is kept, one over it is refused."""
    assert invoice(memo="x" * MAX_MEMO).memo == "x" * MAX_MEMO
    assert faults(memo="x" * (MAX_MEMO + 1)) == ["memo"]


def test_everything_wrong_is_named_at_once() -> None:
    """A person mends the form in one go."""
    wrong = faults(line(quantity=0, description=""), Line("x", 1, Money(1, JPY)), memo="x" * 2001)
    assert wrong == ["lines.0.description", "lines.0.quantity", "lines.1.unit_price", "memo"]


def test_a_draft_can_be_revised_and_is_judged_again() -> None:
    """A change may not bring in what creating would have refused."""
    revised = invoice().revise(LATER, lines=(line(5_00),), memo="Thanks", due_on=TODAY)
    assert (revised.total, revised.memo, revised.due_on, revised.updated_at) == (usd(5_00), "Thanks", TODAY, LATER)
    with pytest.raises(Invalid):
        revised.revise(LATER, lines=())


@pytest.mark.parametrize("state", [OPEN, PARTLY_PAID, PAID, OVERDUE, VOID])
def test_only_a_draft_can_be_revised(state: InvoiceState) -> None:
    """The client may already hold it."""
    with pytest.raises(Conflict, match=state.value):
        invoice(state=state).revise(LATER, memo="cheaper")


@pytest.mark.parametrize("act", [Invoice.open, Invoice.sent])
@pytest.mark.parametrize(("before", "after"), [(DRAFT, OPEN), (OPEN, OPEN), (PARTLY_PAID,) * 2, (OVERDUE,) * 2])
def test_opening_and_sending_make_a_draft_final_and_leave_other_states(
    act: Callable[[Invoice, datetime], Invoice], before: InvoiceState, after: InvoiceState
) -> None:
    """A reminder must not make an overdue invoice look fresh."""
    assert act(invoice(state=before), LATER).state is after


@pytest.mark.parametrize("act", [Invoice.open, Invoice.sent])
@pytest.mark.parametrize("state", [PAID, VOID])
def test_what_is_paid_or_void_is_not_sent_or_opened(
    act: Callable[[Invoice, datetime], Invoice], state: InvoiceState
) -> None:
    """Nobody is asked for money that is not owed."""
    with pytest.raises(Conflict, match=state.value):
        act(invoice(state=state), LATER)


def test_opening_twice_changes_nothing() -> None:
    """Otherwise every click would make a new version."""
    opened = invoice().open(NOW)
    assert opened.open(LATER) is opened


def test_sending_notes_the_moment_each_time() -> None:
    """The console shows when the client last heard of it."""
    assert invoice().sent(NOW).sent_at == NOW
    assert invoice().sent(NOW).sent(LATER).sent_at == LATER


SETTLED = [
    # before, after nothing came, after a part came, after all came
    (DRAFT, DRAFT, PARTLY_PAID, PAID),
    (OPEN, OPEN, PARTLY_PAID, PAID),
    (PARTLY_PAID, PARTLY_PAID, PARTLY_PAID, PAID),
    (OVERDUE, OVERDUE, OVERDUE, PAID),
    (PAID, PAID, PAID, PAID),
    (VOID, VOID, VOID, VOID),
    (UNCOLLECTIBLE, UNCOLLECTIBLE, PARTLY_PAID, PAID),
]


@pytest.mark.parametrize(("before", "nothing", "part", "full"), SETTLED)
def test_what_came_in_decides_the_state(
    before: InvoiceState, nothing: InvoiceState, part: InvoiceState, full: InvoiceState
) -> None:
    """The whole table: a part keeps an overdue invoice overdue, money wakes what was written off, nothing a void one."""
    expected = {0: nothing, 1: part, 99_99: part, 100_00: full, 100_01: full}
    for captured, state in expected.items():
        settled, became_paid = invoice(state=before).settle(usd(captured), usd(0), LATER)
        assert (settled.state, settled.paid) == (state, captured)
        assert became_paid == (state is PAID and before is not PAID)
        assert settled.paid_at == (LATER if became_paid else None)


def test_every_state_stands_in_the_table() -> None:
    """A new state needs a row."""
    assert {row[0] for row in SETTLED} == set(InvoiceState)


def test_the_same_sums_again_change_nothing() -> None:
    """A webhook that comes twice must not make a second version, nor tell twice that the invoice was paid."""
    settled, became_paid = invoice().settle(usd(100_00), usd(0), NOW)
    again, again_became_paid = settled.settle(usd(100_00), usd(0), LATER)
    assert (became_paid, again_became_paid) == (True, False)
    assert again is settled


def test_a_refund_leaves_a_paid_invoice_paid() -> None:
    """It was paid; what went back is told beside it, and the client is not asked again."""
    paid, _ = invoice().settle(usd(100_00), usd(0), NOW)
    refunded, became_paid = paid.settle(usd(100_00), usd(100_00), LATER)
    assert (refunded.state, refunded.paid_at, became_paid) == (PAID, NOW, False)
    assert (refunded.amount_paid, refunded.amount_refunded) == (usd(100_00), usd(100_00))
    assert refunded.amount_due == usd(0)


def test_what_went_back_before_it_was_paid_in_full_has_to_be_paid_again() -> None:
    """Or a client who paid 60, had it back and paid 60 again would have a bill of 100 for 60."""
    bill, _ = invoice(state=OPEN).settle(usd(60_00), usd(0), NOW)
    bill, _ = bill.settle(usd(60_00), usd(60_00), NOW)
    assert (bill.state, bill.amount_due, bill.underpaid) == (OPEN, usd(100_00), usd(0))
    bill, became_paid = bill.settle(usd(120_00), usd(60_00), NOW)
    assert (bill.state, bill.amount_due, bill.underpaid, became_paid) == (PARTLY_PAID, usd(40_00), usd(40_00), False)
    bill, became_paid = bill.settle(usd(160_00), usd(60_00), LATER)
    assert (bill.state, bill.amount_due, bill.overpaid, became_paid) == (PAID, usd(0), usd(0), True)


def test_a_capture_and_its_refund_that_are_heard_of_together_paid_it_first() -> None:
    """The webhook of the capture was lost: the refund of a paid invoice does not open it again."""
    bill, became_paid = invoice(state=OPEN).settle(usd(100_00), usd(40_00), NOW)
    assert (bill.state, became_paid, bill.amount_due) == (PAID, True, usd(0))


def test_what_was_paid_too_much_is_gone_once_it_is_sent_back() -> None:
    """A person settles it by a refund, and then there is nothing left to be settled."""
    bill, _ = invoice(state=OPEN).settle(usd(130_00), usd(0), NOW)
    assert bill.overpaid == usd(30_00)
    bill, _ = bill.settle(usd(130_00), usd(30_00), LATER)
    assert (bill.overpaid, bill.state) == (usd(0), PAID)


@pytest.mark.parametrize("state", [OPEN, PARTLY_PAID, OVERDUE])
def test_what_is_asked_for_can_be_written_off_and_is_still_owed(state: InvoiceState) -> None:
    """It is a decision about hope, not about the debt."""
    given_up = invoice(state=state).write_off(LATER)
    assert (given_up.state, given_up.amount_due) == (UNCOLLECTIBLE, usd(100_00))
    assert given_up.write_off(LATER) is given_up


@pytest.mark.parametrize("state", [DRAFT, PAID, VOID])
def test_what_nobody_owes_cannot_be_written_off(state: InvoiceState) -> None:
    """There is nothing to give up."""
    with pytest.raises(Conflict):
        invoice(state=state).write_off(LATER)


def test_opening_keeps_the_seller_and_the_moment() -> None:
    """A company that moves must not change the invoices it has sent."""
    seller = Seller("Harbour & Finch")
    opened = invoice().open(NOW, seller)
    assert (opened.state, opened.seller, opened.opened_at) == (OPEN, seller, NOW)
    assert opened.open(LATER, Seller("Other")) is opened


def test_a_credit_note_lowers_what_is_owed() -> None:
    """And what is due with it; the total stays what the client has on paper."""
    bill = invoice(state=OPEN).credit(usd(30_00), LATER)
    assert (bill.total, bill.owed, bill.amount_due, bill.state) == (usd(100_00), usd(70_00), usd(70_00), OPEN)
    bill, became_paid = bill.settle(usd(70_00), usd(0), LATER)
    assert (bill.state, became_paid) == (PAID, True)


def test_an_invoice_is_settled_when_credit_notes_take_the_rest_away() -> None:
    """Nobody may be asked for nothing."""
    bill, _ = invoice(state=OVERDUE).settle(usd(40_00), usd(0), NOW)
    bill = bill.credit(usd(60_00), LATER)
    assert (bill.state, bill.paid_at, bill.amount_due, bill.overpaid) == (PAID, LATER, usd(0), usd(0))


def test_crediting_what_was_paid_leaves_money_to_be_sent_back() -> None:
    """That is what a person, or the note's own refund, then settles."""
    bill, _ = invoice(state=OPEN).settle(usd(100_00), usd(0), NOW)
    assert bill.credit(usd(25_00), LATER).overpaid == usd(25_00)


def test_credit_notes_never_take_back_more_than_the_invoice() -> None:
    """Down to the cent, over all of them together."""
    bill = invoice(state=OPEN).credit(usd(99_99), NOW)
    with pytest.raises(Invalid, match=r"Only 0\.01 USD of 100\.00 USD"):
        bill.credit(usd(2), LATER)
    with pytest.raises(Invalid):
        bill.credit(usd(0), LATER)
    with pytest.raises(Invalid):
        bill.credit(Money(1, JPY), LATER)
    with pytest.raises(Conflict, match="credit note"):
        bill.void(LATER)


@pytest.mark.parametrize("state", [DRAFT, VOID, UNCOLLECTIBLE])
def test_what_is_not_owed_in_the_books_is_not_credited(state: InvoiceState) -> None:
    """A draft is changed instead, a void one is gone, and what was written off has left the books."""
    with pytest.raises(Conflict):
        invoice(state=state).credit(usd(1), LATER)


@pytest.mark.parametrize(
    ("captured", "due", "overpaid"),
    [(0, 100_00, 0), (30_00, 70_00, 0), (99_99, 1, 0), (100_00, 0, 0), (100_01, 0, 1), (250_00, 0, 150_00)],
)
def test_what_is_due_and_what_came_in_beyond_never_go_below_nothing(captured: int, due: int, overpaid: int) -> None:
    """A client who pays on two pages is owed the rest, and nobody is asked for a negative amount."""
    settled, _ = invoice().settle(usd(captured), usd(0), NOW)
    assert (settled.amount_due, settled.overpaid) == (usd(due), usd(overpaid))


def test_nothing_is_due_on_a_void_invoice() -> None:
    """Whatever its lines say."""
    assert invoice().void(NOW).amount_due == usd(0)


def test_money_that_comes_for_a_void_invoice_is_counted_and_does_not_wake_it() -> None:
    """A hosted page may be paid in the second in which the invoice is withdrawn; a person has to see that money."""
    settled, became_paid = invoice().void(NOW).settle(usd(100_00), usd(0), LATER)
    assert (settled.state, settled.amount_paid, became_paid) == (VOID, usd(100_00), False)


@pytest.mark.parametrize("state", [DRAFT, OPEN, OVERDUE])
def test_what_nobody_paid_can_be_made_void(state: InvoiceState) -> None:
    """A mistake is withdrawn, not deleted."""
    void = invoice(state=state).void(LATER)
    assert (void.state, void.updated_at) == (VOID, LATER)


def test_making_void_twice_changes_nothing() -> None:
    """The second click tells nobody anything."""
    void = invoice().void(NOW)
    assert void.void(LATER) is void


@pytest.mark.parametrize(("state", "paid", "refunded"), [(PARTLY_PAID, 1, 0), (PAID, 100_00, 99_99)])
def test_what_holds_a_clients_money_cannot_be_made_void(state: InvoiceState, paid: int, refunded: int) -> None:
    """Down to the last cent."""
    with pytest.raises(Conflict, match="refund"):
        invoice(state=state, paid=paid, refunded=refunded).void(LATER)


@pytest.mark.parametrize(("state", "paid"), [(PARTLY_PAID, 1), (PAID, 100_00)])
def test_what_was_refunded_in_full_can_be_made_void(state: InvoiceState, paid: int) -> None:
    """Nothing of the client's is left with it."""
    assert invoice(state=state, paid=paid, refunded=paid).void(LATER).state is VOID


@pytest.mark.parametrize(("days", "late"), [(-1, True), (0, False), (1, False)])
@pytest.mark.parametrize("state", [OPEN, PARTLY_PAID])
def test_an_invoice_is_overdue_the_day_after_it_was_due(state: InvoiceState, days: int, late: bool) -> None:
    """The client has the whole of the day."""
    waiting = invoice(state=state, due_on=TODAY + timedelta(days=days))
    judged = waiting.overdue(TODAY, LATER)
    assert judged.state is (OVERDUE if late else state)
    assert late or judged is waiting


@pytest.mark.parametrize("state", [DRAFT, PAID, OVERDUE, VOID])
def test_only_what_waits_for_money_becomes_overdue(state: InvoiceState) -> None:
    """A draft was never asked for, and an overdue invoice is told about once."""
    old = invoice(state=state, due_on=date(2000, 1, 1))
    assert old.overdue(TODAY, LATER) is old


def test_an_invoice_without_a_due_day_is_never_overdue() -> None:
    """Nobody said when."""
    assert invoice(state=OPEN).overdue(date.max, LATER).state is OPEN


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, Fact]], list[tuple[int, Fact]]]:
    """What became known about two payments, once in order; and the same shuffled, with repetitions."""
    numbers, told = count(1), []
    for payment in (0, 1):
        for captured in draw(st.lists(st.integers(1, 120_00), max_size=2)):
            told.append((payment, Fact(FactKind.CAPTURED, f"ch_{next(numbers)}", captured, NOW)))
            for share in draw(st.lists(st.integers(1, 50), max_size=2)):
                refund = Fact(FactKind.REFUNDED, f"re_{next(numbers)}", captured * share // 100, NOW)
                told.append((payment, refund))
                if draw(st.booleans()):
                    told.append((payment, attrs.evolve(refund, kind=FactKind.REFUND_FAILED)))
        if draw(st.booleans()):
            told.append((payment, Fact(FactKind.FAILED, f"fail_{next(numbers)}", 1, NOW)))
    repeated = told + (draw(st.lists(st.sampled_from(told), max_size=5)) if told else [])
    return told, draw(st.permutations(repeated))


def lived(history: list[tuple[int, Fact]]) -> tuple[Invoice, int]:
    """The invoice after each fact was learnt by itself, and how often it became paid."""
    payments = [Payment(f"pay_{n}", "org_1", "con_1", "acme", f"pi_{n}", usd(1), NOW, NOW) for n in (0, 1)]
    bill, times_paid = invoice(state=OPEN), 0
    for index, fact in history:
        payments[index], _ = payments[index].learn(fact, now=NOW)
        captured, refunded = (payments[0].captured + payments[1].captured, payments[0].refunded + payments[1].refunded)
        bill, became_paid = bill.settle(captured, refunded, NOW)
        times_paid += became_paid
    return bill, times_paid


@patiently
@given(histories())
def test_facts_in_any_order_and_number_lead_to_the_same_sums_paid_once(
    both: tuple[list[tuple[int, Fact]], list[tuple[int, Fact]]],
) -> None:
    """Webhooks come twice, late and out of order; an invoice may not be announced as paid twice, nor never.

    Only where refunds lie between does it depend on what was heard first: whether they came before it was paid in full.
    """
    in_order, shuffled = both
    (expected, once), (bill, times_paid) = lived(in_order), lived(shuffled)
    assert (bill.paid, bill.refunded) == (expected.paid, expected.refunded)
    assert times_paid <= 1
    assert (bill.state is PAID) == (times_paid == 1)
    if bill.paid - bill.refunded >= bill.total.amount:
        assert times_paid == once == 1
    if bill.paid < bill.total.amount:
        assert times_paid == once == 0
