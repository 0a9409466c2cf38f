"""End a subscription, now or when what was paid for is used up; and take an end back that was set for later."""

from datetime import timedelta

import attrs

from application.billing.invoices import VoidInvoice
from application.billing.subscriptions.at_provider import AtProvider, Reach, afresh, asking, lock_of
from application.billing.subscriptions.current import chosen
from application.billing.subscriptions.sync import SyncSubscription
from application.billing.subscriptions.telling import TellOfSubscription
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.leases import Leases
from application.ports.payments import CheckoutState
from application.ports.store import Store
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState
from domain.connections.abilities import Ability, By
from domain.refusals import Conflict

_LOCK = timedelta(minutes=2)
_WAIT = timedelta(seconds=10)


@attrs.define
class CancelSubscription:
    """Nothing is paid back by it; a refund is a decision of its own."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _leases: Leases
    _reach: Reach
    _sync: SyncSubscription
    _void: VoidInvoice
    _told: TellOfSubscription

    async def __call__(
        self,
        caller: Caller,
        *,
        subscription_id: str | None = None,
        client_id: str | None = None,
        at_period_end: bool = False,
        reason: str = "",
        once: Once | None = None,
    ) -> Subscription:
        """One that is over is returned as it is. Raises NotFound, Invalid, Conflict, NotOffered, ProviderUnavailable, Held."""
        async with self._store.reading(caller.organisation_id) as work:
            known = await chosen(work, subscription_id, client_id, ended=True)
        why = reason.strip()[:500] or "It was canceled."
        async with self._leases.hold(lock_of(known), for_=_LOCK, wait=_WAIT):
            async with self._store.reading(caller.organisation_id) as work:
                known = await work.subscriptions.get(known.id)
            if not known.over:
                await self._cancel(caller, known, at_period_end, why)
        async with self._store.of(caller.organisation_id) as work:
            ended = await work.subscriptions.get(known.id)
            await self._tell.note(work, caller, "subscription.canceled", ended.id, at_period_end=at_period_end)
            await remember(work, once, ended, self._clock.now())
            await work.commit()
        return ended

    async def _cancel(self, caller: Caller, known: Subscription, at_period_end: bool, why: str) -> None:
        agreed = known.state is not SubscriptionState.INCOMPLETE
        if at_period_end and not agreed:
            raise Conflict("Nobody has agreed to the subscription yet: it has no period that could end. Cancel it now.")
        if known.renewed_by is RenewedBy.HUB:
            await afresh(lambda: self._note(known, at_period_end, why))
            for invoice_id in () if at_period_end else _unpaid(known):
                await self.withdraw(caller, invoice_id)
            return
        if known.reference is None:
            if known.began_reference is not None:
                await self._close_page(known, known.began_reference)
            await afresh(lambda: self._note(known, False, why))
            return
        at = await self._reach.of(known)
        if at_period_end and at.who(Ability.CANCEL_AT_PERIOD_END, field="at_period_end") is By.HUB:
            await afresh(lambda: self._note(known, True, why))
            return
        try:
            await self.at_provider(at, known, at_period_end=at_period_end, reason=why)
        except Conflict as refused:
            if agreed:
                raise
            name = at.manifest.name
            raise Conflict(
                f"Nobody has agreed to it yet, and {name} cancels nothing before that: it expires by itself within a week."
                " Tell the client not to use its address, and cancel it if they do."
            ) from refused

    async def _close_page(self, known: Subscription, page: str) -> None:
        """Nobody can agree on it any more. Raises Conflict when somebody just has: it is looked at, and canceled then."""
        at = await self._reach.of(known)
        with asking(at.manifest.name, "the page"):
            closed = await at.payments.expire_checkout(at.access, page, url=known.url)
        if closed.state is CheckoutState.COMPLETE:
            raise Conflict("The client has just agreed to it. Try again in a moment.")

    async def at_provider(self, at: AtProvider, known: Subscription, *, at_period_end: bool, reason: str) -> None:
        """Ask the provider to end it; the caller holds the lease. Raises Conflict, ProviderUnavailable."""
        when = "end" if at_period_end else "now"
        with asking(at.manifest.name, "the subscription"):
            theirs = await at.subscriptions.cancel_subscription(
                at.access,
                known.reference or "",
                at_period_end=at_period_end,
                reason=reason,
                key=f"{known.id}:cancel-{when}:{known.version}",
            )

        async def note() -> None:
            async with self._store.of(known.organisation_id) as work:
                fresh = await work.subscriptions.get(known.id)
                await work.subscriptions.save(attrs.evolve(fresh, reason=reason))
                await work.commit()

        await afresh(note)
        await self._sync.changed(known, at, theirs)
        if not at_period_end:
            await self._sync.closed(known, at)

    async def _note(self, known: Subscription, at_period_end: bool, why: str) -> None:
        now = self._clock.now()
        async with self._store.of(known.organisation_id) as work:
            before = await work.subscriptions.get(known.id)
            after = before.ending(why, now) if at_period_end else before.ended(why, now)
            after = await work.subscriptions.save(after)
            await self._told(work, before, after)
            await work.commit()

    async def withdraw(self, caller: Caller, invoice_id: str) -> None:
        """Nobody is to pay for what is not given any more; what was paid in part stays, for a person to settle."""
        try:
            await self._void(caller, invoice_id)
        except Conflict:
            return


@attrs.define
class ResumeSubscription:
    """Take back an end that was set for later."""

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
        once: Once | None = None,
    ) -> Subscription:
        """Raises NotFound, Invalid, Conflict when no end is set or it is over, NotOffered, ProviderUnavailable, Held."""
        async with self._store.reading(caller.organisation_id) as work:
            known = await chosen(work, subscription_id, client_id, ended=True)
        async with self._leases.hold(lock_of(known), for_=_LOCK, wait=_WAIT):
            async with self._store.reading(caller.organisation_id) as work:
                known = await work.subscriptions.get(known.id)
            known.kept(self._clock.now())  # raises Conflict before anybody is asked
            at = await self._reach.of(known) if known.renewed_by is RenewedBy.PROVIDER else None
            if at is not None and at.who(Ability.RESUME) is By.PROVIDER:
                with asking(at.manifest.name, "the subscription"):
                    theirs = await at.subscriptions.keep_subscription(
                        at.access, known.reference or "", key=f"{known.id}:keep:{known.version}"
                    )
                await self._sync.changed(known, at, theirs)
            else:
                await afresh(lambda: self._note(known))
        async with self._store.of(caller.organisation_id) as work:
            kept = await work.subscriptions.get(known.id)
            await self._tell.note(work, caller, "subscription.resumed", kept.id)
            await remember(work, once, kept, self._clock.now())
            await work.commit()
        return kept

    async def _note(self, known: Subscription) -> None:
        async with self._store.of(known.organisation_id) as work:
            before = await work.subscriptions.get(known.id)
            after = await work.subscriptions.save(before.kept(self._clock.now()))
            await self._told(work, before, after)
            await work.commit()


def _unpaid(subscription: Subscription) -> tuple[str, ...]:
    """The invoices that wait: of the period, and of a change."""
    change = subscription.planned.invoice_id if subscription.planned is not None else None
    return tuple(one for one in (subscription.invoice_id, change) if one is not None)
