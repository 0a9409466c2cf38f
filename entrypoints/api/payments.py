"""Payments, refunds and payment intents; payment and invoice history for the billing pages."""

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.billing.intents import StartPayment
from application.billing.refund import RefundPayment
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.invoices import Decimal
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.billing import IntentView, InvoiceView, PaymentView, RefundView


class RefundAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How much to send back, as a decimal in the payment's currency; all that is left when it is not given."""

    amount: Decimal | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class IntentAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A payment to start: for an invoice, or for an amount."""

    provider: str = "stripe"
    invoice_id: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Payments(Controller):
    """Payments as the provider reports them."""

    path = "/api/payments"
    tags = ("Payments",)

    @get("/{payment_id:str}", scope=Scope.BILLING_READ, summary="One payment")
    async def get_payment(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], payment_id: FromPath[str]
    ) -> PaymentView:
        """The payment with this id."""
        async with store.reading(caller.organisation_id) as work:
            return PaymentView.of(await work.payments.get(payment_id))

    @get("/{payment_id:str}/refunds", scope=Scope.BILLING_READ, summary="Refunds of a payment")
    async def list_refunds(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        payment_id: FromPath[str],
        slice: NamedDependency[Slice],
    ) -> Listing[RefundView]:
        """Newest first; those asked for through the hub."""
        async with store.reading(caller.organisation_id) as work:
            await work.payments.get(payment_id)
            return listing(await work.refunds.page(slice, payment_id=payment_id), RefundView.of)

    @post("/{payment_id:str}/refunds", scope=Scope.BILLING_WRITE, summary="Refund a payment in full or in part")
    async def refund_payment(
        self,
        caller: NamedDependency[Caller],
        payment_id: FromPath[str],
        refund_payment: NamedDependency[RefundPayment],
        idempotency: NamedDependency[Idempotency],
        data: JSONBody[RefundAsked | None] = None,
    ) -> RefundView:
        """Never more, all refunds together, than came in."""
        asked = data or RefundAsked()
        refund = await refund_payment(
            caller, payment_id, amount=asked.amount, reason=asked.reason, once=idempotency.once(RefundView.of)
        )
        return RefundView.of(refund)

    @post("/intent", scope=Scope.BILLING_WRITE, summary="Start a payment")
    async def start_payment(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[IntentAsked],
        start_payment: NamedDependency[StartPayment],
        idempotency: NamedDependency[Idempotency],
    ) -> IntentView:
        """For a payment page of your own: confirm it there with the `client_secret`."""
        started = await start_payment(
            caller,
            provider=data.provider,
            invoice_id=data.invoice_id,
            amount=data.amount,
            currency=data.currency,
            description=data.description,
            once=idempotency.once(IntentView.of),
        )
        return IntentView.of(started)


class Billing(Controller):
    """History."""

    path = "/api/billing"
    tags = ("Payments",)

    @get("/payments", scope=Scope.BILLING_READ, summary="Payment history")
    async def list_payments(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        invoice_id: Annotated[str | None, QueryParameter(name="invoice_id", required=False)] = None,
    ) -> Listing[PaymentView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            page = await work.payments.page(slice, **({"invoice_id": invoice_id} if invoice_id else {}))
        return listing(page, PaymentView.of)

    @get("/invoices", scope=Scope.BILLING_READ, summary="Invoice history")
    async def list_billed(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[InvoiceView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.invoices.page(slice), InvoiceView.of)
