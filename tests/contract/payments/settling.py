"""What the hub makes of a provider's answers and webhooks, whatever order they come in: the use cases over the adapter.

The rest of the suites ask whether an adapter keeps the port's word; these ask whether the books are right in the end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice, permutations

import attrs
import pytest

from application.billing.resolve import Resolution
from application.connections.connect import ProviderUnavailable
from application.ports.payments import RetryLater
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import MoreThanCaptured, PaymentState, Refund, RefundState
from domain.connections.connection import Connection
from domain.inbox import InboxState
from domain.money import Money
from tests.contract.payments.rig import PaymentRig, gather, part
from tests.unit.application.bench import Bench

_ORDERS = 24
"""So many orders of a payment's webhooks are tried; of five there are 120."""


@attrs.define
class Scene:
    """An organisation whose connection leads to the rig's provider."""

    bench: Bench
    rig: PaymentRig
    connection: Connection

    async def invoice(self, major: int = 100) -> Invoice:
        """An open invoice over so much of the rig's currency."""
        bench, money = self.bench, part(self.rig, major)
        made: Invoice = bench.make.invoice(bench.org)
        line = attrs.evolve(made.lines[0], unit_price=money, quantity=1, tax=None, discount=None)
        client = attrs.evolve(made.client, email="pat@example.com")
        opened = attrs.evolve(made, client=client, currency=money.currency, lines=(line,)).open(bench.clock.now())
        await bench.add("invoices", opened)
        return opened

    async def page(self, invoice: Invoice) -> str:
        """A hosted page for it; the provider's reference."""
        link = await self.bench.link(self.bench.caller, invoice_id=invoice.id, provider=self.connection.id)
        await self.bench.follow(link.link.token)
        (page,) = [c for c in await self.bench.checkouts() if c.invoice_id == invoice.id and c.state.value == "open"]
        assert page.reference is not None
        return page.reference

    async def look(self, reference: str) -> bool:
        """The payer is back from the page."""
        return await self.bench.settle.checkout(self.bench.org, self.connection.id, reference)

    async def paid(self, major: int = 100) -> tuple[Invoice, str]:
        """An invoice that was paid on its page; and the payment's id."""
        invoice = await self.invoice(major)
        reference = await self.page(invoice)
        await self.rig.pay(reference)
        await self.rig.settle()
        await self.look(reference)
        (payment,) = [one for one in await self.bench.payments() if one.invoice_id == invoice.id]
        return invoice, payment.id

    async def deliver(self, body: bytes) -> None:
        """A webhook comes in."""
        headers = self.rig.sign(body, self.rig.secret, self.rig.now)
        await gather(self.rig, headers)
        lower = {name.lower(): value for name, value in headers.items()}
        await self.bench.receive(self.rig.provider.slug, lower, body, connection_id=self.connection.id)

    async def work_off(self) -> None:
        """Handle what has come in, until nothing is due."""
        for _ in range(20):
            if not await self.bench.handle():
                return
            due = await self.bench.inbox.next_due(self.bench.clock.now())
            if due is not None and due > self.bench.clock.now():
                self.bench.clock.advance(due - self.bench.clock.now())

    async def agrees(self, invoice: Invoice, paid: Money) -> None:
        """The invoice, the payments and the ledger say the same, and each thing was told once."""
        settled = await self.bench.invoice(invoice.id)
        mine = [one for one in await self.bench.payments() if one.invoice_id == invoice.id and one.counts]
        assert sum((one.captured for one in mine), Money.zero(paid.currency)) == settled.amount_paid == paid
        told = await self.bench.told()
        assert told.count("invoice.paid") <= 1
        async with self.bench.look() as work:
            for balance in await work.ledger.balances():
                if balance.account == f"balance:{self.rig.provider.slug}":
                    held = [one.captured - one.refunded - one.fee for one in await work.payments.all()]
                    assert balance.amount == sum(held, Money.zero(paid.currency))
            assert [one for one in await work.inbox.all() if one.state is InboxState.FAILED] == []


@asynccontextmanager
async def scene(rig: PaymentRig) -> AsyncIterator[Scene]:
    """The use cases over the rig's provider."""
    bench = await Bench().prepare()
    bench.clock.advance(rig.now - bench.clock.now())
    bench.between._provider = rig.provider
    bench.providers.put_in(bench.between)  # it stands before the adapter
    secrets = {**rig.access, "webhook_secret": rig.secret}
    async with bench.store.of(bench.org) as work:
        await work.connections.save((await work.connections.get(bench.connection.id)).disconnected(bench.clock.now()))
        await work.commit()
    yield Scene(bench, rig, await bench.connect(bench.org, provider=rig.provider.slug, secrets=secrets))


class SettlingContract:
    """The suite. A subclass has a fixture `rig`."""

    @pytest.fixture
    async def stage(self, rig: PaymentRig) -> AsyncIterator[Scene]:
        """With the hub's use cases."""
        async with scene(rig) as made:
            yield made

    async def test_a_return_and_every_webhook_five_times_at_once_pay_the_invoice_once(self, stage: Scene) -> None:
        """What happens on a bad day, all in one moment."""
        invoice = await stage.invoice()
        reference = await stage.page(invoice)
        await stage.rig.pay(reference)
        await stage.rig.settle()
        bodies = await stage.rig.bodies()
        await asyncio.gather(stage.look(reference), *(stage.deliver(body) for body in bodies * 5))
        await stage.work_off()
        for body in await stage.rig.bodies():
            await stage.deliver(body)
        await stage.work_off()
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID
        assert sorted(await stage.bench.told()) == ["invoice.paid", "payment.received"]
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_the_order_of_webhooks_does_not_matter(self, stage: Scene) -> None:
        """Made, paid, refunded in part: whichever comes first, the end is the same."""
        invoice, payment_id = await stage.paid()
        await stage.bench.refund(stage.bench.caller, payment_id, amount=part(stage.rig, 25).decimal)
        await stage.rig.settle()
        bodies = (await stage.rig.bodies())[-5:]
        ends = set()
        for order in islice(permutations(bodies), 0, None, max(1, _factorial(len(bodies)) // _ORDERS)):
            async with scene(stage.rig) as fresh:
                await _adopt(stage, fresh, invoice)
                for body in order:
                    await fresh.deliver(body)
                    await fresh.work_off()
                (payment,) = await fresh.bench.payments()
                settled = await fresh.bench.invoice(invoice.id)
                ends.add((payment.state, payment.captured, payment.refunded, settled.state, settled.refunded))
                assert sorted(await fresh.bench.told()) == [
                    "invoice.paid",
                    "invoice.refunded",
                    "payment.received",
                    "payment.refunded",
                ]
        assert ends == {
            (
                PaymentState.PARTLY_REFUNDED,
                part(stage.rig, 100),
                part(stage.rig, 25),
                InvoiceState.PAID,
                part(stage.rig, 25).amount,
            )
        }

    async def test_a_webhook_before_our_own_row_finds_its_place(self, stage: Scene) -> None:
        """The provider tells of the payment while the answer that opened its page is still on its way."""
        invoice = await stage.invoice()
        link = await stage.bench.link(stage.bench.caller, invoice_id=invoice.id, provider=stage.connection.id)
        await stage.bench.cut_off("create_checkout", lambda: stage.bench.follow(link.link.token))
        (row,) = await stage.bench.checkouts()
        assert row.reference is None
        # The same question again is how its payer would get there; here it only tells which page it is.
        followed = await stage.bench.follow(link.link.token)
        (row,) = await stage.bench.checkouts()
        assert followed.pay_at is not None
        await stage.rig.pay(row.reference or "")
        await stage.rig.settle()
        async with stage.bench.store.of(stage.bench.org) as work:
            await work.checkouts.save(attrs.evolve(row, reference=None))
            await work.commit()
        for body in await stage.rig.bodies():
            await stage.deliver(body)
        await stage.work_off()
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_a_page_that_was_paid_without_a_webhook_is_found_by_looking(self, stage: Scene) -> None:
        """It was lost; the payer never came back."""
        invoice = await stage.invoice()
        reference = await stage.page(invoice)
        await stage.rig.pay(reference)
        await stage.rig.settle()
        for _ in range(2):
            assert await stage.look(reference)
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_of_two_refunds_at_once_that_are_too_much_together_one_is_made(self, stage: Scene) -> None:
        """Sixty and sixty of a hundred."""
        invoice, payment_id = await stage.paid()
        sixty = part(stage.rig, 60).decimal
        answers = await asyncio.gather(
            *(stage.bench.refund(stage.bench.caller, payment_id, amount=sixty) for _ in range(2)),
            return_exceptions=True,
        )
        assert sum(isinstance(one, Refund) for one in answers) == 1
        assert sum(isinstance(one, MoreThanCaptured) for one in answers) == 1
        await stage.rig.settle()
        (payment,) = await stage.bench.payments()
        await stage.bench.settle.intent(stage.bench.org, stage.connection.id, payment.reference)
        assert (await stage.bench.payments())[0].refunded == part(stage.rig, 60)
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_a_refund_whose_answer_was_lost_is_made_once(self, stage: Scene) -> None:
        """The provider had done it: asking again, or looking it up, finds it."""
        invoice, payment_id = await stage.paid()
        ten = part(stage.rig, 10).decimal
        await stage.bench.cut_off("refund", lambda: stage.bench.refund(stage.bench.caller, payment_id, amount=ten))
        await stage.rig.settle()
        async with stage.bench.look() as work:
            (refund,) = await work.refunds.all()
            payment = await work.payments.get(payment_id)
        for _ in range(3):
            try:
                await stage.bench.refund.carry_out(refund, payment, stage.connection)
                break
            except ProviderUnavailable:
                continue
        (payment,) = await stage.bench.payments()
        assert len(await stage.rig.provider.refunds_of(stage.rig.access, payment.reference)) == 1
        assert (payment.refunded, (await stage.bench.refunds())[0].state) == (
            part(stage.rig, 10),
            RefundState.SUCCEEDED,
        )
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_a_refund_that_comes_back_is_corrected(self, stage: Scene) -> None:
        """Days later; told once, and refundable again."""
        invoice, payment_id = await stage.paid()
        refund = await stage.bench.refund(stage.bench.caller, payment_id, amount=part(stage.rig, 10).decimal)
        await stage.rig.settle()
        (payment,) = await stage.bench.payments()
        await stage.bench.settle.intent(stage.bench.org, stage.connection.id, payment.reference)
        if not stage.rig.refunds_fail_later:
            assert (await stage.bench.payments())[0].refunded == part(stage.rig, 10)
            return
        await stage.rig.fail_refund(refund.reference or "")
        for body in await stage.rig.bodies():
            await stage.deliver(body)
        await stage.work_off()
        assert (await stage.bench.payments())[0].refunded.amount == 0
        assert (await stage.bench.refunds())[0].state is RefundState.FAILED
        assert (await stage.bench.told()).count("payment.refund_failed") == 1
        await stage.agrees(invoice, part(stage.rig, 100))

    async def test_money_for_an_invoice_that_was_paid_elsewhere_is_set_aside_and_sent_back(self, stage: Scene) -> None:
        """The page could not be closed in time. Nobody pays twice without somebody seeing it."""
        invoice = await stage.invoice()
        reference = await stage.page(invoice)
        if stage.rig.captures:
            await stage.rig.pay(reference)
            await _void(stage, invoice)
            assert await stage.look(reference)
            assert await stage.bench.payments() == ()  # what nobody captures needs not go back
            return
        await stage.rig.pay(reference)
        await stage.rig.settle()
        await _void(stage, invoice)
        assert await stage.look(reference)
        (payment,) = await stage.bench.payments()
        assert (payment.state, payment.counts) == (PaymentState.CONFLICTED, False)
        await stage.bench.resolve(stage.bench.caller, payment.id, Resolution.REFUND)
        await stage.rig.settle()
        await stage.bench.settle.intent(stage.bench.org, stage.connection.id, payment.reference)
        assert (await stage.bench.payments())[0].state is PaymentState.REFUNDED
        assert (await stage.bench.invoice(invoice.id)).paid == 0

    async def test_an_unknown_event_and_an_unknown_status_harm_nothing(self, stage: Scene) -> None:
        """The provider may add words at any time; they are kept, and nothing is taken for a failure."""
        _, payment_id = await stage.paid()
        await stage.deliver(stage.rig.strange_event())
        (payment,) = await stage.bench.payments()
        await stage.rig.put_status(payment.reference, "levitating")
        await stage.bench.settle.intent(stage.bench.org, stage.connection.id, payment.reference)
        await stage.work_off()
        (after,) = await stage.bench.payments()
        assert (after.id, after.state, after.captured) == (payment_id, PaymentState.SUCCEEDED, part(stage.rig, 100))
        async with stage.bench.look() as work:
            assert {one.state for one in await work.inbox.all()} <= {InboxState.IGNORED, InboxState.HANDLED}

    async def test_a_provider_that_is_away_keeps_the_webhook_for_later(self, stage: Scene) -> None:
        """It was acknowledged: it must not be lost."""
        invoice = await stage.invoice()
        reference = await stage.page(invoice)
        await stage.rig.pay(reference)
        await stage.rig.settle()
        await stage.deliver((await stage.rig.bodies())[-1])

        async def away() -> None:
            raise RetryLater("away")

        for name in ("fetch_intent", "fetch_checkout"):
            stage.bench.between.before[name] = away
        await stage.bench.handle()
        assert await stage.bench.payments() == ()
        stage.bench.between.before.clear()
        due = await stage.bench.inbox.next_due(stage.bench.clock.now())
        assert due is not None
        stage.bench.clock.advance(due - stage.bench.clock.now())
        await stage.work_off()
        assert await stage.look(reference)
        assert (await stage.bench.invoice(invoice.id)).state is InvoiceState.PAID


def _factorial(number: int) -> int:
    return 1 if number < 2 else number * _factorial(number - 1)


async def _void(stage: Scene, invoice: Invoice) -> None:
    """Withdrawn while the page is open, at the very moment in which it is paid."""
    async with stage.bench.store.of(stage.bench.org) as work:
        await work.invoices.save((await work.invoices.get(invoice.id)).void(stage.bench.clock.now()))
        await work.commit()


async def _adopt(before: Scene, fresh: Scene, invoice: Invoice) -> None:
    """The same organisation as it was before any webhook came."""
    bench = fresh.bench
    async with bench.store.of(bench.org) as work:
        await work.invoices.add(attrs.evolve(invoice, organisation_id=bench.org))
        for page in await before.bench.checkouts():
            await work.checkouts.add(attrs.evolve(page, connection_id=fresh.connection.id))
        await work.commit()
    assert bench.org == before.bench.org, "ids are counted, so the metadata at the provider is this organisation's"
