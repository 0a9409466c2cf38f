"""Charge nothing for a while, and go on."""

from datetime import timedelta

import attrs

from application.billing.subscriptions.at_provider import AtProvider, Reach, afresh, asking, lock_of
from application.billing.subscriptions.current import chosen
from application.billing.subscriptions.sync import SyncSubscription
from application.billing.subscriptions.telling import TellOfSubscription
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.leases import Leases
from application.ports.recurring import ProviderSubscription
from application.ports.store import Store
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState
from domain.connections.abilities import Ability

_LOCK = timedelta(minutes=2)
_WAIT = timedelta(seconds=10)


@attrs.define
class PauseSubscription:
    """A paused subscription gives no access and is not charged; `unpause` lets it go on."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _leases: Leases
    _reach: Reach
    _sync: SyncSubscription
    _told: TellOfSubscription

    async def __call__(
        self,
        caller: Caller,
        *,
        subscription_id: str | None = None,
        client_id: str | None = None,
        reason: str = "",
        once: Once | None = None,
    ) -> Subscription:
        """Raises NotFound, Invalid, Conflict, NotOffered, ProviderUnavailable, Held."""
        return await self._switch(caller, subscription_id, client_id, reason, False, once)

    async def unpause(
        self,
        caller: Caller,
        *,
        subscription_id: str | None = None,
        client_id: str | None = None,
        reason: str = "",
        once: Once | None = None,
    ) -> Subscription:
        """Let a paused one go on. Raises as pausing does."""
        return await self._switch(caller, subscription_id, client_id, reason, True, once)

    async def _switch(
        self,
        caller: Caller,
        subscription_id: str | None,
        client_id: str | None,
        reason: str,
        on: bool,
        once: Once | None,
    ) -> Subscription:
        why = reason.strip()[:128] or ("It goes on." if on else "It was paused.")
        async with self._store.reading(caller.organisation_id) as work:
            known = await chosen(work, subscription_id, client_id, ended=True)
        async with self._leases.hold(lock_of(known), for_=_LOCK, wait=_WAIT):
            async with self._store.reading(caller.organisation_id) as work:
                known = await work.subscriptions.get(known.id)
            if known.renewed_by is RenewedBy.HUB:
                await afresh(lambda: self._note(known, on))
            else:
                _require(known, on)
                at = await self._reach.of(known)
                at.who(Ability.PAUSE)
                theirs = await self._ask(at, known, on, why)
                await self._sync.changed(known, at, theirs)
        async with self._store.of(caller.organisation_id) as work:
            switched = await work.subscriptions.get(known.id)
            action = "subscription.unpaused" if on else "subscription.paused"
            await self._tell.note(work, caller, action, switched.id)
            await remember(work, once, switched, self._clock.now())
            await work.commit()
        return switched

    async def _ask(self, at: AtProvider, known: Subscription, on: bool, why: str) -> ProviderSubscription:
        call = at.subscriptions.unpause_subscription if on else at.subscriptions.pause_subscription
        word = "unpause" if on else "pause"
        with asking(at.manifest.name, "the subscription"):
            return await call(at.access, known.reference or "", reason=why, key=f"{known.id}:{word}:{known.version}")

    async def _note(self, known: Subscription, on: bool) -> None:
        now = self._clock.now()
        async with self._store.of(known.organisation_id) as work:
            before = await work.subscriptions.get(known.id)
            after = await work.subscriptions.save(before.unpaused(now) if on else before.paused(now))
            await self._told(work, before, after)
            await work.commit()


def _require(known: Subscription, on: bool) -> None:
    if on:
        known.require(SubscriptionState.PAUSED, to="taken up again")
    else:
        known.require(SubscriptionState.TRIALING, SubscriptionState.ACTIVE, to="paused")
