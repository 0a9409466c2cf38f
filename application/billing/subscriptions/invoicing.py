"""The invoices of subscriptions: one for each period, one for a change's difference, one for each bill of a provider's.

What it is for is its `source`, unique in the organisation: the same period is invoiced once, whoever comes twice.
"""

from collections.abc import Sequence

import attrs

from application.billing.mirror import MirrorInvoice
from application.ports.recurring import Renewal
from application.ports.store import Work
from domain.billing.invoices import Invoice, Line, Period
from domain.billing.plans import Plan
from domain.billing.proration import Proration
from domain.billing.subscriptions import Planned, Subscription
from domain.money import Money


@attrs.define
class SubscriptionInvoices:
    """Writes them, open and in the books, in the caller's own unit of work."""

    _mirror: MirrorInvoice

    async def of_period(
        self, work: Work, subscription: Subscription, plan: Plan, period: Period, credit: int
    ) -> Invoice:
        """For one period, less a credit of earlier ones; the one that is there already, if there is."""
        lines = [Line(_named(plan, period), subscription.quantity, subscription.price)]
        if credit:
            lines.append(_earlier(credit, subscription))
        source = f"renewal:{subscription.id}:{period.start.isoformat()}"
        return await self._write(work, subscription, lines, period, source)

    async def of_change(
        self,
        work: Work,
        subscription: Subscription,
        plans: tuple[Plan, Plan],
        change: Planned,
        cost: Proration,
        period: Period,
    ) -> Invoice:
        """For a change's difference. plans: the one before and the new one. period: what it is paid for."""
        before, after = plans
        lines = [Line(f"{after.name}, rest of the period{_times(change.quantity)}", 1, cost.charge)]
        if change.anew:
            lines = [Line(_named(after, period), change.quantity, change.price)]
        if cost.credit:
            text = f"Unused rest of {before.name}{_times(subscription.quantity)}"
            lines.append(Line(text, 1, Money.zero(cost.credit.currency) - cost.credit))
        if change.credit:
            lines.append(_earlier(change.credit, subscription))
        source = f"change:{subscription.id}:{subscription.version}"
        return await self._write(work, subscription, lines, period, source)

    async def of_bill(self, work: Work, subscription: Subscription, plan: Plan, bill: Renewal) -> Invoice | None:
        """For a bill that the provider wrote and charges; None for one over nothing, such as a trial's."""
        if bill.total.amount <= 0:
            return None
        period = Period(bill.period_start, bill.period_end)
        line = Line((bill.description.strip() or _named(plan, period))[:500], 1, bill.total)
        source = f"{subscription.provider}:{bill.reference}"
        memo = f"Charged by {subscription.provider}" + (f", its number {bill.number}." if bill.number else ".")
        if bill.tax.amount:
            memo += f" Contains {bill.tax} of tax."
        return await self._write(work, subscription, [line], period, source, memo)

    async def _write(
        self, work: Work, subscription: Subscription, lines: Sequence[Line], period: Period, source: str, memo: str = ""
    ) -> Invoice:
        return await self._mirror(
            work,
            source=source,
            client=subscription.client,
            lines=lines,
            subscription_id=subscription.id,
            period=period,
            memo=memo,
        )


def _earlier(credit: int, subscription: Subscription) -> Line:
    return Line("Credit from earlier changes", 1, Money(-credit, subscription.price.currency))


def _named(plan: Plan, period: Period) -> str:
    return f"{plan.name}, {period.start.date().isoformat()} to {period.end.date().isoformat()}"


def _times(quantity: int) -> str:
    return f" (x {quantity})" if quantity > 1 else ""
