"""The first page: what is owed, what came in, what needs a person, what happened last."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs
from litestar import Controller, Response, get

from application.ports.store import Slice, Work
from domain.billing.invoices import InvoiceState
from domain.billing.payments import Payment, PaymentState
from domain.connections.connection import Connection, ConnectionState
from domain.inbox import InboxState
from domain.notifications.deliveries import DeliveryState
from domain.notifications.endpoints import EndpointState
from entrypoints.console.gathering import Gathered, destination_of, destinations, gather
from entrypoints.console.pages import Page
from entrypoints.console.reader import Reader

_A_DAY = timedelta(days=1)
_A_MONTH = timedelta(days=30)
_LISTED = 8
_OPEN_QUESTIONS = (PaymentState.CONFLICTED, PaymentState.DISPUTED, PaymentState.UNKNOWN)


@attrs.frozen
class Concern:
    """Something that waits for a person, and the page where they can see to it."""

    tone: str
    text: str
    href: str
    at: datetime | None = None


class Overview(Controller):
    """The console's home."""

    @get("/")
    async def show(self, page: Page) -> Response[str]:
        """Everything at a glance."""
        now = page.reader.now
        async with page.reading() as work:
            connections = [c for c in await work.connections.all() if c.state is not ConnectionState.DISCONNECTED]
            concerns, failed = await _concerns(work, connections, page.reader)
            events = (await work.events.page(Slice(_LISTED))).items
            pending, more_pending = await gather(work.deliveries, state=DeliveryState.PENDING)
            delivered, more_delivered = await gather(
                work.deliveries, kind="delivery", since=now - _A_DAY, state=DeliveryState.DELIVERED
            )
            keys = await work.keys.all()
            return page(
                "overview.html",
                money=await _money(work, now),
                connections=connections,
                concerns=concerns,
                events=events,
                pending=Gathered(len(pending), more_pending),
                delivered=Gathered(len(delivered), more_delivered),
                failed=failed,
                has_key=any(key.revoked_at is None for key in keys),
            )


def _question(payment: Payment) -> str:
    if payment.conflict is not None:
        return payment.conflict
    if payment.state is PaymentState.DISPUTED:
        return "the payer's bank disputes it"
    return "the provider has not said yet whether it was charged"


async def _money(work: Work, now: datetime) -> dict[str, Gathered]:
    """What is open, overdue, and came in within a month."""
    open_, more_open = await gather(work.invoices, state=(InvoiceState.OPEN, InvoiceState.PARTLY_PAID))
    overdue, more_overdue = await gather(work.invoices, state=InvoiceState.OVERDUE)
    paid, more_paid = await gather(work.invoices, state=InvoiceState.PAID)
    paid = [invoice for invoice in paid if invoice.paid_at is not None and invoice.paid_at >= now - _A_MONTH]
    return {
        "open": Gathered.of((invoice.amount_due for invoice in open_), more=more_open),
        "overdue": Gathered.of((invoice.amount_due for invoice in overdue), more=more_overdue),
        "paid": Gathered.of((invoice.total for invoice in paid), more=more_paid),
    }


async def _concerns(work: Work, connections: Sequence[Connection], reader: Reader) -> tuple[list[Concern], Gathered]:
    """What waits for a person, the worst first; and how many deliveries failed within a day."""
    now = reader.now
    concerns: list[Concern] = []
    for connection in connections:
        if connection.state is ConnectionState.FAILING:
            text = f"{connection.name}: {connection.last_error or 'the last call failed'}"
            concerns.append(Concern("bad", text, f"/console/connections/{connection.id}", connection.last_error_at))
    for payment in (await work.payments.page(Slice(_LISTED), state=_OPEN_QUESTIONS)).items:
        text = f"A payment of {reader.money(payment.captured or payment.asked)} at {payment.provider}: {_question(payment)}"
        concerns.append(Concern("bad", text, f"/console/payments/{payment.id}", payment.updated_at))
    for endpoint in await work.endpoints.all(state=EndpointState.DISABLED):
        text = f"Webhook {endpoint.name or endpoint.url} was switched off: {endpoint.reason}"
        concerns.append(Concern("bad", text, f"/console/webhooks/{endpoint.id}", endpoint.updated_at))
    for notification in await work.notifications.all(is_active=False):
        if notification.reason:
            text = f"Notification {notification.name} was switched off: {notification.reason}"
            concerns.append(Concern("care", text, f"/console/notifications/{notification.id}", notification.updated_at))
    stuck = (await work.inbox.page(Slice(_LISTED), state=InboxState.FAILED)).items
    concerns.extend(
        Concern(
            "bad", f"{one.type} from {one.provider} could not be handled", f"/console/inbox/{one.id}", one.received_at
        )
        for one in stuck
    )
    failed, more = await gather(work.deliveries, kind="delivery", since=now - _A_DAY, state=DeliveryState.FAILED)
    if failed:
        known = await destinations(work)
        concerns.extend(
            Concern(
                "care",
                f"{one.event_type} did not reach {destination_of(known, one).name}: {one.last_error or 'given up'}",
                f"/console/deliveries/{one.id}",
                one.finished_at,
            )
            for one in failed[-_LISTED:][::-1]
        )
    return concerns[:_LISTED], Gathered(len(failed), more)
