"""The jobs of subscriptions: renewals and ends that are due, trials about to end, and webhooks that never came."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from application.billing.subscriptions.at_provider import Reach, lock_of
from application.billing.subscriptions.cancel import CancelSubscription
from application.billing.subscriptions.renew import RenewSubscription
from application.billing.subscriptions.sync import SyncSubscription
from application.billing.subscriptions.telling import TellOfSubscription
from application.ports.clock import Clock
from application.ports.leases import Held, Leases
from application.ports.store import MAX_PAGE, Slice, Store
from application.upkeep.jobs import Job, Troubles
from domain.billing.subscriptions import OVER, TRIAL_NOTICE, RenewedBy, Subscription, SubscriptionState
from domain.connections.abilities import Ability

_EARLY = timedelta(hours=2)
"""So long before the next charge the hub ends a subscription at a provider that cannot end it by itself."""

_LATE = timedelta(hours=1)
"""A provider may take so long after a period's end to renew."""

_LIVE = tuple(state for state in SubscriptionState if state not in OVER)


async def _live(store: Store, organisation_id: str, renewed_by: RenewedBy) -> AsyncIterator[Subscription]:
    """Every subscription that is not over, oldest first."""
    after: str | None = None
    while True:
        async with store.reading(organisation_id) as work:
            page = await work.subscriptions.page(
                Slice(MAX_PAGE, after, newest_first=False), renewed_by=renewed_by, state=_LIVE
            )
        for one in page.items:
            yield one
        if page.next is None:
            return
        after = page.next


@attrs.define
class Renewals(Job):
    """What the hub renews or ends, when it is due. Twice, or late, is the same as once."""

    _store: Store
    _clock: Clock
    _leases: Leases
    _reach: Reach
    _renew: RenewSubscription
    _cancel: CancelSubscription
    _told: TellOfSubscription
    name = "renewals"
    every = timedelta(minutes=10)
    what = "Charges subscriptions that the hub renews, carries out their ends, and tells of trials about to end."

    async def __call__(self) -> Mapping[str, int]:
        counts = {"renewed": 0, "failed": 0, "ended": 0, "expired": 0, "trials_ending": 0}
        troubles = Troubles()
        for organisation in await self._store.organisations():
            with troubles.aside():
                async for one in _live(self._store, organisation.id, RenewedBy.HUB):
                    with troubles.aside(), suppress(Held):
                        counts["trials_ending"] += await self._trial_ending(one)
                        done = await self._renew(organisation.id, one.id) if one.due(self._clock.now()) else None
                        if done is not None:
                            counts[done] += 1
                async for one in _live(self._store, organisation.id, RenewedBy.PROVIDER):
                    with troubles.aside(), suppress(Held):
                        counts["trials_ending"] += await self._trial_ending(one)
                        counts["ended"] += await self._end(one)
        troubles.tell()
        return counts

    async def _trial_ending(self, known: Subscription) -> bool:
        now = self._clock.now()
        if not _trial_ends(known, now):
            return False
        async with self._store.of(known.organisation_id) as work:
            fresh = await work.subscriptions.get(known.id)
            if not _trial_ends(fresh, now):
                return False
            fresh = await work.subscriptions.save(attrs.evolve(fresh, trial_told=True))
            await self._told.of(work, "subscription.trial_ending", fresh)
            await work.commit()
        return True

    async def _end(self, known: Subscription) -> bool:
        """An end at the period's end that the provider does not carry out by itself."""
        now = self._clock.now()
        due = known.cancel_at_period_end and known.period_end is not None and known.period_end - _EARLY <= now
        if not due or known.reference is None:
            return False
        at = await self._reach.of(known)
        if at.by_provider(Ability.CANCEL_AT_PERIOD_END):
            return False
        async with self._leases.hold(lock_of(known), for_=timedelta(minutes=2)):
            async with self._store.reading(known.organisation_id) as work:
                known = await work.subscriptions.get(known.id)
            if not known.cancel_at_period_end or known.over:
                return False
            await self._cancel.at_provider(at, known, at_period_end=False, reason=known.reason)
        return True


def _trial_ends(one: Subscription, now: datetime) -> bool:
    ends = one.trial_ends_at
    trial = one.state is SubscriptionState.TRIALING and not one.trial_told and not one.cancel_at_period_end
    return trial and ends is not None and ends - TRIAL_NOTICE <= now < ends


@attrs.define
class SweepSubscriptions(Job):
    """Asks the provider about subscriptions of which something should have been heard."""

    _store: Store
    _clock: Clock
    _reach: Reach
    _sync: SyncSubscription
    name = "subscription-sweep"
    every = timedelta(hours=6)
    what = (
        "Asks providers about subscriptions whose period is over, or that nobody agreed to yet: a webhook may be lost."
    )

    async def __call__(self) -> Mapping[str, int]:
        asked = 0
        troubles = Troubles()
        for organisation in await self._store.organisations():
            with troubles.aside():
                async for one in _live(self._store, organisation.id, RenewedBy.PROVIDER):
                    with troubles.aside(), suppress(Held):
                        asked += await self._ask(one)
        troubles.tell()
        return {"asked": asked}

    async def _ask(self, one: Subscription) -> bool:
        if one.state is SubscriptionState.INCOMPLETE:
            await self._sync.begun(one)
            return True
        late = one.period_end is None or one.period_end + _LATE <= self._clock.now()
        if one.reference is None or not (late or one.state in (SubscriptionState.PAST_DUE, SubscriptionState.UNKNOWN)):
            return False
        at = await self._reach.of(one)
        await self._sync(one.organisation_id, at.connection.id, one.reference)
        return True
