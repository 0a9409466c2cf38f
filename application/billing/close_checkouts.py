"""Close hosted pages at the provider that nobody should pay on any more."""

from contextlib import suppress

import attrs

from application.connections.access import opened
from application.ports.clock import Clock
from application.ports.payments import CheckoutState as ProviderState
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store
from application.ports.vault import Vault
from domain.billing.links import Checkout, CheckoutState
from domain.connections.connection import Connection, ConnectionState

STATES = {
    ProviderState.OPEN: CheckoutState.OPEN,
    ProviderState.COMPLETE: CheckoutState.COMPLETE,
    ProviderState.EXPIRED: CheckoutState.EXPIRED,
    # A word we do not know is no reason to take the page from its payer.
    ProviderState.UNKNOWN: CheckoutState.OPEN,
}
"""Our word for what a provider says of a hosted page."""


@attrs.define
class CloseCheckouts:
    """Expires the open pages of a link or of an invoice, except `keep`."""

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
    ) -> int:
        """Returns how many were closed. Goes on where one cannot be closed, and then raises what the provider's port
        raised first; doing it again is safe."""
        which = {"link_id": link_id} if link_id else {"invoice_id": invoice_id}
        async with self._store.reading(organisation_id) as work:
            checkouts = await work.checkouts.all(**which, state=CheckoutState.OPEN)
            connections = {c.id: c for c in await work.connections.all()}
        closed = 0
        problem: Exception | None = None
        for checkout in checkouts:
            connection = connections.get(checkout.connection_id)
            if checkout.id == keep or checkout.reference is None or connection is None:
                continue
            if connection.state is ConnectionState.DISCONNECTED:
                continue
            try:
                state = await self._expire(connection, checkout.reference)
            except (ReconnectNeeded, ProviderRefused, RetryLater) as error:
                problem = problem or error
                continue
            await self._save(checkout, state)
            closed += state is CheckoutState.EXPIRED
        if problem is not None:
            raise problem
        return closed

    async def soon(self, organisation_id: str, *, link_id: str | None = None, invoice_id: str | None = None) -> None:
        """Close them now if the provider lets us; what stays open is closed by the scheduler's job (ExpireLinks)."""
        with suppress(ReconnectNeeded, ProviderRefused, RetryLater, StaleWrite):
            await self(organisation_id, link_id=link_id, invoice_id=invoice_id)

    async def _expire(self, connection: Connection, reference: str) -> CheckoutState:
        payments = self._providers.payments(connection.provider)
        try:
            return STATES[(await payments.expire_checkout(opened(self._vault, connection), reference)).state]
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return CheckoutState.EXPIRED

    async def _save(self, checkout: Checkout, state: CheckoutState) -> None:
        async with self._store.of(checkout.organisation_id) as work:
            fresh = await work.checkouts.get(checkout.id)
            moved = fresh.moved(state, self._clock.now())
            if moved is not fresh:
                await work.checkouts.save(moved)
                await work.commit()
