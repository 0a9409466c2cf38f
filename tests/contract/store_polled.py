"""What every store must do for endpoints that are polled, and for the head of a lane (see store.py)."""

from datetime import timedelta

import attrs

from domain.notifications.deliveries import DeliveryState
from tests.contract.examples import NOW
from tests.contract.store import Rig
from tests.contract.store_claims import waiting

MINUTE = timedelta(minutes=1)
WAITING, PENDING = DeliveryState.WAITING, DeliveryState.PENDING


class PolledContract:
    """Fetching, acknowledging, expiring, changing sides; each only of its own organisation."""

    async def test_what_waits_is_given_oldest_first(self, rig: Rig) -> None:
        """Of this destination, due, not expired, after the one that is named."""
        org = await rig.organisation()
        one, two, three = await waiting(rig, org, count=3, state=WAITING, due_at=NOW)
        await waiting(rig, org, state=WAITING, due_at=NOW + MINUTE)
        await waiting(rig, org, state=WAITING, due_at=NOW, expires_at=NOW)
        await waiting(rig, org, state=PENDING, due_at=NOW)
        await waiting(rig, org, state=WAITING, due_at=NOW, destination="wh_2")
        async with rig.store.reading(org) as work:
            assert await work.deliveries.waiting("wh_1", NOW, 10) == (one, two, three)
            assert await work.deliveries.waiting("wh_1", NOW, 2) == (one, two)
            assert await work.deliveries.waiting("wh_1", NOW, 10, one.id) == (two, three)
        async with rig.store.reading(await rig.organisation()) as work:
            assert await work.deliveries.waiting("wh_1", NOW, 10) == ()

    async def test_only_what_was_handed_out_is_collected_up_to_an_id(self, rig: Rig) -> None:
        """By name, anything that waits is; a repetition, or another organisation, collects nothing."""
        org, other = await rig.organisation(), await rig.organisation()
        one, two, three, four = await waiting(rig, org, count=4, state=WAITING)
        (sent,) = await waiting(rig, org, state=DeliveryState.CANCELLED, finished_at=NOW)
        async with rig.store.of(org) as work:
            await work.deliveries.hand_out([one.id, three.id, four.id, sent.id])
            await work.commit()
        async with rig.store.of(other) as work:
            await work.deliveries.hand_out([one.id])
            assert await work.deliveries.collect("wh_1", NOW, ids=[one.id]) == 0
            await work.commit()
        async with rig.store.of(org) as work:
            assert await work.deliveries.collect("wh_1", NOW, up_to=three.id) == 2
            assert await work.deliveries.collect("wh_1", NOW, up_to=three.id) == 0
            assert await work.deliveries.collect("wh_1", NOW, ids=[two.id, sent.id, "dlv_x"]) == 1
            assert await work.deliveries.collect("wh_2", NOW, ids=[four.id]) == 0
            await work.commit()
        async with rig.store.reading(org) as work:
            kept = {delivery.id: delivery for delivery in await work.deliveries.all()}
        assert kept[one.id] == attrs.evolve(one, state=DeliveryState.DELIVERED, attempts=1, finished_at=NOW)
        assert kept[two.id] == attrs.evolve(two, state=DeliveryState.DELIVERED, finished_at=NOW)
        assert kept[four.id] == attrs.evolve(four, attempts=1)
        assert kept[sent.id] == sent

    async def test_what_waited_too_long_expires(self, rig: Rig) -> None:
        """And nothing else."""
        org = await rig.organisation()
        (late,) = await waiting(rig, org, state=WAITING, expires_at=NOW)
        (early,) = await waiting(rig, org, state=WAITING, expires_at=NOW + MINUTE)
        (pending,) = await waiting(rig, org, state=PENDING, expires_at=NOW)
        async with rig.store.of(org) as work:
            assert await work.deliveries.expire_waiting("wh_1", NOW) == 1
            await work.commit()
        async with rig.store.reading(org) as work:
            assert (await work.deliveries.get(late.id)).state is DeliveryState.EXPIRED
            assert (await work.deliveries.get(early.id), await work.deliveries.get(pending.id)) == (early, pending)

    async def test_what_is_open_changes_sides(self, rig: Rig) -> None:
        """What has ended stays as it is."""
        org = await rig.organisation()
        (pending,) = await waiting(rig, org, state=PENDING)
        (ended,) = await waiting(rig, org, state=DeliveryState.DELIVERED, finished_at=NOW)
        (elsewhere,) = await waiting(rig, org, state=PENDING, destination="wh_2")
        for state in (WAITING, PENDING):
            async with rig.store.of(org) as work:
                await work.deliveries.hand_over("wh_1", state)
                await work.commit()
            async with rig.store.reading(org) as work:
                assert await work.deliveries.get(pending.id) == attrs.evolve(pending, state=state)
                assert await work.deliveries.get(ended.id) == ended
                assert await work.deliveries.get(elsewhere.id) == elsewhere

    async def test_the_head_of_a_lane_is_what_is_due_first(self, rig: Rig) -> None:
        """By its time, then by its id."""
        org = await rig.organisation()
        await waiting(rig, org, state=PENDING, due_at=NOW + MINUTE)
        first, _ = await waiting(rig, org, count=2, state=PENDING, due_at=NOW)
        await waiting(rig, org, state=WAITING, due_at=NOW - MINUTE)
        async with rig.store.reading(org) as work:
            assert await work.deliveries.head("wh_1") == first
            assert await work.deliveries.head("wh_2") is None
        async with rig.store.reading(await rig.organisation()) as work:
            assert await work.deliveries.head("wh_1") is None
