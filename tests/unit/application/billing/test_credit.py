"""Credit notes: numbered on their own, never over more than is left, and with the money going back where it is wanted."""

import asyncio
from typing import Any

import pytest

from application.billing.credit import Credited
from application.once import Once
from application.ports.payments import ProviderRefused
from domain.billing.credit_notes import CreditedLine, CreditNote
from domain.billing.invoices import InvoiceState
from domain.billing.payments import RefundState
from domain.money import Currency, DoesNotFit, Money
from domain.refusals import Conflict, Invalid
from tests.unit.application.bench import Bench

USD = Currency("USD")


async def notes(bench: Bench) -> tuple[CreditNote, ...]:
    """All of them."""
    async with bench.look() as work:
        return await work.credit_notes.all()


async def test_a_credit_note_lowers_what_is_owed_and_is_told(bench: Bench) -> None:
    """The client pays the rest."""
    bill = await bench.open_invoice()
    credited = await bench.credit(bench.caller, bill.id, amount="30.00", reason="One page less")
    assert (credited.note.number, credited.note.amount) == ("CN-0001", Money(30_00, USD))
    assert credited.invoice.amount_due == Money(70_00, USD)
    assert "invoice.credited" in await bench.told()
    assert (await bench.credit(bench.caller, bill.id)).note.amount == Money(70_00, USD)
    settled = await bench.invoice(bill.id)
    assert (settled.state, settled.amount_due) == (InvoiceState.PAID, Money(0, USD))
    assert [note.number for note in await notes(bench)] == ["CN-0001", "CN-0002"]


async def test_a_part_paid_invoice_is_paid_when_a_note_takes_the_rest(bench: Bench) -> None:
    """Told as any other, so that the work goes on; one that is credited in full was not paid by anybody."""
    bill = await bench.open_invoice()
    part = bench.fake.pay(await bench.order(bill, Money(40_00, USD)))
    assert part.intent_reference is not None
    await bench.settle.intent(bench.org, bench.connection.id, part.intent_reference)
    await bench.credit(bench.caller, bill.id, amount="60.00")
    assert (await bench.invoice(bill.id)).state is InvoiceState.PAID
    assert (await bench.told()).count("invoice.paid") == 1
    await bench.credit(bench.caller, (await bench.open_invoice()).id)
    assert (await bench.told()).count("invoice.paid") == 1


async def test_a_page_for_the_old_amount_is_closed(bench: Bench) -> None:
    """Or the client would pay what they no longer owe."""
    bill = await bench.open_invoice()
    await bench.opened_page(bill)
    await bench.credit(bench.caller, bill.id, amount="30.00")
    assert [page.state.value for page in await bench.checkouts()] == ["expired"]


async def test_lines_are_credited_by_quantity(bench: Bench) -> None:
    """With neither lines nor an amount it is all that is left; both is a contradiction."""
    bill = await bench.open_invoice()
    credited = await bench.credit(bench.caller, bill.id, lines=[CreditedLine(0, 1)])
    assert credited.note.amount == bill.total
    with pytest.raises(Invalid):
        await bench.credit(bench.caller, bill.id, amount="1", lines=[CreditedLine(0, 1)])
    with pytest.raises(Invalid):
        await bench.credit(bench.caller, bill.id, lines=[])


@pytest.mark.parametrize("amount", ["100.01", "0", "-1"])
async def test_what_cannot_be_credited_takes_no_number(bench: Bench, amount: str) -> None:
    """The sequence has no gaps."""
    bill = await bench.open_invoice()
    with pytest.raises(Invalid):
        await bench.credit(bench.caller, bill.id, amount=amount)
    with pytest.raises(DoesNotFit):
        await bench.credit(bench.caller, bill.id, amount="0.001")
    assert (await bench.credit(bench.caller, bill.id, amount="1")).note.number == "CN-0001"


async def test_of_two_notes_at_once_that_are_too_much_together_one_is_written(bench: Bench) -> None:
    """Sixty and sixty of a hundred."""
    bill = await bench.open_invoice()
    both = (bench.credit(bench.caller, bill.id, amount="60.00") for _ in range(2))
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(one, Credited) for one in done) == 1
    assert (await bench.invoice(bill.id)).credited == 60_00
    assert len(await notes(bench)) == 1


async def test_the_money_goes_back_with_the_note(bench: Bench) -> None:
    """One click for the bookkeeper: the note names the refund."""
    bill, payment = await bench.paid()
    credited = await bench.credit(bench.caller, bill.id, amount="25.00", refund=True)
    (refund,) = await bench.refunds()
    assert (refund.amount, refund.state, refund.payment_id) == (Money(25_00, USD), RefundState.SUCCEEDED, payment.id)
    assert credited.note.refund_id == refund.id
    assert credited.problem is None
    after = await bench.invoice(bill.id)
    assert (after.state, after.overpaid, after.refunded) == (InvoiceState.PAID, Money(0, USD), 25_00)


async def test_a_refund_that_is_refused_leaves_the_note_and_says_why(bench: Bench) -> None:
    """The note is in the books; what is held beyond what is owed is shown, for a person to send back otherwise."""
    bill, _ = await bench.paid()

    async def refuse() -> None:
        raise ProviderRefused("The balance is too low.")

    bench.between.before["refund"] = refuse
    credited = await bench.credit(bench.caller, bill.id, amount="25.00", refund=True)
    assert credited.note.refund_id is None
    assert "balance is too low" in (credited.problem or "")
    assert (await bench.invoice(bill.id)).overpaid == Money(25_00, USD)


async def test_a_refund_is_refused_where_nothing_is_held_for_it(bench: Bench) -> None:
    """An unpaid invoice has no money to send back; nothing is written then."""
    bill = await bench.open_invoice()
    with pytest.raises(Invalid) as refused:
        await bench.credit(bench.caller, bill.id, amount="25.00", refund=True)
    assert refused.value.faults[0].field == "refund"
    assert await notes(bench) == ()


async def test_the_same_call_again_writes_one_note(bench: Bench) -> None:
    """A host application that heard no answer asks again with the same key."""
    bill, _ = await bench.paid()
    seen: list[Any] = []

    def render(credited: Any) -> tuple[int, bytes, dict[str, str]]:
        seen.append(credited)
        return 201, str(credited.note.refund_id).encode(), {}

    credited = await bench.credit(bench.caller, bill.id, amount="5", refund=True, once=Once("k", "hash", render))
    async with bench.look() as work:
        answer = await work.answers.find("k")
    assert answer is not None
    assert answer.body == str(credited.note.refund_id).encode()


@pytest.mark.parametrize("amount", [None, "1"])
async def test_a_void_invoice_is_not_credited(bench: Bench, amount: str | None) -> None:
    """It is owed no more."""
    bill = await bench.open_invoice()
    await bench.void_invoice(bench.caller, bill.id)
    with pytest.raises(Conflict):
        await bench.credit(bench.caller, bill.id, amount=amount)
