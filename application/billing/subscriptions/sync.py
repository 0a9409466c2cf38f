"""Bring a subscription in line with the provider: fetch it as it is now, under a lock, and note what is new."""

from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from application.billing.invoices import VoidInvoice
from application.billing.links import CreatePaymentLink
from application.billing.settle import Belongs, Settle
from application.billing.subscriptions.at_provider import AtProvider, OtherAccount, Reach, afresh, lock_at
from application.billing.subscriptions.in_line import in_line, tried
from application.billing.subscriptions.invoicing import SubscriptionInvoices
from application.billing.subscriptions.telling import TellOfSubscription
from application.caller import hub
from application.ports.clock import Clock
from application.ports.leases import Held, Leases
from application.ports.payments import ProviderEvent, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.recurring import Begun, ProviderSubscription, Renewal, Subscriptions
from application.ports.store import Store, Work
from domain.billing.invoices import Invoice, InvoiceState, Period
from domain.billing.payments import PaymentState
from domain.billing.plans import PlanAtProvider
from domain.billing.proration import prorate
from domain.billing.subscriptions import (
    AGREED_WITHIN,
    Planned,
    Subscription,
    SubscriptionState,
)
from domain.connections.abilities import Ability
from domain.refusals import Conflict, Invalid

_LOCK = timedelta(seconds=20)
_WAIT = timedelta(seconds=30)
_UNPAID = (InvoiceState.OPEN, InvoiceState.PARTLY_PAID, InvoiceState.OVERDUE)
_UNDER_WAY = (PaymentState.PENDING, PaymentState.UNKNOWN)
_SLACK = timedelta(days=2)
"""A provider may write a bill a little before the period that it is for."""


@attrs.frozen
class _Charged:
    """A bill's payment that is to be looked at."""

    intent_reference: str
    belongs: Belongs
    failure: str | None


@attrs.define
class SyncSubscription:
    """Called for webhooks, for a client who comes back, and by the sweep; safe at any time and in any order."""

    _store: Store
    _clock: Clock
    _leases: Leases
    _reach: Reach
    _invoices: SubscriptionInvoices
    _told: TellOfSubscription
    _settle: Settle
    _links: CreatePaymentLink
    _void: VoidInvoice

    async def __call__(
        self, organisation_id: str, connection_id: str, reference: str, event: ProviderEvent | None = None
    ) -> bool | None:
        """Whether it is one of ours; None where the provider renews none. Raises as the port does, OtherAccount, Held."""
        async with self._store.reading(organisation_id) as work:
            connection = await work.connections.get(connection_id)
        at = await self._reach(connection)
        if not isinstance(at.payments, Subscriptions):
            return None
        async with self._leases.hold(lock_at(organisation_id, connection.provider, reference), for_=_LOCK, wait=_WAIT):
            ours = await self._ours(organisation_id, connection.provider, reference)
            if ours is not None and ours.account != at.account:
                # Its account would say that there is none: that is no reason to end it.
                raise OtherAccount(f"The subscription is in another account of {at.manifest.name} than the connection.")
            try:
                theirs = await at.payments.fetch_subscription(at.access, reference)
            except ProviderRefused as refused:
                if not refused.missing or ours is None:
                    raise
                await self._gone(ours, at.manifest.name)
                await self._withdraw(ours)
                return True
            ours = ours or await self._meant(organisation_id, theirs)
            if ours is None:
                return False
            bills = await self._bills(at, ours, reference, event)
            charged = await self.changed(ours, at, theirs, bills)
        await self._settled(at, charged, event)
        await self._withdraw(ours, bills)
        return True

    async def begun(self, subscription: Subscription) -> bool:
        """Look whether the client has agreed. Returns whether they have; after a week without, it is expired."""
        if subscription.reference is None and subscription.began_reference is None:
            await self._expire(subscription)
            return False
        at = await self._reach.of(subscription)
        asked = Begun(subscription.reference, subscription.began_reference, subscription.url)
        found = await at.subscriptions.find_subscription(at.access, asked)
        if found is None:
            await self._expire(subscription)
            return False
        await self(subscription.organisation_id, at.connection.id, found.reference)
        async with self._store.reading(subscription.organisation_id) as work:
            fresh = await work.subscriptions.get(subscription.id)
        if fresh.state is SubscriptionState.INCOMPLETE:
            await self._expire(fresh)
        return fresh.state is not SubscriptionState.INCOMPLETE

    async def changed(
        self, ours: Subscription, at: AtProvider, theirs: ProviderSubscription, bills: tuple[Renewal, ...] = ()
    ) -> tuple[_Charged, ...]:
        """Note the provider's word; the caller holds the subscription's lease. A change that the client has agreed to there
        and whose difference the hub bills, gets its invoice, and the client a link to pay it by."""
        charged, difference = await afresh(lambda: self._learn(ours.id, at, theirs, bills))
        if difference is not None:
            with suppress(Conflict, Invalid):  # the invoice is there, for a person to send
                link = await self._links(hub(ours.organisation_id), invoice_id=difference.id, provider=at.connection.id)
                await afresh(lambda: self._offer(ours, link.url))
        return charged

    async def _offer(self, ours: Subscription, url: str) -> None:
        async with self._store.of(ours.organisation_id) as work:
            fresh = await work.subscriptions.get(ours.id)
            await work.subscriptions.save(attrs.evolve(fresh, url=url))
            await work.commit()

    async def _learn(
        self, id: str, at: AtProvider, theirs: ProviderSubscription, bills: tuple[Renewal, ...]
    ) -> tuple[tuple[_Charged, ...], Invoice | None]:
        now = self._clock.now()
        async with self._store.of(at.connection.organisation_id) as work:
            before = await work.subscriptions.get(id)
            if before.seen_at and theirs.updated_at and theirs.updated_at < before.seen_at:
                return (), None  # a copy at the provider's that lags behind what we know
            plan_at = await _plan_of(work, at, theirs)
            after = in_line(before, theirs, plan_at, now, hub_ends=not at.by_provider(Ability.CANCEL_AT_PERIOD_END))
            after = tried(after, bills)
            difference = await self._difference(work, before, after)
            if before.planned is not None and _is(after, before.planned):
                after = attrs.evolve(after, planned=None, url=None)
            if attrs.evolve(after, updated_at=before.updated_at) != before:
                after = await work.subscriptions.save(after)
                await self._told(work, before, after)
            plan = await work.plans.get(after.plan_id)
            charged: list[_Charged] = []
            for bill in bills:
                invoice = await self._invoices.of_bill(work, after, plan, bill)
                if invoice is None or bill.intent_reference is None:
                    continue
                failure = f"{bill.reference}:{bill.tries}" if bill.tries and not bill.paid else None
                if failure or (bill.paid and not await _booked(work, at, invoice, bill.intent_reference)):
                    belongs = Belongs(invoice.id, after.id, after.client.id)
                    charged.append(_Charged(bill.intent_reference, belongs, failure))
            await work.commit()
        return tuple(charged), difference

    async def _difference(self, work: Work, before: Subscription, after: Subscription) -> Invoice | None:
        """What a change costs for the rest of the period, where that is the hub's to bill; None for nothing, or a credit."""
        change, now = before.planned, self._clock.now()
        start, end = before.period_start, before.period_end
        if change is None or not _is(after, change) or _is(before, change) or start is None or end is None:
            return None
        if before.state is not SubscriptionState.ACTIVE or now >= end:
            return None
        cost = prorate(before.total, after.total, start=start, end=end, at=now, worth=before.total)
        if cost.due.amount <= 0:
            return None
        plans = (await work.plans.get(before.plan_id), await work.plans.get(after.plan_id))
        return await self._invoices.of_change(work, before, plans, change, cost, Period(now, end))

    async def _settled(self, at: AtProvider, charged: tuple[_Charged, ...], event: ProviderEvent | None) -> None:
        """Look at the payments of bills, and at the one that the webhook is about."""
        where = (at.connection.organisation_id, at.connection.id)
        for one in charged:
            await self._settle.intent(*where, one.intent_reference, failure=one.failure, belongs=one.belongs)
        about = event.intent_reference if event is not None else None
        if about is not None and about not in {one.intent_reference for one in charged}:
            await self._settle.intent(*where, about)

    async def closed(self, ours: Subscription, at: AtProvider) -> None:
        """The hub has just ended it: what the provider still has of its bills is learned first, and what is unpaid withdrawn.
        The caller holds its lease. A provider that cannot be asked now sends a webhook, which does the same."""
        with suppress(Held, ProviderRefused, ReconnectNeeded, RetryLater):
            reference = ours.reference or ""
            theirs = await at.subscriptions.fetch_subscription(at.access, reference)
            bills = await self._bills(at, ours, reference)
            await self._settled(at, await self.changed(ours, at, theirs, bills), None)
            await self._withdraw(ours, bills)

    async def _bills(
        self, at: AtProvider, ours: Subscription, reference: str, event: ProviderEvent | None = None
    ) -> tuple[Renewal, ...]:
        """Those that may bring something new; all of them where the webhook is about a charge of an earlier one."""
        bills = await at.subscriptions.renewals_of(at.access, reference, await self._since(ours))
        about = event.intent_reference if event is not None else None
        if about is None or about in {one.intent_reference for one in bills}:
            return bills
        async with self._store.reading(ours.organisation_id) as work:
            known = await work.payments.all(provider=ours.provider, reference=about)
        return bills if known else await at.subscriptions.renewals_of(at.access, reference)

    async def _withdraw(self, known: Subscription, bills: tuple[Renewal, ...] = ()) -> None:
        """Nobody is to pay the bills of a subscription that has ended, and the provider asks for them no more. One of which
        the provider says that it is paid, or a payment of which is under way, stays until that is known."""
        paid = {_source(known, one) for one in bills if one.paid}
        async with self._store.reading(known.organisation_id) as work:
            if not (await work.subscriptions.get(known.id)).over:
                return
            unpaid = await work.invoices.all(subscription_id=known.id, state=_UNPAID)
            left = [one.id for one in unpaid if one.billed_by(known.provider) and one.source not in paid]
            begun = await work.payments.all(invoice_id=tuple(left)) if left else ()
        under_way = {one.invoice_id for one in begun if one.state in _UNDER_WAY}
        for id_ in left:
            if id_ not in under_way:
                await self._withdraw_one(known.organisation_id, id_)

    async def _withdraw_one(self, organisation_id: str, invoice_id: str) -> None:
        with suppress(Conflict):  # a part of it was paid: a person settles that
            await afresh(lambda: self._void(hub(organisation_id), invoice_id))

    async def _ours(self, organisation_id: str, provider: str, reference: str) -> Subscription | None:
        async with self._store.reading(organisation_id) as work:
            found = await work.subscriptions.all(provider=provider, reference=reference)
        return found[0] if found else None

    async def _meant(self, organisation_id: str, theirs: ProviderSubscription) -> Subscription | None:
        """The one that was asked for, before its reference was known; None when it is not ours."""
        if theirs.metadata.get("patchbay_organisation") != organisation_id:
            return None
        async with self._store.reading(organisation_id) as work:
            return await work.subscriptions.find(theirs.metadata.get("patchbay_subscription", ""))

    async def _since(self, ours: Subscription) -> datetime:
        """From the oldest bill that is not paid yet, as far as we know."""
        async with self._store.reading(ours.organisation_id) as work:
            waiting = await work.invoices.all(subscription_id=ours.id, state=_UNPAID)
        starts = [one.period.start for one in waiting if one.period is not None]
        return min([ours.period_start or ours.created_at, *starts]) - _SLACK

    async def _gone(self, ours: Subscription, name: str) -> None:
        await self._end(ours.id, ours.organisation_id, f"It was deleted at {name}.")

    async def _expire(self, subscription: Subscription) -> None:
        if subscription.created_at + AGREED_WITHIN <= self._clock.now():
            await self._end(subscription.id, subscription.organisation_id, "Nobody agreed to it within a week.")

    async def _end(self, id: str, organisation_id: str, reason: str) -> None:
        async with self._store.of(organisation_id) as work:
            before = await work.subscriptions.get(id)
            after = before.ended(reason, self._clock.now())
            if after is not before:
                after = await work.subscriptions.save(after)
                await self._told(work, before, after)
                await work.commit()


def _source(one: Subscription, bill: Renewal) -> str:
    """By which the invoice of a bill is known."""
    return f"{one.provider}:{bill.reference}"


async def _booked(work: Work, at: AtProvider, invoice: Invoice, reference: str) -> bool:
    """Whether it is known that this charge paid the invoice, or came for it when it was paid already."""
    known = await work.payments.all(provider=at.connection.provider, reference=reference)
    return any(one.captured and one.invoice_id == invoice.id for one in known)


def _is(one: Subscription, change: Planned) -> bool:
    """Whether it has the plan and quantity of a change."""
    return (one.plan_id, one.quantity) == (change.plan_id, change.quantity)


async def _plan_of(work: Work, at: AtProvider, theirs: ProviderSubscription) -> PlanAtProvider | None:
    """None for a plan that was made at the provider itself: ours stays what it was."""
    if theirs.plan_reference is None:
        return None
    found = await work.plans_at_providers.all(
        provider=at.connection.provider, account=at.account, reference=theirs.plan_reference
    )
    return found[0] if found else None
