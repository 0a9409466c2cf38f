"""Which subscription is meant: by its id, or as a client's only one."""

from application.ports.store import Work
from domain.billing.subscriptions import OVER, Subscription, SubscriptionState
from domain.refusals import Conflict, Invalid, NotFound

_LIVE = tuple(state for state in SubscriptionState if state not in OVER)


async def chosen(
    work: Work, subscription_id: str | None, client_id: str | None, *, ended: bool = False
) -> Subscription:
    """By exactly one of the two. A client's is the only one that is not over; one that was never agreed to counts only
    where there is no other. ended: where none is left, take the one that ended last, so that what follows can say so.

    Raises Invalid, NotFound, Conflict naming the ids when there are several.
    """
    if (subscription_id is None) == (client_id is None):
        raise Invalid.field("subscription_id", "Give either a subscription_id or a client_id.")
    if subscription_id is not None:
        return await work.subscriptions.get(subscription_id)
    live = await work.subscriptions.all(client_id=client_id, state=_LIVE)
    agreed = [one for one in live if one.state is not SubscriptionState.INCOMPLETE]
    found = agreed or list(live)
    if not found and ended:
        over = await work.subscriptions.all(client_id=client_id, state=OVER)
        found = sorted(over, key=lambda one: one.ended_at or one.updated_at)[-1:]
    if not found:
        raise NotFound("subscription of client", str(client_id)[:80])
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise Conflict(f"The client has several subscriptions; name one by its id: {ids}.", field="client_id")
    return found[0]
