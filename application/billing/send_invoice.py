"""Send an invoice to its client by mail, with its payment link."""

from collections.abc import Sequence

import attrs

from application.billing.links import CreatePaymentLink
from application.caller import Caller
from application.connections.access import usable
from application.notifications.carry import message_to
from application.notifications.configurations import check_addresses
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.providers import Providers
from application.ports.store import Store, Work
from domain.billing.bodies import invoice_body
from domain.billing.invoices import Invoice
from domain.connections.connection import Connection
from domain.connections.provider import Capability
from domain.notifications.deliveries import Delivery
from domain.notifications.message import Action, Fact, Message
from domain.refusals import Conflict, Invalid


@attrs.frozen
class Sent:
    """The invoice, the mail on its way, and the link it holds."""

    invoice: Invoice
    delivery: Delivery
    url: str


@attrs.define
class SendInvoice:
    """The mail is a delivery like any other: recorded, retried, sent again by a person."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _links: CreatePaymentLink
    _providers: Providers

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        to: Sequence[str] | None = None,
        message: str | None = None,
        provider: str | None = None,
        connection: str | None = None,
        once: Once | None = None,
    ) -> Sent:
        """`to`: addresses instead of the client's own. `message`: a few words of yours. `connection`: which mail account.

        Raises NotFound, Conflict (paid, void, nothing connected), Invalid (no address).
        """
        async with self._store.reading(caller.organisation_id) as work:
            # First, because a link opens the invoice: what cannot be sent must leave the draft a draft.
            addressed(await work.invoices.get(id), to)
            await self._mailer(work, connection)
        view = await self._links(caller, invoice_id=id, provider=provider)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            mailer = await self._mailer(work, connection)
            addresses = addressed(invoice, to)
            organisation = (await work.organisation.get(caller.organisation_id)).name
            invoice = await work.invoices.save(invoice.sent(now))
            event = await self._tell(work, "invoice.sent", {"invoice": invoice_body(invoice, view.url)})
            mail = {
                "to": addresses,
                "message": message_to(self._write(invoice, organisation, view.url, message)),
            }
            delivery = await self._tell.mail(work, event, mailer.id, mail)
            await self._tell.note(work, caller, "invoice.sent", id, to=addresses)
            sent = Sent(invoice, delivery, view.url)
            await remember(work, once, sent, now)
            await work.commit()
        return sent

    def _write(self, invoice: Invoice, organisation: str, url: str, words: str | None) -> Message:
        text = (
            words.strip()
            if words and words.strip()
            else (f"Dear {invoice.client.name},\n\nplease find below invoice {invoice.number} over {invoice.total}.")
        )
        lines = tuple(Fact(f"{line.description} × {line.quantity}", str(line.total)) for line in invoice.lines)
        due = (Fact("Due", invoice.due_on.isoformat()),) if invoice.due_on else ()
        return Message(
            f"Invoice {invoice.number} from {organisation}",
            text,
            self._clock.now(),
            (*lines, Fact("Total", str(invoice.total)), *due),
            Action("Pay this invoice", url),
            source=organisation,
        )

    async def _mailer(self, work: Work, name: str | None) -> Connection:
        if name is not None:
            connection = await usable(work, name)
            if Capability.MAIL not in self._providers.manifest(connection.provider).offers:
                raise Invalid.field("connection", f"{connection.provider} sends no mail.")
            return connection
        for connection in await work.connections.all():
            if connection.connected and Capability.MAIL in self._providers.manifest(connection.provider).offers:
                return connection
        raise Conflict("No mail account is connected; connect one (smtp) first.")


def addressed(invoice: Invoice, to: Sequence[str] | None) -> list[str]:
    """Where the invoice goes: the given addresses, or its client's own. Raises Invalid."""
    if not to and not invoice.client.email:
        raise Invalid.field("to", f"{invoice.client.name} has no mail address; give one.")
    return check_addresses(list(to) if to else [invoice.client.email], "to")
