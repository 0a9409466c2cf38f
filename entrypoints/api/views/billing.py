"""What the API shows of invoices, links, payments and refunds."""

from datetime import date, datetime

import msgspec

from application.billing.intents import Started
from application.billing.links import LinkView
from application.billing.send_invoice import Sent
from domain.billing.invoices import Invoice
from domain.billing.links import PaymentLink
from domain.billing.payments import Payment, Refund
from entrypoints.api.views.money import MoneyView
from entrypoints.api.views.telling import DeliveryView


class LineView(msgspec.Struct, frozen=True):
    """A line of an invoice."""

    description: str
    quantity: int
    unit_price: MoneyView
    total: MoneyView


class BilledView(msgspec.Struct, frozen=True):
    """The client as the invoice names them."""

    id: str
    name: str
    email: str | None


class InvoiceView(msgspec.Struct, frozen=True):
    """An invoice."""

    id: str
    number: str
    status: str
    client: BilledView
    currency: str
    lines: list[LineView]
    total: MoneyView
    amount_due: MoneyView
    amount_paid: MoneyView
    amount_refunded: MoneyView
    overpaid: MoneyView
    due_on: date | None
    memo: str
    sent_at: datetime | None
    paid_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, invoice: Invoice) -> "InvoiceView":
        return cls(
            invoice.id,
            invoice.number,
            invoice.state.value,
            BilledView(invoice.client.id, invoice.client.name, invoice.client.email),
            invoice.currency.code,
            [
                LineView(k.description, k.quantity, MoneyView.of(k.unit_price), MoneyView.of(k.total))
                for k in invoice.lines
            ],
            MoneyView.of(invoice.total),
            MoneyView.of(invoice.amount_due),
            MoneyView.of(invoice.amount_paid),
            MoneyView.of(invoice.amount_refunded),
            MoneyView.of(invoice.overpaid),
            invoice.due_on,
            invoice.memo,
            invoice.sent_at,
            invoice.paid_at,
            invoice.created_at,
            invoice.updated_at,
            invoice.version,
        )


class PaymentView(msgspec.Struct, frozen=True):
    """A payment."""

    id: str
    invoice_id: str | None
    provider: str
    connection_id: str
    reference: str
    status: str
    asked: MoneyView
    amount: MoneyView
    refunded: MoneyView
    refundable: MoneyView
    conflict: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, payment: Payment) -> "PaymentView":
        return cls(
            payment.id,
            payment.invoice_id,
            payment.provider,
            payment.connection_id,
            payment.reference,
            payment.state.value,
            MoneyView.of(payment.asked),
            MoneyView.of(payment.captured),
            MoneyView.of(payment.refunded),
            MoneyView.of(payment.refundable),
            payment.conflict,
            payment.created_at,
            payment.updated_at,
        )


class RefundView(msgspec.Struct, frozen=True):
    """A refund."""

    id: str
    payment_id: str
    amount: MoneyView
    status: str
    reason: str
    reference: str | None
    failure: str | None
    created_at: datetime

    @classmethod
    def of(cls, refund: Refund) -> "RefundView":
        return cls(
            refund.id,
            refund.payment_id,
            MoneyView.of(refund.amount),
            refund.state.value,
            refund.reason,
            refund.reference,
            refund.failure,
            refund.created_at,
        )


class PaymentLinkView(msgspec.Struct, frozen=True):
    """A payment link. `url` is what the client gets."""

    id: str
    invoice_id: str
    provider: str
    connection_id: str
    status: str
    url: str
    expires_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, link: PaymentLink, url: str) -> "PaymentLinkView":
        return cls(
            link.id,
            link.invoice_id,
            link.provider,
            link.connection_id,
            link.state.value,
            url,
            link.expires_at,
            link.created_at,
        )

    @classmethod
    def of_view(cls, view: LinkView) -> "PaymentLinkView":
        return cls.of(view.link, view.url)


class InvoiceDetail(msgspec.Struct, frozen=True):
    """An invoice with its payments and links."""

    invoice: InvoiceView
    payments: list[PaymentView]
    refunds: list[RefundView]
    links: list[PaymentLinkView]


class SentView(msgspec.Struct, frozen=True):
    """An invoice on its way to its client."""

    invoice: InvoiceView
    delivery: DeliveryView
    url: str

    @classmethod
    def of(cls, sent: Sent) -> "SentView":
        return cls(InvoiceView.of(sent.invoice), DeliveryView.of(sent.delivery), sent.url)


class IntentView(msgspec.Struct, frozen=True):
    """A started payment: `client_secret` is for the page on which the payer confirms it."""

    payment: PaymentView
    status: str
    client_secret: str | None

    @classmethod
    def of(cls, started: Started) -> "IntentView":
        return cls(PaymentView.of(started.payment), started.intent.state.value, started.intent.client_secret)
