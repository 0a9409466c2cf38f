"""Invoices: the list, and one invoice with everything that happened to it and what can be done about it."""

from datetime import datetime, timedelta

import attrs
from litestar import Controller, Response, get, post

from application.billing.invoices import VoidInvoice
from application.billing.links import CreatePaymentLink, ExpirePaymentLink
from application.billing.refund import RefundPayment
from application.billing.send_invoice import SendInvoice
from application.caller import Caller
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Slice, Work
from domain.audit import AuditEntry
from domain.billing.dunning import ASKED_FOR
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import Payment, PaymentState, Refund, RefundState
from domain.catalogue import CATALOGUE
from domain.connections.provider import Capability
from domain.events import Event
from domain.refusals import NotFound, Refusal
from entrypoints.api.paging import listing
from entrypoints.console.gathering import gather
from entrypoints.console.pages import REFUSED, Form, Notice, Page
from entrypoints.console.rendering import told, tone, words

_STATES = {state.value: state for state in InvoiceState}
_CREDITED = (*ASKED_FOR, InvoiceState.PAID)
_TOGETHER = timedelta(seconds=2)
_TOLD = tuple(name for name in CATALOGUE if name.startswith(("invoice.", "payment.")))


@attrs.frozen
class Happened:
    """One entry of an invoice's history: an event that was told, or what somebody did."""

    at: datetime
    what: str
    who: str | None = None
    href: str | None = None
    tone: str = "quiet"
    type: str = ""


class InvoicePages(Controller):
    """/console/invoices"""

    path = "/invoices"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, of one state or of all."""
        chosen = _STATES.get(page.choice("status") or "")
        async with page.reading() as work:
            found = await work.invoices.page(slice, **({"state": chosen} if chosen else {}))
        invoices = listing(found, lambda invoice: invoice)
        return page("invoices.html", invoices=invoices, chosen=chosen, states=_STATES, filters=page.filters("status"))

    @get("/{invoice_id:str}")
    async def show(self, page: Page, invoice_id: str) -> Response[str]:
        """One invoice."""
        return await show_invoice(page, invoice_id)

    @post("/{invoice_id:str}/link")
    async def create_link(
        self, page: Page, form: Form, caller: Caller, invoice_id: str, create_payment_link: CreatePaymentLink
    ) -> Response[str]:
        """The invoice's payment link; the live one if there is one."""
        try:
            await create_payment_link(caller, invoice_id=invoice_id, provider=form.text("connection") or None)
        except REFUSED as refused:
            return await show_invoice(page, invoice_id, refused=refused)
        return page.go(f"/console/invoices/{invoice_id}", done="link-created")

    @post("/{invoice_id:str}/expire-link")
    async def expire_link(
        self, page: Page, form: Form, caller: Caller, invoice_id: str, expire_payment_link: ExpirePaymentLink
    ) -> Response[str]:
        """End the newest link at a provider."""
        try:
            await expire_payment_link(caller, invoice_id=invoice_id, provider=form.text("provider"))
        except REFUSED as refused:
            return await show_invoice(page, invoice_id, refused=refused)
        return page.go(f"/console/invoices/{invoice_id}", done="link-expired")

    @post("/{invoice_id:str}/send")
    async def send(
        self, page: Page, form: Form, caller: Caller, invoice_id: str, send_invoice: SendInvoice
    ) -> Response[str]:
        """By mail to its client or to other addresses, with its payment link."""
        try:
            await send_invoice(
                caller,
                invoice_id,
                to=form.lines("to") or None,
                message=form.text("message") or None,
                provider=form.text("connection") or None,
                once=form.once(),
            )
        except AlreadyThere:
            pass  # the same form a second time
        except REFUSED as refused:
            return await show_invoice(page, invoice_id, refused=refused, typed=form.typed, form="send")
        return page.go(f"/console/invoices/{invoice_id}", done="sent")

    @post("/{invoice_id:str}/void")
    async def void(self, page: Page, caller: Caller, invoice_id: str, void_invoice: VoidInvoice) -> Response[str]:
        """Nobody can pay it any more."""
        try:
            await void_invoice(caller, invoice_id)
        except REFUSED as refused:
            return await show_invoice(page, invoice_id, refused=refused)
        return page.go(f"/console/invoices/{invoice_id}", done="voided")

    @post("/{invoice_id:str}/refund")
    async def refund(
        self, page: Page, form: Form, caller: Caller, invoice_id: str, refund_payment: RefundPayment
    ) -> Response[str]:
        """Send part or all of one of its payments back."""
        payment_id = form.text("payment")
        async with page.reading() as work:
            payment = await work.payments.get(payment_id)
        if payment.invoice_id != invoice_id:
            raise NotFound("payment of this invoice", payment_id)
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
            return await show_invoice(page, invoice_id, refused=refused, typed=form.typed, form=payment_id)
        return page.go(f"/console/invoices/{invoice_id}", done="refunded")


async def show_invoice(
    page: Page,
    invoice_id: str,
    *,
    refused: Refusal | Held | None = None,
    notice: Notice | None = None,
    typed: dict[str, str] | None = None,
    form: str = "",
) -> Response[str]:
    """The invoice's page. `typed`: what was typed into the form named `form`, which was refused."""
    manifests = {manifest.slug: manifest for manifest in page.hub.providers.all()}
    async with page.reading() as work:
        invoice = await work.invoices.get(invoice_id)
        payments = await work.payments.all(invoice_id=invoice_id)
        refunds = {p.id: await work.refunds.all(payment_id=p.id) for p in payments}
        links = (await work.links.all(invoice_id=invoice_id))[::-1]
        notes = await work.credit_notes.all(invoice_id=invoice_id)
        connections = [c for c in await work.connections.all() if c.connected]
        history = await _history(work, invoice, payments, refunds, tuple(link.id for link in links))
    urls = page.hub.resolve(CreatePaymentLink)
    return page(
        "invoice.html",
        refused=refused,
        notice=notice,
        invoice=invoice,
        totals=invoice.totals,
        notes=notes,
        may_credit=invoice.state in _CREDITED and bool(invoice.owed),
        may_give_up=invoice.state in ASKED_FOR,
        payments=payments,
        refunds=refunds,
        refundable={p.id: _refundable(p, refunds[p.id]) for p in payments},
        links=[(link, urls.url(link), link.live(page.reader.now)) for link in links],
        has_live_link=any(link.live(page.reader.now) for link in links),
        paying=[c for c in connections if Capability.PAYMENTS in manifests[c.provider].offers],
        mailing=[c for c in connections if Capability.MAIL in manifests[c.provider].offers],
        history=history,
        typed=typed or {},
        typed_in=form,
        once=page.ids.token(),
    )


def _refundable(payment: Payment, refunds: tuple[Refund, ...]) -> bool:
    promised = sum(refund.amount.amount for refund in refunds if refund.state is RefundState.REQUESTED)
    return payment.state is not PaymentState.CONFLICTED and payment.refundable.amount > promised


async def _history(
    work: Work,
    invoice: Invoice,
    payments: tuple[Payment, ...],
    refunds: dict[str, tuple[Refund, ...]],
    link_ids: tuple[str, ...],
) -> list[Happened]:
    """What was told about the invoice and what was done with it, newest first."""
    events, _ = await gather(work.events, kind="event", since=invoice.created_at, type=_TOLD)
    told_events = [_told(event) for event in events if (event.data.get("invoice") or {}).get("id") == invoice.id]
    refund_ids = (refund.id for of_payment in refunds.values() for refund in of_payment)
    subjects = (invoice.id, *link_ids, *(payment.id for payment in payments), *refund_ids)
    entries, _ = await gather(work.audit, subject=subjects)
    happened: list[Happened] = []
    for entry in entries:
        twin = next((one for one in told_events if _same(one, entry)), None)
        if twin is None:
            happened.append(Happened(entry.at, words(entry.action).capitalize(), entry.actor))
        else:
            told_events[told_events.index(twin)] = attrs.evolve(twin, who=entry.actor)
    return sorted((*told_events, *happened), key=lambda one: one.at, reverse=True)


def _told(event: Event) -> Happened:
    message = told(event)
    return Happened(
        event.occurred_at, message.title, None, f"/console/events/{event.id}", tone(message.tone), event.type
    )


def _same(event: Happened, entry: AuditEntry) -> bool:
    """Whether the audit entry is the deed that the event tells of: both are written in one transaction."""
    return event.who is None and event.type == entry.action and abs(event.at - entry.at) < _TOGETHER
