"""A person settles money that came in another way than it was asked for; the books agree before and after."""

from datetime import timedelta

import pytest

from application.billing.refund import RefundDeclined
from application.billing.resolve import Resolution
from application.connections.connect import ProviderUnavailable
from application.ports.payments import ProviderRefused, RetryLater
from domain.billing.conflicts import ConflictKind
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import Payment, PaymentState
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid, NotFound
from tests.unit.application.bench import Bench

USD = Currency("USD")


async def came(bench: Bench, invoice: Invoice, money: Money) -> Payment:
    """Money comes for an invoice."""
    page = bench.fake.pay(await bench.order(invoice, money))
    await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
    return next(one for one in await bench.payments() if one.reference == page.intent_reference)


async def paid_twice(bench: Bench) -> tuple[Invoice, Payment]:
    """An invoice of 100 USD that was paid, and the second payment of it."""
    invoice = await bench.open_invoice()
    await came(bench, invoice, Money(10_000, USD))
    return invoice, await came(bench, invoice, Money(10_000, USD))


async def audit(bench: Bench) -> list[tuple[str, str]]:
    """Who did what."""
    async with bench.look() as work:
        return [(one.actor, one.action) for one in await work.audit.all() if one.action == "payment.resolved"]


async def balanced(bench: Bench) -> dict[str, int]:
    """What the ledger's accounts come to; together nothing."""
    async with bench.look() as work:
        sums = {one.account: one.amount.amount for one in await work.ledger.balances()}
    assert sum(sums.values()) == 0
    return {account: amount for account, amount in sums.items() if amount}


async def test_the_second_payment_is_accepted_and_shown_as_too_much(bench: Bench) -> None:
    """The client wants it kept for next month."""
    invoice, second = await paid_twice(bench)
    assert (await balanced(bench))["suspense"] == -10_000
    settled = await bench.resolve(bench.caller, second.id, Resolution.ACCEPT)
    assert (settled.state, settled.conflict) == (PaymentState.SUCCEEDED, None)
    assert (settled.resolution or "").startswith("Accepted: Invoice")
    assert (await bench.invoice(invoice.id)).overpaid == Money(10_000, USD)
    books = await balanced(bench)
    assert (books.get("suspense"), books["overpayments"]) == (None, -10_000)
    assert await audit(bench) == [("key:test", "payment.resolved")]


async def test_the_second_payment_is_moved_to_the_invoice_it_was_meant_for(bench: Bench) -> None:
    """They paid the old link again instead of the new one."""
    _, second = await paid_twice(bench)
    meant = await bench.open_invoice()
    reference = await bench.opened_page(meant)
    moved = await bench.resolve(bench.caller, second.id, Resolution.MOVE, invoice_id=meant.id)
    assert (moved.state, moved.invoice_id) == (PaymentState.SUCCEEDED, meant.id)
    assert (await bench.invoice(meant.id)).state is InvoiceState.PAID
    assert bench.fake.checkouts[reference].state.value == "expired"
    assert (await bench.told())[-1] == "invoice.paid"
    assert "suspense" not in await balanced(bench)


async def test_the_second_payment_is_sent_back(bench: Bench) -> None:
    """All of it; then there is nothing left to settle, and the invoice stays paid."""
    invoice, second = await paid_twice(bench)
    back = await bench.resolve(bench.caller, second.id, Resolution.REFUND)
    assert (back.state, back.refunded) == (PaymentState.REFUNDED, Money(10_000, USD))
    settled = await bench.invoice(invoice.id)
    assert (settled.state, settled.paid, settled.refunded) == (InvoiceState.PAID, 10_000, 0)
    assert "suspense" not in await balanced(bench)


async def test_of_an_overpayment_what_is_too_much_is_sent_back(bench: Bench) -> None:
    """The rest pays the invoice."""
    invoice = await bench.open_invoice()
    payment = await came(bench, invoice, Money(12_500, USD))
    assert payment.conflict_kind is ConflictKind.OVERPAID
    back = await bench.resolve(bench.caller, payment.id, Resolution.REFUND)
    assert (back.state, back.refunded) == (PaymentState.PARTLY_REFUNDED, Money(2_500, USD))
    settled = await bench.invoice(invoice.id)
    assert (settled.state, settled.overpaid.amount) == (InvoiceState.PAID, 0)


@pytest.mark.parametrize("what", ["wrong currency", "void"])
async def test_what_no_invoice_can_count_is_kept_without_one(bench: Bench, what: str) -> None:
    """It is the client's money, and on nobody's bill."""
    invoice = await bench.open_invoice()
    if what == "void":
        await bench.void_invoice(bench.caller, invoice.id)
    payment = await came(bench, invoice, Money(10_000, Currency("JPY") if what == "wrong currency" else USD))
    kept = await bench.resolve(bench.caller, payment.id, Resolution.ACCEPT)
    assert (kept.state, kept.invoice_id) == (PaymentState.SUCCEEDED, None)
    assert (await bench.invoice(invoice.id)).paid == 0
    async with bench.look() as work:
        assert all(one.account != "suspense" or not one.amount for one in await work.ledger.balances())


async def test_a_refund_that_is_declined_settles_nothing(bench: Bench) -> None:
    """The conflict stays until the money is really on its way."""
    _, second = await paid_twice(bench)
    bench.fake.fail_next(ProviderRefused("insufficient funds"))
    with pytest.raises(RefundDeclined):
        await bench.resolve(bench.caller, second.id, Resolution.REFUND)
    assert (await bench.payments())[-1].state is PaymentState.CONFLICTED
    assert await audit(bench) == []


async def test_a_refund_without_an_answer_is_finished_later_and_then_it_is_settled(bench: Bench) -> None:
    """The provider was away for a moment; nobody has to decide twice."""
    _, second = await paid_twice(bench)
    bench.fake.fail_next(RetryLater("away"))
    with pytest.raises(ProviderUnavailable):
        await bench.resolve(bench.caller, second.id, Resolution.REFUND)
    bench.clock.advance(timedelta(minutes=2))
    await bench.resume_refunds()
    assert (await bench.payments())[-1].state is PaymentState.REFUNDED


async def test_what_cannot_be_settled_that_way_is_refused(bench: Bench) -> None:
    """No conflict, no such payment, an invoice that is paid, in another currency, or the same."""
    invoice, second = await paid_twice(bench)
    first = (await bench.payments())[0]
    with pytest.raises(Conflict, match="nothing to settle"):
        await bench.resolve(bench.caller, first.id, Resolution.ACCEPT)
    with pytest.raises(NotFound):
        await bench.resolve(bench.caller, "pay_none", Resolution.ACCEPT)
    for resolution, target in ((Resolution.MOVE, None), (Resolution.ACCEPT, invoice.id), (Resolution.MOVE, invoice.id)):
        with pytest.raises(Invalid, match="invoice_id"):
            await bench.resolve(bench.caller, second.id, resolution, invoice_id=target)
    paid, _ = await bench.paid()
    with pytest.raises(Conflict, match="already paid"):
        await bench.resolve(bench.caller, second.id, Resolution.MOVE, invoice_id=paid.id)
    assert (await bench.payments())[1].state is PaymentState.CONFLICTED
    counted = await came(bench, await bench.open_invoice(), Money(15_000, USD))
    with pytest.raises(Conflict, match="its own invoice"):
        await bench.resolve(bench.caller, counted.id, Resolution.MOVE, invoice_id=(await bench.open_invoice()).id)
