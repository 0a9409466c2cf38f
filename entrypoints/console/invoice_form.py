"""Write an invoice by hand: a form with as many lines as are needed, without a script."""

import re
from datetime import date

from litestar import Controller, Response, get, post

from application.billing.invoices import CreateInvoice
from application.billing.lines import DiscountAsked, LineAsked, TaxAsked
from application.caller import Caller
from application.ports.leases import Held
from application.ports.store import MAX_PAGE, AlreadyThere, Slice
from domain.billing.invoices import MAX_LINES
from domain.refusals import Fault, Invalid, Refusal
from domain.work.kinds import kind_named
from entrypoints.console.pages import REFUSED, Form, Page

_ROWS, _MORE = 3, 5
_FAULT = re.compile(r"lines\.(\d+)\.(description|quantity|unit_price|tax|discount)\b.*")
_CELL = {"description": "description", "quantity": "quantity", "unit_price": "price", "tax": "tax", "discount": "off"}


class InvoiceFormPages(Controller):
    """/console/invoices/new"""

    path = "/invoices/new"

    @get("/")
    async def show(self, page: Page) -> Response[str]:
        """An empty form."""
        return await _show(page, {"tax_name": "VAT"})

    @post("/lines")
    async def more_lines(self, page: Page, form: Form) -> Response[str]:
        """The same form with room for more."""
        return await _show(page, form.typed, rows=_rows(form) + _MORE)

    @post("/")
    async def create(self, page: Page, form: Form, caller: Caller, create_invoice: CreateInvoice) -> Response[str]:
        """A draft, which can be looked at before it is sent."""
        places = [row for row in range(1, _rows(form) + 1) if _filled(form, row)]
        try:
            invoice = await create_invoice(
                caller,
                client_id=form.text("client_id"),
                currency=form.text("currency"),
                lines=_lines(form, places),
                due_on=_day(form.text("due_on")),
                memo=form.text("memo"),
                discount=_discount(form.text("discount"), form.text("discount_name")),
                once=form.once(),
            )
        except AlreadyThere:
            return page.go("/console/invoices")  # the same form a second time: one invoice is written
        except REFUSED as refused:
            return await _show(page, form.typed, rows=_rows(form), refused=_placed(refused, places))
        return page.go(f"/console/invoices/{invoice.id}", done="invoice-written")


async def _show(
    page: Page, typed: dict[str, str], *, rows: int = _ROWS, refused: Refusal | Held | None = None
) -> Response[str]:
    async with page.reading() as work:
        found = await work.records.matching(kind_named("client"), Slice(MAX_PAGE), {})
    clients = {client.id: str(client.fields["name"]) for client in found.items}
    return page(
        "invoice_new.html",
        refused=refused,
        typed=typed,
        rows=min(rows, MAX_LINES),
        clients=dict(sorted(clients.items(), key=lambda one: one[1].casefold())),
        more_clients=found.next is not None,
        once=page.ids.token(),
    )


def _rows(form: Form) -> int:
    text = form.text("rows")
    return min(int(text), MAX_LINES) if text.isascii() and text.isdigit() and len(text) < 4 else _ROWS


def _filled(form: Form, row: int) -> bool:
    return any(form.text(f"{cell}_{row}") for cell in ("description", "price"))


def _lines(form: Form, places: list[int]) -> list[LineAsked]:
    """The lines that something was typed into. Raises Invalid for a quantity that is no number."""
    lines: list[LineAsked] = []
    faults: list[Fault] = []
    for index, row in enumerate(places):
        quantity = form.text(f"quantity_{row}") or "1"
        if not (quantity.isascii() and quantity.isdigit() and len(quantity) < 8):
            faults.append(Fault(f"lines.{index}.quantity", "A quantity is a whole number."))
            quantity = "1"
        rate = form.text(f"tax_{row}")
        tax = TaxAsked(form.text("tax_name") or "Tax", rate, bool(form.text("tax_included"))) if rate else None
        off = _discount(form.text(f"off_{row}"))
        lines.append(
            LineAsked(form.text(f"description_{row}"), int(quantity), form.text(f"price_{row}") or "0", tax, off)
        )
    if faults:
        raise Invalid(*faults)
    return lines


def _discount(text: str, name: str = "") -> DiscountAsked | None:
    """`10%` or `5.00`."""
    if not text:
        return None
    if text.endswith("%"):
        return DiscountAsked(percent=text, name=name)
    return DiscountAsked(amount=text, name=name)


def _day(text: str) -> date | None:
    """Raises Invalid naming `due_on`."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Invalid.field("due_on", "A day is written as 2026-02-28.") from error


def _placed(refusal: Refusal | Held, places: list[int]) -> Refusal | Held:
    """The faults by the rows of the form: rows that were left empty are no lines."""
    if not isinstance(refusal, Invalid):
        return refusal
    faults: list[Fault] = []
    for fault in refusal.faults:
        found = _FAULT.fullmatch(fault.field)
        row = places[int(found[1])] if found and int(found[1]) < len(places) else None
        faults.append(fault if found is None or row is None else Fault(f"{_CELL[found[2]]}_{row}", fault.reason))
    return Invalid(*faults)
