"""Webhooks of a subscription come late, twice and out of order; what the hub knows in the end is the same."""

from itertools import permutations

import attrs
import pytest

from domain.billing.subscriptions import Subscription, SubscriptionState
from tests.unit.application.billing.subscriptions.scene import Scene

_LIVES = ("active", "renewed", "past due", "canceled", "ended later")


async def _live(scene: Scene, life: str) -> Subscription:
    """A subscription to which everything has happened at the provider, while the hub heard nothing."""
    asked = await scene.ask("fake")
    reference = scene.fake.agree(asked.began_reference or "")
    if life != "active":
        scene.fake.renew(reference, pays=life != "past due")
    if life == "canceled":
        await scene.fake.cancel_subscription({}, reference, at_period_end=False, reason="", key="cancel")
    if life == "ended later":
        await scene.fake.cancel_subscription({}, reference, at_period_end=True, reason="", key="cancel")
        scene.fake.renew(reference)
    return asked


async def _seen(scene: Scene, asked: Subscription) -> object:
    """What the hub knows, without versions and the like."""
    one = await scene.now(asked)
    invoices = {(invoice.total.decimal, invoice.state, invoice.period) for invoice in await scene.invoices(asked)}
    paid = sorted(payment.captured.amount for payment in await scene.bench.payments())
    return attrs.evolve(one, version=1, url=None), invoices, paid


def _of_subscription(bodies: list[bytes]) -> list[bytes]:
    return [body for body in bodies if b'"subscription": "' in body]


@pytest.mark.parametrize("life", _LIVES)
async def test_all_orders_end_in_the_same_state(life: str) -> None:
    """Each is handled by asking the provider how it stands now, so no order and no copy can matter."""
    first = await Scene().prepare()
    await _live(first, life)
    count = len(_of_subscription(first.fake.events))
    ends = set()
    orders = list(permutations(range(count)))
    # All of up to five; of more, evenly spread ones.
    for order in orders[:: max(1, len(orders) // 120)]:
        scene = await Scene().prepare()
        asked = await _live(scene, life)
        bodies = _of_subscription(scene.fake.events)
        for index in (*order, order[0]):
            await scene.hear(bodies[index])
        ends.add(repr(await _seen(scene, asked)))
    assert len(ends) == 1


async def test_five_copies_at_once_are_one(scene: Scene) -> None:
    """One invoice, one payment, one event of each kind."""
    asked = await _live(scene, "renewed")
    for body in _of_subscription(scene.fake.events):
        for _ in range(5):
            await scene.bench.webhook(body)
    while await scene.bench.handle():
        pass
    assert len(await scene.invoices(asked)) == len(await scene.bench.payments()) == 2
    told = await scene.bench.told()
    assert told.count("subscription.created") == 1
    assert told.count("payment.received") == 2
    assert (await scene.now(asked)).state is SubscriptionState.ACTIVE
