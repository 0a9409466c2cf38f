"""What can be done about one invoice besides being paid: credit, remind, write off, print."""

from litestar import Controller, Response, get, post

from application.billing.credit import CreditInvoice
from application.billing.printing import PrintInvoice
from application.billing.reminders import RemindClient
from application.billing.write_off import WriteOffInvoice
from application.caller import Caller
from application.ports.store import AlreadyThere
from domain.billing.credit_notes import CreditedLine
from domain.refusals import Fault, Invalid
from entrypoints.api.invoices import pdf
from entrypoints.console.invoices import show_invoice
from entrypoints.console.pages import REFUSED, Form, Page


class InvoiceDeeds(Controller):
    """/console/invoices/{invoice_id}/…"""

    path = "/invoices"

    @get("/{invoice_id:str}/pdf", media_type="application/pdf")
    async def print_pdf(self, page: Page, invoice_id: str, print_invoice: PrintInvoice) -> Response[bytes]:
        """The invoice on paper."""
        return pdf(await print_invoice(page.caller.organisation_id, invoice_id))

    @get("/{invoice_id:str}/credit-notes/{note_id:str}", media_type="application/pdf")
    async def print_note(
        self, page: Page, invoice_id: str, note_id: str, print_invoice: PrintInvoice
    ) -> Response[bytes]:
        """A credit note on paper."""
        return pdf(await print_invoice.credit_note(page.caller.organisation_id, invoice_id, note_id))

    @post("/{invoice_id:str}/credit")
    async def credit(
        self, page: Page, form: Form, caller: Caller, invoice_id: str, credit_invoice: CreditInvoice
    ) -> Response[str]:
        """By an amount, or by quantities of lines; and the money back if it is ticked."""
        try:
            lines = _credited(form)
            await credit_invoice(
                caller,
                invoice_id,
                amount=None if lines else form.text("amount") or None,
                lines=lines or None,
                reason=form.text("reason"),
                refund=bool(form.text("refund")),
                once=form.once(),
            )
        except AlreadyThere:
            pass  # the same form a second time: one note is written
        except REFUSED as refused:
            return await show_invoice(page, invoice_id, refused=refused, typed=form.typed, form="credit")
        return page.go(f"/console/invoices/{invoice_id}", done="credited")

    @post("/{invoice_id:str}/remind")
    async def remind(
        self, page: Page, form: Form, caller: Caller, invoice_id: str, remind_client: RemindClient
    ) -> Response[str]:
        """By mail, now."""
        try:
            await remind_client(
                caller,
                invoice_id,
                to=form.lines("to") or None,
                message=form.text("message") or None,
                once=form.once(),
            )
        except AlreadyThere:
            pass  # the same form a second time: one mail goes out
        except REFUSED as refused:
            return await show_invoice(page, invoice_id, refused=refused, typed=form.typed, form="remind")
        return page.go(f"/console/invoices/{invoice_id}", done="reminded")

    @post("/{invoice_id:str}/uncollectible")
    async def write_off(
        self, page: Page, caller: Caller, invoice_id: str, write_off_invoice: WriteOffInvoice
    ) -> Response[str]:
        """Nobody asks for it any more."""
        try:
            await write_off_invoice(caller, invoice_id)
        except REFUSED as refused:
            return await show_invoice(page, invoice_id, refused=refused)
        return page.go(f"/console/invoices/{invoice_id}", done="written-off")


def _credited(form: Form) -> list[CreditedLine]:
    """The lines with a quantity. Raises Invalid for one that is no number."""
    lines: list[CreditedLine] = []
    for name, typed in form.typed.items():
        place, text = name.removeprefix("line_"), typed.strip()
        if not name.startswith("line_") or text in ("", "0"):
            continue
        if not (place.isdigit() and text.isascii() and text.isdigit() and len(text) < 8):
            raise Invalid(Fault(name, "A quantity is a whole number."))
        lines.append(CreditedLine(int(place), int(text)))
    return lines
