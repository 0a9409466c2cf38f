"""Post to the ledger what a use case makes true, in the same unit of work."""

from collections.abc import Sequence
from datetime import datetime

import attrs

from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Work
from domain.billing import postings
from domain.billing.credit_notes import CreditNote
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.ledger import SUSPENSE, Entry, Posting, source_of, standing
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.payouts import Payout, PayoutState


@attrs.define
class Books:
    """Each method posts once for one source: calling it again, or late, posts nothing more.

    What is older than the ledger, or was missed, is made up for when something new is posted about it. Whoever posts about
    an invoice or a payment saves it in the same unit of work, so that of two at once one begins anew (StaleWrite).
    """

    _clock: Clock
    _ids: Ids

    async def invoice_opened(self, work: Work, invoice: Invoice) -> None:
        """The client owes it. Posts nothing for a draft."""
        if invoice.state is not InvoiceState.DRAFT:
            await self._about(work, invoice)

    async def invoice_voided(self, work: Work, invoice: Invoice) -> None:
        """The client owes it no more. Posts nothing for one that was never opened."""
        entries = await work.ledger.all(subject=invoice.id)
        if _posted(entries, "opened", invoice.id) and not _posted(entries, "voided", invoice.id):
            now = standing(entries, invoice.currency)
            await self._post(work, postings.voided(invoice.id, invoice.currency, now))

    async def invoice_written_off(self, work: Work, invoice: Invoice) -> None:
        """What is still owed is given up. Whoever pays after all owes again first; it can then be given up again."""
        entries = await self._about(work, invoice)
        now = standing(entries, invoice.currency)
        times = len({entry.source for entry in entries if entry.source.startswith("written-off:")})
        posting = postings.written_off(invoice.id, invoice.currency, now)
        if times:
            posting = attrs.evolve(posting, source=source_of(posting.source, str(times + 1)))
        await self._post(work, posting)

    async def invoice_credited(self, work: Work, invoice: Invoice, note: CreditNote) -> None:
        """The client owes so much less."""
        entries = await self._about(work, invoice)
        if not _posted(entries, "credited", note.id):
            await self._post(work, postings.credited(note, standing(entries, invoice.currency)))

    async def facts_learned(self, work: Work, payment: Payment, new: Sequence[Fact]) -> None:
        """Money came, went back, was taken or kept by the provider; or a conflict was found or settled.

        `new`: what is new of the payment's facts; what was not posted of the others is, too. Call it again, with no new
        facts, when the payment's conflict changed.
        """
        own = await work.ledger.all(subject=payment.id)
        for fact in sorted({*payment.facts, *new}, key=_in_order):
            source = postings.source_of_fact(payment, fact.kind, fact.reference)
            if any(entry.source == source for entry in own) or not _counts(fact, payment, own):
                continue
            invoice = await self._invoice_of(work, payment)
            if fact.kind is FactKind.REFUND_FAILED:
                refund = await work.ledger.all(
                    source=postings.source_of_fact(payment, FactKind.REFUNDED, fact.reference)
                )
                posting = postings.refund_failed(payment, fact, refund, invoice)
            else:
                made = postings.learned(payment, fact, invoice, standing(own, payment.currency))
                if made is None:
                    continue
                posting = made
            entries = await self._post(work, posting, fact.at)
            own += tuple(entry for entry in entries if entry.subject == payment.id)
        await self._follow_conflict(work, payment, own)

    async def payout_moved(self, work: Work, payout: Payout) -> None:
        """Money left the provider's balance, or came back to it."""
        entries = await work.ledger.all(subject=payout.id)
        if payout.state in (PayoutState.FAILED, PayoutState.CANCELED):
            if entries and not _posted(entries, "payout-back", payout.id):
                own = standing(entries, payout.amount.currency)
                await self._post(work, postings.came_back(payout, own))
        elif payout.state in (PayoutState.PENDING, PayoutState.IN_TRANSIT, PayoutState.PAID):
            if not _posted(entries, "paid-out", payout.id):
                await self._post(work, postings.paid_out(payout))
            if payout.fee and not _posted(entries, "payout-fee", payout.id):
                await self._post(work, postings.payout_fee(payout))

    async def _about(self, work: Work, invoice: Invoice) -> tuple[Entry, ...]:
        """The entries about an invoice, which is owed from now on if nothing said so before."""
        entries = await work.ledger.all(subject=invoice.id)
        if _posted(entries, "opened", invoice.id) or invoice.state is InvoiceState.VOID:
            return entries
        now = standing(entries, invoice.currency)
        opened = postings.opened(invoice.id, invoice.total, invoice.totals.tax, now)
        return entries + await self._post(work, opened, invoice.opened_at)

    async def _invoice_of(self, work: Work, payment: Payment) -> postings.Standing | None:
        """How the invoice that a payment pays stands; None without one, or where it is in another currency."""
        invoice = None if payment.invoice_id is None else await work.invoices.find(payment.invoice_id)
        if invoice is None or invoice.currency != payment.currency:
            return None
        return standing(await self._about(work, invoice), invoice.currency)

    async def _follow_conflict(self, work: Work, payment: Payment, own: Sequence[Entry]) -> None:
        """Set a payment aside that turned out to be conflicted, or count one that no longer is."""
        now = standing(own, payment.currency)
        unexplained = -now.get(SUSPENSE, 0)
        if payment.counts:
            if unexplained > 0 and not _posted(own, "explained", payment.id):
                await self._post(work, postings.explained(payment, await self._invoice_of(work, payment), now))
        elif (payment.captured - payment.refunded).amount > unexplained and not _posted(own, "set-aside", payment.id):
            await self._post(work, postings.set_aside(payment, await self._invoice_of(work, payment), now))

    async def _post(self, work: Work, posting: Posting, at: datetime | None = None) -> tuple[Entry, ...]:
        entries = posting.entries(work.organisation_id, self._ids.new, at or self._clock.now())
        await work.ledger.add_all(entries)
        return entries


_FIRST = (FactKind.CAPTURED, FactKind.FEE, FactKind.REFUNDED, FactKind.REFUND_FAILED)


def _in_order(fact: Fact) -> tuple[int, datetime]:
    """Facts that become known together: what came in is posted before what goes out of it."""
    return (_FIRST.index(fact.kind) if fact.kind in _FIRST else len(_FIRST), fact.at)


def _counts(fact: Fact, payment: Payment, own: Sequence[Entry]) -> bool:
    """A refund that failed before it was ever posted moved nothing, and nor does its failure."""
    if fact.kind not in (FactKind.REFUNDED, FactKind.REFUND_FAILED):
        return True
    kinds = {one.kind for one in payment.facts if one.reference == fact.reference}
    refund = postings.source_of_fact(payment, FactKind.REFUNDED, fact.reference)
    return FactKind.REFUND_FAILED not in kinds or any(entry.source == refund for entry in own)


def _posted(entries: Sequence[Entry], kind: str, id: str) -> bool:
    source = source_of(kind, id)
    return any(entry.source == source for entry in entries)
