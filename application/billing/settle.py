"""Bring our books in line with the provider: fetch a payment as it is now, under a lock, and learn what is new.

Called for a webhook, for a payer who comes back, and after a refund. It is safe at any time, in any order, any number of
times: the provider is asked, nothing is believed, and a fact that is known already changes nothing (ADR 0005).
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import attrs

from application.billing.close_checkouts import STATES, CloseCheckouts
from application.connections.access import opened
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Leases
from application.ports.payments import HostedCheckout, Intent, IntentState, ProviderRefund, RefundState
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store, Work
from application.ports.vault import Vault
from domain.billing.bodies import invoice_body, money_body, payment_body
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.payments import RefundState as OurRefundState
from domain.connections.connection import Connection
from domain.money import Money

_LOCK = timedelta(seconds=20)
_WAIT = timedelta(seconds=30)

_TRIES = 5

_REFUND_COUNTS = (RefundState.SUCCEEDED, RefundState.PENDING)
_REFUND_CAME_BACK = (RefundState.FAILED, RefundState.CANCELED)

T = TypeVar("T")


async def _afresh(do: Callable[[], Awaitable[T]]) -> T:
    """Do it, and again from reading on where a webhook or a payer who is back wrote the same thing at this moment.

    Raises StaleWrite when that goes on.
    """
    for _ in range(_TRIES - 1):
        with suppress(StaleWrite):
            return await do()
    return await do()


@attrs.define
class Settle:
    """Learns facts about payments."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _close: CloseCheckouts

    async def checkout(self, organisation_id: str, connection_id: str, reference: str) -> bool:
        """Learn about a hosted page, and about the payment made on it. Returns whether the page is one of ours."""
        connection, access = await self._open(organisation_id, connection_id)
        page = await self._providers.payments(connection.provider).fetch_checkout(access, reference)
        ours = page.metadata.get("patchbay_organisation") == organisation_id
        if not ours:
            return False
        await _afresh(lambda: self._move(organisation_id, page))
        if page.intent_reference is not None:
            await self.intent(organisation_id, connection_id, page.intent_reference)
        return True

    async def _move(self, organisation_id: str, page: HostedCheckout) -> None:
        now = self._clock.now()
        state = STATES[page.state]
        async with self._store.of(organisation_id) as work:
            checkout = await work.checkouts.find(page.metadata.get("patchbay_checkout", ""))
            if checkout is not None:
                if checkout.reference is None and page.url is not None:
                    checkout = checkout.opened(page.reference, page.url, page.expires_at, now)
                    checkout = await work.checkouts.save(checkout)
                moved = checkout.moved(state, now)
                if moved is not checkout:
                    await work.checkouts.save(moved)
                await work.commit()

    async def intent(
        self, organisation_id: str, connection_id: str, reference: str, *, failure: str | None = None
    ) -> bool:
        """Learn about a payment. `failure`: the id of a failure the provider reported. Returns whether it is ours."""
        connection, access = await self._open(organisation_id, connection_id)
        payments = self._providers.payments(connection.provider)
        # One lock for all connections to the provider: two may be to the same account, and both hear of the payment.
        lock = f"payment:{organisation_id}:{connection.provider}:{reference}"
        async with self._leases.hold(lock, for_=_LOCK, wait=_WAIT):
            intent = await payments.fetch_intent(access, reference)
            refunds = await payments.refunds_of(access, reference) if intent.received else ()
            # Another payment of the same invoice has a lock of its own.
            ours, paid_invoice = await _afresh(lambda: self._learn(connection, intent, refunds, failure))
        if paid_invoice is not None:
            # Idempotent, and before the caller reports success: a crash here has the webhook handled again.
            await self._close(organisation_id, invoice_id=paid_invoice)
        return ours

    async def _learn(
        self, connection: Connection, intent: Intent, refunds: tuple[ProviderRefund, ...], failure: str | None
    ) -> tuple[bool, str | None]:
        now = self._clock.now()
        async with self._store.of(connection.organisation_id) as work:
            found = await work.payments.all(provider=connection.provider, reference=intent.reference)
            payment = found[0] if found else await self._new(work, connection, intent)
            if payment is None:
                return False, None
            facts = self._facts(intent, refunds, failure, payment)
            learned, new = payment.learn(*facts, now=now)
            learned = await self._set_aside(work, learned, new)
            if not found:
                await work.payments.add(learned)
            elif new:
                learned = await work.payments.save(learned)
            await self._finish_refunds(work, learned, refunds)
            invoice, became_paid = await self._settle_invoice(work, learned)
            if new:
                await self._tell_new(work, learned, new, invoice, became_paid)
            await work.commit()
        paid = invoice is not None and invoice.amount_due.amount == 0 and bool(learned.captured)
        return True, invoice.id if invoice is not None and paid else None

    async def _set_aside(self, work: Work, payment: Payment, new: tuple[Fact, ...]) -> Payment:
        """Money for an invoice that was withdrawn meanwhile is a conflict, for a person to settle."""
        captured = any(fact.kind is FactKind.CAPTURED for fact in new)
        if not captured or payment.invoice_id is None or payment.conflict is not None:
            return payment
        invoice = await work.invoices.get(payment.invoice_id)
        if invoice.state is not InvoiceState.VOID:
            return payment
        return attrs.evolve(payment, conflict="It was paid after the invoice was made void.")

    async def _new(self, work: Work, connection: Connection, intent: Intent) -> Payment | None:
        """A payment we hear of for the first time; None when its metadata says it is not ours."""
        if intent.metadata.get("patchbay_organisation") != connection.organisation_id:
            return None
        invoice = await work.invoices.find(intent.metadata.get("patchbay_invoice", ""))
        asked = intent.amount
        conflict = None
        if invoice is not None and invoice.currency != asked.currency:
            conflict = f"It was made in {asked.currency.code}, the invoice is in {invoice.currency.code}."
        now = self._clock.now()
        return Payment(
            self._ids.new("payment"),
            connection.organisation_id,
            connection.id,
            connection.provider,
            intent.reference,
            asked,
            now,
            now,
            invoice.id if invoice else None,
            conflict=conflict,
        )

    def _facts(
        self, intent: Intent, refunds: tuple[ProviderRefund, ...], failure: str | None, payment: Payment
    ) -> list[Fact]:
        now = self._clock.now()
        facts: list[Fact] = []
        if intent.state is IntentState.SUCCEEDED and intent.received:
            facts.append(Fact(FactKind.CAPTURED, intent.reference, intent.received.amount, now))
        elif failure is not None:
            facts.append(Fact(FactKind.FAILED, failure, intent.amount.amount, now))
        known = {fact.reference for fact in payment.facts if fact.kind is FactKind.REFUNDED}
        for refund in refunds:
            if refund.state in _REFUND_COUNTS:
                facts.append(Fact(FactKind.REFUNDED, refund.reference, refund.amount.amount, now))
            # Any other state may still turn out well; what was counted stays counted until it is known to be back.
            elif refund.state in _REFUND_CAME_BACK and refund.reference in known:
                facts.append(Fact(FactKind.REFUND_FAILED, refund.reference, refund.amount.amount, now))
        return facts

    async def _finish_refunds(self, work: Work, payment: Payment, refunds: tuple[ProviderRefund, ...]) -> None:
        """Match the provider's refunds with those of ours that still wait for an answer."""
        now = self._clock.now()
        theirs: Mapping[str, ProviderRefund] = {refund.reference: refund for refund in refunds}
        for ours in await work.refunds.all(payment_id=payment.id):
            match = theirs.get(ours.reference or "")
            if match is None:
                continue
            if match.state in _REFUND_CAME_BACK and ours.state is not OurRefundState.FAILED:
                await work.refunds.save(ours.failed(match.failure or "The provider sent it back.", now))
            elif match.state in _REFUND_COUNTS and ours.state is OurRefundState.REQUESTED:
                await work.refunds.save(ours.done(match.reference, now))

    async def _settle_invoice(self, work: Work, payment: Payment) -> tuple[Invoice | None, bool]:
        if payment.invoice_id is None:
            return None, False
        invoice = await work.invoices.get(payment.invoice_id)
        captured = refunded = Money.zero(invoice.currency)
        for one in await work.payments.all(invoice_id=invoice.id):
            if one.conflict is None:
                captured, refunded = captured + one.captured, refunded + one.refunded
        settled, became_paid = invoice.settle(captured, refunded, self._clock.now())
        if settled is not invoice:
            settled = await work.invoices.save(settled)
        if became_paid:
            for link in await work.links.all(invoice_id=invoice.id, state="active"):
                await work.links.save(link.complete(self._clock.now()))
        return settled, became_paid

    async def _tell_new(
        self, work: Work, payment: Payment, new: tuple[Fact, ...], invoice: Invoice | None, became_paid: bool
    ) -> None:
        body = {
            "payment": payment_body(payment),
            "invoice": invoice_body(invoice, None) if invoice is not None else None,
        }
        kinds = [fact.kind for fact in new]
        if FactKind.CAPTURED in kinds:
            await self._tell(work, "payment.received", body)
        if FactKind.FAILED in kinds:
            await self._tell(work, "payment.failed", body)
            if invoice is not None:
                await self._tell(work, "invoice.payment_failed", body)
        if became_paid:
            await self._tell(work, "invoice.paid", body)
        for fact in new:
            if fact.kind is FactKind.REFUNDED:
                amount = money_body(Money(fact.amount, payment.currency))
                refunded = {**body, "refund": {"id": fact.reference, "amount": amount, "status": "succeeded"}}
                await self._tell(work, "payment.refunded", refunded)
                if invoice is not None:
                    await self._tell(work, "invoice.refunded", refunded)

    async def _open(self, organisation_id: str, connection_id: str) -> tuple[Connection, Mapping[str, str]]:
        async with self._store.reading(organisation_id) as work:
            connection = await work.connections.get(connection_id)
        return connection, opened(self._vault, connection)
