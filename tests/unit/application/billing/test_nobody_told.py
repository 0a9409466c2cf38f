"""What happened at a provider and was told by nobody: the hub finds it by itself."""

from datetime import timedelta

from application.billing.resolve import Resolution
from application.ports.payments import RefundState as Theirs
from application.ports.payments import RetryLater
from domain.billing.conflicts import ConflictKind
from domain.billing.ledger import OVERPAYMENTS
from domain.billing.links import CheckoutState
from domain.billing.payments import PaymentState, RefundState
from domain.billing.reconciliation import DifferenceKind, Fix
from domain.money import Currency, Money
from tests.books import assert_books
from tests.unit.application.bench import Bench


async def test_a_page_that_was_paid_while_it_was_closed_stays_open_until_its_payment_is_known(bench: Bench) -> None:
    """Were it noted as complete, nobody would ask for it again, and a lost webhook would be lost money."""
    invoice = await bench.open_invoice()
    bench.fake.pay(await bench.opened_page(invoice))
    await bench.void_invoice(bench.caller, invoice.id)
    (page,) = await bench.checkouts()
    assert page.state is CheckoutState.OPEN
    assert await bench.settle.checkout(bench.org, bench.connection.id, page.reference or "")
    (page,) = await bench.checkouts()
    (payment,) = await bench.payments()
    assert (page.state, payment.conflict_kind) == (CheckoutState.COMPLETE, ConflictKind.AFTER_VOID)


async def test_a_refund_whose_payment_did_not_hear_of_it_is_learned(bench: Bench) -> None:
    """The provider made it, and could not be looked at then; where no webhook tells of refunds, the job does."""
    _, payment = await bench.paid()

    async def away() -> None:
        raise RetryLater("away")

    bench.between.before["fetch_intent"] = away
    refund = await bench.refund(bench.caller, payment.id, amount="25.00")
    assert refund.state is RefundState.SUCCEEDED
    assert (await bench.payments())[0].refunded.amount == 0
    bench.between.before.clear()
    bench.clock.advance(timedelta(minutes=5))
    await bench.resume_refunds()
    (after,) = await bench.payments()
    assert (after.state, after.refunded.amount) == (PaymentState.PARTLY_REFUNDED, 2_500)
    calls = len(bench.fake.calls)
    await bench.resume_refunds()
    assert len(bench.fake.calls) == calls, "what is known is not asked for"


async def test_a_refund_that_came_back_unheard_is_a_difference(bench: Bench) -> None:
    """The provider's list has it as not done; whether it is under way or came back is asked."""
    _, payment = await bench.paid()
    refund = await bench.refund(bench.caller, payment.id, amount="25.00")
    bench.fake.settle_refund(refund.reference or "", Theirs.FAILED)
    since = bench.clock.now() - timedelta(hours=1)
    bench.clock.advance(timedelta(days=1))
    run = await bench.start_reconciliation(bench.caller, "fake", since=since, until=since + timedelta(hours=2))
    await bench.reconcile()
    async with bench.look() as work:
        (difference,) = await work.differences.all(run_id=run.id)
    assert (difference.kind, difference.movement, difference.theirs) == (DifferenceKind.STATE, "refund", "failed")
    await bench.fix_difference(bench.caller, run.id, difference.id, Fix.SETTLED)
    assert (await bench.payments())[0].refunded.amount == 0


async def test_a_refund_that_came_back_after_its_conflict_was_settled_is_the_clients(bench: Bench) -> None:
    """A part went back while nobody had explained the payment; now somebody has, and nothing may stay in suspense."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(invoice), Money(4_000, Currency("EUR")))
    where = (bench.org, bench.connection.id, page.intent_reference or "")
    await bench.settle.intent(*where)
    (payment,) = await bench.payments()
    refund = await bench.refund(bench.caller, payment.id, amount="8.00")
    await bench.resolve(bench.caller, payment.id, Resolution.ACCEPT)
    bench.fake.settle_refund(refund.reference or "", Theirs.FAILED)
    await bench.settle.intent(*where)
    await assert_books(bench.store, bench.org)
    async with bench.look() as work:
        held = {
            one.account: one.amount.amount for one in await work.ledger.balances() if one.amount.currency.code == "EUR"
        }
    assert {account: sum_ for account, sum_ in held.items() if sum_} == {"balance:fake": 4_000, OVERPAYMENTS: -4_000}
