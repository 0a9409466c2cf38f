"""Leave an account at a provider: what payers could still pay there is closed while its key is at hand."""

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.billing.settle import Settle
from application.ports.clock import Clock
from application.ports.leases import Held
from application.ports.payments import Account, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store, Work
from domain.billing.links import CheckoutState
from domain.billing.subscriptions import SubscriptionState
from domain.connections.connection import Connection
from domain.refusals import Conflict

_AWAY = (ReconnectNeeded, ProviderRefused, RetryLater, Held, StaleWrite)


@attrs.define
class LeaveAccount:
    """Before a connection's key leads to another account, or from test to live: the hosted pages of the former account are
    closed, and what was paid on them meanwhile is learned. Nobody would hear of money that came there afterwards."""

    _store: Store
    _clock: Clock
    _providers: Providers
    _close: CloseCheckouts
    _settle: Settle

    async def __call__(self, connection: Connection, account: Account) -> None:
        """`connection`: still with the former key. `account`: the new one. Raises Conflict, naming both accounts, when a page
        cannot be closed or somebody may still agree to a subscription there."""
        organisation_id = connection.organisation_id
        async with self._store.reading(organisation_id) as work:
            await self._nobody_agrees(work, connection, account)
            pages = await work.checkouts.all(connection_id=connection.id, state=CheckoutState.OPEN)
        try:
            for link_id in sorted({page.link_id for page in pages}):
                await self._close(organisation_id, link_id=link_id, connection_id=connection.id)
            async with self._store.reading(organisation_id) as work:
                paid = await work.checkouts.all(connection_id=connection.id, state=CheckoutState.OPEN)
            for page in paid:  # their payer was quicker
                if page.reference is not None:
                    await self._settle.checkout(organisation_id, connection.id, page.reference)
        except _AWAY as problem:
            raise Conflict(
                f"{self._leads(connection, account)} There are open payment pages in the former account, and they cannot be"
                " closed now: money paid on them would not be seen. Try again later; where the former key no longer works,"
                " disconnect and connect anew."
            ) from problem

    async def check(self, work: Work, connection: Connection, account: Account) -> None:
        """In the unit of work that changes the key: nothing was opened meanwhile. Raises Conflict."""
        await self._nobody_agrees(work, connection, account)
        now = self._clock.now()
        opened = await work.checkouts.all(
            connection_id=connection.id, state=(CheckoutState.OPENING, CheckoutState.OPEN)
        )
        if any(page.state is CheckoutState.OPEN or page.resumable(page.amount, now) for page in opened):
            raise Conflict(
                f"{self._leads(connection, account)} Somebody is opening a payment page in the former account at this"
                " moment. Try again in a few minutes."
            )

    async def _nobody_agrees(self, work: Work, connection: Connection, account: Account) -> None:
        waiting = await work.subscriptions.all(connection_id=connection.id, state=SubscriptionState.INCOMPLETE)
        if any(one.url is not None or one.reference is not None for one in waiting):
            raise Conflict(
                f"{self._leads(connection, account)} Clients may still agree to {len(waiting)} of the former account's"
                " subscriptions: cancel those that are incomplete first."
            )

    def _leads(self, connection: Connection, account: Account) -> str:
        name = self._providers.manifest(connection.provider).name
        return f"The key leads to another account of {name} ({account.reference}) than before ({connection.account_reference})."
