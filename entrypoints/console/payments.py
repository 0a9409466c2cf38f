"""Payments: the list, and one payment with its attempts, what became known of it, its refunds and its conflict."""

from litestar import Controller, Response, get, post

from application.billing.refund import RefundPayment
from application.billing.resolve import Resolution, ResolveConflict
from application.caller import Caller
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Slice
from domain.billing.payments import FactKind, Payment, PaymentState, Refund
from domain.connections.provider import Capability
from domain.money import Money
from domain.refusals import Invalid, Refusal
from entrypoints.api.paging import listing
from entrypoints.console.pages import REFUSED, Form, Page

_STATES = {state.value: state for state in PaymentState}
_RESOLUTIONS = {resolution.value: resolution for resolution in Resolution}
_FILTERS = ("status", "provider", "client_id")

FACTS = {
    FactKind.CAPTURED: ("good", "came in"),
    FactKind.FAILED: ("bad", "was tried and failed"),
    FactKind.CANCELED: ("quiet", "was given up before it was made"),
    FactKind.REFUNDED: ("care", "went back"),
    FactKind.REFUND_FAILED: ("bad", "that had gone back came back to us"),
    FactKind.FEE: ("quiet", "is the provider's fee"),
    FactKind.DISPUTED: ("bad", "is disputed: the payer's bank took it back, or holds it"),
    FactKind.DISPUTE_WON: ("good", "of what was disputed is ours again"),
}
"""How each kind of fact is meant, and what the timeline says behind its amount."""


class PaymentPages(Controller):
    """/console/payments"""

    path = "/payments"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, of one state, provider or client, or all."""
        asked = {
            "state": _STATES.get(page.choice("status") or ""),
            "provider": page.choice("provider"),
            "client_id": page.choice("client_id"),
        }
        async with page.reading() as work:
            found = await work.payments.page(slice, **{name: value for name, value in asked.items() if value})
            invoices = {
                one.id: one
                for one in await work.invoices.all(
                    id=tuple({p.invoice_id for p in found.items if p.invoice_id} or ("",))
                )
            }
        return page(
            "payments.html",
            payments=listing(found, lambda payment: payment),
            invoices=invoices,
            states=_STATES,
            providers=[p.slug for p in page.hub.providers.all() if Capability.PAYMENTS in p.offers],
            filters=page.filters(*_FILTERS),
        )

    @get("/{payment_id:str}")
    async def show(self, page: Page, payment_id: str) -> Response[str]:
        """One payment."""
        return await _show(page, payment_id)

    @post("/{payment_id:str}/refund")
    async def refund(
        self, page: Page, form: Form, caller: Caller, payment_id: str, refund_payment: RefundPayment
    ) -> Response[str]:
        """Send part or all of it back."""
        try:
            await refund_payment(
                caller,
                payment_id,
                amount=form.text("amount") or None,
                reason=form.text("reason"),
                once=form.once(),
            )
        except AlreadyThere:
            pass  # the same form a second time: the money goes back once
        except REFUSED as refused:
            return await _show(page, payment_id, refused=refused, typed=form.typed)
        return page.go(f"/console/payments/{payment_id}", done="refunded")

    @post("/{payment_id:str}/resolve")
    async def resolve(
        self, page: Page, form: Form, caller: Caller, payment_id: str, resolve_conflict: ResolveConflict
    ) -> Response[str]:
        """Settle its conflict in one of the three ways."""
        try:
            resolution = _RESOLUTIONS.get(form.text("resolution"))
            if resolution is None:
                raise Invalid.field("resolution", "Choose what is to be done with the money.")
            target = await _named(page, form.text("invoice")) if resolution is Resolution.MOVE else None
            await resolve_conflict(caller, payment_id, resolution, invoice_id=target, once=form.once())
        except AlreadyThere:
            pass  # the same form a second time
        except REFUSED as refused:
            return await _show(page, payment_id, refused=refused, typed=form.typed)
        return page.go(f"/console/payments/{payment_id}", done="resolved")


async def _named(page: Page, invoice: str) -> str:
    """The id of the invoice with this number, or with this id. Raises Invalid."""
    async with page.reading() as work:
        found = await work.invoices.all(number=invoice) if invoice else ()
        one = found[0] if found else await work.invoices.find(invoice)
    if one is None:
        raise Invalid.field("invoice", "There is no invoice with this number.")
    return one.id


async def _show(
    page: Page,
    payment_id: str,
    *,
    refused: Refusal | Held | None = None,
    typed: dict[str, str] | None = None,
) -> Response[str]:
    async with page.reading() as work:
        payment = await work.payments.get(payment_id)
        connection = await work.connections.find(payment.connection_id)
        invoice = await work.invoices.find(payment.invoice_id) if payment.invoice_id else None
        refunds = await work.refunds.all(payment_id=payment_id)
        client = await work.records.find(payment.client_id) if payment.client_id else None
    return page(
        "payment.html",
        refused=refused,
        payment=payment,
        connection=connection,
        invoice=invoice,
        client=client,
        refunds=refunds,
        refundable=_refundable(payment, refunds),
        timeline=[(*FACTS[f.kind], Money(f.amount, payment.currency), f) for f in payment.facts[::-1]],
        typed=typed or {},
        once=page.ids.token(),
    )


def _refundable(payment: Payment, refunds: tuple[Refund, ...]) -> bool:
    """Whether there is something left that no refund under way has."""
    promised = sum(refund.amount.amount for refund in refunds if refund.waiting)
    return payment.refundable.amount > promised
