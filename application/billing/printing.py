"""Print an invoice, or one of its credit notes."""

import attrs

from application.billing.opening import seller_of, settings_of
from application.connections.connect import PublicUrl
from application.ports.clock import Clock
from application.ports.invoice_paper import InvoicePaper, Paper
from application.ports.store import Store, Work
from domain.billing.credit_notes import CreditNote
from domain.billing.invoices import InvoiceState
from domain.refusals import NotFound


@attrs.frozen
class Printed:
    """A document: what its file is called, and its bytes (PDF)."""

    name: str
    content: bytes


@attrs.define
class PrintInvoice:
    """Reads everything first and prints outside the unit of work."""

    _store: Store
    _clock: Clock
    _public: PublicUrl
    _paper: InvoicePaper

    async def __call__(self, organisation_id: str, invoice_id: str) -> Printed:
        """Raises NotFound."""
        async with self._store.reading(organisation_id) as work:
            paper = await self._read(work, invoice_id)
        return Printed(f"{_plain(paper.invoice.number)}.pdf", await self._paper.invoice(paper))

    async def credit_note(self, organisation_id: str, invoice_id: str, note_id: str) -> Printed:
        """Raises NotFound."""
        async with self._store.reading(organisation_id) as work:
            paper = await self._read(work, invoice_id)
        note: CreditNote | None = next((one for one in paper.notes if one.id == note_id), None)
        if note is None:
            raise NotFound("credit note", note_id)
        return Printed(f"{_plain(note.number)}.pdf", await self._paper.credit_note(paper, note))

    async def _read(self, work: Work, invoice_id: str) -> Paper:
        now = self._clock.now()
        invoice = await work.invoices.get(invoice_id)
        settings = await settings_of(work, now)
        seller = invoice.seller or await seller_of(work, settings)
        payable = invoice.amount_due.amount > 0 and invoice.state is not InvoiceState.DRAFT
        links = [link for link in await work.links.all(invoice_id=invoice_id) if link.live(now)] if payable else []
        url = f"{self._public.url}/pay/{links[-1].token}" if links else None
        notes = await work.credit_notes.all(invoice_id=invoice_id)
        return Paper(invoice, seller, settings.locale, url, notes)


def _plain(number: str) -> str:
    """A number as a file's name."""
    return number.replace("/", "-")
