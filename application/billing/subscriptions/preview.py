"""What a change of plan or quantity would cost, computed by whoever will bill it."""

from datetime import datetime

import attrs

from application.billing.subscriptions.at_provider import AtProvider, Reach, asking, usable_credit
from application.billing.subscriptions.current import chosen
from application.billing.subscriptions.plans import EnsurePlan, plan_named
from application.caller import Caller
from application.ports.clock import Clock
from application.ports.recurring import ChangePreview
from application.ports.store import Store, Work
from domain.billing.invoices import InvoiceState, Period
from domain.billing.periods import next_end
from domain.billing.plans import Plan
from domain.billing.proration import Proration, begin_anew, prorate
from domain.billing.subscriptions import Planned, RenewedBy, Subscription, SubscriptionState
from domain.connections.abilities import Ability, By, NotOffered
from domain.money import Money
from domain.refusals import Conflict, Invalid

_CHANGEABLE = (SubscriptionState.TRIALING, SubscriptionState.ACTIVE)


@attrs.frozen
class ChangeAsked:
    """What is to become of it: another plan (its code or id), another quantity, or both. prorate: whether the rest of the
    period is set off; None does so where it can be. at_period_end: it waits for the next period, and costs nothing now."""

    plan: str | None = None
    quantity: int | None = None
    prorate: bool | None = None
    at_period_end: bool = False


@attrs.frozen
class Foreseen:
    """What a change comes to. by: who computed it. credit: that of earlier changes included, not above zero."""

    subscription: Subscription
    plan: Plan
    price: Money
    quantity: int
    credit: Money
    charge: Money
    due_now: Money
    next_total: Money
    next_at: datetime | None
    by: By = By.HUB


@attrs.frozen
class Meant:
    """A change, read: from and to which plan, and at which moment."""

    subscription: Subscription
    before: Plan
    plan: Plan
    price: Money
    quantity: int
    prorate: bool
    at_period_end: bool
    moment: datetime
    hub_bills: bool = False
    """Whether the hub bills the difference of a subscription that the provider renews (PayPal)."""

    @property
    def total(self) -> Money:
        return self.price * self.quantity

    @property
    def anew(self) -> bool:
        """Whether periods of another length begin with it."""
        return (self.before.interval, self.before.count) != (self.plan.interval, self.plan.count)

    @property
    def period(self) -> Period:
        """What is paid for with it: the rest of the period, or a new one."""
        one = self.subscription
        if self.anew or one.period_start is None or one.period_end is None:
            return Period(self.moment, next_end(self.moment, self.plan.interval, self.plan.count, self.moment))
        return Period(self.moment, one.period_end)

    def planned(self, invoice_id: str | None = None, credit: int = 0) -> Planned:
        return Planned(self.plan.id, self.price, self.quantity, invoice_id, self.anew, credit)


@attrs.define
class PreviewChange:
    """What a change would cost, without changing anything."""

    _store: Store
    _clock: Clock
    _reach: Reach
    _plans: EnsurePlan

    async def __call__(
        self, caller: Caller, asked: ChangeAsked, *, subscription_id: str | None = None, client_id: str | None = None
    ) -> Foreseen:
        """Raises NotFound, Invalid, Conflict, NotOffered, ProviderUnavailable."""
        async with self._store.reading(caller.organisation_id) as work:
            subscription = await chosen(work, subscription_id, client_id, ended=True)
        at = await self._reach.of(subscription)
        async with self._store.reading(caller.organisation_id) as work:
            meant = await self.read(work, at, subscription, asked)
            cost = await self.cost(work, meant)
        if subscription.renewed_by is RenewedBy.HUB or cost.due:
            return self.by_hub(at, meant, cost)
        return await self._by_provider(at, meant)

    async def read(self, work: Work, at: AtProvider, subscription: Subscription, asked: ChangeAsked) -> Meant:
        """The change that is meant. Raises Invalid, Conflict and NotOffered for one that cannot be."""
        subscription.require(*_CHANGEABLE, to="changed")
        if subscription.planned is not None and subscription.planned.invoice_id is not None:
            raise Conflict("Another change waits for its payment; wait for that, or make its invoice void.")
        if subscription.renewed_by is RenewedBy.HUB and subscription.invoice_id is not None:
            raise Conflict("The next period is being charged just now; change it when that is done.")
        before = await work.plans.get(subscription.plan_id)
        plan = await plan_named(work, asked.plan) if asked.plan is not None else before
        price = subscription.price
        if plan.id != subscription.plan_id:
            plan.require_offered()
            price = plan.price_in(subscription.price.currency, field="plan")
        quantity = asked.quantity if asked.quantity is not None else subscription.quantity
        attrs.evolve(subscription, quantity=quantity)  # raises Invalid for a quantity that cannot be
        if (plan.id, quantity) == (subscription.plan_id, subscription.quantity):
            raise Invalid.field("plan", "This is the plan and quantity that it has.")
        if plan.id != subscription.plan_id:
            at.who(Ability.CHANGE_PLAN, field="plan")
        if quantity != 1:
            at.who(Ability.QUANTITY, field="quantity")
        at.payments.check_amount(price * quantity, field="plan" if asked.plan is not None else "quantity")
        prorate, hub_bills = asked.prorate, False
        if subscription.renewed_by is RenewedBy.PROVIDER:
            if asked.at_period_end:
                text = f"{at.manifest.name} changes it at once; without proration (`prorate`: false) nothing is billed now."
                raise NotOffered(text, field="at_period_end")
            by = at.who(Ability.PRORATION, field="prorate") if prorate else at.support(Ability.PRORATION)
            hub_bills = prorate is not False and by is By.HUB
            prorate = by is By.PROVIDER and prorate is not False
        elif prorate is False and not asked.at_period_end:
            raise Invalid.field(
                "prorate", "Without proration it is changed at the period's end: `at_period_end`: true."
            )
        return Meant(
            subscription,
            before,
            plan,
            price,
            quantity,
            prorate is not False,
            asked.at_period_end,
            self._clock.now(),
            hub_bills,
        )

    async def cost(self, work: Work, meant: Meant) -> Proration:
        """What the hub computes: nothing in a trial, for the period's end, or where the provider does it."""
        one = meant.subscription
        nothing = Money.zero(meant.price.currency)
        trial = one.state is SubscriptionState.TRIALING
        if meant.at_period_end or trial or one.period_start is None or one.period_end is None:
            return Proration(nothing, nothing)
        by_provider = one.renewed_by is RenewedBy.PROVIDER
        if by_provider and (not meant.hub_bills or meant.anew):
            return Proration(nothing, nothing)
        paid = one.total.amount if by_provider else one.worth
        worth = Money(max(paid - await _sent_back(work, one), 0), meant.price.currency)
        reckon = begin_anew if meant.anew else prorate
        cost = reckon(one.total, meant.total, start=one.period_start, end=one.period_end, at=meant.moment, worth=worth)
        # A provider that bills by itself takes nothing off its bills: what it renews can only get dearer by the hub.
        return cost if not by_provider or cost.due.amount > 0 else Proration(nothing, nothing)

    def by_hub(self, at: AtProvider, meant: Meant, cost: Proration) -> Foreseen:
        """As the hub will bill it: a credit of earlier changes comes off first."""
        nothing = Money.zero(meant.price.currency)
        used = usable_credit(at, meant.subscription.credit, cost.due)
        due = Money(max(cost.due.amount - used, 0), meant.price.currency)
        left = meant.subscription.credit - used + max(-cost.due.amount, 0)
        following = Money(max(meant.total.amount - left, 0), meant.price.currency)
        at_once = not meant.at_period_end and meant.subscription.state is not SubscriptionState.TRIALING
        next_at = meant.period.end if at_once else meant.subscription.period_end
        credit = nothing - cost.credit - Money(used, meant.price.currency)
        return Foreseen(
            meant.subscription,
            meant.plan,
            meant.price,
            meant.quantity,
            credit,
            cost.charge,
            due,
            following,
            next_at,
            By.HUB,
        )

    async def _by_provider(self, at: AtProvider, meant: Meant) -> Foreseen:
        one, nothing = meant.subscription, Money.zero(meant.price.currency)
        if not meant.prorate:
            return Foreseen(
                one,
                meant.plan,
                meant.price,
                meant.quantity,
                nothing,
                nothing,
                nothing,
                meant.total,
                one.period_end,
                By.PROVIDER,
            )
        plan_at = await self._plans(at, meant.plan, meant.price)
        with asking(at.manifest.name, "the subscription"):
            seen: ChangePreview = await at.subscriptions.preview_change(
                at.access,
                one.reference or "",
                plan_reference=plan_at.reference,
                quantity=meant.quantity,
                at=meant.moment,
            )
        return Foreseen(
            one,
            meant.plan,
            meant.price,
            meant.quantity,
            seen.credit,
            seen.charge,
            seen.due_now,
            seen.next_total,
            seen.next_at,
            By.PROVIDER,
        )


async def _sent_back(work: Work, subscription: Subscription) -> int:
    """What was refunded of this period's invoices: it is not paid for any more."""
    start = subscription.period_start
    invoices = await work.invoices.all(subscription_id=subscription.id, state=InvoiceState.PAID)
    return sum(one.refunded + one.credited for one in invoices if one.period and start and one.period.start >= start)
