"""Prints nothing but the words: what a test wants to read of a document."""

from typing import final

import attrs

from application.ports.invoice_paper import InvoicePaper, Paper
from domain.billing.credit_notes import CreditNote

KNOWN = frozenset(("en", "en-GB", "de", "fr-CH", "ja"))


@final
@attrs.frozen
class PlainPaper(InvoicePaper):
    """A PDF in name only."""

    def knows(self, locale: str) -> bool:
        return locale in KNOWN

    async def invoice(self, paper: Paper) -> bytes:
        invoice = paper.invoice
        words = [invoice.number, paper.seller.name, invoice.client.name, str(invoice.total), str(invoice.amount_due)]
        words += [line.description for line in invoice.lines] + [paper.pay_url or ""]
        return _pdf(words)

    async def credit_note(self, paper: Paper, note: CreditNote) -> bytes:
        return _pdf([note.number, paper.seller.name, paper.invoice.number, str(note.amount)])


def _pdf(words: list[str]) -> bytes:
    return ("%PDF-1.4\n" + "\n".join(words) + "\n%%EOF\n").encode()
