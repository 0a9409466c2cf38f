"""A client is back from where they agreed: ask the provider at once instead of waiting for its webhook."""

from contextlib import suppress

import attrs

from application.billing.subscriptions.sync import SyncSubscription
from application.connections.connect import ProviderUnavailable
from application.ports.leases import Held
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.store import Store
from domain.billing.plans import Plan
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState
from domain.refusals import Conflict


@attrs.frozen
class Returned:
    """What the client sees."""

    subscription: Subscription
    plan: Plan
    organisation: str


@attrs.define
class ReturnFromAgreement:
    """Its address has the ids of organisation and subscription, which nobody guesses; it shows no more than the plan's name."""

    _store: Store
    _sync: SyncSubscription

    async def __call__(self, organisation_id: str, subscription_id: str) -> Returned:
        """Raises NotFound. A provider that cannot be asked now is no error: its webhook will come."""
        seen = await self._look(organisation_id, subscription_id)
        one = seen.subscription
        if one.state is not SubscriptionState.INCOMPLETE or one.renewed_by is RenewedBy.HUB:
            return seen
        with suppress(Held, Conflict, ProviderUnavailable, ReconnectNeeded, ProviderRefused, RetryLater):
            await self._sync.begun(one)
        return await self._look(organisation_id, subscription_id)

    async def _look(self, organisation_id: str, subscription_id: str) -> Returned:
        async with self._store.reading(organisation_id) as work:
            subscription = await work.subscriptions.get(subscription_id)
            plan = await work.plans.get(subscription.plan_id)
            organisation = await work.organisation.get(organisation_id)
        return Returned(subscription, plan, organisation.name)
