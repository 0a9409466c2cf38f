"""Start a payment that the host application's own page confirms."""

import attrs

from application.caller import Caller
from application.connections.access import opened, usable
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.payments import Intent, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import AlreadyThere, Store
from application.ports.vault import Vault
from domain.billing.payments import Payment
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
        """Raises NotFound, Conflict (paid or void), Invalid (amount), ProviderUnavailable."""
        async with self._store.reading(caller.organisation_id) as work:
            connection = await usable(work, provider)
            invoice = await work.invoices.get(invoice_id) if invoice_id else None
        if invoice is not None:
            invoice.require_payable()
            money = invoice.amount_due
        elif amount is not None and currency is not None:
            money = Money.of(amount, currency)
        else:
            raise Invalid.field("amount", "Give an invoice_id, or an amount and a currency.")
        payments = self._providers.payments(connection.provider)
        if money.amount <= 0:
            raise Invalid.field("amount", "A payment is more than nothing.")
        payments.check_amount(money)
        payment_id = self._ids.new("payment")
        metadata = {"patchbay_organisation": caller.organisation_id, "patchbay_payment": payment_id}
        if invoice is not None:
            metadata["patchbay_invoice"] = invoice.id
        # With a caller's key, a repetition after a crash finds the same intent at the provider.
        key = f"{caller.organisation_id}:{once.key}:{once.request_hash}" if once else payment_id
        try:
            intent = await payments.create_intent(
                opened(self._vault, connection),
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
        )
        async with self._store.of(caller.organisation_id) as work:
            try:
                await work.payments.add(payment)
                await self._tell.note(work, caller, "payment.started", payment.id)
            except AlreadyThere:  # its webhook was quicker, or an earlier call was cut off after this point
                (payment,) = await work.payments.all(connection_id=connection.id, reference=intent.reference)
            started = Started(payment, intent)
            await remember(work, once, started, now)
            await work.commit()
        return started
