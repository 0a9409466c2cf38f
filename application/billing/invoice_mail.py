"""The mail that brings an invoice, or reminds of one: who it goes to, through which account, what it says."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from application.connections.access import usable
from application.notifications.carry import message_to
from application.notifications.configurations import check_addresses
from application.ports.providers import Providers
from application.ports.store import Work
from domain.billing.invoices import Invoice
from domain.connections.connection import Connection
from domain.connections.provider import Capability
from domain.notifications.message import Action, Fact, Message
from domain.refusals import Conflict, Invalid


def addressed(invoice: Invoice, to: Sequence[str] | None) -> list[str]:
    """Where it goes: the given addresses, or the client's own. Raises Invalid."""
    if not to and not invoice.client.email:
        raise Invalid.field("to", f"{invoice.client.name} has no mail address; give one.")
    return check_addresses(list(to) if to else [invoice.client.email], "to")


async def mailer(work: Work, providers: Providers, name: str | None = None) -> Connection:
    """The mail account of this name or id, or the first that is connected. Raises NotFound, Invalid, Conflict."""
    if name is not None:
        connection = await usable(work, name)
        if Capability.MAIL not in providers.manifest(connection.provider).offers:
            raise Invalid.field("connection", f"{connection.provider} sends no mail.")
        return connection
    for connection in await work.connections.all():
        if connection.connected and Capability.MAIL in providers.manifest(connection.provider).offers:
            return connection
    raise Conflict("No mail account is connected; connect one (smtp) first.")


def envelope(invoice: Invoice, to: Sequence[str], message: Message) -> Mapping[str, Any]:
    """The mail as its delivery keeps it; the invoice is printed when it is sent."""
    return {"to": list(to), "message": message_to(message), "invoice": invoice.id}


def bill(invoice: Invoice, organisation: str, url: str, words: str | None, now: datetime) -> Message:
    """The invoice itself. words: what a person typed instead of the usual sentence."""
    usual = f"Dear {invoice.client.name},\n\nplease find attached invoice {invoice.number} over {invoice.total}."
    lines = [Fact(f"{line.description} × {line.quantity}", str(line.total)) for line in invoice.lines]
    totals = invoice.totals
    if totals.discount:
        lines.append(
            Fact(
                invoice.discount.name if invoice.discount and invoice.discount.name else "Discount",
                f"-{totals.discount}",
            )
        )
    for one in totals.taxes:
        label = f"{one.tax.name} {one.tax.percent} %{' (included)' if one.tax.included else ''}"
        lines.append(Fact(label, str(one.amount)))
    return Message(
        f"Invoice {invoice.number} from {organisation}",
        (words or "").strip() or usual,
        now,
        (*lines, Fact("Total", str(totals.total)), *_due(invoice)),
        Action("Pay this invoice", url),
        source=organisation,
    )


def reminder(
    invoice: Invoice, organisation: str, url: str | None, words: str | None, day: int, now: datetime
) -> Message:
    """Friendly before the due day and on it, plain after. day: days after the due day."""
    due = f"{invoice.due_on:%Y-%m-%d}" if invoice.due_on else None
    if due is None:
        said = f"Invoice {invoice.number} is not paid yet."
    elif day < 0:
        said = f"Invoice {invoice.number} is due on {due}."
    elif day == 0:
        said = f"Invoice {invoice.number} is due today."
    else:
        said = f"Invoice {invoice.number} was due on {due} and is not paid in full."
    usual = (
        f"Dear {invoice.client.name},\n\n{said} {invoice.amount_due} are still open; the invoice is attached."
        "\n\nIf you have paid in the meantime, please disregard this message."
    )
    paid = (Fact("Paid", str(invoice.amount_paid)),) if invoice.paid else ()
    return Message(
        f"Reminder: invoice {invoice.number} from {organisation}",
        (words or "").strip() or usual,
        now,
        (Fact("Total", str(invoice.total)), *paid, Fact("Still open", str(invoice.amount_due)), *_due(invoice)),
        Action("Pay this invoice", url) if url else None,
        source=organisation,
    )


def _due(invoice: Invoice) -> tuple[Fact, ...]:
    return (Fact("Due", invoice.due_on.isoformat()),) if invoice.due_on else ()
