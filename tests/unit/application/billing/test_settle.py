"""Settling: whatever webhooks come, however often and in whatever order, the books say what the provider says, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any

import attrs
import pytest

from application.ports.payments import RefundState, RetryLater
from application.ports.store import StaleWrite, Work
from domain.billing.conflicts import ConflictKind
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState
from domain.billing.payments import PaymentState
from domain.billing.payments import RefundState as OurRefundState
from domain.money import Currency, Money
from tests.fakes.payments import GOOD
from tests.unit.application.bench import Bench

USD = Currency("USD")
PAID = ["payment.received", "invoice.paid"]


async def test_the_same_news_twice_is_told_once(bench: Bench) -> None:
    """Providers repeat their webhooks; a client must not be thanked twice, nor an accountant misled."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(invoice))
    for _ in range(3):
        assert await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
        assert await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference or "")
    (payment,) = await bench.payments()
    assert (payment.captured, payment.state) == (Money(10_000, USD), PaymentState.SUCCEEDED)
    settled = await bench.invoice(invoice.id)
    assert (settled.state, settled.paid) == (InvoiceState.PAID, 10_000)
    assert await bench.told() == PAID


async def test_the_same_news_at_once_is_told_once(bench: Bench) -> None:
    """Several workers, several webhooks about one payment, the same moment."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(invoice))
    where = (bench.org, bench.connection.id)
    await asyncio.gather(
        *(bench.settle.intent(*where, page.intent_reference or "") for _ in range(5)),
        bench.settle.checkout(*where, page.reference),
    )
    assert len(await bench.payments()) == 1
    assert await bench.told() == PAID


class Overtaken:
    """A store in which somebody else saves a checkout between the first reading of it and the saving."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.left = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def of(self, organisation_id: str) -> AsyncIterator[Work]:
        async with self._store.of(organisation_id) as work:
            save = work.checkouts.save

            async def saving(thing: Any) -> Any:
                if self.left:
                    self.left -= 1
                    raise StaleWrite("The checkout was changed by someone else meanwhile.")
                return await save(thing)

            work.checkouts.save = saving
            yield work


async def test_who_is_overtaken_looks_again(bench: Bench) -> None:
    """The payer comes back while the webhook is being handled: neither may see an error of the other's making."""
    page = bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    overtaken: Any = Overtaken(bench.store)
    bench.settle._store = bench.learn._store = overtaken
    assert await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
    assert overtaken.left == 0
    assert await bench.told() == PAID


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_order_of_webhooks_does_not_matter(bench: Bench, order: tuple[int, ...]) -> None:
    """Paid, completed, refunded: told in any order, the end is the same."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(invoice))
    assert page.intent_reference is not None
    await bench.fake.refund({"secret_key": "x"}, page.intent_reference, Money(2_500, USD), key="r")
    bodies = bench.fake.events[-3:]
    for index in order:
        await bench.webhook(bodies[index])
        assert await bench.handle() == 1
    (payment,) = await bench.payments()
    assert (payment.state, payment.refunded) == (PaymentState.PARTLY_REFUNDED, Money(2_500, USD))
    settled = await bench.invoice(invoice.id)
    assert (settled.state, settled.refunded) == (InvoiceState.PAID, 2_500)
    assert sorted(await bench.told()) == sorted([*PAID, "payment.refunded", "invoice.refunded"])
    assert [c.state for c in await bench.checkouts()] == [CheckoutState.COMPLETE]


async def test_a_webhook_that_is_quicker_than_our_own_row_finds_its_place(bench: Bench) -> None:
    """The provider tells of a payment before the call that started it has written it down."""
    invoice = await bench.open_invoice()

    async def webhook() -> None:
        (intent,) = bench.fake.intents
        assert await bench.settle.intent(bench.org, bench.connection.id, intent)

    bench.between.after["create_intent"] = webhook
    started = await bench.start(bench.caller, provider="fake", invoice_id=invoice.id)
    (payment,) = await bench.payments()
    assert started.payment == payment
    await bench.fake.confirm_intent({"secret_key": "x"}, payment.reference, method=GOOD, key="c")
    await bench.settle.intent(bench.org, bench.connection.id, payment.reference)
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID
    assert await bench.told() == PAID


async def test_money_in_another_currency_pays_nothing_and_is_shown(bench: Bench) -> None:
    """100 JPY are not 100 USD; a person has to look."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.order(invoice, Money(10_000, Currency("JPY"))))
    assert await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
    (payment,) = await bench.payments()
    assert payment.state is PaymentState.CONFLICTED
    assert "JPY" in (payment.conflict or "")
    left = await bench.invoice(invoice.id)
    assert (left.state, left.paid) == (InvoiceState.OPEN, 0)
    assert payment.conflict_kind is ConflictKind.WRONG_CURRENCY
    assert await bench.told() == ["payment.received", "payment.conflicted"]


async def test_a_part_is_noted_and_the_rest_makes_it_paid(bench: Bench) -> None:
    """It is told as paid once, with the last part."""
    invoice = await bench.open_invoice()
    for amount, state in ((4_000, InvoiceState.PARTLY_PAID), (6_000, InvoiceState.PAID)):
        page = bench.fake.pay(await bench.order(invoice, Money(amount, USD)))
        await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
        assert (await bench.invoice(invoice.id)).state is state
    assert await bench.told() == ["payment.received", *PAID]


async def test_an_invoice_paid_twice_is_paid_once_and_shows_what_is_too_much(bench: Bench) -> None:
    """Two pages in two browsers: the second payment is received and set aside, and the invoice is not paid again."""
    invoice = await bench.open_invoice()
    pages = [bench.fake.pay(await bench.order(invoice, Money(10_000, USD))) for _ in range(2)]
    for page in pages:
        assert await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
    settled = await bench.invoice(invoice.id)
    assert (settled.state, settled.paid, settled.overpaid) == (InvoiceState.PAID, 10_000, Money.zero(USD))
    good, second = await bench.payments()
    assert (good.state, second.state) == (PaymentState.SUCCEEDED, PaymentState.CONFLICTED)
    assert second.conflict_kind is ConflictKind.PAID_TWICE
    assert await bench.told() == [*PAID, "payment.received", "payment.conflicted"]


async def test_two_payments_at_once_are_both_counted(bench: Bench) -> None:
    """Each is worked on under its own lock; the invoice's version keeps one from overwriting the other."""
    invoice = await bench.open_invoice()
    pages = [bench.fake.pay(await bench.order(invoice, Money(5_000, USD))) for _ in range(2)]
    for body in bench.fake.events:
        await bench.webhook(body)
    while await bench.inbox.next_due(bench.clock.now()) is not None:
        await bench.handle()
        bench.clock.advance((await bench.inbox.next_due(bench.clock.now()) or bench.clock.now()) - bench.clock.now())
    settled = await bench.invoice(invoice.id)
    assert (len(pages), settled.state, settled.paid) == (2, InvoiceState.PAID, 10_000)
    assert sorted(await bench.told()) == sorted(["payment.received", *PAID])


async def test_a_declined_card_is_told_and_the_next_one_pays(bench: Bench) -> None:
    """Each failure once, however often its webhook comes."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    bench.fake.decline(reference)
    where, intent = (bench.org, bench.connection.id), bench.fake.checkouts[reference].intent_reference or ""
    for _ in range(2):
        await bench.settle.intent(*where, intent, failure="evt_1")
    assert (await bench.payments())[0].state is PaymentState.FAILED
    assert await bench.told() == ["payment.failed", "invoice.payment_failed"]
    page = bench.fake.pay(reference)
    await bench.settle.checkout(*where, page.reference)
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID
    assert (await bench.told())[2:] == PAID


async def test_a_refund_that_comes_back_no_longer_counts(bench: Bench) -> None:
    """A closed bank account: days later the money is here again, and can be refunded another way."""
    invoice, payment = await bench.paid()
    refund = await bench.refund(bench.caller, payment.id, amount="60")
    assert (await bench.payments())[0].refundable == Money(4_000, USD)
    bench.fake.settle_refund(refund.reference or "", RefundState.FAILED)
    for _ in range(2):
        await bench.settle.intent(bench.org, bench.connection.id, payment.reference)
    assert (await bench.payments())[0].refundable == Money(10_000, USD)
    assert (await bench.invoice(invoice.id)).refunded == 0
    (ours,) = await bench.refunds()
    assert (ours.state, ours.failure) == (OurRefundState.FAILED, "The bank refused it.")


async def test_a_refund_in_a_state_we_do_not_know_still_counts(bench: Bench) -> None:
    """A new word of the provider's must not let the same money be sent back twice."""
    _, payment = await bench.paid()
    refund = await bench.refund(bench.caller, payment.id, amount="60")
    bench.fake.refunds[refund.reference or ""] = attrs.evolve(
        bench.fake.refunds[refund.reference or ""], state=RefundState.UNKNOWN
    )
    await bench.settle.intent(bench.org, bench.connection.id, payment.reference)
    assert (await bench.payments())[0].refundable == Money(4_000, USD)
    assert (await bench.refunds())[0].state is OurRefundState.SUCCEEDED


async def test_what_was_not_made_here_is_left_alone(bench: Bench) -> None:
    """One account at the provider may serve several systems."""
    other = await bench.found()
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.order(invoice, Money(10_000, USD), organisation=other))
    where = (bench.org, bench.connection.id)
    assert not await bench.settle.checkout(*where, page.reference)
    assert not await bench.settle.intent(*where, page.intent_reference or "")
    assert await bench.payments() == ()
    assert await bench.told() == []


async def test_a_paid_invoice_closes_its_other_pages(bench: Bench) -> None:
    """Nobody pays it a second time by an old tab; the links say it is paid."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    page = bench.fake.pay(await bench.order(invoice, Money(10_000, USD)))
    await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
    assert bench.fake.checkouts[reference].state.value == "expired"
    assert [c.state for c in await bench.checkouts()] == [CheckoutState.EXPIRED]
    async with bench.look() as work:
        assert [link.state.value for link in await work.links.all()] == ["completed"]


async def test_pages_that_cannot_be_closed_now_are_closed_the_next_time(bench: Bench) -> None:
    """The payment is in the books already, and is not told again."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    page = bench.fake.pay(await bench.order(invoice, Money(10_000, USD)))

    async def fail() -> None:
        raise RetryLater("away")

    bench.between.before["expire_checkout"] = fail
    with pytest.raises(RetryLater):
        await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID
    bench.between.before.clear()
    await bench.settle.checkout(bench.org, bench.connection.id, page.reference)
    assert bench.fake.checkouts[reference].state.value == "expired"
    assert await bench.told() == PAID


async def test_one_page_that_cannot_be_closed_does_not_keep_the_others_open(bench: Bench) -> None:
    """A connection whose key was revoked is no reason to leave another provider's page payable."""
    invoice = await bench.open_invoice()
    first = await bench.opened_page(invoice)
    second = await bench.connect(bench.org, secrets={"secret_key": "second"})
    await bench.page_beside(invoice, second)
    bench.fake.revoked.add(f"key of {bench.org}")
    with pytest.raises(Exception, match="revoked"):
        await bench.close(bench.org, invoice_id=invoice.id)
    states = {c.reference: c.state for c in await bench.checkouts()}
    assert states.pop(first) is CheckoutState.OPEN
    assert list(states.values()) == [CheckoutState.EXPIRED]


async def test_a_page_paid_before_our_link_knew_of_it_is_completed(bench: Bench) -> None:
    """The answer that opened it was cut off; its webhook tells us which page it was."""
    invoice = await bench.open_invoice()
    link = await bench.linked(invoice)
    await bench.cut_off("create_checkout", lambda: bench.follow(link.token))
    (reference,) = bench.fake.checkouts
    bench.fake.pay(reference)
    assert await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert [c.state for c in await bench.checkouts()] == [CheckoutState.COMPLETE]
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID


@pytest.mark.writes_by_hand
async def test_a_void_invoice_that_is_paid_all_the_same_stays_void(bench: Bench) -> None:
    """The money is set aside as a conflict and told; what to do with it is a person's decision."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    async with bench.store.of(bench.org) as work:
        await work.invoices.save((await work.invoices.get(invoice.id)).void(bench.clock.now()))
        await work.commit()
    bench.fake.pay(reference)
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    settled = await bench.invoice(invoice.id)
    assert (settled.state, settled.paid) == (InvoiceState.VOID, 0)
    async with bench.store.reading(bench.org) as work:
        (payment,) = await work.payments.all()
    assert (payment.state, payment.captured.amount) == (PaymentState.CONFLICTED, 10_000)
    assert payment.conflict_kind is ConflictKind.AFTER_VOID
    assert await bench.told() == ["payment.received", "payment.conflicted"]
