"""A subscription that the hub renews goes on when its invoice is paid: by a charge, on a hosted page, or by hand."""

import attrs

from application.billing.subscriptions.telling import TellOfSubscription
from application.ports.clock import Clock
from application.ports.store import Work
from domain.billing.invoices import Invoice, InvoiceState, Period
from domain.billing.periods import next_end
from domain.billing.plans import Plan
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState


@attrs.define
class NoteSubscriptionPaid:
    """Called with an invoice that is paid, in the unit of work that makes it so; a second time changes nothing."""

    _told: TellOfSubscription
    _clock: Clock

    async def __call__(self, work: Work, invoice: Invoice) -> None:
        """Does nothing for an invoice of no subscription; one that a provider renews goes on by the provider's word."""
        if invoice.subscription_id is None or invoice.period is None or invoice.state is not InvoiceState.PAID:
            return
        subscription = await work.subscriptions.find(invoice.subscription_id)
        if subscription is None or subscription.over:
            return
        if subscription.renewed_by is RenewedBy.PROVIDER:
            if (invoice.source or "").startswith("change:"):  # its link is of no more use
                await work.subscriptions.save(attrs.evolve(subscription, url=None))
            return
        plan = await work.plans.get(subscription.plan_id)
        after = self._after(subscription, invoice, invoice.period, plan)
        if after != subscription:
            await work.subscriptions.save(after)
            await self._told(work, subscription, after)

    def _after(self, subscription: Subscription, invoice: Invoice, period: Period, plan: Plan) -> Subscription:
        now = self._clock.now()
        change = subscription.planned
        if change is not None and change.invoice_id == invoice.id:
            changed = subscription.changed(change, now)
            if change.anew:
                begun = period.start
                return attrs.evolve(
                    changed, anchor=begun, period_start=begun, period_end=period.end, worth=changed.total.amount
                )
            charged = sum(line.total.amount for line in invoice.lines) + change.credit
            return attrs.evolve(changed, worth=changed.worth + charged)
        if invoice.id != subscription.invoice_id:
            return subscription
        worth = sum(line.total.amount for line in invoice.lines if line.total.amount > 0)
        if subscription.state is SubscriptionState.INCOMPLETE:
            # What is paid for begins when it is paid.
            period = Period(now, next_end(now, plan.interval, plan.count, now))
        return subscription.paid(period, worth, now)
