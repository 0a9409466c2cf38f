"""Change a subscription's plan or quantity. What it costs is shown first, by PreviewChange."""

from contextlib import suppress
from datetime import timedelta

import attrs

from application.billing.charge import ChargeOffSession, MethodToCharge
from application.billing.invoices import VoidInvoice
from application.billing.links import CreatePaymentLink
from application.billing.methods import ClientMethods
from application.billing.subscriptions.at_provider import AtProvider, Reach, afresh, asking, lock_of, usable_credit
from application.billing.subscriptions.current import chosen
from application.billing.subscriptions.invoicing import SubscriptionInvoices
from application.billing.subscriptions.plans import EnsurePlan
from application.billing.subscriptions.preview import ChangeAsked, Meant, PreviewChange
from application.billing.subscriptions.sync import SyncSubscription
from application.billing.subscriptions.telling import TellOfSubscription
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.leases import Leases
from application.ports.store import Store
from domain.billing.payments import PaymentState
from domain.billing.proration import Proration
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState
from domain.money import Money
from domain.refusals import Conflict, Refusal

_LOCK = timedelta(minutes=2)


@attrs.define
class ChangeSubscription:
    """Change it. Where the hub bills, a difference is paid before the plan is another; a credit waits for the next bill."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _leases: Leases
    _reach: Reach
    _plans: EnsurePlan
    _preview: PreviewChange
    _sync: SyncSubscription
    _invoices: SubscriptionInvoices
    _methods: ClientMethods
    _charge: ChargeOffSession
    _links: CreatePaymentLink
    _void: VoidInvoice
    _told: TellOfSubscription

    async def __call__(
        self,
        caller: Caller,
        asked: ChangeAsked,
        *,
        subscription_id: str | None = None,
        client_id: str | None = None,
        once: Once | None = None,
    ) -> Subscription:
        """What comes back has a `url` where the client has to agree (PayPal) or to pay the difference.

        Raises NotFound, Invalid, Conflict (declined, refused, not in a state to be changed), NotOffered,
        ProviderUnavailable, Held while it is being changed or brought in line.
        """
        async with self._store.reading(caller.organisation_id) as work:
            known = await chosen(work, subscription_id, client_id, ended=True)
        at = await self._reach.of(known)
        async with self._leases.hold(lock_of(known), for_=_LOCK, wait=timedelta(seconds=10)):
            async with self._store.reading(caller.organisation_id) as work:
                known = await work.subscriptions.get(known.id)
                meant = await self._preview.read(work, at, known, asked)
                cost = await self._preview.cost(work, meant)
            if known.renewed_by is RenewedBy.PROVIDER:
                changed = await self._at_provider(at, meant)
            elif cost.due.amount > known.credit:
                changed = await self._billed(caller, at, meant, cost)
            else:
                changed = await afresh(lambda: self._free(caller, meant, cost))
        async with self._store.of(caller.organisation_id) as work:
            changed = await work.subscriptions.get(changed.id)
            detail = {"plan": meant.plan.code, "quantity": meant.quantity}
            await self._tell.note(work, caller, "subscription.changed", changed.id, **detail)
            await remember(work, once, changed, self._clock.now())
            await work.commit()
        return changed

    async def _at_provider(self, at: AtProvider, meant: Meant) -> Subscription:
        one = meant.subscription
        plan_at = await self._plans(at, meant.plan, meant.price)
        reference = one.reference or ""
        with asking(at.manifest.name, "the subscription"):
            theirs = await at.subscriptions.change_subscription(
                at.access,
                reference,
                plan_reference=plan_at.reference,
                quantity=meant.quantity,
                prorate=meant.prorate,
                at=meant.moment,
                key=f"{one.id}:change:{one.version}",
            )

        async def note() -> Subscription:
            # Nothing is changed until the client agrees there; the provider's webhook then brings it.
            async with self._store.of(one.organisation_id) as work:
                fresh = await work.subscriptions.get(one.id)
                planned = meant.planned() if meant.hub_bills else None
                saved = await work.subscriptions.save(attrs.evolve(fresh, url=theirs.url, planned=planned))
                await work.commit()
            return saved

        noted = await afresh(note) if theirs.url is not None or meant.hub_bills else one
        if theirs.url is None:
            await self._sync.changed(one, at, theirs)
        return noted

    async def _free(self, caller: Caller, meant: Meant, cost: Proration) -> Subscription:
        """Nothing to pay now: a trial, a credit (this change's, or an earlier one's that is enough), or a change that waits for
        the period's end."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            before = await work.subscriptions.get(meant.subscription.id)
            if meant.at_period_end:
                after = attrs.evolve(before, planned=meant.planned(), updated_at=now)
            else:
                after = before.changed(meant.planned(), now)
                after = attrs.evolve(
                    after,
                    credit=after.credit - cost.due.amount,
                    worth=max(after.worth + cost.due.amount, 0) if not meant.anew else cost.charge.amount,
                )
                if meant.anew and before.state is not SubscriptionState.TRIALING:
                    period = meant.period
                    after = attrs.evolve(after, anchor=period.start, period_start=period.start, period_end=period.end)
            after = await work.subscriptions.save(after)
            await self._told(work, before, after)
            await work.commit()
        return after

    async def _billed(self, caller: Caller, at: AtProvider, meant: Meant, cost: Proration) -> Subscription:
        used = usable_credit(at, meant.subscription.credit, cost.due)
        at.payments.check_amount(cost.due - Money(used, cost.due.currency), field="plan")
        now = self._clock.now()
        with asking(at.manifest.name, "the client"):
            method = await self._methods.chargeable(caller.organisation_id, at.connection, meant.subscription.client.id)
        async with self._store.of(caller.organisation_id) as work:
            fresh = await work.subscriptions.get(meant.subscription.id)
            plans = (meant.before, meant.plan)
            invoice = await self._invoices.of_change(work, fresh, plans, meant.planned(credit=used), cost, meant.period)
            waiting = attrs.evolve(fresh, planned=meant.planned(invoice.id, used), updated_at=now)
            waiting = await work.subscriptions.save(waiting)
            await work.commit()
        if method is None:
            link = await self._links(caller, invoice_id=invoice.id, provider=at.connection.id)
            return await afresh(lambda: self._with_url(waiting, link.url))
        to_charge = MethodToCharge(method.reference, method.customer_reference, method.email, method.label)
        try:
            payment = await self._charge(
                caller.organisation_id,
                invoice_id=invoice.id,
                connection_id=at.connection.id,
                method=to_charge,
                subscription_id=waiting.id,
            )
        except Refusal:
            await self._dropped(caller, waiting, invoice.id)
            raise
        if payment.state in (PaymentState.FAILED, PaymentState.CANCELED):
            await self._dropped(caller, waiting, invoice.id)
            why = next((one.failure for one in reversed(payment.attempts) if one.failure), "The payment was declined.")
            raise Conflict(
                f"The difference of {invoice.total} could not be charged: {why} The subscription is as it was."
            )
        return waiting

    async def _with_url(self, subscription: Subscription, url: str) -> Subscription:
        async with self._store.of(subscription.organisation_id) as work:
            fresh = await work.subscriptions.get(subscription.id)
            saved = await work.subscriptions.save(attrs.evolve(fresh, url=url))
            await work.commit()
        return saved

    async def _dropped(self, caller: Caller, subscription: Subscription, invoice_id: str) -> None:
        """The change is not made, and nobody is to pay for it."""

        async def drop() -> None:
            async with self._store.of(subscription.organisation_id) as work:
                fresh = await work.subscriptions.get(subscription.id)
                if fresh.planned is not None and fresh.planned.invoice_id == invoice_id:
                    await work.subscriptions.save(attrs.evolve(fresh, planned=None, updated_at=self._clock.now()))
                await work.commit()

        await afresh(drop)
        with suppress(Conflict):  # it was paid all the same, by another way: a person settles that
            await self._void(caller, invoice_id)
