"""Print invoices and credit notes with ReportLab (docs.reportlab.com)."""

import asyncio
from collections.abc import Sequence
from threading import Lock
from typing import Any, final

import attrs
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from adapters.paper import parts
from adapters.paper.sheet import ACCENT, BAD, CARE, SOFT, Sheet
from adapters.paper.wording import Wording
from application.ports.invoice_paper import InvoicePaper, Paper
from domain.billing.credit_notes import CreditNote, taxes_of
from domain.billing.invoices import Invoice, InvoiceState

_BADGES = {
    InvoiceState.DRAFT: ("DRAFT", SOFT),
    InvoiceState.PAID: ("PAID", ACCENT),
    InvoiceState.OVERDUE: ("OVERDUE", BAD),
    InvoiceState.PARTLY_PAID: ("PARTLY PAID", CARE),
    InvoiceState.VOID: ("VOID", BAD),
}
"""Said under the title; that it was written off is nobody's business but ours."""


@final
@attrs.frozen
class PdfPaper(InvoicePaper):
    """In a thread, one at a time: it is work for the processor, and ReportLab's fonts are the process's."""

    _lock: Lock = attrs.field(factory=Lock, repr=False, eq=False)

    def knows(self, locale: str) -> bool:
        try:
            return Wording.of(locale).printed
        except ValueError:
            return False

    async def invoice(self, paper: Paper) -> bytes:
        return await asyncio.to_thread(self._one, _invoice, paper)

    async def credit_note(self, paper: Paper, note: CreditNote) -> bytes:
        return await asyncio.to_thread(self._one, _credit_note, paper, note)

    def _one(self, make: Any, *what: Any) -> bytes:
        with self._lock:
            made: bytes = make(*what)
        return made


def _wording(locale: str) -> Wording:
    """English for a locale that was known when it was set and no more."""
    try:
        return Wording.of(locale)
    except ValueError:
        return Wording.of("en")


def _sheet(paper: Paper, wording: Wording, title: str) -> Sheet:
    seller = paper.seller
    foot = seller.footer or " \N{MIDDLE DOT} ".join(part for part in (seller.name, seller.tax_id, seller.email) if part)
    return Sheet(wording.tag, title, seller.name, foot)


def _invoice(paper: Paper) -> bytes:
    wording, invoice = _wording(paper.locale), paper.invoice
    title = f"Invoice {invoice.number}"
    sheet = _sheet(paper, wording, title)

    def story() -> Sequence[Flowable]:
        facts = [
            ("Invoice number", invoice.number),
            ("Date of issue", wording.day(parts.day_of_issue(invoice))),
            *([("Due", wording.day(invoice.due_on))] if invoice.due_on else []),
            *([("For", _period(wording, invoice))] if invoice.period else []),
            ("Currency", invoice.currency.code),
        ]
        memo = [Spacer(0, 6 * mm), sheet.text(invoice.memo, size=9)] if invoice.memo else []
        return [
            *parts.heading(sheet, paper.seller, "Invoice", _BADGES.get(invoice.state)),
            *parts.parties(sheet, paper.seller, invoice, facts),
            parts.lines_table(sheet, wording, invoice.lines, taxed=any(line.tax for line in invoice.lines)),
            parts.sums(sheet, _sums(wording, paper)),
            *parts.taxes_table(sheet, wording, invoice.totals),
            *memo,
            *(parts.where_to_pay(sheet, paper.seller, invoice.number, paper.pay_url) if invoice.amount_due else []),
        ]

    return sheet.printed(story)


def _sums(wording: Wording, paper: Paper) -> list[tuple[str, str, bool]]:
    invoice, totals = paper.invoice, paper.invoice.totals
    rows = [("Subtotal", wording.money(totals.subtotal), False)] if totals.discount or totals.taxes else []
    if totals.discount and invoice.discount:
        rate = f" {wording.percent(invoice.discount.percent)}" if invoice.discount.percent else ""
        rows.append((f"{invoice.discount.name or 'Discount'}{rate}", _less(wording, totals.discount), False))
    for one in totals.taxes:
        label = f"{one.tax.name} {wording.percent(one.tax.rate)}"
        rows.append((f"including {label}" if one.tax.included else label, wording.money(one.amount), False))
    rows.append(("Total", wording.money(totals.total), True))
    before = len(rows)
    rows += [(f"Credit note {note.number}", _less(wording, note.amount), False) for note in paper.notes]
    if invoice.paid:
        rows.append(("Paid", _less(wording, invoice.amount_paid), False))
    if invoice.refunded:
        rows.append(("Refunded", wording.money(invoice.amount_refunded), False))
    if len(rows) > before or invoice.state is not InvoiceState.DRAFT:
        rows.append(("Amount due", wording.money(invoice.amount_due), True))
    return rows


def note_sums(wording: Wording, paper: Paper, note: CreditNote) -> list[tuple[str, str, bool]]:
    """The rows under a credit note: without tax, the tax by rate, and all of it."""
    whole = [("Total credited", wording.money(note.amount), True)]
    if not note.tax:
        return whole
    taxes = taxes_of(paper.invoice, note, paper.notes)
    rows = [(f"{tax.name} {wording.percent(tax.rate)}", wording.money(part), False) for tax, part in taxes]
    if sum(part.amount for _, part in taxes) != note.tax.amount:
        rows = [("Tax", wording.money(note.tax), False)]
    return [("Net", wording.money(note.amount - note.tax), False), *rows, *whole]


def _credit_note(paper: Paper, note: CreditNote) -> bytes:
    wording, invoice = _wording(paper.locale), paper.invoice
    sheet = _sheet(paper, wording, f"Credit note {note.number}")

    def story() -> Sequence[Flowable]:
        facts = [
            ("Credit note", note.number),
            ("Date of issue", wording.day(note.created_at.date())),
            ("For invoice", invoice.number),
            ("Of", wording.day(parts.day_of_issue(invoice))),
            ("Currency", invoice.currency.code),
        ]
        taken = [attrs.evolve(invoice.lines[one.line], quantity=one.quantity, discount=None) for one in note.lines]
        return [
            *parts.heading(sheet, paper.seller, "Credit note", None),
            *parts.parties(sheet, paper.seller, invoice, facts),
            sheet.text(f"This takes back {wording.money(note.amount)} of invoice {invoice.number}.", after=4),
            *([sheet.text(f"Reason: {note.reason}", after=4)] if note.reason else []),
            *([parts.lines_table(sheet, wording, taken, taxed=False)] if taken and not invoice.discount else []),
            parts.sums(sheet, note_sums(wording, paper, note)),
        ]

    return sheet.printed(story)


def _period(wording: Wording, invoice: Invoice) -> str:
    assert invoice.period is not None
    return f"{wording.day(invoice.period.start.date())} \N{EN DASH} {wording.day(invoice.period.end.date())}"


def _less(wording: Wording, money: Any) -> str:
    return f"\N{MINUS SIGN}{wording.money(money)}"
