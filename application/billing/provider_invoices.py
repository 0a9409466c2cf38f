"""An invoice that the provider writes and sends as well, under its own number and with its own page to pay on."""

from datetime import timedelta

import attrs

from application.billing.books import Books
from application.billing.customers import EnsureCustomer
from application.billing.opening import open_invoice
from application.caller import Caller
from application.connections.access import opened, usable
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.leases import Leases
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.provider_invoices import ProviderInvoice, ProviderInvoiceOrder, ProviderInvoices
from application.ports.providers import Providers
from application.ports.store import Store
from application.ports.vault import Vault
from domain.billing.invoices import Invoice, Line
from domain.connections.abilities import Ability, NotOffered, require
from domain.connections.connection import Connection
from domain.money import Money
from domain.refusals import Conflict

_LOCK = timedelta(minutes=2)
_WAIT = timedelta(seconds=30)


@attrs.frozen
class InvoicedThere:
    """The invoice here, and as it is at the provider."""

    invoice: Invoice
    connection: Connection
    there: ProviderInvoice


@attrs.define
class InvoiceAtProvider:
    """Have a provider invoice what is still due. An invoice has one invoice at a connection's provider: asking again gives
    the same, or sends it."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _customers: EnsureCustomer
    _books: Books

    async def __call__(
        self, caller: Caller, *, invoice_id: str, provider: str, send: bool = False, once: Once | None = None
    ) -> InvoicedThere:
        """`provider`: a slug or a connection's id. `send`: have the provider send it to the client.

        Raises NotFound, NotOffered (the provider does not invoice), Conflict (paid, void, refused), Invalid (amount), and
        ProviderUnavailable; then asking again goes on where it stopped.
        """
        async with self._store.reading(caller.organisation_id) as work:
            connection = await usable(work, provider)
            invoice = await work.invoices.get(invoice_id)
        manifest = self._providers.manifest(connection.provider)
        require(manifest.name, manifest.abilities, Ability.INVOICES, field="provider")
        payments = self._providers.payments(connection.provider)
        if not isinstance(payments, ProviderInvoices):
            raise NotOffered(f"{manifest.name} does not offer invoices.", field="provider")
        if not connection.connected:
            raise Conflict(f"The connection to {connection.provider} is switched off.")
        invoice.require_payable()
        payments.check_amount(invoice.amount_due, field="invoice_id")
        name = f"provider-invoice:{connection.id}:{invoice.id}"
        async with self._leases.hold(name, for_=_LOCK, wait=_WAIT):
            # What the provider asks for must not change any more.
            async with self._store.of(caller.organisation_id) as work:
                invoice = await open_invoice(work, self._books, await work.invoices.get(invoice_id), self._clock.now())
                await work.commit()
            try:
                there = await self._written(name, caller, connection, invoice, payments)
                if send:
                    access = opened(self._vault, connection)
                    there = await payments.send_invoice(access, there.reference, key=f"{invoice.id}:send")
            except ProviderRefused as refused:
                raise Conflict(f"{manifest.name} refused: {refused.reason}") from refused
            except (ReconnectNeeded, RetryLater) as problem:
                raise ProviderUnavailable(f"{manifest.name} could not be asked; try again.") from problem
            return await self._noted(caller, connection, there, invoice, send=send, once=once)

    async def _written(
        self, name: str, caller: Caller, connection: Connection, invoice: Invoice, payments: ProviderInvoices
    ) -> ProviderInvoice:
        access = opened(self._vault, connection)
        known = await self._store.marked(name)
        if known is not None:
            return await payments.fetch_invoice(access, known)
        customer = await self._customers(caller.organisation_id, connection, invoice.client)
        order = ProviderInvoiceOrder(
            invoice.currency,
            lines_of(invoice),
            customer,
            invoice.client.email,
            invoice.client.name,
            invoice.due_on,
            invoice.memo,
            invoice.id,
            invoice.number,
            {"patchbay_organisation": invoice.organisation_id, "patchbay_invoice": invoice.id},
        )
        there = await payments.create_invoice(access, order, key=f"{invoice.id}:{connection.id}")
        await self._store.mark_once(name, there.reference)
        return there

    async def _noted(
        self,
        caller: Caller,
        connection: Connection,
        there: ProviderInvoice,
        invoice: Invoice,
        *,
        send: bool,
        once: Once | None,
    ) -> InvoicedThere:
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            action = "invoice.sent_by_provider" if send else "invoice.written_at_provider"
            await self._tell.note(
                work, caller, action, invoice.id, provider=connection.provider, reference=there.reference
            )
            made = InvoicedThere(invoice, connection, there)
            await remember(work, once, made, now)
            await work.commit()
        return made


def lines_of(invoice: Invoice) -> tuple[Line, ...]:
    """The lines, where they come to what is due; else one line for what is due: the provider must ask for no other sum."""
    plain = all(line.tax is None and line.discount is None for line in invoice.lines)
    total = sum((line.unit_price * line.quantity for line in invoice.lines), Money.zero(invoice.currency))
    if plain and total == invoice.amount_due:
        return invoice.lines
    return (Line(f"Invoice {invoice.number}", 1, invoice.amount_due),)
