"""Payments, refunds and payment intents; payment and invoice history for the billing pages."""

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.billing.intents import StartPayment
from application.billing.provider_invoices import InvoiceAtProvider
from application.billing.refund import RefundPayment
from application.billing.resolve import Resolution, ResolveConflict
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.billing.payments import PaymentState
from domain.organisations import Scope
from domain.refusals import Invalid
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.invoices import Decimal
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.billing import IntentView, InvoiceView, PaymentView, RefundView
from entrypoints.api.views.paying import PaymentDetail, ProviderInvoiceView


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


class ResolutionAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to do with money that is not what was asked for: `accept` it as it is, `refund` it, or `move` it to the invoice
    with this id."""

    resolution: Resolution
    invoice_id: str | None = None


class ProviderInvoiceAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which invoice a provider is to write as well, and whether it is to send it to the client."""

    invoice_id: str
    provider: str
    send: bool = False


class Payments(Controller):
    """Payments as the provider reports them."""

    path = "/api/payments"
    tags = ("Payments",)

    @get("/{payment_id:str}", scope=Scope.BILLING_READ, summary="One payment")
    async def get_payment(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], payment_id: FromPath[str]
    ) -> PaymentView:
        """The payment with this id, and what its facts add up to."""
        async with store.reading(caller.organisation_id) as work:
            return PaymentView.of(await work.payments.get(payment_id))

    @get("/{payment_id:str}/history", scope=Scope.BILLING_READ, summary="What is known of a payment")
    async def get_history(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], payment_id: FromPath[str]
    ) -> PaymentDetail:
        """Every attempt to charge it, every fact that became known, and the refunds asked for through the hub."""
        async with store.reading(caller.organisation_id) as work:
            payment = await work.payments.get(payment_id)
            return PaymentDetail.of(payment, await work.refunds.all(payment_id=payment_id))

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

    @post(
        "/{payment_id:str}/resolve",
        scope=Scope.BILLING_WRITE,
        status_code=200,
        summary="Settle a payment that is not what was asked for",
    )
    async def resolve_payment(
        self,
        caller: NamedDependency[Caller],
        payment_id: FromPath[str],
        data: JSONBody[ResolutionAsked],
        resolve_conflict: NamedDependency[ResolveConflict],
        idempotency: NamedDependency[Idempotency],
    ) -> PaymentView:
        """One that is too much or too little, in the wrong currency, for an invoice that was paid or void: a person's
        decision, written down with who made it."""
        resolved = await resolve_conflict(
            caller,
            payment_id,
            data.resolution,
            invoice_id=data.invoice_id,
            once=idempotency.once(PaymentView.of, status=200),
        )
        return PaymentView.of(resolved)

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

    @post("/invoice", scope=Scope.BILLING_WRITE, summary="Have a provider invoice")
    async def invoice_at_provider(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[ProviderInvoiceAsked],
        invoice_at_provider: NamedDependency[InvoiceAtProvider],
        idempotency: NamedDependency[Idempotency],
    ) -> ProviderInvoiceView:
        """What is still due of an invoice, written by the provider under its own number, and sent if you like. Asking again
        gives the same. A provider that does not invoice is refused with what can be done instead."""
        made = await invoice_at_provider(
            caller,
            invoice_id=data.invoice_id,
            provider=data.provider,
            send=data.send,
            once=idempotency.once(ProviderInvoiceView.of),
        )
        return ProviderInvoiceView.of(made)


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
        status: Annotated[str | None, QueryParameter(name="status", required=False)] = None,
        provider: Annotated[str | None, QueryParameter(name="provider", required=False)] = None,
        client_id: Annotated[str | None, QueryParameter(name="client_id", required=False)] = None,
    ) -> Listing[PaymentView]:
        """Newest first, of one invoice, status, provider or client, or of all."""
        asked = {"invoice_id": invoice_id, "state": _state(status), "provider": provider, "client_id": client_id}
        async with store.reading(caller.organisation_id) as work:
            page = await work.payments.page(slice, **{name: value for name, value in asked.items() if value})
        return listing(page, PaymentView.of)

    @get("/invoices", scope=Scope.BILLING_READ, summary="Invoice history")
    async def list_billed(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[InvoiceView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.invoices.page(slice), InvoiceView.of)


def _state(given: str | None) -> PaymentState | None:
    """Raises Invalid, naming what there is."""
    if not given:
        return None
    try:
        return PaymentState(given)
    except ValueError as error:
        known = ", ".join(state.value for state in PaymentState)
        raise Invalid.field("status", f"A status is one of {known}.") from error
