"""Invoices, and the payment links by which they are paid."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.billing.invoices import CreateInvoice, LineAsked, ReviseInvoice, VoidInvoice
from application.billing.links import CreatePaymentLink
from application.billing.send_invoice import SendInvoice
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.billing.invoices import InvoiceState
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.versions import versioned
from entrypoints.api.views.billing import InvoiceDetail, InvoiceView, PaymentLinkView, PaymentView, RefundView, SentView

Decimal = Annotated[
    str, msgspec.Meta(max_length=40, examples=["125.00"], description="A decimal in major units, as text.")
]


class LineGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A line: quantity times unit price."""

    description: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    unit_price: Decimal
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1

    def asked(self) -> LineAsked:
        return LineAsked(self.description, self.quantity, self.unit_price)


class InvoiceCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new invoice."""

    client_id: str
    currency: Annotated[str, msgspec.Meta(examples=["USD"])]
    lines: Annotated[list[LineGiven], msgspec.Meta(min_length=1, max_length=100)]
    due_on: date | None = None
    memo: str = ""


class InvoiceRevised(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to change in a draft; what is left out stays."""

    lines: Annotated[list[LineGiven], msgspec.Meta(min_length=1, max_length=100)] | None = None
    due_on: date | None = None
    memo: str | None = None


class InvoiceSent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How to send it. `to`: addresses instead of the client's own. `connection`: which mail account."""

    to: list[str] | None = None
    message: Annotated[str, msgspec.Meta(max_length=5000)] | None = None
    provider: str | None = None
    connection: str | None = None


class LinkCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which provider takes the money (a slug or a connection's id); needed only when there are several."""

    provider: str | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def _lines(lines: Sequence[LineGiven]) -> list[LineAsked]:
    return [line.asked() for line in lines]


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
        detail = InvoiceDetail(
            InvoiceView.of(invoice),
            [PaymentView.of(payment) for payment in payments],
            [RefundView.of(refund) for refund in refunds],
            [PaymentLinkView.of(link, create_payment_link.url(link)) for link in links],
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
