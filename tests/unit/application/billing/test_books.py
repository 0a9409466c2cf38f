"""The ledger: every posting adds up to nothing, is made once, and says what invoices and payments say."""

import asyncio
from collections.abc import Mapping

import pytest

from application.billing.check_books import CheckBooks
from application.billing.resolve import Resolution
from application.ports.payments import RefundState
from application.ports.store import AlreadyThere
from domain.billing.ledger import Entry
from domain.billing.payments import Fact, FactKind
from domain.money import Currency, Money
from tests.books import assert_books
from tests.unit.application.bench import Bench

USD = Currency("USD")


async def balances(bench: Bench) -> Mapping[str, int]:
    """The accounts that are not at nothing, in US cents."""
    async with bench.look() as work:
        found = await work.ledger.balances()
    return {one.account: one.amount.amount for one in found if one.amount}


async def test_a_payment_moves_what_is_owed_to_what_the_provider_holds(bench: Bench) -> None:
    """The invoice made a claim and revenue; the payment ends the claim; what the provider keeps is a cost."""
    invoice = await bench.open_invoice()
    async with bench.store.of(bench.org) as work:
        await bench.books.invoice_opened(work, invoice)
        await work.commit()
    assert await balances(bench) == {"receivable": 10_000, "revenue": -10_000}
    page = bench.fake.pay(await bench.opened_page(invoice))
    assert page.intent_reference is not None
    bench.fake.charge_fee(page.intent_reference, Money(320, USD))
    await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference)
    assert await balances(bench) == {"balance:fake": 9_680, "fees": 320, "revenue": -10_000}
    await assert_books(bench.store, bench.org)


async def test_the_same_news_a_second_time_posts_nothing(bench: Bench) -> None:
    """Webhooks come twice, and a caller may post late what another has posted."""
    invoice, payment = await bench.paid()
    before = await balances(bench)
    for _ in range(2):
        async with bench.store.of(bench.org) as work:
            await bench.books.invoice_opened(work, invoice)
            await bench.books.facts_learned(work, payment, payment.facts)
            await work.commit()
    assert await balances(bench) == before


async def test_a_refund_is_a_cost_and_comes_back_when_it_fails(bench: Bench) -> None:
    """What the bank sends back days later is held by the provider again."""
    _, payment = await bench.paid()
    refund = await bench.refund(bench.caller, payment.id, amount="25")
    assert (await balances(bench))["refunds"] == 2_500
    assert refund.reference is not None
    await assert_books(bench.store, bench.org)
    bench.fake.settle_refund(refund.reference, RefundState.FAILED)
    await bench.settle.intent(bench.org, bench.connection.id, payment.reference)
    assert await balances(bench) == {"balance:fake": 10_000, "revenue": -10_000}
    await assert_books(bench.store, bench.org)


async def test_what_goes_back_before_all_was_paid_is_owed_again(bench: Bench) -> None:
    """The invoice says so too: it was never paid."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.order(invoice, Money(4_000, USD)))
    assert page.intent_reference is not None
    await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference)
    (payment,) = await bench.payments()
    await bench.refund(bench.caller, payment.id, amount=None)
    assert await balances(bench) == {"receivable": 10_000, "revenue": -10_000}
    await assert_books(bench.store, bench.org)


async def test_what_is_paid_too_much_is_the_clients(bench: Bench) -> None:
    """A debt of ours, until it goes back; only then is it nobody's cost."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(invoice), Money(13_000, USD))
    assert page.intent_reference is not None
    await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference)
    assert (await balances(bench))["overpayments"] == -3_000
    (payment,) = await bench.payments()
    await bench.refund(bench.caller, payment.id, amount="30")
    assert await balances(bench) == {"balance:fake": 10_000, "revenue": -10_000}
    await assert_books(bench.store, bench.org)


async def test_money_that_nobody_explained_is_kept_apart(bench: Bench) -> None:
    """A second payment of a paid invoice is not income; sent back, it leaves no trace in what was earned."""
    invoice = await bench.open_invoice()
    pages = [bench.fake.pay(await bench.order(invoice, Money(10_000, USD))) for _ in range(2)]
    for page in pages:
        assert page.intent_reference is not None
        await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference)
    assert (await balances(bench))["suspense"] == -10_000
    await assert_books(bench.store, bench.org)
    (second,) = [one for one in await bench.payments() if one.conflict is not None]
    await bench.refund(bench.caller, second.id, amount=None)
    assert await balances(bench) == {"balance:fake": 10_000, "revenue": -10_000}
    await assert_books(bench.store, bench.org)


async def test_a_dispute_takes_from_the_balance_until_it_is_won(bench: Bench) -> None:
    """The bank holds the money meanwhile."""
    _, payment = await bench.paid()
    bench.fake.dispute(payment.reference, Money(10_000, USD))
    await bench.settle.intent(bench.org, bench.connection.id, payment.reference)
    assert await balances(bench) == {"disputes": 10_000, "revenue": -10_000}
    bench.fake.dispute(payment.reference, None)
    await bench.settle.intent(bench.org, bench.connection.id, payment.reference)
    assert await balances(bench) == {"balance:fake": 10_000, "revenue": -10_000}
    await assert_books(bench.store, bench.org)


async def test_a_refund_that_failed_before_it_was_posted_moves_nothing(bench: Bench) -> None:
    """Both become known together when the webhook of the refund was lost."""
    _, payment = await bench.paid()
    gone = [Fact(kind, "r1", 500, bench.clock.now()) for kind in (FactKind.REFUNDED, FactKind.REFUND_FAILED)]
    payment, new = payment.learn(*gone, now=bench.clock.now())
    before = await balances(bench)
    async with bench.store.of(bench.org) as work:
        await bench.books.facts_learned(work, payment, new)
        await work.commit()
    assert await balances(bench) == before


async def test_what_is_older_than_the_ledger_is_posted_once(bench: Bench) -> None:
    """An installation that is upgraded has invoices and payments, and no entries."""
    await bench.open_invoice()
    payment = bench.make.payment(bench.org, connection_id=bench.connection.id, provider="fake", reference="old")
    payment, _ = payment.learn(Fact(FactKind.CAPTURED, "old", 700, bench.clock.now()), now=bench.clock.now())
    await bench.add("payments", payment)
    assert await CheckBooks(bench.store)(bench.org)
    assert await bench.open_books() == {"organisations": 1}
    await assert_books(bench.store, bench.org)
    assert await bench.open_books() == {"organisations": 0}


async def test_a_payment_that_a_person_moves_is_owed_where_it_came_for(bench: Bench) -> None:
    """The client paid one invoice twice and another not at all."""
    paid, other = await bench.open_invoice(), await bench.open_invoice()
    for page in [bench.fake.pay(await bench.order(paid, Money(10_000, USD))) for _ in range(2)]:
        assert page.intent_reference is not None
        await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference)
    (second,) = [one for one in await bench.payments() if one.conflict is not None]
    await bench.resolve(bench.caller, second.id, Resolution.MOVE, invoice_id=other.id)
    assert await balances(bench) == {"balance:fake": 20_000, "revenue": -20_000}
    await assert_books(bench.store, bench.org)


async def test_two_payments_of_one_invoice_at_once_are_both_posted(bench: Bench) -> None:
    """Each looks at what the invoice still owes; one of them has to look again."""
    invoice = await bench.open_invoice()
    pages = [bench.fake.pay(await bench.order(invoice, Money(6_000, USD))) for _ in range(2)]
    references = [page.intent_reference for page in pages if page.intent_reference]
    await asyncio.gather(*(bench.settle.intent(bench.org, bench.connection.id, one) for one in references))
    await assert_books(bench.store, bench.org)


@pytest.mark.writes_by_hand
async def test_the_check_names_what_does_not_agree(bench: Bench) -> None:
    """A check that finds nothing in spoiled books would be worth nothing."""
    await bench.paid()
    entry = Entry(
        bench.ids.new("ledger_entry"),
        bench.org,
        "pst_1",
        "spoiled",
        "balance:fake",
        Money(1, USD),
        bench.clock.now(),
        "x",
    )
    await bench.add("ledger", entry)
    wrong = await CheckBooks(bench.store)(bench.org)
    assert [text.partition(":")[0] for text in wrong] == ["spoiled does not add up", "('balance"]
    with pytest.raises(AssertionError, match="spoiled"):
        await assert_books(bench.store, bench.org)
    with pytest.raises(AlreadyThere):
        await bench.add("ledger", entry)
