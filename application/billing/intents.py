"""Start a payment that the host application's own page confirms."""

from collections.abc import Mapping

import attrs

from application.billing.books import Books
from application.billing.links import require_asked_for_here
from application.billing.opening import open_invoice
from application.caller import Caller
from application.connections.access import opened, usable
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.payments import Intent, IntentState, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import AlreadyThere, Store
from application.ports.vault import Vault
from domain.billing.invoices import Invoice
from domain.billing.payments import Payment
from domain.connections.abilities import Ability, require
from domain.connections.connection import Connection
from domain.money import Money
from domain.refusals import Conflict, Invalid


@attrs.frozen
class Started:
    """The payment as we keep it, and what the host application's page needs to confirm it."""

    payment: Payment
    intent: Intent


@attrs.define
class StartPayment:
    """Create a payment intent for an invoice's open amount, or for an amount of the caller's."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _providers: Providers
    _books: Books

    async def __call__(
        self,
        caller: Caller,
        *,
        provider: str,
        invoice_id: str | None = None,
        amount: str | None = None,
        currency: str | None = None,
        description: str = "",
        once: Once | None = None,
    ) -> Started:
        """Raises NotFound, Conflict (paid, void, charged by the provider itself), Invalid (amount), NotOffered (the provider
        has hosted pages only), ProviderUnavailable."""
        async with self._store.reading(caller.organisation_id) as work:
            connection = await usable(work, provider)
            if not connection.connected:
                raise Conflict(f"The connection to {connection.provider} is switched off.")
            invoice = await work.invoices.get(invoice_id) if invoice_id else None
            if invoice is not None:
                invoice.require_payable()
                await require_asked_for_here(work, self._providers, invoice)
        if invoice is not None:
            money = invoice.amount_due
        elif amount is not None and currency is not None:
            money = Money.of(amount, currency)
        else:
            raise Invalid.field("amount", "Give an invoice_id, or an amount and a currency.")
        manifest = self._providers.manifest(connection.provider)
        require(manifest.name, manifest.abilities, Ability.INTENTS, field="provider")
        payments = self._providers.payments(connection.provider)
        if money.amount <= 0:
            raise Invalid.field("amount", "A payment is more than nothing.")
        payments.check_amount(money)
        access = opened(self._vault, connection)
        if invoice is not None:
            invoice = await self._opened(caller, invoice.id)
            earlier = await self._live(caller, connection, invoice, money, access)
            if earlier is not None:
                await self._remember(caller, once, earlier)
                return earlier
        payment_id = self._ids.new("payment")
        metadata = {"patchbay_organisation": caller.organisation_id, "patchbay_payment": payment_id}
        if invoice is not None:
            metadata["patchbay_invoice"] = invoice.id
        # With a caller's key, a repetition after a crash finds the same intent at the provider.
        key = f"{caller.organisation_id}:{once.key}:{once.request_hash}" if once else payment_id
        try:
            intent = await payments.create_intent(
                access,
                money,
                key=key[:255],
                description=description or (f"Invoice {invoice.number}" if invoice else ""),
                metadata=metadata if once is None else {k: v for k, v in metadata.items() if k != "patchbay_payment"},
            )
        except ProviderRefused as refused:
            raise Conflict(f"{connection.provider} refused: {refused.reason}") from refused
        except (ReconnectNeeded, RetryLater) as problem:
            raise ProviderUnavailable(f"{connection.provider} could not be asked; try again.") from problem
        now = self._clock.now()
        payment = Payment(
            payment_id,
            caller.organisation_id,
            connection.id,
            connection.provider,
            intent.reference,
            money,
            now,
            now,
            invoice.id if invoice else None,
            client_id=invoice.client.id if invoice else None,
        )
        async with self._store.of(caller.organisation_id) as work:
            try:
                await work.payments.add(payment)
                await self._tell.note(work, caller, "payment.started", payment.id)
            except AlreadyThere:  # its webhook was quicker, or an earlier call was cut off after this point
                (payment,) = await work.payments.all(provider=connection.provider, reference=intent.reference)
            started = Started(payment, intent)
            await remember(work, once, started, now)
            await work.commit()
        return started

    async def _opened(self, caller: Caller, invoice_id: str) -> Invoice:
        """An invoice with a payment under way is no draft any more: what is being paid must not change."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(invoice_id)
            final = await open_invoice(work, self._books, invoice, now)
            if final is not invoice:
                await work.commit()
        return final

    async def _live(
        self, caller: Caller, connection: Connection, invoice: Invoice, money: Money, access: Mapping[str, str]
    ) -> Started | None:
        """The payment that was started for this invoice and waits for its payer: a second one could be paid beside it."""
        async with self._store.reading(caller.organisation_id) as work:
            waiting = [
                p for p in await work.payments.all(invoice_id=invoice.id, connection_id=connection.id) if p.payable
            ]
        for payment in waiting:
            if payment.asked != money:
                continue
            try:
                intent = await self._providers.payments(connection.provider).fetch_intent(access, payment.reference)
            except ProviderRefused:
                continue
            except (ReconnectNeeded, RetryLater) as problem:
                raise ProviderUnavailable(f"{connection.provider} could not be asked; try again.") from problem
            if intent.state is IntentState.WAITING and intent.client_secret is not None:
                return Started(payment, intent)
        return None

    async def _remember(self, caller: Caller, once: Once | None, started: Started) -> None:
        if once is not None:
            async with self._store.of(caller.organisation_id) as work:
                await remember(work, once, started, self._clock.now())
                await work.commit()
