"""Send an invoice to its client by mail, with its payment link and the printed invoice."""

from collections.abc import Sequence

import attrs

from application.billing.books import Books
from application.billing.invoice_mail import addressed, bill, envelope, mailer
from application.billing.links import CreatePaymentLink
from application.billing.opening import open_invoice
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.providers import Providers
from application.ports.store import Store
from domain.billing.bodies import invoice_body
from domain.billing.invoices import Invoice
from domain.notifications.deliveries import Delivery


@attrs.frozen
class Sent:
    """The invoice, the mail on its way, and the link it holds (None: it can be paid nowhere yet)."""

    invoice: Invoice
    delivery: Delivery
    url: str | None


@attrs.define
class SendInvoice:
    """The mail is a delivery like any other: recorded, retried, sent again by a person."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _links: CreatePaymentLink
    _providers: Providers
    _books: Books

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
            await mailer(work, self._providers, connection)
        view = await self._links(caller, invoice_id=id, provider=provider)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await open_invoice(work, self._books, await work.invoices.get(id), now)
            account = await mailer(work, self._providers, connection)
            addresses = addressed(invoice, to)
            organisation = (await work.organisation.get(caller.organisation_id)).name
            invoice = await work.invoices.save(invoice.sent(now))
            event = await self._tell(work, "invoice.sent", {"invoice": invoice_body(invoice, view.url)})
            mail = envelope(invoice, addresses, bill(invoice, organisation, view.url, message, now))
            delivery = await self._tell.mail(work, event, account.id, mail)
            await self._tell.note(work, caller, "invoice.sent", id, to=addresses)
            sent = Sent(invoice, delivery, view.url)
            await remember(work, once, sent, now)
            await work.commit()
        return sent
