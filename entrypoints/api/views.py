"""What the API shows: one frozen struct a thing. Never a secret, except the few that are shown once on purpose."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from application.billing.intents import Started
from application.billing.links import LinkView
from application.billing.send_invoice import Sent
from application.notifications.endpoints import Issued
from application.notifications.try_out import TriedOut
from application.organisations.keys import IssuedKey
from application.ports.message_channel import Preview
from domain.audit import AuditEntry
from domain.billing.bodies import money_body
from domain.billing.invoices import Invoice
from domain.billing.links import PaymentLink
from domain.billing.payments import Payment, Refund
from domain.connections.connection import Connection
from domain.connections.provider import Provider
from domain.events import Event
from domain.money import Money
from domain.notifications.attempts import Attempt
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import Endpoint
from domain.organisations import ApiKey


class MoneyView(msgspec.Struct, frozen=True):
    """An amount: `amount` in minor units (cents), `decimal` in major units."""

    amount: int
    currency: str
    decimal: str

    @classmethod
    def of(cls, money: Money) -> "MoneyView":
        return cls(**money_body(money))


class EventView(msgspec.Struct, frozen=True):
    """An event."""

    id: str
    type: str
    data: dict[str, Any]
    occurred_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, event: Event) -> "EventView":
        return cls(event.id, event.type, dict(event.data), event.occurred_at, event.created_at)


class EndpointView(msgspec.Struct, frozen=True):
    """A webhook endpoint. `secret` (whsec_…) is there only when it was just made."""

    id: str
    url: str
    name: str
    events: tuple[str, ...]
    status: str
    reason: str | None
    active: bool
    timeout_s: int
    consecutive_failures: int
    has_headers: bool
    secrets: list["SecretView"]
    created_at: datetime
    updated_at: datetime
    version: int
    secret: str | None = None

    @classmethod
    def of(cls, endpoint: Endpoint, secret: str | None = None) -> "EndpointView":
        return cls(
            endpoint.id,
            endpoint.url,
            endpoint.name,
            endpoint.events,
            endpoint.state.value,
            endpoint.reason,
            endpoint.active,
            endpoint.timeout_s,
            endpoint.failures,
            endpoint.sealed_headers is not None,
            [SecretView(s.created_at, s.expires_at) for s in endpoint.secrets],
            endpoint.created_at,
            endpoint.updated_at,
            endpoint.version,
            secret,
        )

    @classmethod
    def of_issued(cls, issued: Issued) -> "EndpointView":
        return cls.of(issued.endpoint, issued.secret)


class SecretView(msgspec.Struct, frozen=True):
    """One signing secret's life; never the secret."""

    created_at: datetime
    expires_at: datetime | None


class AttemptView(msgspec.Struct, frozen=True):
    """One attempt: what was sent and what came back, bodies up to 16 KiB."""

    number: int
    at: datetime
    verdict: str
    status: int | None
    error: str | None
    duration_ms: float
    request_headers: dict[str, str]
    request_body: str
    response_headers: dict[str, str]
    response_body: str
    retry_after_s: int | None

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptView":
        outcome = attempt.outcome
        return cls(
            attempt.number,
            attempt.at,
            outcome.verdict.value,
            outcome.status,
            outcome.error,
            round(outcome.duration.total_seconds() * 1000, 3),
            dict(outcome.request_headers),
            outcome.request_body,
            dict(outcome.headers),
            outcome.body,
            int(outcome.retry_after.total_seconds()) if outcome.retry_after is not None else None,
        )


class DeliveryView(msgspec.Struct, frozen=True):
    """A delivery. `due_at` is when the next attempt is due, while it is pending."""

    id: str
    event_id: str
    event_type: str
    kind: str
    destination_id: str
    message_id: str
    status: str
    attempts: int
    created_at: datetime
    due_at: datetime | None
    finished_at: datetime | None
    last_error: str | None
    last_status: int | None
    replay_of: str | None

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryView":
        return cls(
            delivery.id,
            delivery.event_id,
            delivery.event_type,
            delivery.kind.value,
            delivery.destination_id,
            delivery.message_id,
            delivery.state.value,
            delivery.attempts,
            delivery.created_at,
            None if delivery.finished_at else delivery.due_at,
            delivery.finished_at,
            delivery.last_error,
            delivery.last_status,
            delivery.replay_of,
        )


class DeliveryDetail(msgspec.Struct, frozen=True):
    """A delivery with its attempts and its event."""

    delivery: DeliveryView
    event: EventView
    attempts: list[AttemptView]


class TestView(msgspec.Struct, frozen=True):
    """A test send, as it ended."""

    delivered: bool
    delivery: DeliveryView
    attempt: AttemptView

    @classmethod
    def of(cls, tried: TriedOut) -> "TestView":
        return cls(
            tried.delivery.state.value == "delivered", DeliveryView.of(tried.delivery), AttemptView.of(tried.attempt)
        )


class NotificationView(msgspec.Struct, frozen=True):
    """A notification configuration."""

    id: str
    name: str
    platform: str
    connection_id: str
    events: tuple[str, ...]
    target: dict[str, Any]
    is_active: bool
    reason: str | None
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, notification: Notification) -> "NotificationView":
        return cls(
            notification.id,
            notification.name,
            notification.platform,
            notification.connection_id,
            notification.events,
            dict(notification.target),
            notification.is_active,
            notification.reason,
            notification.created_at,
            notification.updated_at,
            notification.version,
        )


class MeterView(msgspec.Struct, frozen=True):
    """How much of one of the channel's limits the message uses."""

    name: str
    used: int
    limit: int


class PreviewView(msgspec.Struct, frozen=True):
    """How a channel would put it."""

    platform: str
    payload: dict[str, Any]
    meters: list[MeterView]
    shortened: tuple[str, ...]

    @classmethod
    def of(cls, platform: str, preview: Preview) -> "PreviewView":
        meters = [MeterView(m.name, m.used, m.limit) for m in preview.meters]
        return cls(platform, dict(preview.payload), meters, preview.shortened)


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection. `secrets` names which secret fields are kept, never what they are."""

    id: str
    provider: str
    name: str
    status: str
    connected: bool
    live: bool
    account: str | None
    settings: dict[str, str]
    secrets: list[str]
    last_used_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, connection: Connection) -> "ConnectionView":
        return cls(
            connection.id,
            connection.provider,
            connection.name,
            connection.state.value,
            connection.connected,
            connection.live,
            connection.account,
            dict(connection.settings),
            sorted(connection.sealed),
            connection.last_used_at,
            connection.last_error,
            connection.last_error_at,
            connection.created_at,
            connection.updated_at,
            connection.version,
        )


class FieldView(msgspec.Struct, frozen=True):
    """One thing to type to connect."""

    name: str
    label: str
    secret: bool
    required: bool
    default: str | None
    help: str


class ProviderView(msgspec.Struct, frozen=True):
    """A provider of the catalogue, and whether the organisation is connected to it."""

    slug: str
    name: str
    category: str
    auth: str
    offers: list[str]
    fields: list[FieldView]
    docs: str
    configured: bool

    @classmethod
    def of(cls, provider: Provider, configured: bool) -> "ProviderView":
        return cls(
            provider.slug,
            provider.name,
            provider.category.value,
            provider.auth.value,
            sorted(c.value for c in provider.offers),
            [FieldView(f.name, f.label, f.secret, f.required, f.default, f.help) for f in provider.fields],
            provider.docs,
            configured,
        )


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


class KeyView(msgspec.Struct, frozen=True):
    """An API key. `key` is there only when it was just made."""

    id: str
    name: str
    hint: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    key: str | None = None

    @classmethod
    def of(cls, key: ApiKey, text: str | None = None) -> "KeyView":
        return cls(
            key.id,
            key.name,
            f"…{key.hint}",
            sorted(scope.value for scope in key.scopes),
            key.created_at,
            key.expires_at,
            key.last_used_at,
            key.revoked_at,
            text,
        )

    @classmethod
    def of_issued(cls, issued: IssuedKey) -> "KeyView":
        return cls.of(issued.key, issued.text)


class AuditView(msgspec.Struct, frozen=True):
    """Who did what, when."""

    id: str
    actor: str
    action: str
    subject: str
    at: datetime
    detail: Mapping[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditView":
        return cls(entry.id, entry.actor, entry.action, entry.subject, entry.at, dict(entry.detail))
