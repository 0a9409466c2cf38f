"""Clients pay, answers are lost, webhooks come late, twice or never, people refund and decide: the books agree in the end.

What was charged at the providers is what is recorded here and what the ledger says; no invoice is paid twice without a
person's word, and never more goes back than came in.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from application.billing.charge import MethodToCharge
from application.billing.resolve import Resolution
from application.ports.leases import Held
from application.ports.payments import ProviderRefused, ReconnectNeeded, RefundState, RetryLater
from domain.billing.invoices import InvoiceState
from domain.billing.payments import Payment, PaymentState
from domain.money import Currency, Money
from domain.refusals import Refusal
from tests.books import assert_books
from tests.fakes.payments import FakePayments
from tests.unit.application.bench import Bench

USD = Currency("USD")
USUAL = (Refusal, RetryLater, ProviderRefused, ReconnectNeeded, Held)
"""What anybody may be told in these histories; anything else is a bug."""

METHODS = ("create_checkout", "capture_checkout", "fetch_intent", "refund", "charge", "expire_checkout", "find_refund")


LOST = st.sampled_from((None, None, "before", "after"))
"""Whether an answer is lost, and whether what was asked for was done all the same."""


class Histories(RuleBasedStateMachine):
    """One organisation with two providers: at `fake` the payer pays, at `plain` the hub captures and no keys are known."""

    invoices = Bundle("invoices")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.bench = self.run(Bench().prepare())
        self.plain: FakePayments = self.bench.providers.plain
        self.plain.keyless, self.plain.key_life = True, None
        self.second = self.run(self.bench.connect(self.bench.org, provider="plain"))

    def run(self, work: Awaitable[Any]) -> Any:
        """To its end."""

        async def whole() -> Any:
            return await work

        return self.loop.run(whole())

    def try_(self, work: Awaitable[Any]) -> Any:
        """It may be refused."""
        try:
            return self.run(work)
        except USUAL:
            return None

    def till(self, number: int) -> FakePayments:
        """One of the two providers."""
        return (self.bench.fake, self.plain)[number % 2]

    @rule(target=invoices, amount=st.integers(1_00, 200_00))
    def write_an_invoice(self, amount: int) -> Any:
        """Grace asks for money."""
        return multiple(self.run(self.bench.open_invoice(amount)).id)

    @rule(invoice=invoices, provider=st.sampled_from(("fake", "plain")))
    def follow_the_link(self, invoice: str, provider: str) -> None:
        """The client clicks, and chooses."""
        self.follow_(invoice, provider)

    def follow_(self, invoice: str, provider: str) -> None:
        """Whether something comes of it or not."""
        link = self.try_(self.bench.link(self.bench.caller, invoice_id=invoice))
        if link is not None:
            self.try_(self.bench.follow(link.link.token, provider))

    @rule(
        invoice=invoices,
        number=st.integers(0, 30),
        share=st.sampled_from((100, 100, 100, 60, 150)),
        agree=st.booleans(),
        back=st.booleans(),
    )
    def pay_on_a_page(self, invoice: str, number: int, share: int, agree: bool, back: bool) -> None:
        """At once, in part, too much; or the payer agrees, and the hub is to take it. Perhaps they come back at once."""
        self.follow_(invoice, ("fake", "plain")[number % 2])
        till = self.till(number)
        pages = [one for one in till.checkouts.values() if one.state.value in ("open", "approved")]
        if not pages:
            return
        page = pages[number % len(pages)]
        if agree and page.state.value == "open":
            till.approve(page.reference)
        elif page.amount is not None:
            till.pay(page.reference, Money(max(page.amount.amount * share // 100, 1), USD))
        if back:
            connection = (self.bench.connection, self.second)[number % 2]
            self.try_(self.bench.settle.checkout(self.bench.org, connection.id, page.reference))

    @rule(invoice=invoices, share=st.sampled_from((100, 60)))
    def pay_at_the_desk(self, invoice: str, share: int) -> None:
        """Taken at the provider in the invoice's name, without the hub having asked."""
        self.lose(self.bench.fake, "nothing", None)
        bill = self.run(self.bench.invoice(invoice))
        amount = Money(max(bill.total.amount * share // 100, 1), USD)
        self.bench.fake.pay(self.run(self.bench.order(bill, amount)))

    @rule(number=st.integers(0, 30))
    def decline_on_a_page(self, number: int) -> None:
        """The card is no good."""
        till = self.till(number)
        pages = [one for one in till.checkouts.values() if one.state.value == "open"]
        if pages:
            till.decline(pages[number % len(pages)].reference)

    @rule(number=st.integers(0, 200), copies=st.integers(1, 3))
    def tell(self, number: int, copies: int) -> None:
        """A webhook arrives: any, in any order, once or more."""
        if self.bench.fake.events:
            body = self.bench.fake.events[number % len(self.bench.fake.events)]
            for _ in range(copies):
                self.run(self.bench.webhook(body))
            self.run(self.bench.handle())

    @rule(number=st.integers(0, 30))
    def come_back(self, number: int) -> None:
        """The client returns from the hosted page."""
        pages = self.run(self.bench.checkouts())
        if pages and (page := pages[number % len(pages)]).reference:
            self.try_(self.bench.settle.checkout(self.bench.org, page.connection_id, page.reference))

    @rule(method=st.sampled_from(METHODS), done=st.booleans(), number=st.integers(0, 1))
    def lose_an_answer(self, method: str, done: bool, number: int) -> None:
        """The next answer of this kind never arrives, whether it was done or not."""
        self.lose(self.till(number), method, "after" if done else "before")

    def lose(self, till: FakePayments, method: str, lost: str | None) -> None:
        """The next answer; what was to be lost before and never was asked for is not lost any more."""
        till._errors.clear()
        if lost is not None:
            till.fail_next(RetryLater("No answer.", may_have_happened=True), after_work=lost == "after", of=method)

    @rule(invoice=invoices, declines=st.booleans(), lost=LOST)
    def charge(self, invoice: str, declines: bool, lost: str | None) -> None:
        """The scheduler charges a kept card."""
        self.lose(self.bench.fake, "charge", lost)
        ensure = self.bench.fake.ensure_customer
        payer = self.run(ensure({"secret_key": "x"}, our_reference="c", email="a@acme.example", name="A", key="payer"))
        reference = self.bench.fake.give_method(payer.reference, declines=declines)
        method = MethodToCharge(reference, payer.reference, "a@acme.example", "visa 4242")
        where = {"invoice_id": invoice, "connection_id": self.bench.connection.id}
        self.try_(self.bench.charge(self.bench.org, method=method, **where))

    @rule(number=st.integers(0, 30), share=st.integers(1, 120), lost=LOST)
    def refund(self, number: int, share: int, lost: str | None) -> None:
        """Grace sends some of it back."""
        payments = [one for one in self.payments() if one.captured]
        if payments:
            payment = payments[number % len(payments)]
            self.lose(self.till(int(payment.provider == "plain")), "refund", lost)
            amount = Money(max(payment.captured.amount * share // 100, 1), USD).decimal
            self.try_(self.bench.refund(self.bench.caller, payment.id, amount=amount))

    @rule(number=st.integers(0, 30))
    def send_a_refund_back(self, number: int) -> None:
        """The bank has closed the account."""
        till = self.till(number)
        refunds = [one for one in till.refunds.values() if one.state is RefundState.SUCCEEDED]
        if refunds:
            till.settle_refund(refunds[number % len(refunds)].reference, RefundState.FAILED)

    @rule(number=st.integers(0, 30), resolution=st.sampled_from((Resolution.ACCEPT, Resolution.REFUND)))
    def decide(self, number: int, resolution: Resolution) -> None:
        """Grace settles what is not what was asked for."""
        odd = [one for one in self.payments() if one.state is PaymentState.CONFLICTED]
        if odd:
            self.try_(self.bench.resolve(self.bench.caller, odd[number % len(odd)].id, resolution))

    @rule(invoice=invoices)
    def withdraw(self, invoice: str) -> None:
        """The invoice was wrong."""
        self.try_(self.bench.void_invoice(self.bench.caller, invoice))

    @rule(minutes=st.sampled_from((3, 7, 70, 24 * 60)))
    def let_time_pass(self, minutes: int) -> None:
        """And the scheduler does its work."""
        self.bench.clock.advance(timedelta(minutes=minutes))
        for job in (self.bench.resume_refunds, self.bench.unknown_payments, self.bench.poll_pages):
            self.try_(job())

    @invariant()
    def never_more_goes_back_than_came(self) -> None:
        """Here and there."""
        for payment in self.payments():
            assert payment.refunded.amount <= payment.captured.amount
        for till in (self.bench.fake, self.plain):
            assert all(one.refunded.amount <= one.received.amount for one in till.intents.values())
            keys = [one.key for one in till.refunds.values()]
            assert len(set(keys)) == len(keys), "a refund was sent twice"

    def teardown(self) -> None:
        """Everything that is under way comes to its end, and everybody compares."""
        try:
            self.run(self.quieten())
            self.compare()
            self.run(assert_books(self.bench.store, self.bench.org))
        finally:
            self.loop.close()

    def payments(self) -> tuple[Payment, ...]:
        """As recorded here."""
        found: tuple[Payment, ...] = self.run(self.bench.payments())
        return found

    async def quieten(self) -> None:
        """No more answers are lost; what was told is heard, what was not is looked at."""
        bench = self.bench
        for till in (bench.fake, self.plain):
            till._errors.clear()
        for _ in range(3):
            bench.clock.advance(timedelta(days=1))
            for body in bench.fake.events:
                await bench.webhook(body)
            while await bench.handle():
                due = await bench.inbox.next_due(bench.clock.now())
                if due is not None and due > bench.clock.now():
                    bench.clock.advance(due - bench.clock.now())
            for page in await bench.checkouts():
                if page.reference is not None:
                    await bench.settle.checkout(bench.org, page.connection_id, page.reference)
            for payment in await bench.payments():
                if payment.at_provider:
                    await bench.settle.intent(bench.org, payment.connection_id, payment.reference)
            for job in (bench.resume_refunds, bench.unknown_payments, bench.poll_pages):
                await job()

    def compare(self) -> None:
        """Charged there, recorded here."""
        ours = {(one.provider, one.reference): one for one in self.payments()}
        for slug, till in (("fake", self.bench.fake), ("plain", self.plain)):
            for intent in till.intents.values():
                known = ours.get((slug, intent.reference))
                if intent.received.amount:
                    assert known is not None, f"{intent.reference} was paid at {slug} and is not known here"
                    assert (known.captured, known.refunded) == (intent.received, intent.refunded)
                elif known is not None:
                    assert not known.captured
        assert not [one for one in ours.values() if one.captured and not one.at_provider]
        assert not [one for one in self.payments() if one.waits_for_answer]
        for id_ in {one.invoice_id for one in ours.values() if one.invoice_id}:
            self.compare_invoice(id_)

    def compare_invoice(self, invoice_id: str) -> None:
        """Paid once: money that came after it was paid counts only by a person's word."""
        invoice = self.run(self.bench.invoice(invoice_id))
        mine = [one for one in self.payments() if one.invoice_id == invoice_id and one.captured and one.counts]
        assert invoice.paid == sum(one.captured.amount for one in mine)
        if invoice.state is InvoiceState.PAID:
            assert invoice.paid >= invoice.owed.amount
        decided = [one for one in mine if one.resolution is None]
        if not any(one.refunded for one in mine):
            largest = max((one.captured.amount for one in decided), default=0)
            assert sum(one.captured.amount for one in decided) - largest < invoice.total.amount


Histories.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


TestHistories = Histories.TestCase
"""What pytest runs."""
