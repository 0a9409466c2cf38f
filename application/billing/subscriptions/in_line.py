"""What the provider says of a subscription, put over what we know of it: no questions, only what follows."""

from datetime import datetime

import attrs

from application.ports.recurring import ProviderSubscription, Renewal
from domain.billing.plans import PlanAtProvider
from domain.billing.subscriptions import OVER, RenewedBy, Subscription, SubscriptionState


def in_line(
    ours: Subscription, theirs: ProviderSubscription, plan_at: PlanAtProvider | None, now: datetime, *, hub_ends: bool
) -> Subscription:
    """Ours as the provider has it. hub_ends: whether an end at the period's end is the hub's to carry out.

    The same word of the provider's gives the same subscription, whatever was known before.
    """
    state = SubscriptionState(theirs.standing.value)
    over = state in OVER
    ending = (ours.cancel_at_period_end if hub_ends else theirs.cancel_at_period_end) and not over
    period_end = theirs.period_end or ours.period_end
    ended_at = None
    if over:
        ended_at = ours.ended_at or theirs.ended_at or now
        if hub_ends and ours.cancel_at_period_end and period_end is not None:
            ended_at = max(ended_at, period_end)  # the hub ends it a little early; what was paid for stays paid for
    reason = ours.reason if over or ending else ""
    begins = ours.state is SubscriptionState.INCOMPLETE and state is not SubscriptionState.INCOMPLETE
    return attrs.evolve(
        ours,
        state=state,
        reference=theirs.reference,
        plan_id=plan_at.plan_id if plan_at else ours.plan_id,
        price=plan_at.price if plan_at else ours.price,
        quantity=max(theirs.quantity, 1),
        renewed_by=RenewedBy.PROVIDER,
        period_start=theirs.period_start or ours.period_start,
        period_end=period_end,
        trial_ends_at=theirs.trial_ends_at or ours.trial_ends_at,
        cancel_at_period_end=ending,
        canceled_at=(ours.canceled_at or now) if over or ending else None,
        ended_at=ended_at,
        reason=reason or ("It ended at the provider." if over else ""),
        url=theirs.url or (None if over or begins else ours.url),
        seen_at=theirs.updated_at or ours.seen_at,
        updated_at=now,
    )


def tried(ours: Subscription, bills: tuple[Renewal, ...]) -> Subscription:
    """How often the newest bill was tried, and when the provider tries again."""
    newest = bills[-1] if bills else None
    if newest is None or newest.paid or ours.over:
        return attrs.evolve(ours, tries=0, next_try_at=None)
    return attrs.evolve(ours, tries=newest.tries, next_try_at=newest.next_try_at)
