"""What every Dispatch must do when it writes down what became of deliveries (see dispatch.py)."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import attrs

from application.ports.dispatch import Dispatch, Lane, Tried, Want
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.health import WELL, Health
from domain.notifications.statistics import Count, Counted, bucket_of, start_of
from tests.contract.dispatch import LEASE, SECOND, UNWELL, LanesRig, free
from tests.contract.examples import NOW, ODD, TEXT
from tests.contract.store import Rig
from tests.contract.store_claims import waiting

TOOK = timedelta(milliseconds=5)
ARRIVED = Outcome(Verdict.DELIVERED, TOOK, 200)
MISSED = Outcome(Verdict.RETRY, 20 * TOOK, 503, "busy")


def arrived(rig: Rig, delivery: Delivery, **changes: Any) -> Tried:
    """A delivery that got through."""
    after = attrs.evolve(
        delivery, state=DeliveryState.DELIVERED, attempts=delivery.attempts + 1, last_status=200, finished_at=NOW
    )
    after = attrs.evolve(after, **changes)
    return Tried(after, rig.make.attempt(after, ARRIVED, after.attempts))


def missed(rig: Rig, delivery: Delivery, **changes: Any) -> Tried:
    """A delivery that is due again in a second, unless it is changed."""
    after = attrs.evolve(
        delivery, attempts=delivery.attempts + 1, last_error="busy", last_status=503, due_at=NOW + SECOND
    )
    after = attrs.evolve(after, **changes)
    return Tried(after, rig.make.attempt(after, MISSED, after.attempts))


async def attempts_of(rig: Rig, delivery: Delivery) -> tuple[Attempt, ...]:
    """Of one delivery, as anybody sees them."""
    async with rig.other.reading(delivery.organisation_id) as work:
        return await work.attempts.of(delivery.id)


async def states(rig: Rig, org: str) -> Counter[DeliveryState]:
    """How many deliveries of an organisation are in each."""
    async with rig.other.reading(org) as work:
        return Counter(one.state for one in await work.deliveries.all())


class RecordingContract:
    """Outcomes, attempts, statistics and health, in one transaction."""

    async def test_all_that_can_become_of_a_delivery_is_recorded_together(self, rig: LanesRig) -> None:
        """Delivered, due again, failed, expired without an attempt; each with its attempt, and how the lane fares."""
        org = await rig.organisation()
        one, two, three, four = await waiting(rig, org, count=4)
        mine = await rig.holder()
        failed = missed(
            rig, three, state=DeliveryState.FAILED, due_at=NOW, finished_at=NOW, attempts=12, last_error=TEXT
        )
        tried = [arrived(rig, one), missed(rig, two), failed, Tried(four.expire(NOW), None)]
        lane = Lane("wh_1", org, DestinationKind.ENDPOINT, health=UNWELL, sent_at=ODD)
        assert await rig.dispatch.record(mine, tried, [lane], NOW) == frozenset()
        async with rig.other.reading(org) as work:
            assert await work.deliveries.all() == tuple(each.delivery for each in tried)
        for each in tried:
            assert await attempts_of(rig, each.delivery) == (() if each.attempt is None else (each.attempt,))
        assert await rig.elsewhere.lanes(org, ["wh_1"]) == {"wh_1": lane}
        chunk = (await rig.elsewhere.read([Want("wh_1", 9)], NOW + SECOND))["wh_1"]
        assert [ready.delivery for ready in chunk.ready] == [tried[1].delivery]

    async def test_everything_an_attempt_brought_back_is_kept(self, rig: LanesRig) -> None:
        """For a person to look at."""
        org = await rig.organisation()
        (delivery,) = await waiting(rig, org)
        mine = await rig.holder()
        one = arrived(rig, delivery)
        assert one.attempt is not None
        full = attrs.evolve(one.attempt, outcome=rig.make.full_outcome(), at=ODD, number=12)
        await rig.dispatch.record(mine, [attrs.evolve(one, attempt=full)], [], NOW)
        assert await attempts_of(rig, delivery) == (full,)

    async def test_only_the_outcome_is_written(self, rig: LanesRig) -> None:
        """What a delivery is does not change by trying it; what it was due at stays with what has ended."""
        org = await rig.organisation()
        (delivery,) = await waiting(rig, org, replay_of="dlv_0", expires_at=ODD, mail={"to": ["a@acme.example"]})
        mine = await rig.holder()
        odd = attrs.evolve(arrived(rig, delivery).delivery, message_id="other", due_at=ODD, mail=None, expires_at=None)
        await rig.dispatch.record(mine, [Tried(odd, None)], [], NOW)
        found = await rig.find(org, "deliveries", delivery.id)
        assert found == arrived(rig, delivery).delivery

    async def test_many_are_recorded_at_once(self, rig: LanesRig) -> None:
        """A batch of several hundred, to several destinations of several organisations."""
        org, other = await rig.organisation(), await rig.organisation()
        made = [
            one
            for n in range(6)
            for one in await waiting(rig, other if n % 2 else org, count=80, destination=f"wh_{n}")
        ]
        mine = await rig.holder()
        assert await rig.dispatch.record(mine, [arrived(rig, one) for one in reversed(made)], [], NOW) == frozenset()
        assert await rig.dispatch.record(mine, [], [], NOW) == frozenset()
        for each in (org, other):
            assert await states(rig, each) == {DeliveryState.DELIVERED: 240}
        assert await rig.elsewhere.next_due() is None

    # Who may record.

    async def test_who_lost_a_lane_records_nothing_for_it(self, rig: LanesRig) -> None:
        """Neither a state nor an attempt nor a count nor a health; it is told; what else it holds is written."""
        org = await rig.organisation()
        (lost,), (held,) = await waiting(rig, org), await waiting(rig, org, destination="wh_2")
        mine = await rig.holder()
        theirs = await rig.elsewhere.enlist("wrk_2", NOW + LEASE, NOW + 2 * LEASE)
        assert len(await rig.elsewhere.take(theirs, free("wh_1", org=org), NOW + LEASE)) == 1
        stale, good = missed(rig, lost), arrived(rig, held)
        lanes = [Lane(id_, org, DestinationKind.ENDPOINT, health=UNWELL) for id_ in ("wh_1", "wh_2", "wh_never")]
        assert await rig.dispatch.record(mine, [stale, good], lanes, NOW) == {"wh_1", "wh_never"}
        assert await rig.find(org, "deliveries", lost.id) == lost
        assert await rig.find(org, "deliveries", held.id) == good.delivery
        assert await attempts_of(rig, lost) == ()
        assert {one.destination_id for one in await rig.statistics()} == {"wh_2"}
        kept = await rig.dispatch.lanes(org, ["wh_1", "wh_2", "wh_never"])
        assert {id_: lane.health for id_, lane in kept.items()} == {"wh_1": WELL, "wh_2": UNWELL}
        assert await rig.elsewhere.record(theirs, [arrived(rig, lost)], [], NOW) == frozenset()
        assert await rig.dispatch.record(mine, [stale], [], NOW) == {"wh_1"}
        assert await states(rig, org) == {DeliveryState.DELIVERED: 2}
        assert len(await attempts_of(rig, lost)) == 1

    async def test_who_let_go_of_a_lane_records_nothing_for_it(self, rig: LanesRig) -> None:
        """Released or retired: the next may be at work already."""
        org = await rig.organisation()
        (one,), (two,) = await waiting(rig, org), await waiting(rig, org, destination="wh_2")
        mine = await rig.holder()
        await rig.dispatch.release(mine, [Lane("wh_1", org, DestinationKind.ENDPOINT)])
        assert await rig.dispatch.record(mine, [arrived(rig, one)], [], NOW) == {"wh_1"}
        await rig.dispatch.retire(mine)
        assert await rig.dispatch.record(mine, [arrived(rig, two)], [], NOW) == {"wh_2"}
        assert await states(rig, org) == {DeliveryState.PENDING: 2}

    async def test_what_was_cancelled_meanwhile_stays_cancelled(self, rig: LanesRig) -> None:
        """The attempt was made all the same, and is kept; whatever came of it."""
        org = await rig.organisation()
        made = await waiting(rig, org, count=3)
        mine = await rig.holder()
        async with rig.other.of(org) as work:
            await work.deliveries.cancel_pending("wh_1", "removed", NOW)
            await work.commit()
        one, two, three = made
        tried = [arrived(rig, one), missed(rig, two), Tried(three.expire(NOW), None)]
        assert await rig.dispatch.record(mine, tried, [], NOW) == frozenset()
        async with rig.store.reading(org) as work:
            assert await work.deliveries.all() == tuple(delivery.cancel("removed", NOW) for delivery in made)
        assert [len(await attempts_of(rig, delivery)) for delivery in made] == [1, 1, 0]
        assert await rig.dispatch.next_due() is None

    async def test_what_no_database_can_keep_is_kept_as_near_as_can_be(self, rig: LanesRig) -> None:
        """A receiver may answer with binary, also in its headers; its attempt must be recorded all the same."""
        org = await rig.organisation()
        (delivery,) = await waiting(rig, org)
        mine = await rig.holder()
        odd = "a\0b\ud800c"
        outcome = Outcome(Verdict.DELIVERED, TOOK, 200, odd, {"x": odd}, odd, {"y": odd}, odd)
        one = arrived(rig, delivery, last_error=odd)
        assert one.attempt is not None
        one = attrs.evolve(one, attempt=attrs.evolve(one.attempt, outcome=outcome))
        assert await rig.dispatch.record(mine, [one], [], NOW) == frozenset()
        (found,) = await attempts_of(rig, delivery)
        kept = found.outcome
        assert {kept.body, kept.error, kept.request_body} == {"a\ufffdb\ufffdc"}
        for text in (*kept.headers.values(), *kept.request_headers.values()):
            assert text.replace("\0", "\ufffd") in ("a\ufffdb\ufffdc", "a\ufffdb?c")
        assert (await rig.find(org, "deliveries", delivery.id)).last_error == "a\ufffdb\ufffdc"

    # Statistics.

    async def test_what_is_counted_adds_up(self, rig: LanesRig) -> None:
        """Attempts by how they ended and how long they took, deliveries by what became of them, minute by minute."""
        org = await rig.organisation()
        made = await waiting(rig, org, count=9, created_at=NOW - 60 * SECOND)
        mine = await rig.holder()
        failed = missed(rig, made[7], state=DeliveryState.FAILED, due_at=NOW, finished_at=NOW)
        first = [*(arrived(rig, one) for one in made[:5]), *(missed(rig, one) for one in made[5:7]), failed]
        await rig.dispatch.record(mine, [*first, Tried(made[8].expire(NOW), None)], [], NOW)
        await rig.dispatch.record(mine, [arrived(rig, made[5])], [], NOW)
        later = NOW + 60 * SECOND
        await rig.dispatch.record(mine, [arrived(rig, made[6])], [], later)
        minute, waited = start_of(NOW, 60), bucket_of(60 * SECOND)

        def count(outcome: Counted, bucket: int, number: int, at: Any = minute) -> Count:
            return Count("wh_1", org, 60, at, outcome, bucket, number)

        counted = await rig.statistics()
        assert sorted(counted, key=lambda one: (one.at, one.outcome.value)) == [
            count(Counted.ARRIVED, bucket_of(TOOK), 6),
            count(Counted.DELIVERED, waited, 6),
            count(Counted.EXPIRED, waited, 1),
            count(Counted.FAILED, waited, 1),
            count(Counted.MISSED, bucket_of(20 * TOOK), 3),
            count(Counted.ARRIVED, bucket_of(TOOK), 1, start_of(later, 60)),
            count(Counted.DELIVERED, waited, 1, start_of(later, 60)),
        ]

    async def test_two_workers_count_together(self, rig: LanesRig) -> None:
        """The lane changed hands within the minute; neither count is lost."""
        org = await rig.organisation()
        one, two = await waiting(rig, org, count=2)
        mine = await rig.holder()
        await rig.dispatch.record(mine, [arrived(rig, one)], [], NOW)
        await rig.dispatch.retire(mine)
        theirs = await rig.holder()
        await rig.elsewhere.record(theirs, [arrived(rig, two)], [], NOW)
        assert Counter({one.outcome: one.count for one in await rig.statistics()}) == {
            Counted.ARRIVED: 2,
            Counted.DELIVERED: 2,
        }

    # At once.

    async def test_ten_workers_do_everything_once(self, rig: LanesRig) -> None:
        """Over two processes, each letting go and taking anew: no delivery is recorded twice, and none is left."""
        org = await rig.organisation()
        for n in range(12):
            await waiting(rig, org, count=8, destination=f"wh_{n}")
        tried: list[str] = []

        async def work(dispatch: Dispatch) -> None:
            mine = await dispatch.enlist("wrk", NOW, NOW + LEASE)
            while await dispatch.next_due() is not None:
                lanes = await dispatch.take(mine, (await dispatch.survey(mine, NOW))[:3], NOW)
                chunks = await dispatch.read([Want(lane.destination_id, 5) for lane in lanes], NOW)
                batch = [arrived(rig, one.delivery) for chunk in chunks.values() for one in chunk.ready]
                assert await dispatch.record(mine, batch, [], NOW) == frozenset()
                tried.extend(one.delivery.id for one in batch)
                await dispatch.release(mine, lanes)
            await dispatch.retire(mine)

        async with asyncio.timeout(60):
            await asyncio.gather(*(work(rig.elsewhere if n % 2 else rig.dispatch) for n in range(10)))
        assert len(tried) == len(set(tried)) == 96
        assert await states(rig, org) == {DeliveryState.DELIVERED: 96}
        assert sum(one.count for one in await rig.statistics() if one.outcome is Counted.ARRIVED) == 96

    async def test_recording_and_cancelling_at_once_end_in_one_of_the_two(self, rig: LanesRig) -> None:
        """No dead lock, and no delivery that is both delivered and cancelled; every attempt is kept."""
        org = await rig.organisation()
        made = await waiting(rig, org, count=60)
        mine = await rig.holder()

        async def record(batch: list[Delivery]) -> None:
            await rig.dispatch.record(mine, [arrived(rig, one) for one in reversed(batch)], [], NOW)

        async def cancel() -> int:
            async with rig.other.of(org) as work:
                count = await work.deliveries.cancel_pending("wh_1", "gone", NOW)
                await work.commit()
            return count

        async with asyncio.timeout(20):
            *_, cancelled = await asyncio.gather(*(record(made[n::6]) for n in range(6)), cancel())
        found = await states(rig, org)
        assert found[DeliveryState.CANCELLED] == cancelled
        assert found[DeliveryState.DELIVERED] + cancelled == 60
        assert [len(await attempts_of(rig, one)) for one in made] == [1] * 60

    async def test_recording_and_changing_settings_at_once_do_not_lock_each_other(self, rig: LanesRig) -> None:
        """A person saves endpoints while workers write down what came of them."""
        org = await rig.organisation()
        endpoints = [rig.make.endpoint(org) for _ in range(6)]
        await rig.add(org, "endpoints", *endpoints)
        for endpoint in endpoints:
            await waiting(rig, org, count=5, destination=endpoint.id)
        mine = await rig.holder()

        async def record(destination: str) -> None:
            chunk = (await rig.dispatch.read([Want(destination, 9)], NOW))[destination]
            lane = Lane(destination, org, DestinationKind.ENDPOINT, health=Health(strikes=1))
            assert not await rig.dispatch.record(mine, [arrived(rig, one.delivery) for one in chunk.ready], [lane], NOW)

        async def change(order: int) -> None:
            for endpoint in endpoints[::order]:
                async with rig.other.of(org) as work:
                    await work.endpoints.save(await work.endpoints.get(endpoint.id))
                    await work.deliveries.cancel_pending(endpoint.id, "paused", NOW)
                    await work.commit()

        async with asyncio.timeout(20):
            await asyncio.gather(*(record(one.id) for one in endpoints), change(1))
        assert await rig.dispatch.revisions(mine) == {one.id: 1 for one in endpoints}
        assert DeliveryState.PENDING not in await states(rig, org)

    async def test_forgetting_goes_on_beside_delivering(self, rig: LanesRig) -> None:
        """The scheduler's night work stops nobody."""
        org = await rig.organisation()
        old = NOW - timedelta(days=40)
        await waiting(rig, org, count=30, state=DeliveryState.DELIVERED, finished_at=old)
        made = await waiting(rig, org, count=8)
        mine = await rig.holder()
        async with asyncio.timeout(20):
            counts, lost = await asyncio.gather(
                rig.other.forget(NOW - timedelta(days=1)),
                rig.dispatch.record(mine, [arrived(rig, one) for one in made], [], NOW),
            )
        assert (counts["deliveries"], lost) == (30, frozenset())
        assert await states(rig, org) == {DeliveryState.DELIVERED: 8}
