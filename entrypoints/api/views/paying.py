"""What the API shows of a payment in full, and of payers: their customers at providers and how they can be charged."""

from datetime import datetime

import msgspec

from application.billing.methods import KeptMethod, Methods
from application.billing.provider_invoices import InvoicedThere
from domain.billing.attempts import Attempt
from domain.billing.customers import CustomerAtProvider
from domain.billing.payments import Fact, Payment, Refund
from domain.money import Money
from entrypoints.api.views.billing import PaymentView, RefundView
from entrypoints.api.views.money import MoneyView


class AttemptAtCharge(msgspec.Struct, frozen=True):
    """One time that the hub asked the provider to charge. `checks`: how often its outcome was asked for since."""

    at: datetime
    status: str
    method: str
    failure: str | None
    checks: int
    checked_at: datetime | None

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptAtCharge":
        return cls(attempt.at, attempt.state.value, attempt.method, attempt.failure, attempt.checks, attempt.checked_at)


class FactView(msgspec.Struct, frozen=True):
    """One thing that became known of a payment; facts are only ever added."""

    kind: str
    reference: str
    amount: MoneyView
    at: datetime

    @classmethod
    def of(cls, fact: Fact, payment: Payment) -> "FactView":
        return cls(fact.kind.value, fact.reference, MoneyView.of(Money(fact.amount, payment.currency)), fact.at)


class PaymentDetail(msgspec.Struct, frozen=True):
    """A payment with everything known of it, oldest first."""

    payment: PaymentView
    attempts: list[AttemptAtCharge]
    facts: list[FactView]
    refunds: list[RefundView]

    @classmethod
    def of(cls, payment: Payment, refunds: tuple[Refund, ...]) -> "PaymentDetail":
        return cls(
            PaymentView.of(payment),
            [AttemptAtCharge.of(one) for one in payment.attempts],
            [FactView.of(one, payment) for one in payment.facts],
            [RefundView.of(one) for one in refunds],
        )


class CustomerView(msgspec.Struct, frozen=True):
    """A client as an account at a provider knows them. `gone_at`: when they were found to be deleted there."""

    id: str
    client_id: str
    provider: str
    account: str
    reference: str
    email: str | None
    gone_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, one: CustomerAtProvider) -> "CustomerView":
        return cls(
            one.id, one.client_id, one.provider, one.account, one.reference, one.email, one.gone_at, one.created_at
        )


class MethodView(msgspec.Struct, frozen=True):
    """A way to charge a client without them. `kept_by`: `provider` or `hub`. `expires_on`: `2027-09`, of a card."""

    id: str
    client_id: str
    connection_id: str
    provider: str
    kind: str
    brand: str
    last4: str
    expires_on: str | None
    is_default: bool
    kept_by: str

    @classmethod
    def of(cls, one: KeptMethod) -> "MethodView":
        return cls(
            one.id,
            one.client_id,
            one.connection_id,
            one.provider,
            one.kind,
            one.brand,
            one.last4,
            one.expires_on,
            one.is_default,
            one.by.value,
        )


class NotAskedView(msgspec.Struct, frozen=True):
    """A provider that could not be asked just now."""

    connection_id: str
    provider: str
    reason: str


class MethodsView(msgspec.Struct, frozen=True):
    """A client's payment methods, and which providers could not say theirs."""

    items: list[MethodView]
    not_asked: list[NotAskedView]

    @classmethod
    def of(cls, found: Methods) -> "MethodsView":
        return cls(
            [MethodView.of(one) for one in found.methods],
            [NotAskedView(one.connection_id, one.provider, one.reason) for one in found.not_asked],
        )


class ProviderInvoiceView(msgspec.Struct, frozen=True):
    """An invoice as a provider wrote it. `url`: where the client sees and pays it. `status`: the provider's word."""

    invoice_id: str
    provider: str
    connection_id: str
    reference: str
    number: str | None
    status: str
    url: str | None

    @classmethod
    def of(cls, made: InvoicedThere) -> "ProviderInvoiceView":
        return cls(
            made.invoice.id,
            made.connection.provider,
            made.connection.id,
            made.there.reference,
            made.there.number,
            made.there.status,
            made.there.url,
        )
