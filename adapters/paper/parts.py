"""What invoices and credit notes are made of: heading, addresses, table of lines, sums, where to pay."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table, TableStyle

from adapters.paper.sheet import ACCENT, INK, LINE, SOFT, WASH, WIDTH, Sheet
from adapters.paper.wording import Wording
from domain.billing.invoices import Invoice
from domain.billing.lines import Line
from domain.billing.settings import Seller
from domain.billing.totals import Totals

_BARE: list[Any] = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]
_QR = 26 * mm


def heading(sheet: Sheet, seller: Seller, title: str, badge: tuple[str, Any] | None) -> list[Flowable]:
    """Who it is from, and what it is."""
    right: list[Flowable] = [sheet.text(title, size=19, bold=True, colour=ACCENT, right=True)]
    if badge is not None:
        right.append(sheet.text(badge[0], size=9, bold=True, colour=badge[1], right=True))
    left = [sheet.text(seller.name, size=15, bold=True)]
    table = Table([[left, right]], colWidths=[WIDTH * 0.6, WIDTH * 0.4], style=TableStyle(_BARE), splitInRow=1)
    return [table, Spacer(0, 7 * mm)]


def parties(sheet: Sheet, seller: Seller, invoice: Invoice, facts: Sequence[tuple[str, str]]) -> list[Flowable]:
    """The two sides, and the numbers and days."""
    ours = [sheet.text("From", size=7.5, colour=SOFT, after=2), sheet.text(seller.name, bold=True)]
    ours += [sheet.text(line) for line in seller.address]
    if seller.tax_id:
        ours.append(sheet.text(f"Tax ID {seller.tax_id}"))
    if seller.email:
        ours.append(sheet.text(seller.email))
    theirs = [sheet.text("Bill to", size=7.5, colour=SOFT, after=2), sheet.text(invoice.client.name, bold=True)]
    if invoice.client.email:
        theirs.append(sheet.text(invoice.client.email))
    rows = [[sheet.text(label, colour=SOFT), sheet.text(value, right=True)] for label, value in facts]
    padding = [("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)]
    numbers = Table(rows, colWidths=[WIDTH * 0.15, WIDTH * 0.21], style=TableStyle([*_BARE, *padding]))
    columns = [WIDTH * 0.32, WIDTH * 0.32, WIDTH * 0.36]
    apart = [*_BARE, ("RIGHTPADDING", (0, 0), (1, -1), 10)]
    return [
        Table([[ours, theirs, numbers]], colWidths=columns, style=TableStyle(apart), splitInRow=1),
        Spacer(0, 8 * mm),
    ]


def lines_table(sheet: Sheet, wording: Wording, lines: Sequence[Line], *, taxed: bool) -> Flowable:
    """The lines; the heading is repeated on every page."""
    heads = ["Description", "Quantity", "Price", *(["Tax"] if taxed else []), "Amount"]
    widths = [0.4, 0.1, 0.2, 0.1, 0.2] if taxed else [0.48, 0.12, 0.2, 0.2]
    rows: list[list[Any]] = [
        [sheet.text(head, size=7.5, bold=True, colour=SOFT, right=column > 0) for column, head in enumerate(heads)]
    ]
    for line in lines:
        described = [sheet.text(line.description)]
        if line.off:
            named = line.discount.name if line.discount and line.discount.name else "Discount"
            rate = line.discount.percent if line.discount else None
            part = f" {wording.percent(rate)}" if rate else ""
            described.append(sheet.text(f"{named}{part}: \N{MINUS SIGN}{wording.money(line.off)}", size=8, colour=SOFT))
        tax = [sheet.text(wording.percent(line.tax.rate) if line.tax else "\N{EN DASH}", right=True)] if taxed else []
        numbers = (wording.number(line.quantity), wording.money(line.unit_price))
        cells = [sheet.text(text, right=True) for text in numbers]
        rows.append([described, *cells, *tax, sheet.text(wording.money(line.total), right=True)])
    style: list[Any] = [
        *_BARE,
        ("LEFTPADDING", (1, 0), (-1, -1), 6),
        ("RIGHTPADDING", (-1, 0), (-1, -1), 6),
        ("LINEBELOW", (0, 0), (-1, 0), 0.9, INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
        ("TOPPADDING", (0, 1), (-1, -1), 4),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ]
    return Table(rows, colWidths=[WIDTH * part for part in widths], style=TableStyle(style), repeatRows=1, splitInRow=1)


def sums(sheet: Sheet, rows: Sequence[tuple[str, str, bool]]) -> Flowable:
    """Label, amount, and whether it is one of those that matter; the last is what the reader looks for."""
    made = [
        [sheet.text(label, bold=strong), sheet.text(value, bold=strong, right=True)] for label, value, strong in rows
    ]
    style: list[Any] = [
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ("BACKGROUND", (0, -1), (-1, -1), WASH),
        *[("LINEABOVE", (0, index), (-1, index), 0.6, INK) for index, row in enumerate(rows) if row[2]],
    ]
    table = Table(made, colWidths=[WIDTH * 0.27, WIDTH * 0.21], style=TableStyle(style), hAlign="RIGHT")
    return KeepTogether([Spacer(0, 4 * mm), table])


def taxes_table(sheet: Sheet, wording: Wording, totals: Totals) -> list[Flowable]:
    """Each rate with what it is worked out on."""
    if not totals.taxes:
        return []
    heads = ("Tax", "Rate", "Net", "Tax amount")
    rows = [[sheet.text(h, size=7.5, bold=True, colour=SOFT, right=i > 0) for i, h in enumerate(heads)]]
    for one in totals.taxes:
        name = f"{one.tax.name} (included)" if one.tax.included else one.tax.name
        texts = (wording.percent(one.tax.rate), wording.money(one.net), wording.money(one.amount))
        rows.append([sheet.text(name, size=8), *(sheet.text(text, size=8, right=True) for text in texts)])
    style: list[Any] = [
        *_BARE,
        ("LINEBELOW", (0, 0), (-1, 0), 0.6, INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    widths = [WIDTH * part for part in (0.22, 0.1, 0.18, 0.18)]
    return [KeepTogether([Spacer(0, 7 * mm), Table(rows, colWidths=widths, style=TableStyle(style), hAlign="LEFT")])]


def where_to_pay(sheet: Sheet, seller: Seller, number: str, url: str | None) -> list[Flowable]:
    """The pay link, also as a code for a telephone's camera, and the bank account."""
    if url is None and not seller.bank:
        return []
    cells: list[Any] = []
    widths: list[float] = []
    if url is not None:
        words = [
            sheet.text("Pay online", bold=True, size=10, after=2),
            sheet.text("Scan the code, or open the link:", size=8, colour=SOFT),
            sheet.text(url, size=8, colour=ACCENT, link=url),
        ]
        cells += [_code(url), words]
        widths += [_QR + 4 * mm, WIDTH * 0.5 - _QR - 4 * mm]
    if seller.bank:
        bank = [sheet.text("Pay by bank transfer", bold=True, size=10, after=2)]
        bank += [sheet.text(line, size=8.5) for line in seller.bank]
        bank.append(sheet.text(f"Reference {number}", size=8.5))
        cells.append(bank)
        widths.append(WIDTH * 0.5)
    style: list[Any] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("BACKGROUND", (0, 0), (-1, -1), WASH)]
    style += [(f"{side}PADDING", (0, 0), (-1, -1), 8) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")]
    table = Table([cells], colWidths=widths, style=TableStyle(style), hAlign="LEFT", splitInRow=1)
    return [KeepTogether([Spacer(0, 8 * mm), table])]


def day_of_issue(invoice: Invoice) -> date:
    """When it was asked for; of a draft, when it was written."""
    return (invoice.opened_at or invoice.created_at).date()


def _code(url: str) -> Drawing:
    widget = QrCodeWidget(url, barLevel="M", barBorder=0, barFillColor=INK)
    left, bottom, right, top = widget.getBounds()
    scale = _QR / max(right - left, top - bottom)
    drawing = Drawing(_QR, _QR, transform=[scale, 0, 0, scale, 0, 0])
    drawing.add(widget)
    return drawing
