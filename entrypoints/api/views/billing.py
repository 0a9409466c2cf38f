"""What the API shows of invoices, links, payments and refunds."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from application.billing.credit import Credited
from application.billing.intents import Started
from application.billing.links import LinkView
from application.billing.send_invoice import Sent
from domain.audit import AuditEntry
from domain.billing.credit_notes import CreditNote
from domain.billing.invoices import Invoice
from domain.billing.lines import Discount, Line, Tax, percent
from domain.billing.links import PaymentLink
from domain.billing.payments import Payment, Refund
from domain.money import Currency, Money
from entrypoints.api.views.money import MoneyView
from entrypoints.api.views.telling import DeliveryView


class TaxView(msgspec.Struct, frozen=True):
    """A tax: `rate` in percent. `included`: whether prices have it in them."""

    name: str
    rate: str
    included: bool

    @classmethod
    def of(cls, tax: Tax | None) -> "TaxView | None":
        return None if tax is None else cls(tax.name, tax.percent, tax.included)


class DiscountView(msgspec.Struct, frozen=True):
    """A discount: `percent` or `amount`, whichever was given."""

    percent: str | None
    amount: MoneyView | None
    name: str

    @classmethod
    def of(cls, discount: Discount | None, currency: Currency) -> "DiscountView | None":
        if discount is None:
            return None
        amount = None if discount.amount is None else MoneyView.of(Money(discount.amount, currency))
        return cls(None if discount.percent is None else percent(discount.percent), amount, discount.name)


class TaxTotalView(msgspec.Struct, frozen=True):
    """One tax rate of an invoice: `net` is what it was worked out on, without the tax."""

    name: str
    rate: str
    included: bool
    net: MoneyView
    amount: MoneyView


class LineView(msgspec.Struct, frozen=True):
    """A line of an invoice. `total`: less its discount; a tax that is not included is not in it."""

    description: str
    quantity: int
    unit_price: MoneyView
    tax: TaxView | None
    discount: DiscountView | None
    total: MoneyView

    @classmethod
    def of(cls, line: Line) -> "LineView":
        return cls(
            line.description,
            line.quantity,
            MoneyView.of(line.unit_price),
            TaxView.of(line.tax),
            DiscountView.of(line.discount, line.unit_price.currency),
            MoneyView.of(line.total),
        )


class PeriodView(msgspec.Struct, frozen=True):
    """What a subscription's invoice is for."""

    start: datetime
    end: datetime


class ReminderView(msgspec.Struct, frozen=True):
    """The client was reminded, `day` days after the due day."""

    day: int
    at: datetime


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
    subtotal: MoneyView
    discount: DiscountView | None
    discounted: MoneyView
    taxes: list[TaxTotalView]
    tax: MoneyView
    total: MoneyView
    amount_due: MoneyView
    amount_paid: MoneyView
    amount_refunded: MoneyView
    amount_credited: MoneyView
    overpaid: MoneyView
    underpaid: MoneyView
    due_on: date | None
    memo: str
    subscription_id: str | None
    period: PeriodView | None
    reminders: list[ReminderView]
    opened_at: datetime | None
    sent_at: datetime | None
    paid_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, invoice: Invoice) -> "InvoiceView":
        totals = invoice.totals
        return cls(
            invoice.id,
            invoice.number,
            invoice.state.value,
            BilledView(invoice.client.id, invoice.client.name, invoice.client.email),
            invoice.currency.code,
            [LineView.of(line) for line in invoice.lines],
            MoneyView.of(totals.subtotal),
            DiscountView.of(invoice.discount, invoice.currency),
            MoneyView.of(totals.discount),
            [
                TaxTotalView(k.tax.name, k.tax.percent, k.tax.included, MoneyView.of(k.net), MoneyView.of(k.amount))
                for k in totals.taxes
            ],
            MoneyView.of(totals.tax),
            MoneyView.of(totals.total),
            MoneyView.of(invoice.amount_due),
            MoneyView.of(invoice.amount_paid),
            MoneyView.of(invoice.amount_refunded),
            MoneyView.of(invoice.amount_credited),
            MoneyView.of(invoice.overpaid),
            MoneyView.of(invoice.underpaid),
            invoice.due_on,
            invoice.memo,
            invoice.subscription_id,
            PeriodView(invoice.period.start, invoice.period.end) if invoice.period else None,
            [ReminderView(reminder.day, reminder.at) for reminder in invoice.reminders],
            invoice.opened_at,
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
    client_id: str | None
    subscription_id: str | None
    provider: str
    connection_id: str
    reference: str
    status: str
    asked: MoneyView
    amount: MoneyView
    refunded: MoneyView
    refundable: MoneyView
    disputed: MoneyView
    fee: MoneyView
    conflict: str | None
    conflict_kind: str | None
    resolution: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, payment: Payment) -> "PaymentView":
        return cls(
            payment.id,
            payment.invoice_id,
            payment.client_id,
            payment.subscription_id,
            payment.provider,
            payment.connection_id,
            payment.reference,
            payment.state.value,
            MoneyView.of(payment.asked),
            MoneyView.of(payment.captured),
            MoneyView.of(payment.refunded),
            MoneyView.of(payment.refundable),
            MoneyView.of(payment.disputed),
            MoneyView.of(payment.fee),
            payment.conflict,
            payment.conflict_kind.value if payment.conflict_kind else None,
            payment.resolution,
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


class CreditedLineView(msgspec.Struct, frozen=True):
    """So much of an invoice's line; `line` is its place, from 0."""

    line: int
    quantity: int


class CreditNoteView(msgspec.Struct, frozen=True):
    """A credit note. `amount` is with tax."""

    id: str
    number: str
    invoice_id: str
    amount: MoneyView
    tax: MoneyView
    reason: str
    lines: list[CreditedLineView]
    refund_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, note: CreditNote) -> "CreditNoteView":
        return cls(
            note.id,
            note.number,
            note.invoice_id,
            MoneyView.of(note.amount),
            MoneyView.of(note.tax),
            note.reason,
            [CreditedLineView(one.line, one.quantity) for one in note.lines],
            note.refund_id,
            note.created_at,
        )


class CreditedView(msgspec.Struct, frozen=True):
    """A new credit note, and the invoice after it. `refund_problem`: why the money did not go back, where it was to."""

    credit_note: CreditNoteView
    invoice: InvoiceView
    refund_problem: str | None

    @classmethod
    def of(cls, credited: Credited) -> "CreditedView":
        return cls(CreditNoteView.of(credited.note), InvoiceView.of(credited.invoice), credited.problem)


class HistoryView(msgspec.Struct, frozen=True):
    """One thing that was done with an invoice, and by whom."""

    at: datetime
    action: str
    actor: str
    subject: str
    detail: Mapping[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "HistoryView":
        return cls(entry.at, entry.action, entry.actor, entry.subject, entry.detail)


class InvoiceDetail(msgspec.Struct, frozen=True):
    """An invoice with its payments, links and credit notes."""

    invoice: InvoiceView
    payments: list[PaymentView]
    refunds: list[RefundView]
    links: list[PaymentLinkView]
    credit_notes: list[CreditNoteView]


class SentView(msgspec.Struct, frozen=True):
    """An invoice on its way to its client."""

    invoice: InvoiceView
    delivery: DeliveryView
    url: str | None

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
