"""What the hub makes of surprises, at every provider alike: other amounts than it asked for, answers and webhooks that never
come, and payers who pay twice. `settling.py` has the ordinary days.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from application.billing.charge import MethodToCharge
from application.billing.resolve import Resolution
from application.billing.subscriptions.plans import PriceAsked
from application.ports.payers import OffSession
from application.ports.payments import ProviderRefused, RetryLater
from application.ports.recurring import Begun, Subscriptions
from domain.billing.conflicts import ConflictKind
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import Payment, PaymentState
from domain.billing.plans import Interval
from domain.billing.subscriptions import Subscription, SubscriptionState
from domain.money import Money
from tests.contract.payments.recurring import RecurringRig
from tests.contract.payments.rig import PaymentRig, order, paid, part
from tests.contract.payments.settling import Scene, scene

OTHER = "EUR"
"""A currency that every provider takes and no rig prices in."""
_ROUND = timedelta(minutes=6)


async def jobs(stage: Scene) -> None:
    """The scheduler's rounds of half an hour, and the first daily look."""
    bench = stage.bench
    for step in (*(_ROUND,) * 5, timedelta(hours=1), timedelta(days=1)):
        bench.clock.advance(step)
        for job in (bench.sweep, bench.poll_pages, bench.unknown_payments, bench.resume_refunds):
            await job()
        await stage.work_off()


async def sent_otherwise(stage: Scene, invoice: Invoice, money: Money, key: str) -> Payment:
    """Somebody pays for an invoice, on a page of the hub's that asked for other money than is due now."""
    rig, bench = stage.rig, stage.bench
    metadata = {"patchbay_organisation": bench.org, "patchbay_invoice": invoice.id}
    page = await rig.provider.create_checkout(rig.access, order(rig, money, metadata=metadata), key=key)
    await rig.pay(page.reference)
    if rig.captures:
        await rig.provider.capture_checkout(rig.access, page.reference, key=f"{key}-capture")
    await rig.settle()
    for body in await rig.bodies():
        await stage.deliver(body)
    await stage.work_off()
    known = await rig.provider.find_payment(rig.access, key)
    assert known is not None
    (payment,) = [one for one in await bench.payments() if one.reference == known.reference]
    return payment


class SurpriseContract:
    """The suite. A subclass has a fixture `rig`."""

    @pytest.fixture
    async def stage(self, rig: PaymentRig) -> AsyncIterator[Scene]:
        """With the hub's use cases."""
        async with scene(rig) as made:
            yield made

    async def test_a_webhook_that_never_came_is_made_up_for(self, stage: Scene) -> None:
        """No webhook, and the payer closed the window: the scheduler finds the money."""
        invoice = await stage.invoice()
        reference = await stage.page(invoice)
        await stage.rig.pay(reference)
        await stage.rig.settle()
        await jobs(stage)
        await stage.rig.settle()
        await jobs(stage)
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_money_on_a_page_that_was_being_closed_is_not_overlooked(self, stage: Scene) -> None:
        """The payer was quicker than the person who withdrew the invoice, and the webhook was lost."""
        invoice = await stage.invoice()
        await stage.rig.pay(await stage.page(invoice))
        await stage.rig.settle()
        await stage.bench.void_invoice(stage.bench.caller, invoice.id)
        await jobs(stage)
        payments = await stage.bench.payments()
        if stage.rig.captures:
            assert payments == ()  # what its payer has agreed to was not taken
        else:
            (payment,) = payments
            assert (payment.state, payment.conflict_kind) == (PaymentState.CONFLICTED, ConflictKind.AFTER_VOID)
        assert (await stage.bench.invoice(invoice.id)).paid == 0

    async def test_more_than_is_due_is_named_and_can_be_sent_back(self, stage: Scene) -> None:
        """The invoice is paid; what is too much is the payer's."""
        invoice = await stage.invoice()
        payment = await sent_otherwise(stage, invoice, part(stage.rig, 120), "over")
        assert (payment.state, payment.conflict_kind) == (PaymentState.CONFLICTED, ConflictKind.OVERPAID)
        settled = await stage.bench.invoice(invoice.id)
        assert (settled.state, settled.overpaid) == (InvoiceState.PAID, part(stage.rig, 20))
        await stage.bench.resolve(stage.bench.caller, payment.id, Resolution.REFUND)
        await stage.rig.settle()
        await jobs(stage)
        (after,) = await stage.bench.payments()
        assert (after.state, after.refunded) == (PaymentState.PARTLY_REFUNDED, part(stage.rig, 20))
        assert (await stage.bench.invoice(invoice.id)).overpaid.amount == 0

    async def test_less_than_is_due_leaves_the_rest_to_pay(self, stage: Scene) -> None:
        """Partly paid; the link then asks for the rest, and no more."""
        invoice = await stage.invoice()
        await sent_otherwise(stage, invoice, part(stage.rig, 30), "under")
        settled = await stage.bench.invoice(invoice.id)
        assert (settled.state, settled.amount_due) == (InvoiceState.PARTLY_PAID, part(stage.rig, 70))
        reference = await stage.page(settled)
        await stage.rig.pay(reference)
        await stage.rig.settle()
        assert await stage.look(reference)
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_money_in_another_currency_counts_for_nothing_until_somebody_says_so(self, stage: Scene) -> None:
        """A hundred of something else are not a hundred."""
        invoice = await stage.invoice()
        payment = await sent_otherwise(stage, invoice, Money.of("100", OTHER), "other")
        assert (payment.state, payment.conflict_kind) == (PaymentState.CONFLICTED, ConflictKind.WRONG_CURRENCY)
        settled = await stage.bench.invoice(invoice.id)
        assert (settled.state, settled.paid) == (InvoiceState.OPEN, 0)
        await stage.bench.resolve(stage.bench.caller, payment.id, Resolution.REFUND)
        await stage.rig.settle()
        await jobs(stage)
        assert (await stage.bench.payments())[0].state is PaymentState.REFUNDED

    async def test_a_link_that_is_paid_after_its_invoice_was_paid_elsewhere_is_not_income(self, stage: Scene) -> None:
        """Its page could not be closed in time: the second payment is set aside, and goes back."""
        invoice = await stage.invoice()
        reference = await stage.page(invoice)

        async def away() -> None:
            raise RetryLater("away")

        stage.bench.between.before["expire_checkout"] = away
        await sent_otherwise(stage, invoice, part(stage.rig, 100), "elsewhere")
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID
        await stage.rig.pay(reference)
        stage.bench.between.before.clear()
        await stage.rig.settle()
        assert await stage.look(reference)
        kinds = [one.conflict_kind for one in await stage.bench.payments()]
        if stage.rig.captures:
            assert kinds == [None]  # the payer had agreed, and nothing was taken
            return
        assert sorted(kinds, key=str) == [ConflictKind.PAID_TWICE, None]
        (second,) = [one for one in await stage.bench.payments() if not one.counts]
        await stage.bench.resolve(stage.bench.caller, second.id, Resolution.REFUND)
        await stage.rig.settle()
        await jobs(stage)
        assert sum(one.captured.amount - one.refunded.amount for one in await stage.bench.payments()) == (
            part(stage.rig, 100).amount
        )

    async def test_money_that_was_taken_without_an_answer_is_taken_once(self, stage: Scene) -> None:
        """The provider had captured it when the line went dead. Where it captures by itself, what is lost is a look."""
        invoice = await stage.invoice()
        reference = await stage.page(invoice)
        await stage.rig.pay(reference)
        await stage.rig.settle()
        name = "capture_checkout" if stage.rig.captures else "fetch_checkout"

        async def lose() -> None:
            raise RetryLater("cut off", may_have_happened=True)

        stage.bench.between.after[name] = lose
        with pytest.raises(RetryLater):
            await stage.look(reference)
        stage.bench.between.after.clear()
        await asyncio.gather(*(stage.look(reference) for _ in range(3)))
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_a_refund_asked_for_with_another_body_is_not_a_second_refund_of_the_first(
        self, rig: PaymentRig
    ) -> None:
        """It would be a mistake of ours. Where no keys are kept, the hub looks first, and finds the first by its key."""
        intent = await paid(rig)
        first = await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
        if rig.keeps_keys:
            with pytest.raises(ProviderRefused):
                await rig.provider.refund(rig.access, intent.reference, part(rig, 20), key="r")
        found = await rig.provider.find_refund(rig.access, intent.reference, "r")
        assert found is not None
        assert (found.reference, found.amount) == (first.reference, part(rig, 10))
        assert len(await rig.provider.refunds_of(rig.access, intent.reference)) == 1


class AwaySurpriseContract:
    """Of charges while the payer is away. A subclass has fixtures `rig` and, from SurpriseContract, `stage`."""

    async def test_a_charge_without_an_answer_is_asked_about_and_never_repeated(self, stage: Scene) -> None:
        """It had happened: until that is known nobody charges the invoice again."""
        rig, bench = stage.rig, stage.bench
        assert isinstance(rig.provider, OffSession)
        kept: Any = rig
        reference, customer, email = await kept.kept()
        invoice = await stage.invoice()

        async def lose() -> None:
            raise RetryLater("cut off", may_have_happened=True)

        bench.between.after["charge"] = lose
        asked = await bench.charge(
            bench.org,
            invoice_id=invoice.id,
            connection_id=stage.connection.id,
            method=MethodToCharge(reference, customer, email, "visa 4242"),
        )
        assert asked.state is PaymentState.UNKNOWN
        bench.between.after.clear()
        await jobs(stage)
        (payment,) = [one for one in await bench.payments() if one.invoice_id == invoice.id]
        assert (payment.id, payment.state) == (asked.id, PaymentState.SUCCEEDED)
        await stage.agrees(invoice, part(rig, 100))


class LifeContract:
    """Of subscriptions that the provider renews. A subclass has a fixture `rig`."""

    async def test_made_renewed_and_ended_in_every_order(self, rig: RecurringRig) -> None:
        """Each of a subscription's webhooks only says where to look: whichever comes first, the hub sees the same."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        async with scene(rig) as first:
            asked = await _asked(first)
            begun = Begun(asked.reference, asked.began_reference, asked.url)
            await rig.agree(begun)
            theirs = await subscriptions.find_subscription(rig.access, begun)
            assert theirs is not None
            await rig.renew(theirs.reference)
            await subscriptions.cancel_subscription(
                rig.access, theirs.reference, at_period_end=False, reason="No longer wanted", key="end"
            )
            bodies = [one for one in await rig.bodies() if _about(rig, one) == theirs.reference][-5:]
            assert len(bodies) >= 3
            ends = set()
            orders = list(permutations(bodies))
            for some in orders[:: max(1, len(orders) // 24)]:
                async with scene(rig) as fresh:
                    await _adopt(first, fresh)
                    for body in (*some, some[0]):
                        await fresh.deliver(body)
                        await fresh.work_off()
                    ends.add(await _seen(fresh, asked))
        assert ends == {(SubscriptionState.CANCELED, theirs.reference, 2, 2, rig.price.amount * 2)}


def _about(rig: RecurringRig, body: bytes) -> str | None:
    return rig.provider.parse_webhook(body).subscription_reference


async def _asked(stage: Scene) -> Subscription:
    """Its client has not agreed to it yet."""
    bench, price = stage.bench, stage.rig.price
    client: Any = bench.make.record(bench.org, name="Ada Northwind", email="ada@northwind.example")
    await bench.add("records", client)
    prices = [PriceAsked(price.decimal, price.currency.code)]
    await bench.create_plan(bench.caller, code="studio", name="Studio", interval=Interval.MONTH, prices=prices)
    return await bench.subscribe(bench.caller, client_id=client.id, plan="studio", provider=stage.connection.id)


async def _adopt(before: Scene, fresh: Scene) -> None:
    """The same organisation as it was before any webhook came."""
    assert (before.bench.org, before.connection.id) == (fresh.bench.org, fresh.connection.id), "ids are counted"
    shelves = ("records", "plans", "plans_at_providers", "customers_at_providers", "subscriptions")
    async with before.bench.look() as there:
        things = {name: await getattr(there, name).all() for name in shelves if name != "records"}
        things["records"] = (await there.records.page()).items
    for name in shelves:
        await fresh.bench.add(name, *things[name])


async def _seen(stage: Scene, asked: Subscription) -> tuple[Any, ...]:
    async with stage.bench.look() as work:
        ours = await work.subscriptions.get(asked.id)
        invoices, payments = await work.invoices.all(), await work.payments.all()
    return ours.state, ours.reference, len(invoices), len(payments), sum(one.captured.amount for one in payments)
