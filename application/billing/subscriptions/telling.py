"""What is told of subscriptions, whoever renews them."""

import attrs

from application.notifications.tell import Tell
from application.ports.store import Work
from domain.billing.bodies import subscription_body
from domain.billing.plans import Plan
from domain.billing.subscriptions import Subscription, SubscriptionState

_NOT_BEGUN = (SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED)
_SHOWN = (
    "state",
    "plan_id",
    "price",
    "quantity",
    "period_start",
    "period_end",
    "trial_ends_at",
    "cancel_at_period_end",
)


@attrs.define
class TellOfSubscription:
    """Tells what changed between two states of a subscription, in the caller's own unit of work."""

    _tell: Tell

    async def __call__(self, work: Work, before: Subscription, after: Subscription) -> None:
        """One event at most; nothing for what nobody sees."""
        type_ = _what(before, after)
        if type_ is not None:
            await self.of(work, type_, after)

    async def of(self, work: Work, type: str, subscription: Subscription) -> None:
        """Tell this."""
        plan: Plan = await work.plans.get(subscription.plan_id)
        await self._tell(work, type, {"subscription": subscription_body(subscription, plan)})


def _what(before: Subscription, after: Subscription) -> str | None:
    if after.over:
        return None if before.over or before.state in _NOT_BEGUN else "subscription.canceled"
    if after.state in _NOT_BEGUN:
        return None
    if before.state in _NOT_BEGUN:
        return "subscription.created"
    if after.state is SubscriptionState.PAST_DUE and before.state is not SubscriptionState.PAST_DUE:
        return "subscription.past_due"
    changed = any(getattr(before, name) != getattr(after, name) for name in _SHOWN)
    return "subscription.updated" if changed else None
