"""A person settles money that came in another way than it was asked for."""

from enum import Enum

import attrs

from application.billing.books import Books
from application.billing.close_checkouts import CloseCheckouts
from application.billing.learn import LearnPayment
from application.billing.refund import RefundPayment
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.store import Store, Work
from domain.billing.bodies import invoice_body, payment_body
from domain.billing.conflicts import ConflictKind
from domain.billing.invoices import Invoice
from domain.billing.payments import Payment, PaymentState
from domain.money import Money
from domain.refusals import Conflict, Invalid


class Resolution(Enum):
    """What is to be done with the money."""

    ACCEPT = "accept"
    """Keep it as it is: it counts for its invoice; where it cannot (another currency, a void invoice), it is the client's
    and counts for none."""
    REFUND = "refund"
    """Send it back: all of it; of an overpayment what is too much."""
    MOVE = "move"
    """Count it for another invoice; for money that counts for none so far."""


@attrs.define
class ResolveConflict:
    """Each resolution is in the audit trail, with who decided."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _books: Books
    _learn: LearnPayment
    _close: CloseCheckouts
    _refund: RefundPayment

    async def __call__(
        self,
        caller: Caller,
        payment_id: str,
        resolution: Resolution,
        *,
        invoice_id: str | None = None,
        once: Once | None = None,
    ) -> Payment:
        """`invoice_id`: where a payment is to be moved to.

        Raises NotFound, Conflict (no conflict to settle, or the other invoice is not payable), Invalid, and what
        RefundPayment raises. A refund that could not be asked for yet is kept and tried again.
        """
        if (resolution is Resolution.MOVE) != (invoice_id is not None):
            raise Invalid.field("invoice_id", "Give it for a payment that is to be moved, and for no other.")
        if resolution is Resolution.REFUND:
            return await self._send_back(caller, payment_id, once)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            payment = _conflicted(await work.payments.get(payment_id))
            target = payment.invoice_id
            how = "Accepted"
            if invoice_id is not None:
                await _check_move(work, payment, invoice_id)
                target, how = invoice_id, "Moved from its invoice"
            elif payment.conflict_kind in (ConflictKind.WRONG_CURRENCY, ConflictKind.AFTER_VOID):
                target, how = None, "Kept without an invoice"
            resolved = await work.payments.save(payment.resolved(how, now, invoice_id=target))
            await self._books.facts_learned(work, resolved, ())
            await self._settle(work, payment, resolved)
            await self._tell.note(
                work, caller, "payment.resolved", payment_id, resolution=resolution.value, invoice=target or ""
            )
            await remember(work, once, resolved, now)
            await work.commit()
        if target is not None:
            await self._close.soon(caller.organisation_id, invoice_id=target)
        return resolved

    async def _settle(self, work: Work, before: Payment, after: Payment) -> None:
        """Both invoices in line: the one it came for, and the one that it counts for now."""
        for id_ in {before.invoice_id, after.invoice_id} - {None}:
            invoice, became_paid = await self._learn.settle_invoice(work, await work.invoices.get(id_ or ""))
            if became_paid:
                body = {"payment": payment_body(after), "invoice": invoice_body(invoice, None)}
                await self._tell(work, "invoice.paid", body)

    async def _send_back(self, caller: Caller, payment_id: str, once: Once | None) -> Payment:
        """The refund first: whether the provider takes it decides whether the conflict is settled. Money that counts for
        nothing is settled when all of it is back; an overpayment once what is too much is on its way."""
        async with self._store.reading(caller.organisation_id) as work:
            payment = _conflicted(await work.payments.get(payment_id))
            invoice = None if payment.invoice_id is None else await work.invoices.find(payment.invoice_id)
        amount = _too_much(payment, invoice)
        await self._refund(caller, payment_id, amount=amount.decimal, reason=payment.conflict or "")
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            fresh = await work.payments.get(payment_id)
            if fresh.counts and fresh.conflict is not None:
                fresh = await work.payments.save(fresh.resolved("Sent back", now, invoice_id=fresh.invoice_id))
            await self._tell.note(work, caller, "payment.resolved", payment_id, resolution="refund", invoice="")
            await remember(work, once, fresh, now)
            await work.commit()
        return fresh


def _conflicted(payment: Payment) -> Payment:
    if payment.state is not PaymentState.CONFLICTED:
        raise Conflict("The payment is what was asked for: there is nothing to settle.")
    return payment


def _too_much(payment: Payment, invoice: Invoice | None) -> Money:
    if payment.conflict_kind is ConflictKind.OVERPAID and invoice is not None and invoice.overpaid.amount > 0:
        return min(invoice.overpaid, payment.refundable)
    if payment.conflict_kind is ConflictKind.OVERPAID and payment.captured > payment.asked:
        return min(payment.captured - payment.asked, payment.refundable)
    return payment.refundable


async def _check_move(work: Work, payment: Payment, invoice_id: str) -> None:
    if invoice_id == payment.invoice_id:
        raise Invalid.field("invoice_id", "It came for this invoice already; accept it instead.")
    invoice = await work.invoices.get(invoice_id)
    if invoice.currency != payment.currency:
        raise Invalid.field("invoice_id", f"The payment is in {payment.currency.code}, that invoice is not.")
    if payment.counts:
        raise Conflict("The payment counts for its own invoice; accept it, or send back what is too much.")
    if not payment.captured:
        raise Conflict("Nothing came with this payment yet.")
    invoice.require_payable()
