"""Renew one subscription whose provider renews none: the next period's invoice, its charge, and what follows from both."""

import hashlib
import re
from datetime import timedelta

import attrs

from application.billing.charge import ChargeOffSession, MethodToCharge
from application.billing.links import CreatePaymentLink
from application.billing.methods import Chargeable, ClientMethods
from application.billing.opening import settings_of
from application.billing.subscriptions.at_provider import Reach, lock_of, usable_credit
from application.billing.subscriptions.cancel import CancelSubscription
from application.billing.subscriptions.invoicing import SubscriptionInvoices
from application.billing.subscriptions.paid import NoteSubscriptionPaid
from application.billing.subscriptions.telling import TellOfSubscription
from application.caller import hub
from application.connections.connect import ProviderUnavailable
from application.ports.clock import Clock
from application.ports.leases import Leases
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.store import Store
from domain.billing.invoices import Invoice, InvoiceState, Period
from domain.billing.payments import Payment, PaymentState
from domain.billing.periods import next_end
from domain.billing.subscriptions import AGREED_WITHIN, RenewedBy, Subscription, SubscriptionState
from domain.refusals import Conflict, Invalid

_LOCK = timedelta(minutes=2)
_AWAY = timedelta(hours=1)
"""When a provider that could not be asked is asked again: the client has not been refused."""

_RENEWED = (SubscriptionState.TRIALING, SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE)
_OPEN = (InvoiceState.OPEN, InvoiceState.PARTLY_PAID, InvoiceState.OVERDUE)

_FOR_GOOD = re.compile(
    r"(lost|stolen|pick[ _-]?up|restricted)[ _-]?card|card (was |is |has been )?(reported )?(as )?(lost|stolen)"
    r"|revocation[ _]of|authorization (was )?revoked",
    re.IGNORECASE,
)
"""Refusals of a card that will never be charged again (card networks' codes 41, 43, 04, R0, R1, 62), in providers' words."""


@attrs.define
class RenewSubscription:
    """Each step is written down before the next, so that it can be cut off anywhere and called again."""

    _store: Store
    _clock: Clock
    _leases: Leases
    _reach: Reach
    _invoices: SubscriptionInvoices
    _methods: ClientMethods
    _charge: ChargeOffSession
    _links: CreatePaymentLink
    _paid: NoteSubscriptionPaid
    _cancel: CancelSubscription
    _told: TellOfSubscription

    async def __call__(self, organisation_id: str, id: str) -> str | None:
        """What was done, in a word, for counting; None when nothing is due. Raises Held while it is changed, and what keeps
        the provider from being reached (Conflict, ProviderUnavailable)."""
        async with self._store.reading(organisation_id) as work:
            known = await work.subscriptions.get(id)
        if known.renewed_by is not RenewedBy.HUB:
            return None
        async with self._leases.hold(lock_of(known), for_=_LOCK):
            await self._catch_up(organisation_id, id)
            known = await self._fresh(organisation_id, id)
            now = self._clock.now()
            if known.state is SubscriptionState.INCOMPLETE:
                return await self._expire(known)
            if known.state not in _RENEWED:
                return None
            if known.planned is not None and known.planned.invoice_id is not None:
                known = await self._change_waits(known)
                if known.planned is not None:
                    return None  # what is paid for, and at which price, is not known before that is
            if known.invoice_id is None:
                if known.period_end is None or known.period_end > now:
                    return None
                if known.cancel_at_period_end:
                    await self._end(known, known.reason)
                    return "ended"
                known = await self._next_period(known)
                if known.invoice_id is None:
                    return "renewed"
            return await self._collect(known)

    # Before anything is charged.

    async def _catch_up(self, organisation_id: str, id: str) -> None:
        """An invoice that was paid while we were cut off."""
        async with self._store.of(organisation_id) as work:
            known = await work.subscriptions.get(id)
            for invoice_id in _waiting(known):
                await self._paid(work, await work.invoices.get(invoice_id))
            await work.commit()

    async def _expire(self, known: Subscription) -> str | None:
        if known.created_at + AGREED_WITHIN > self._clock.now() or await self._in_flight(known, known.invoice_id):
            return None
        await self._end(known, "The first period was not paid within a week.")
        return "expired"

    async def _change_waits(self, known: Subscription) -> Subscription:
        """A change whose difference is not paid is dropped when its charge failed, after a week, or when the period ends;
        one whose charge may have happened stays, and nothing is renewed before that is known."""
        assert known.planned is not None
        invoice_id = known.planned.invoice_id
        if await self._in_flight(known, invoice_id):
            return known
        now = self._clock.now()
        async with self._store.reading(known.organisation_id) as work:
            invoice = await work.invoices.get(invoice_id or "")
            tried = await work.payments.all(invoice_id=invoice.id)
        failed = any(one.attempts and one.state is PaymentState.FAILED for one in tried)
        over = invoice.state not in _OPEN or invoice.created_at + AGREED_WITHIN <= now
        ends = known.period_end is not None and known.period_end <= now
        if not (failed or over or ends):
            return known
        async with self._store.of(known.organisation_id) as work:
            fresh = await work.subscriptions.get(known.id)
            fresh = await work.subscriptions.save(attrs.evolve(fresh, planned=None, url=None, updated_at=now))
            await work.commit()
        await self._cancel.withdraw(hub(known.organisation_id), invoice.id)
        return fresh

    async def _next_period(self, known: Subscription) -> Subscription:
        """Write the invoice of the period that begins where the last ended; credit comes off it first."""
        at = await self._reach.of(known)
        now = self._clock.now()
        async with self._store.of(known.organisation_id) as work:
            before = await work.subscriptions.get(known.id)
            start = before.period_end
            assert start is not None
            one, change = before, before.planned
            if change is not None:
                one = before.changed(change, now)
                one = attrs.evolve(one, anchor=start) if change.anew else one
            plan = await work.plans.get(one.plan_id)
            period = Period(start, next_end(one.anchor or start, plan.interval, plan.count, start))
            credit = usable_credit(at, one.credit, one.total)
            invoice_id = None
            if credit < one.total.amount:
                invoice_id = (await self._invoices.of_period(work, one, plan, period, credit)).id
            one = one.charging(invoice_id, one.credit - credit, now)
            if invoice_id is None:
                one = one.paid(period, one.total.amount, now)
            saved = await work.subscriptions.save(one)
            await self._told(work, before, saved)
            await work.commit()
        return saved

    # Charging.

    async def _collect(self, known: Subscription) -> str | None:
        now = self._clock.now()
        invoice_id = known.invoice_id
        assert invoice_id is not None
        async with self._store.reading(known.organisation_id) as work:
            invoice = await work.invoices.get(invoice_id)
            payments = await work.payments.all(invoice_id=invoice_id)
        if invoice.state not in _OPEN:
            return await self._settled_by_hand(known, invoice)
        if await self._in_flight(known, invoice_id):
            return None
        refused = [one for one in payments if one.attempts and one.state is PaymentState.FAILED]
        if len(refused) > known.tries:  # one that was unknown until now, or that we were cut off after
            return await self._refused(known, refused[-1], None)
        if known.next_try_at is None or known.next_try_at > now:
            return None
        at = await self._reach.of(known)
        try:
            method = await self._methods.chargeable(known.organisation_id, at.connection, known.client.id)
            if method is None or _fingerprint(method) == known.lost_method:
                return await self._refused(known, None, None)
            to_charge = MethodToCharge(method.reference, method.customer_reference, method.email, method.label)
            payment = await self._charge(
                known.organisation_id,
                invoice_id=invoice_id,
                connection_id=at.connection.id,
                method=to_charge,
                subscription_id=known.id,
            )
        except (ProviderUnavailable, ReconnectNeeded, RetryLater, ProviderRefused):
            await self._later(known)
            raise
        except Conflict:  # it was paid, or charged, at this moment by another way
            return None
        if payment.state in (PaymentState.FAILED, PaymentState.CANCELED):
            return await self._refused(known, payment, method)
        await self._catch_up(known.organisation_id, known.id)
        return "renewed" if payment.state is PaymentState.SUCCEEDED else None

    async def _refused(self, known: Subscription, payment: Payment | None, method: Chargeable | None) -> str:
        """Past due; tried again after the organisation's waits, and over after the last."""
        now = self._clock.now()
        why = next((one.failure for one in reversed(payment.attempts) if one.failure), "") if payment else ""
        async with self._store.of(known.organisation_id) as work:
            before = await work.subscriptions.get(known.id)
            retries = (await settings_of(work, now)).retries
            if why and _FOR_GOOD.search(why):
                after = before.failed_for_good(retries, now)
                after = attrs.evolve(after, lost_method=_fingerprint(method) if method else before.lost_method)
            else:
                after = before.failed(retries, now)
            after = await work.subscriptions.save(after)
            await self._told(work, before, after)
            await work.commit()
        if after.next_try_at is None:
            await self._end(after, "The renewal could not be paid.")
            return "ended"
        if after.url is None and after.invoice_id is not None:
            await self._offer_link(after, after.invoice_id)
        return "failed"

    async def _offer_link(self, known: Subscription, invoice_id: str) -> None:
        """The client can pay by hand, and with that give another method."""
        try:
            link = await self._links(hub(known.organisation_id), invoice_id=invoice_id, provider=known.connection_id)
        except (Conflict, Invalid):
            return
        async with self._store.of(known.organisation_id) as work:
            fresh = await work.subscriptions.get(known.id)
            await work.subscriptions.save(attrs.evolve(fresh, url=link.url))
            await work.commit()

    async def _settled_by_hand(self, known: Subscription, invoice: Invoice) -> str | None:
        """A person decided about the invoice: written off, it ends; void, the period is given away."""
        if invoice.state is InvoiceState.UNCOLLECTIBLE:
            await self._end(known, "The renewal was written off.")
            return "ended"
        if invoice.state is not InvoiceState.VOID or invoice.period is None:
            return None
        async with self._store.of(known.organisation_id) as work:
            before = await work.subscriptions.get(known.id)
            after = await work.subscriptions.save(before.paid(invoice.period, 0, self._clock.now()))
            await self._told(work, before, after)
            await work.commit()
        return "renewed"

    async def _end(self, known: Subscription, reason: str) -> None:
        async with self._store.of(known.organisation_id) as work:
            before = await work.subscriptions.get(known.id)
            after = before.ended(reason, self._clock.now())
            if before.cancel_at_period_end and before.period_end is not None:
                after = attrs.evolve(after, ended_at=before.period_end)
            after = await work.subscriptions.save(after)
            await self._told(work, before, after)
            await work.commit()
        for invoice_id in _waiting(known):
            await self._cancel.withdraw(hub(known.organisation_id), invoice_id)

    async def _later(self, known: Subscription) -> None:
        async with self._store.of(known.organisation_id) as work:
            fresh = await work.subscriptions.get(known.id)
            await work.subscriptions.save(attrs.evolve(fresh, next_try_at=self._clock.now() + _AWAY))
            await work.commit()

    async def _fresh(self, organisation_id: str, id: str) -> Subscription:
        async with self._store.reading(organisation_id) as work:
            return await work.subscriptions.get(id)

    async def _in_flight(self, known: Subscription, invoice_id: str | None) -> bool:
        """Whether a charge may have happened, or is happening: nothing more is charged until that is known."""
        if invoice_id is None:
            return False
        async with self._store.reading(known.organisation_id) as work:
            payments = await work.payments.all(invoice_id=invoice_id)
        return any(_open_charge(one) for one in payments)


def _open_charge(payment: Payment) -> bool:
    if payment.waits_for_answer:
        return True
    return payment.state is PaymentState.PENDING and bool(payment.attempts)


def _waiting(subscription: Subscription) -> tuple[str, ...]:
    change = subscription.planned.invoice_id if subscription.planned is not None else None
    return tuple(one for one in (subscription.invoice_id, change) if one is not None)


def _fingerprint(method: Chargeable) -> str:
    return hashlib.sha256(method.reference.encode()).hexdigest()
