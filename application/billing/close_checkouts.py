"""Close what nobody should pay on any more at the provider: hosted pages, and payments that were started and not made."""

from contextlib import suppress

import attrs

from application.connections.access import opened
from application.ports.clock import Clock
from application.ports.payments import CheckoutState as ProviderState
from application.ports.payments import IntentState, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store
from application.ports.vault import Vault
from domain.billing.links import Checkout, CheckoutState
from domain.billing.payments import Fact, FactKind, Payment
from domain.connections.connection import Connection, ConnectionState

STATES = {
    ProviderState.OPEN: CheckoutState.OPEN,
    ProviderState.APPROVED: CheckoutState.OPEN,
    ProviderState.COMPLETE: CheckoutState.COMPLETE,
    ProviderState.EXPIRED: CheckoutState.EXPIRED,
    # A word we do not know is no reason to take the page from its payer.
    ProviderState.UNKNOWN: CheckoutState.OPEN,
}
"""Our word for what a provider says of a hosted page."""


@attrs.define
class CloseCheckouts:
    """Expires the open pages of a link or of an invoice, except `keep`; for an invoice also cancels started payments."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _providers: Providers

    async def __call__(
        self,
        organisation_id: str,
        *,
        link_id: str | None = None,
        invoice_id: str | None = None,
        keep: str | None = None,
        connection_id: str | None = None,
    ) -> int:
        """`connection_id`: only pages opened through it. Returns how many were closed; one that was paid meanwhile stays open
        here until its payment is learned. Goes on where one cannot be closed, and then raises what the provider's port raised
        first; doing it again is safe."""
        which = {"link_id": link_id} if link_id else {"invoice_id": invoice_id}
        async with self._store.reading(organisation_id) as work:
            checkouts = await work.checkouts.all(**which, state=CheckoutState.OPEN)
            connections = {c.id: c for c in await work.connections.all()}
            started = await work.payments.all(invoice_id=invoice_id) if invoice_id else ()
        closed = 0
        problem: Exception | None = None
        for checkout in checkouts:
            connection = connections.get(checkout.connection_id)
            if checkout.id == keep or checkout.reference is None or connection is None:
                continue
            if connection_id not in (None, connection.id):
                continue
            if connection.state is ConnectionState.DISCONNECTED:
                continue
            try:
                state = await self._expire(connection, checkout.reference, checkout.url)
            except (ReconnectNeeded, ProviderRefused, RetryLater) as error:
                problem = problem or error
                continue
            if state is not CheckoutState.COMPLETE:  # who learns its payment notes that, and until then it is asked for
                await self._save(checkout, state)
            closed += state is CheckoutState.EXPIRED
        for payment in started:
            connection = connections.get(payment.connection_id)
            if not payment.payable or connection is None or connection.state is ConnectionState.DISCONNECTED:
                continue
            try:
                closed += await self._cancel(connection, payment)
            except (ReconnectNeeded, RetryLater) as error:
                problem = problem or error
            except ProviderRefused:
                continue  # it belongs to a hosted page, which was closed above
        if problem is not None:
            raise problem
        return closed

    async def soon(self, organisation_id: str, *, link_id: str | None = None, invoice_id: str | None = None) -> None:
        """Close them now if the provider lets us; what stays open is closed by the scheduler's job (ExpireLinks)."""
        with suppress(ReconnectNeeded, ProviderRefused, RetryLater, StaleWrite):
            await self(organisation_id, link_id=link_id, invoice_id=invoice_id)

    async def _expire(self, connection: Connection, reference: str, url: str | None) -> CheckoutState:
        payments = self._providers.payments(connection.provider)
        access = opened(self._vault, connection)
        try:
            told = (await payments.expire_checkout(access, reference, url=url)).state
            # What its payer has agreed to is not taken: the hub captures no page that it closed.
            return CheckoutState.EXPIRED if told is ProviderState.APPROVED else STATES[told]
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return CheckoutState.EXPIRED

    async def _cancel(self, connection: Connection, payment: Payment) -> bool:
        payments = self._providers.payments(connection.provider)
        intent = await payments.cancel_intent(opened(self._vault, connection), payment.reference)
        if intent.state is not IntentState.CANCELED:
            return False  # it was made meanwhile; its webhook tells
        now = self._clock.now()
        async with self._store.of(payment.organisation_id) as work:
            fresh = await work.payments.get(payment.id)
            fact = Fact(FactKind.CANCELED, payment.reference, payment.asked.amount, now)
            canceled, new = fresh.learn(fact, now=now)
            if new:
                await work.payments.save(canceled)
                await work.commit()
        return True

    async def _save(self, checkout: Checkout, state: CheckoutState) -> None:
        async with self._store.of(checkout.organisation_id) as work:
            fresh = await work.checkouts.get(checkout.id)
            moved = fresh.moved(state, self._clock.now())
            if moved is not fresh:
                await work.checkouts.save(moved)
                await work.commit()
