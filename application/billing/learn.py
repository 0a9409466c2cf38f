"""Write down what became known of a payment, and what follows of it, in one unit of work.

The invoice is settled, the ledger posted, our own refunds are matched with the provider's, and it is told.
"""

from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence

import attrs

from application.billing.books import Books
from application.billing.customers import KeepMethod
from application.billing.facts import REFUND_CAME_BACK, REFUND_COUNTS, attempted, facts_of, in_its_currency
from application.billing.news import TellOfPayment
from application.billing.opening import open_invoice
from application.billing.subscriptions.paid import NoteSubscriptionPaid
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.payments import Intent, ProviderRefund
from application.ports.store import Store, Work
from domain.billing.conflicts import judged
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.links import Checkout, CheckoutState, LinkState
from domain.billing.payments import Fact, FactKind, Payment
from domain.connections.connection import Connection
from domain.money import Money


@attrs.frozen
class Belongs:
    """What a payment is for whose metadata at the provider is not ours: a renewal that the provider charged by itself, or
    a page that we know by its reference alone. payment_id: the row that was written before the provider was asked."""

    invoice_id: str | None = None
    subscription_id: str | None = None
    client_id: str | None = None
    payment_id: str | None = None


@attrs.frozen
class Learned:
    """What came of it. payment: None for one that is not ours. paid_invoice: the id of the invoice that is now paid, unless it
    is known that nobody could pay it again."""

    payment: Payment | None
    paid_invoice: str | None = None


@attrs.frozen
class Answered:
    """What the provider said of one payment. failure: the id of a failure that it reported."""

    intent: Intent
    refunds: Sequence[ProviderRefund] = ()
    failure: str | None = None


@attrs.define
class LearnPayment:
    """The same answer of the provider's a second time changes nothing and tells nothing."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _books: Books
    _keep: KeepMethod
    _tell: TellOfPayment
    _subscription_paid: NoteSubscriptionPaid

    async def __call__(
        self,
        connection: Connection,
        intent: Intent,
        refunds: Sequence[ProviderRefund],
        *,
        failure: str | None = None,
        belongs: Belongs | None = None,
    ) -> Learned:
        """Raises StaleWrite when somebody else wrote of the payment or its invoice at this moment: do it again."""
        async with self._store.of(connection.organisation_id) as work:
            learned = await self._within(work, connection, intent, refunds, failure=failure, belongs=belongs)
            if learned.payment is not None:
                await work.commit()
        return learned

    async def together(self, connection: Connection, answers: Sequence[Answered]) -> tuple[Learned, ...]:
        """Many at once, each as if alone, with few questions; in the order of `answers`. What keeps one from being learned
        keeps all: learn them one by one then."""
        async with self._store.together(connection.organisation_id) as work:
            new = await self._expect(work, answers)
            learned = tuple(
                [
                    await self._within(work, connection, one.intent, one.refunds, failure=one.failure, new_id=id_)
                    for one, id_ in zip(answers, new, strict=True)
                ]
            )
            open_ = await self._open(work, {one.paid_invoice for one in learned if one.paid_invoice is not None})
            await work.commit()
        return tuple([one if one.paid_invoice in open_ else attrs.evolve(one, paid_invoice=None) for one in learned])

    async def _open(self, work: Work, invoices: Several[str]) -> frozenset[str]:
        """Which of these invoices somebody could still pay on a page, or by a payment that was begun."""
        await work.checkouts.expect(invoice_id=invoices)
        found: set[str] = set()
        for id_ in invoices:
            pages = await work.checkouts.all(invoice_id=id_)
            begun = await work.payments.all(invoice_id=id_)
            waiting = any(page.state in (CheckoutState.OPENING, CheckoutState.OPEN) for page in pages)
            if waiting or any(payment.payable for payment in begun):
                found.add(id_)
        return frozenset(found)

    async def _expect(self, work: Work, answers: Sequence[Answered]) -> list[str]:
        """Have loaded what will be asked for. Returns an id for each payment, if it is new."""
        new = [self._ids.new("payment") for _ in answers]
        intents = [one.intent for one in answers]
        pages = [intent.metadata.get("patchbay_checkout", "") for intent in intents]
        await work.checkouts.expect(id=pages)
        await work.payments.expect(reference=[intent.reference for intent in intents])
        await work.payments.expect(id=[intent.metadata.get("patchbay_payment", "") for intent in intents])
        invoices = {intent.metadata.get("patchbay_invoice", "") for intent in intents}
        invoices |= {page.invoice_id for id_ in pages if (page := await work.checkouts.find(id_)) is not None}
        known: list[str] = []
        for intent in intents:
            for payment in await work.payments.all(reference=intent.reference):
                known.append(payment.id)
                invoices.add(payment.invoice_id or "")
        await work.invoices.expect(id=invoices)
        await work.payments.expect(invoice_id=invoices)
        await work.links.expect(invoice_id=invoices)
        await work.refunds.expect(payment_id=[*known, *new])
        await work.ledger.expect(subject=[*known, *new, *invoices])
        return new

    async def _within(
        self,
        work: Work,
        connection: Connection,
        intent: Intent,
        refunds: Sequence[ProviderRefund],
        *,
        failure: str | None,
        belongs: Belongs | None = None,
        new_id: str | None = None,
    ) -> Learned:
        now = self._clock.now()
        page = await work.checkouts.find(intent.metadata.get("patchbay_checkout", ""))
        known = await self._known(work, connection, intent, belongs)
        before = known or await self._new(work, connection, intent, page, belongs, new_id)
        if before is None:
            return Learned(None)
        before = attrs.evolve(in_its_currency(before, intent), reference=intent.reference)
        payment, new = before.learn(*facts_of(before, intent, refunds, failure, now), now=now)
        payment = attempted(payment, intent, now)
        payment = await self._judged(work, payment, new, page)
        if known is None:
            await work.payments.add(payment)
        elif payment != known:
            payment = await work.payments.save(payment)
        await self._finish_refunds(work, payment, refunds)
        invoice = None if payment.invoice_id is None else await work.invoices.find(payment.invoice_id)
        if new:
            await self._books.facts_learned(work, payment, new)
        became_paid = False
        if invoice is not None:
            invoice, became_paid = await self.settle_invoice(work, invoice)
        if new:
            await self._keep_method(work, connection, payment, intent, invoice)
            await self._finish_page(work, payment, page)
            await self._tell(work, payment, new, invoice, became_paid=became_paid)
        paid = invoice is not None and invoice.amount_due.amount == 0 and bool(payment.captured)
        return Learned(payment, invoice.id if invoice is not None and paid else None)

    async def settle_invoice(self, work: Work, invoice: Invoice) -> tuple[Invoice, bool]:
        """The invoice in line with the payments that count, and whether it became paid by this."""
        now = self._clock.now()
        captured = refunded = Money.zero(invoice.currency)
        for one in await work.payments.all(invoice_id=invoice.id):
            if one.counts and one.currency == invoice.currency:
                captured, refunded = captured + one.captured, refunded + one.refunded
        if captured and invoice.state is InvoiceState.DRAFT:  # paid through a page that was opened by hand
            invoice = await open_invoice(work, self._books, invoice, now)
        settled, became_paid = invoice.settle(captured, refunded, now)
        if settled is not invoice:
            settled = await work.invoices.save(settled)
        if became_paid:
            for link in await work.links.all(invoice_id=invoice.id, state=LinkState.ACTIVE):
                await work.links.save(link.complete(now))
            await self._subscription_paid(work, settled)
        return settled, became_paid

    async def _known(
        self, work: Work, connection: Connection, intent: Intent, belongs: Belongs | None
    ) -> Payment | None:
        """The row of this payment: by its reference, or as it was written before the provider gave it one."""
        found = await work.payments.all(provider=connection.provider, reference=intent.reference)
        if found:
            return found[0]
        id_ = (belongs.payment_id if belongs else None) or intent.metadata.get("patchbay_payment", "")
        asked = await work.payments.find(id_)
        if asked is None or asked.at_provider or asked.provider != connection.provider:
            return None
        return asked

    async def _new(
        self,
        work: Work,
        connection: Connection,
        intent: Intent,
        page: Checkout | None,
        belongs: Belongs | None,
        new_id: str | None,
    ) -> Payment | None:
        """A payment we hear of for the first time; None when nothing says that it is ours."""
        ours = intent.metadata.get("patchbay_organisation") == connection.organisation_id
        if not ours and belongs is None:
            return None
        belongs = belongs or Belongs()
        invoice_id = belongs.invoice_id or (page.invoice_id if page else intent.metadata.get("patchbay_invoice", ""))
        invoice = await work.invoices.find(invoice_id)
        subscription_id = belongs.subscription_id or intent.metadata.get("patchbay_subscription")
        now = self._clock.now()
        return Payment(
            new_id or self._ids.new("payment"),
            connection.organisation_id,
            connection.id,
            connection.provider,
            intent.reference,
            intent.amount,
            now,
            now,
            invoice.id if invoice else None,
            client_id=belongs.client_id or (invoice.client.id if invoice else None),
            subscription_id=subscription_id or (invoice.subscription_id if invoice else None),
        )

    async def _judged(self, work: Work, payment: Payment, new: tuple[Fact, ...], page: Checkout | None) -> Payment:
        """Money that has just come is compared with what was asked for, and with what the invoice still asks."""
        if not any(fact.kind is FactKind.CAPTURED for fact in new):
            return payment
        invoice = None if payment.invoice_id is None else await work.invoices.find(payment.invoice_id)
        found = judged(payment.captured, page.amount if page else payment.asked, invoice)
        return payment if found is None else payment.set_aside(found, self._clock.now())

    async def _finish_refunds(self, work: Work, payment: Payment, refunds: Sequence[ProviderRefund]) -> None:
        """Match the provider's refunds with those of ours: by the reference, or by the key where it was kept."""
        now = self._clock.now()
        theirs: Mapping[str, ProviderRefund] = {refund.reference: refund for refund in refunds}
        by_key = {refund.key: refund for refund in refunds if refund.key}
        for ours in await work.refunds.all(payment_id=payment.id) if refunds else ():
            match = theirs.get(ours.reference or "") or by_key.get(ours.id)
            if match is None:
                continue
            if match.state in REFUND_CAME_BACK and (ours.waiting or ours.reference):
                if ours.failure is None:
                    await work.refunds.save(ours.failed(match.failure or "The provider sent it back.", now))
            elif match.state in REFUND_COUNTS and ours.waiting:
                await work.refunds.save(ours.done(match.reference, now))

    async def _keep_method(
        self, work: Work, connection: Connection, payment: Payment, intent: Intent, invoice: Invoice | None
    ) -> None:
        """What charges the payer again, where a subscription of theirs is to be renewed by it."""
        wanted = payment.subscription_id or intent.metadata.get("patchbay_keep_method")
        if not payment.captured or not wanted or payment.client_id is None or intent.method_reference is None:
            return
        email = (invoice.client.email if invoice else None) or ""
        await self._keep(work, connection, payment.client_id, intent, email)

    async def _finish_page(self, work: Work, payment: Payment, page: Checkout | None) -> None:
        if payment.captured and page is not None:
            moved = page.moved(CheckoutState.COMPLETE, self._clock.now())
            if moved is not page:
                await work.checkouts.save(moved)
