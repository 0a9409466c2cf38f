"""Invoices, and the payment links by which they are paid."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

import attrs
import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.billing.credit import CreditInvoice
from application.billing.invoices import CreateInvoice, ReviseInvoice, VoidInvoice
from application.billing.lines import DiscountAsked, LineAsked, TaxAsked
from application.billing.links import CreatePaymentLink
from application.billing.printing import Printed, PrintInvoice
from application.billing.reminders import RemindClient
from application.billing.send_invoice import SendInvoice
from application.billing.write_off import WriteOffInvoice
from application.caller import Caller
from application.ports.store import Slice, Store, Work
from domain.billing.credit_notes import CreditedLine
from domain.billing.invoices import InvoiceState
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.versions import versioned
from entrypoints.api.views.billing import (
    CreditedView,
    CreditNoteView,
    HistoryView,
    InvoiceDetail,
    InvoiceView,
    PaymentLinkView,
    PaymentView,
    RefundView,
    SentView,
)

Decimal = Annotated[
    str, msgspec.Meta(max_length=40, examples=["125.00"], description="A decimal in major units, as text.")
]


Percent = Annotated[str, msgspec.Meta(max_length=20, examples=["19"], description="A percentage, as text.")]


class TaxGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A tax on a line. `included`: whether the price has it in it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60, examples=["VAT"])]
    rate: Percent
    included: bool = False

    def asked(self) -> TaxAsked:
        return TaxAsked(self.name, self.rate, self.included)


class DiscountGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A discount: `percent` or `amount`, one of them."""

    percent: Percent | None = None
    amount: Decimal | None = None
    name: Annotated[str, msgspec.Meta(max_length=60)] = ""

    def asked(self) -> DiscountAsked:
        return DiscountAsked(self.percent, self.amount, self.name)


class LineGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A line: quantity times unit price, less its discount, with its tax."""

    description: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    unit_price: Decimal
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    tax: TaxGiven | None = None
    discount: DiscountGiven | None = None

    def asked(self) -> LineAsked:
        tax = self.tax.asked() if self.tax else None
        discount = self.discount.asked() if self.discount else None
        return LineAsked(self.description, self.quantity, self.unit_price, tax, discount)


class InvoiceCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new invoice."""

    client_id: str
    currency: Annotated[str, msgspec.Meta(examples=["USD"])]
    lines: Annotated[list[LineGiven], msgspec.Meta(min_length=1, max_length=100)]
    due_on: date | None = None
    memo: str = ""
    discount: DiscountGiven | None = None


class InvoiceRevised(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to change in a draft; what is left out stays. `discount`: an empty one takes it away."""

    lines: Annotated[list[LineGiven], msgspec.Meta(min_length=1, max_length=100)] | None = None
    due_on: date | None = None
    memo: str | None = None
    discount: DiscountGiven | None = None


class InvoiceSent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How to send it. `to`: addresses instead of the client's own. `connection`: which mail account."""

    to: list[str] | None = None
    message: Annotated[str, msgspec.Meta(max_length=5000)] | None = None
    provider: str | None = None
    connection: str | None = None


class Reminded(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How to remind. `to`: addresses instead of the client's own. `connection`: which mail account."""

    to: list[str] | None = None
    message: Annotated[str, msgspec.Meta(max_length=5000)] | None = None
    connection: str | None = None


class CreditedLineGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """So much of an invoice's line; `line` is its place, from 0."""

    line: Annotated[int, msgspec.Meta(ge=0, le=99)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class CreditNoteCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to take back: an `amount` with tax, or `lines`; with neither, all that is left.

    `refund`: send back what is held beyond what is owed then.
    """

    amount: Decimal | None = None
    lines: Annotated[list[CreditedLineGiven], msgspec.Meta(min_length=1, max_length=100)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    refund: bool = False


class LinkCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which provider takes the money (a slug or a connection's id); needed only when there are several."""

    provider: str | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def _lines(lines: Sequence[LineGiven]) -> list[LineAsked]:
    return [line.asked() for line in lines]


def pdf(printed: Printed) -> Response[bytes]:
    """A document that a browser shows, and saves under its own name."""
    headers = {"Content-Disposition": f'inline; filename="{printed.name}"', "Cache-Control": "private, no-store"}
    return Response(printed.content, media_type="application/pdf", headers=headers)


async def history_subjects(work: Work, invoice_id: str) -> tuple[str, ...]:
    """The ids of everything that belongs to an invoice's history."""
    payments = await work.payments.all(invoice_id=invoice_id)
    refunds = [r for p in payments for r in await work.refunds.all(payment_id=p.id)]
    links = await work.links.all(invoice_id=invoice_id)
    ids = [link.id for link in links] + [payment.id for payment in payments] + [refund.id for refund in refunds]
    return (invoice_id, *ids)


class Invoices(Controller):
    """Invoices: written, sent, paid once."""

    path = "/api/invoices"
    tags = ("Invoices",)

    @post("/", scope=Scope.BILLING_WRITE, summary="Create an invoice")
    async def create_invoice(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[InvoiceCreated],
        create_invoice: NamedDependency[CreateInvoice],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[InvoiceView]:
        """A draft with the next number; prices are decimals that must fit the currency."""
        invoice = await create_invoice(
            caller,
            client_id=data.client_id,
            currency=data.currency,
            lines=_lines(data.lines),
            due_on=data.due_on,
            memo=data.memo,
            discount=data.discount.asked() if data.discount else None,
            once=idempotency.once(InvoiceView.of),
        )
        return versioned(InvoiceView.of(invoice), invoice.version, status=201)

    @get("/", scope=Scope.BILLING_READ, summary="List invoices")
    async def list_invoices(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        status: Annotated[InvoiceState | None, QueryParameter(name="status", required=False)] = None,
    ) -> Listing[InvoiceView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            page = await work.invoices.page(slice, **({"state": status} if status else {}))
        return listing(page, InvoiceView.of)

    @get("/{invoice_id:str}", scope=Scope.BILLING_READ, summary="One invoice with its payments and links")
    async def get_invoice(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        invoice_id: FromPath[str],
        create_payment_link: NamedDependency[CreatePaymentLink],
    ) -> Response[InvoiceDetail]:
        """The invoice with this id."""
        async with store.reading(caller.organisation_id) as work:
            invoice = await work.invoices.get(invoice_id)
            payments = await work.payments.all(invoice_id=invoice_id)
            refunds = [r for p in payments for r in await work.refunds.all(payment_id=p.id)]
            links = await work.links.all(invoice_id=invoice_id)
            notes = await work.credit_notes.all(invoice_id=invoice_id)
        detail = InvoiceDetail(
            InvoiceView.of(invoice),
            [PaymentView.of(payment) for payment in payments],
            [RefundView.of(refund) for refund in refunds],
            [PaymentLinkView.of(link, create_payment_link.url(link)) for link in links],
            [CreditNoteView.of(note) for note in notes],
        )
        return versioned(detail, invoice.version)

    @patch("/{invoice_id:str}", scope=Scope.BILLING_WRITE, summary="Change a draft")
    async def revise_invoice(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        data: JSONBody[InvoiceRevised],
        revise_invoice: NamedDependency[ReviseInvoice],
        if_match: NamedDependency[int | None],
    ) -> Response[InvoiceView]:
        """Only a draft can be changed."""
        revised = await revise_invoice(
            caller,
            invoice_id,
            lines=_lines(data.lines) if data.lines is not None else None,
            due_on=data.due_on,
            memo=data.memo,
            discount=data.discount.asked() if data.discount else None,
            version=if_match,
        )
        return versioned(InvoiceView.of(revised), revised.version)

    @post("/{invoice_id:str}/send", scope=Scope.BILLING_WRITE, status_code=202, summary="Send an invoice by mail")
    async def send_invoice(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        send_invoice: NamedDependency[SendInvoice],
        idempotency: NamedDependency[Idempotency],
        data: JSONBody[InvoiceSent | None] = None,
    ) -> SentView:
        """With its payment link, which is made if there is none. The mail is a delivery: retried, recorded."""
        how = data or InvoiceSent()
        sent = await send_invoice(
            caller,
            invoice_id,
            to=how.to,
            message=how.message,
            provider=how.provider,
            connection=how.connection,
            once=idempotency.once(SentView.of, status=202),
        )
        return SentView.of(sent)

    @post("/{invoice_id:str}/void", scope=Scope.BILLING_WRITE, status_code=200, summary="Make an invoice void")
    async def void_invoice(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        void_invoice: NamedDependency[VoidInvoice],
    ) -> InvoiceView:
        """Nobody can pay it any more."""
        void = await void_invoice(caller, invoice_id)
        return InvoiceView.of(void)

    @post("/{invoice_id:str}/uncollectible", scope=Scope.BILLING_WRITE, status_code=200, summary="Write an invoice off")
    async def write_off_invoice(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        write_off_invoice: NamedDependency[WriteOffInvoice],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[InvoiceView]:
        """It is still owed, and nobody asks for it any more; a payment that comes all the same opens it again."""
        once = idempotency.once(InvoiceView.of, status=200)
        written_off = await write_off_invoice(caller, invoice_id, once=once)
        return versioned(InvoiceView.of(written_off), written_off.version)

    @post("/{invoice_id:str}/remind", scope=Scope.BILLING_WRITE, status_code=202, summary="Remind the client")
    async def remind(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        remind_client: NamedDependency[RemindClient],
        idempotency: NamedDependency[Idempotency],
        data: JSONBody[Reminded | None] = None,
    ) -> SentView:
        """By mail, now. It counts as the step of the schedule that is due."""
        how = data or Reminded()
        sent = await remind_client(
            caller,
            invoice_id,
            to=how.to,
            message=how.message,
            connection=how.connection,
            once=idempotency.once(SentView.of, status=202),
        )
        return SentView.of(sent)

    @get(
        "/{invoice_id:str}/pdf",
        scope=Scope.BILLING_READ,
        summary="An invoice as PDF",
    )
    async def print_pdf(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        print_invoice: NamedDependency[PrintInvoice],
    ) -> Response[bytes]:
        """As it is now, with where to pay it."""
        return pdf(await print_invoice(caller.organisation_id, invoice_id))

    @get("/{invoice_id:str}/history", scope=Scope.BILLING_READ, summary="What was done with an invoice")
    async def list_history(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        invoice_id: FromPath[str],
    ) -> Listing[HistoryView]:
        """Oldest first: the invoice itself, its links, payments, refunds and credit notes."""
        async with store.reading(caller.organisation_id) as work:
            await work.invoices.get(invoice_id)
            subjects = await history_subjects(work, invoice_id)
            page = await work.audit.page(attrs.evolve(slice, newest_first=False), subject=subjects)
        return listing(page, HistoryView.of)

    @post("/{invoice_id:str}/credit-notes", scope=Scope.BILLING_WRITE, summary="Write a credit note")
    async def credit_invoice(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        data: JSONBody[CreditNoteCreated],
        credit_invoice: NamedDependency[CreditInvoice],
        idempotency: NamedDependency[Idempotency],
    ) -> CreditedView:
        """Less is owed; what was paid beyond that is shown as overpaid, and goes back with `refund`."""
        lines = None if data.lines is None else [CreditedLine(one.line, one.quantity) for one in data.lines]
        credited = await credit_invoice(
            caller,
            invoice_id,
            amount=data.amount,
            lines=lines,
            reason=data.reason,
            refund=data.refund,
            once=idempotency.once(CreditedView.of),
        )
        return CreditedView.of(credited)

    @get("/{invoice_id:str}/credit-notes", scope=Scope.BILLING_READ, summary="The credit notes of an invoice")
    async def list_credit_notes(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        invoice_id: FromPath[str],
    ) -> Listing[CreditNoteView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            await work.invoices.get(invoice_id)
            return listing(await work.credit_notes.page(slice, invoice_id=invoice_id), CreditNoteView.of)

    @get(
        "/{invoice_id:str}/credit-notes/{note_id:str}/pdf",
        scope=Scope.BILLING_READ,
        summary="A credit note as PDF",
    )
    async def print_credit_note(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        note_id: FromPath[str],
        print_invoice: NamedDependency[PrintInvoice],
    ) -> Response[bytes]:
        """As it was written."""
        return pdf(await print_invoice.credit_note(caller.organisation_id, invoice_id, note_id))

    @post("/{invoice_id:str}/payment-link", scope=Scope.BILLING_WRITE, summary="Create a payment link")
    async def create_invoice_link(
        self,
        caller: NamedDependency[Caller],
        invoice_id: FromPath[str],
        create_payment_link: NamedDependency[CreatePaymentLink],
        idempotency: NamedDependency[Idempotency],
        data: JSONBody[LinkCreated | None] = None,
    ) -> PaymentLinkView:
        """An invoice has one live link per provider; asking again gives the same."""
        how = data or LinkCreated()
        view = await create_payment_link(
            caller,
            invoice_id=invoice_id,
            provider=how.provider,
            expires_at=how.expires_at,
            once=idempotency.once(PaymentLinkView.of_view),
        )
        return PaymentLinkView.of_view(view)
