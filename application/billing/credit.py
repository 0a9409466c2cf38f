"""Write a credit note: take part of an invoice back, and send the money back if it was paid."""

from collections.abc import Sequence

import attrs

from application.billing.books import Books
from application.billing.close_checkouts import CloseCheckouts
from application.billing.opening import settings_of
from application.billing.refund import RefundPayment
from application.billing.typed import read_words
from application.caller import Caller
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, remember, remember_later
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store, Work
from domain.billing.bodies import invoice_body
from domain.billing.credit_notes import CreditedLine, CreditNote, amount_of_lines, tax_of
from domain.billing.invoices import Invoice
from domain.billing.payments import Payment
from domain.money import Money
from domain.refusals import Conflict, Invalid


@attrs.frozen
class Credited:
    """The note, and the invoice after it. problem: why the money did not go back yet, where it was to."""

    note: CreditNote
    invoice: Invoice
    problem: str | None = None


@attrs.define
class CreditInvoice:
    """The note stands once it is written; sending the money back follows, and can be done by hand if it is refused."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _books: Books
    _refund: RefundPayment
    _close: CloseCheckouts

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        amount: str | None = None,
        lines: Sequence[CreditedLine] | None = None,
        reason: str = "",
        refund: bool = False,
        once: Once | None = None,
    ) -> Credited:
        """`amount`: a decimal, with tax; `lines`: quantities of the invoice's lines instead; neither: all that is left.

        `refund`: send back what is held beyond what is owed then. Raises NotFound, Conflict, DoesNotFit, and Invalid naming
        `amount`, `lines`, `reason` or `refund`.
        """
        if amount is not None and lines is not None:
            raise Invalid.field("amount", "Give an amount or lines, not both.")
        reason = read_words(reason, "reason")
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            earlier = await work.credit_notes.all(invoice_id=id)
            money = _amount(invoice, amount, lines, earlier)
            credited = invoice.credit(money, now)
            back = min(money, credited.overpaid)
            payment = await _payment(work, credited, back) if refund else None
            number = await work.counters.next("credit_note")
            note = CreditNote(
                self._ids.new("credit_note"),
                caller.organisation_id,
                (await settings_of(work, now)).credit_note_number(number),
                id,
                money,
                tax_of(invoice, money, earlier, lines or ()),
                reason[:500],
                now,
                lines=tuple(lines or ()),
            )
            await work.credit_notes.add(note)
            credited = await work.invoices.save(credited)
            await self._books.invoice_credited(work, credited, note)
            await self._tell(work, "invoice.credited", {"invoice": invoice_body(credited, None)})
            if credited.paid_at != invoice.paid_at and credited.paid > credited.refunded:
                await self._tell(work, "invoice.paid", {"invoice": invoice_body(credited, None)})
            await self._tell.note(work, caller, "invoice.credited", id, note=note.id, number=note.number)
            done = Credited(note, credited)
            await remember(work, once, done, now)
            await work.commit()
        await self._close.soon(caller.organisation_id, invoice_id=id)
        return done if payment is None else await self._send_back(caller, done, payment, back, once)

    async def _send_back(
        self, caller: Caller, done: Credited, payment: Payment, back: Money, once: Once | None
    ) -> Credited:
        note, problem, refund_id = done.note, None, None
        try:
            reason = f"Credit note {note.number}"
            refund_id = (await self._refund(caller, payment.id, amount=back.decimal, reason=reason)).id
        except (Conflict, Invalid, ProviderUnavailable) as refusal:
            problem = refusal.reason
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            if refund_id is not None:
                note = await work.credit_notes.save(attrs.evolve(note, refund_id=refund_id))
            done = Credited(note, await work.invoices.get(note.invoice_id), problem)
            await remember_later(work, once, done, now)
            await work.commit()
        return done


def _amount(
    invoice: Invoice, amount: str | None, lines: Sequence[CreditedLine] | None, earlier: Sequence[CreditNote]
) -> Money:
    if lines is not None:
        if not lines:
            raise Invalid.field("lines", "Name at least one line.")
        return amount_of_lines(invoice, lines, earlier)
    return invoice.owed if amount is None else Money.of(amount, invoice.currency)


async def _payment(work: Work, invoice: Invoice, back: Money) -> Payment:
    """The newest payment that can give so much back."""
    if not back:
        raise Invalid.field("refund", "Nothing was paid beyond what is still owed, so nothing can go back.")
    for payment in (await work.payments.all(invoice_id=invoice.id))[::-1]:
        if payment.conflict is None and payment.currency == back.currency and back <= payment.refundable:
            return payment
    raise Invalid.field("refund", f"No single payment holds {back}; refund the payments one by one instead.")
