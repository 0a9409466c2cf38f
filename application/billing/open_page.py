"""Open a hosted page at a provider for a checkout that is written down."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import attrs

from application.billing.customers import EnsureCustomer
from application.connections.access import opened
from application.connections.connect import ProviderUnavailable
from application.ports.clock import Clock
from application.ports.leases import Held
from application.ports.payments import (
    CheckoutOrder,
    HostedCheckout,
    ProviderRefused,
    ReconnectNeeded,
    RetryLater,
)
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store
from application.ports.vault import Vault
from domain.billing.invoices import Invoice
from domain.billing.links import Checkout, CheckoutState
from domain.connections.connection import Connection, ConnectionState
from domain.refusals import Conflict

NOT_NOW = "The payment page cannot be opened just now. Please try again later."


class PageRefused(Conflict):
    """The provider understood, and opens no page: asking again later would not help (no mail address, for example)."""


@attrs.define
class OpenPage:
    """The checkout's id is the key at the provider: asking again after a cut-off answer opens one page."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _providers: Providers
    _customers: EnsureCustomer

    async def __call__(self, invoice: Invoice, organisation: str, back: str, checkout: Checkout) -> str:
        """The page's address. `organisation`: its name. `back`: where the payer comes back to. Raises PageRefused, or
        ProviderUnavailable, and notes on the connection what a person has to mend."""
        async with self._store.reading(checkout.organisation_id) as work:
            connection = await work.connections.get(checkout.connection_id)
        try:
            customer = await self._customers(checkout.organisation_id, connection, invoice.client)
            made = await self._made(connection, _order(invoice, organisation, back, checkout, customer), checkout.id)
        except ProviderRefused as refused:
            raise PageRefused(f"{connection.provider} opens no page for this invoice: {refused.reason}") from refused
        except (ReconnectNeeded, RetryLater, Held) as problem:
            await self.note_failure(connection, problem)
            raise ProviderUnavailable(NOT_NOW) from problem
        if made.url is None:
            raise ProviderUnavailable(NOT_NOW)  # asked for again, it turns out to be paid or closed
        if connection.state is ConnectionState.FAILING:
            await self._note(connection, lambda known, now: known.worked(now))
        now = self._clock.now()
        async with self._store.of(checkout.organisation_id) as work:
            fresh = await work.checkouts.get(checkout.id)
            if fresh.state is CheckoutState.OPENING:  # its webhook may have been quicker
                await work.checkouts.save(
                    fresh.opened(made.reference, made.url, made.expires_at or fresh.expires_at, now)
                )
                await work.commit()
        return made.url

    async def _made(self, connection: Connection, order: CheckoutOrder, key: str) -> HostedCheckout:
        payments = self._providers.payments(connection.provider)
        return await payments.create_checkout(opened(self._vault, connection), order, key=key)

    async def note_failure(self, connection: Connection, problem: Exception) -> None:
        """Only what a person has to mend: a provider that is away for a moment comes back by itself."""
        if isinstance(problem, ReconnectNeeded):
            why = str(problem) or "The provider no longer accepts the key: connect again."
            await self._note(connection, lambda known, now: known.failed(why, now))

    async def _note(self, connection: Connection, change: Callable[[Connection, datetime], Connection]) -> None:
        with suppress(StaleWrite):  # someone noted something at the same moment, which is as good
            async with self._store.of(connection.organisation_id) as work:
                await work.connections.save(change(await work.connections.get(connection.id), self._clock.now()))
                await work.commit()


def _order(invoice: Invoice, organisation: str, back: str, checkout: Checkout, customer: str | None) -> CheckoutOrder:
    metadata = {
        "patchbay_organisation": checkout.organisation_id,
        "patchbay_invoice": invoice.id,
        "patchbay_checkout": checkout.id,
    }
    if invoice.subscription_id is not None:
        metadata["patchbay_subscription"] = invoice.subscription_id
    return CheckoutOrder(
        amount=checkout.amount,
        description=f"Invoice {invoice.number} from {organisation}",
        reference=invoice.id,
        success_url=f"{back}?returned=1",
        cancel_url=f"{back}?cancelled=1",
        expires_at=checkout.expires_at,
        customer_email=invoice.client.email,
        metadata=metadata,
        customer_name=invoice.client.name,
        customer_reference=customer,
        save_method=invoice.subscription_id is not None,
    )
