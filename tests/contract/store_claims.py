"""What every store must do for the workers and the scheduler (see store.py)."""

from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from application.ports.store import Answer, Claimed, Store, Tried
from application.ports.work_queue import Topic
from domain.inbox import InboxState, Received
from domain.notifications.deliveries import Delivery, DeliveryState
from tests.contract.examples import NOW, TEXT, full
from tests.contract.store import Rig

LEASE = timedelta(seconds=90)
SHARE = 8
MINUTE = timedelta(minutes=1)


async def waiting(rig: Rig, org: str, *, count: int = 1, destination: str = "wh_1", **changes: Any) -> list[Delivery]:
    """Deliveries of one event, kept."""
    event = rig.make.event(org)
    made = [rig.make.delivery(org, event, destination, **changes) for _ in range(count)]
    async with rig.store.of(org) as work:
        await work.events.add(event)
        await work.deliveries.add_all(made)
        await work.commit()
    return made


def tried(rig: Rig, claimed: Claimed, **changes: Any) -> Tried:
    """A claimed delivery that arrived."""
    after = attrs.evolve(
        claimed.delivery, **{"state": DeliveryState.DELIVERED, "attempts": 1, "finished_at": NOW, **changes}
    )
    return Tried(after, rig.make.attempt(after, number=after.attempts), claimed.generation)


async def claim(store: Store, now: datetime = NOW, limit: int = 64) -> list[Claimed]:
    """What a worker gets."""
    return list(await store.claim_deliveries(now, LEASE, limit))


class ClaimsContract:
    """Claims, leases, recording, forgetting."""

    async def test_what_is_due_is_claimed_with_its_event(self, rig: Rig) -> None:
        """Of every organisation, the longest due first, and each once."""
        org, other = await rig.organisation(), await rig.organisation()
        (late,) = await waiting(rig, org, due_at=NOW, destination="wh_2")
        (early,) = await waiting(rig, other, due_at=NOW - MINUTE)
        await waiting(rig, org, due_at=NOW + timedelta(microseconds=1))
        await waiting(rig, org, state=DeliveryState.FAILED, finished_at=NOW)
        claimed = await claim(rig.store)
        assert [one.delivery for one in claimed] == [early, late]
        for one in claimed:
            assert one.event == await rig.find(one.delivery.organisation_id, "events", one.delivery.event_id)
        assert await claim(rig.store) == await claim(rig.other) == []

    async def test_no_more_are_claimed_than_asked_for(self, rig: Rig) -> None:
        """What is left is the next worker's."""
        org = await rig.organisation()
        made = await waiting(rig, org, count=5)
        first, second = await claim(rig.store, limit=3), await claim(rig.other, limit=3)
        assert [one.delivery for one in (*first, *second)] == made
        assert len(first) == 3

    async def test_one_destination_does_not_take_all_places(self, rig: Rig) -> None:
        """A receiver that hangs holds a few places of a round, not all, however much waits for it."""
        org = await rig.organisation()
        await waiting(rig, org, count=100, due_at=NOW - MINUTE)
        quick = await waiting(rig, org, count=3, destination="wh_2")
        claimed = [one.delivery for one in await claim(rig.store)]
        assert [one for one in claimed if one.destination_id == "wh_2"] == quick
        assert len(claimed) == SHARE + 3

    async def test_a_destination_to_be_avoided_gets_nothing(self, rig: Rig) -> None:
        """It has its share under way; the others get all places, and it waits for the next claim."""
        org = await rig.organisation()
        full = await waiting(rig, org, count=3, due_at=NOW - MINUTE)
        also = await waiting(rig, org, count=1, destination="wh_2", due_at=NOW - MINUTE)
        quick = await waiting(rig, org, count=2, destination="wh_3")
        claimed = await rig.store.claim_deliveries(NOW, LEASE, 2, avoid=frozenset({"wh_1", "wh_2", "wh_none"}))
        assert [one.delivery for one in claimed] == quick
        assert await rig.store.claim_deliveries(NOW, LEASE, 2, avoid=frozenset({"wh_1", "wh_2"})) == ()
        assert [one.delivery for one in await claim(rig.other)] == [*full, *also]

    async def test_a_lease_that_is_over_is_taken_over(self, rig: Rig) -> None:
        """A dead worker's deliveries are not lost; the generation tells the two claims apart."""
        org = await rig.organisation()
        (made,) = await waiting(rig, org)
        (first,) = await claim(rig.store)
        assert await claim(rig.other, NOW + LEASE - timedelta(microseconds=1)) == []
        (second,) = await claim(rig.other, NOW + LEASE)
        assert second.delivery == made
        assert second.generation == first.generation + 1

    async def test_what_is_recorded_is_kept_with_its_attempt(self, rig: Rig) -> None:
        """State and attempt become true together."""
        org = await rig.organisation()
        await waiting(rig, org)
        (claimed,) = await claim(rig.store)
        outcome = rig.make.full_outcome()
        after = attrs.evolve(full(rig.make, "deliveries", org), id=claimed.delivery.id)
        one = Tried(after, rig.make.attempt(after, outcome, 12), claimed.generation)
        assert await rig.store.record_attempts([one]) == (one,)
        async with rig.other.reading(org) as work:
            assert await work.deliveries.get(after.id) == after
            assert await work.attempts.of(after.id) == (one.attempt,)
        assert await claim(rig.store, NOW + LEASE) == []

    async def test_a_delivery_to_be_tried_again_waits_for_its_time_only(self, rig: Rig) -> None:
        """Recording ends the lease."""
        org = await rig.organisation()
        await waiting(rig, org)
        (claimed,) = await claim(rig.store)
        again = tried(rig, claimed, state=DeliveryState.PENDING, due_at=NOW + timedelta(seconds=1), finished_at=None)
        await rig.store.record_attempts([again])
        assert await claim(rig.store) == []
        (second,) = await claim(rig.store, NOW + timedelta(seconds=1))
        assert second.delivery == again.delivery

    async def test_a_worker_that_lost_its_claim_records_nothing(self, rig: Rig) -> None:
        """Neither the state nor an attempt; what else it brought is kept."""
        org = await rig.organisation()
        await waiting(rig, org, count=2)
        lost, held = await claim(rig.store)
        (taken,) = await claim(rig.other, NOW + LEASE, limit=1)
        assert taken.delivery == lost.delivery
        stale, good = tried(rig, lost, last_error="mine"), tried(rig, held)
        assert await rig.store.record_attempts([stale, good]) == (good,)
        async with rig.store.reading(org) as work:
            assert await work.deliveries.get(lost.delivery.id) == lost.delivery
            assert await work.attempts.of(lost.delivery.id) == ()
        theirs = tried(rig, taken)
        assert await rig.other.record_attempts([theirs]) == (theirs,)
        assert await rig.store.record_attempts([stale]) == ()
        assert await rig.store.record_attempts([]) == ()

    async def test_a_cancelled_delivery_is_not_recorded_over(self, rig: Rig) -> None:
        """Its destination was removed while it was on its way."""
        org = await rig.organisation()
        await waiting(rig, org)
        (claimed,) = await claim(rig.store)
        async with rig.store.of(org) as work:
            await work.deliveries.cancel_pending("wh_1", TEXT, NOW)
            await work.commit()
        assert await rig.store.record_attempts([tried(rig, claimed)]) == ()
        found = await rig.find(org, "deliveries", claimed.delivery.id)
        assert found.state is DeliveryState.CANCELLED
        assert await claim(rig.store, NOW + LEASE) == []

    # The inbox.

    async def test_a_webhook_is_claimed_once(self, rig: Rig) -> None:
        """Of every organisation, when it is due, as long as the lease lasts."""
        org, other = await rig.organisation(), await rig.organisation()
        mine, theirs = rig.make.received(org), rig.make.received(other, due_at=NOW - MINUTE)
        await rig.add(org, "inbox", mine, rig.make.received(org, due_at=NOW + MINUTE), full(rig.make, "inbox", org))
        await rig.add(other, "inbox", theirs)
        assert await rig.store.claim_inbox(NOW, LEASE, 10) == (mine, theirs)
        assert await rig.store.claim_inbox(NOW, LEASE, 10) == await rig.other.claim_inbox(NOW, LEASE, 10) == ()
        assert await rig.other.claim_inbox(NOW + LEASE, LEASE, 1) == (theirs,)

    async def test_the_longest_due_webhooks_come_first(self, rig: Rig) -> None:
        """A burst does not starve what waits."""
        org = await rig.organisation()
        made = [rig.make.received(org, due_at=NOW - n * MINUTE) for n in range(5)]
        await rig.add(org, "inbox", *made)
        assert await rig.store.claim_inbox(NOW, LEASE, 2) == (made[3], made[4])

    async def test_a_handled_webhook_is_not_claimed_again(self, rig: Rig) -> None:
        """Nor an ignored or a failed one."""
        org = await rig.organisation()
        await rig.add(org, "inbox", *(rig.make.received(org) for _ in range(3)))
        first, second, third = await rig.store.claim_inbox(NOW, LEASE, 10)
        async with rig.store.of(org) as work:
            await work.inbox.save(first.handled(NOW))
            await work.inbox.save(second.ignored("no use", NOW))
            await work.inbox.save(attrs.evolve(third, state=InboxState.FAILED))
            await work.commit()
        assert await rig.store.claim_inbox(NOW + LEASE, LEASE, 10) == ()

    async def test_a_webhook_to_be_tried_again_waits_for_its_time_only(self, rig: Rig) -> None:
        """Saving ends the lease, which is much longer than the first waits."""
        org = await rig.organisation()
        await rig.add(org, "inbox", rig.make.received(org))
        (received,) = await rig.store.claim_inbox(NOW, LEASE, 10)
        async with rig.store.of(org) as work:
            again: Received = await work.inbox.save(received.failed("busy", NOW))
            await work.commit()
        assert await rig.store.claim_inbox(NOW, LEASE, 10) == ()
        assert await rig.store.next_due() == again.due_at == NOW + timedelta(seconds=1)
        assert await rig.store.claim_inbox(again.due_at, LEASE, 10) == (again,)

    # What is to come, and how much.

    async def test_the_next_due_moment_is_known(self, rig: Rig) -> None:
        """A worker sleeps until then: a leased one counts at the end of its lease."""
        assert await rig.store.next_due() is None
        org = await rig.organisation()
        await waiting(rig, org, state=DeliveryState.CANCELLED, finished_at=NOW)
        await rig.add(org, "inbox", full(rig.make, "inbox", org))
        assert await rig.store.next_due() is None
        await rig.add(org, "inbox", rig.make.received(org, due_at=NOW + 9 * MINUTE))
        assert await rig.store.next_due() == NOW + 9 * MINUTE
        await waiting(rig, org, due_at=NOW - MINUTE)
        await waiting(rig, org, due_at=NOW + timedelta(microseconds=1))
        assert await rig.store.next_due() == NOW - MINUTE
        await claim(rig.store)
        assert await rig.store.next_due() == NOW + timedelta(microseconds=1)
        await claim(rig.store, NOW + timedelta(seconds=1))
        assert await rig.other.next_due() == NOW + LEASE

    async def test_the_next_due_moment_of_one_topic_is_known(self, rig: Rig) -> None:
        """What waits for one loop of a worker must not keep the other awake."""
        org = await rig.organisation()
        await waiting(rig, org, due_at=NOW - MINUTE)
        assert await rig.store.next_due(Topic.DELIVERIES) == NOW - MINUTE
        assert await rig.store.next_due(Topic.INBOX) is None
        await rig.add(org, "inbox", rig.make.received(org, due_at=NOW - 2 * MINUTE))
        assert await rig.store.next_due(Topic.DELIVERIES) == NOW - MINUTE
        assert await rig.other.next_due(Topic.INBOX) == await rig.other.next_due() == NOW - 2 * MINUTE
        await rig.store.claim_inbox(NOW, LEASE, 1)
        assert await rig.store.next_due(Topic.INBOX) == NOW + LEASE

    async def test_the_backlog_is_counted(self, rig: Rig) -> None:
        """For metrics, over all organisations."""
        names = ("deliveries_pending", "deliveries_oldest_due", "inbox_pending", "inbox_failed")
        assert dict(await rig.store.backlog()) == dict(zip(names, (0, None, 0, 0), strict=True))
        org, other = await rig.organisation(), await rig.organisation()
        await waiting(rig, org, count=2)
        await waiting(rig, other, due_at=NOW - MINUTE)
        await waiting(rig, other, state=DeliveryState.FAILED, finished_at=NOW, due_at=NOW - 9 * MINUTE)
        await rig.add(org, "inbox", rig.make.received(org), full(rig.make, "inbox", org))
        await rig.add(other, "inbox", rig.make.received(other, state=InboxState.FAILED))
        assert dict(await rig.other.backlog()) == dict(zip(names, (3, NOW - MINUTE, 1, 1), strict=True))

    # Forgetting.

    async def test_what_is_finished_and_old_is_forgotten(self, rig: Rig) -> None:
        """With its attempts; what waits, what failed in the inbox, and what is younger stays."""
        org = await rig.organisation()
        old, before = NOW - timedelta(days=40), NOW - timedelta(days=30)
        pending = await waiting(rig, org, created_at=old, due_at=old)
        ends = (DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.CANCELLED)
        gone = [one for state in ends for one in await waiting(rig, org, state=state, finished_at=old)]
        young = await waiting(rig, org, state=DeliveryState.FAILED, created_at=old, finished_at=before)
        async with rig.store.of(org) as work:
            attempts = {one.id: rig.make.attempt(one) for one in (*pending, *gone, *young)}
            for attempt in attempts.values():
                await work.attempts.add(attempt)
            make = rig.make.received
            handled = make(org, state=InboxState.HANDLED, handled_at=old)
            ignored = make(org, state=InboxState.IGNORED, handled_at=old)
            stay = (make(org, due_at=old), make(org, state=InboxState.FAILED), make(org, handled_at=before))
            for received in (handled, ignored, *stay):
                await work.inbox.add(received)
            await work.answers.add(Answer("old", "h", 200, b"", {}, old))
            await work.answers.add(Answer("young", "h", 200, b"", {}, before))
            await work.commit()
        live, lapsed = (
            rig.make.session(org, created_at=old),
            rig.make.session(org, expires_at=NOW - timedelta(microseconds=1)),
        )
        await rig.store.add_session(live)
        await rig.store.add_session(lapsed)
        assert dict(await rig.store.forget(before)) == {"deliveries": 3, "inbox": 2, "answers": 1, "sessions": 1}
        assert set((await rig.store.forget(before)).values()) == {0}
        async with rig.other.reading(org) as work:
            assert await work.deliveries.all() == (*pending, *young)
            for one in (*pending, *gone, *young):
                assert await work.attempts.of(one.id) == (() if one in gone else (attempts[one.id],))
            assert await work.inbox.all() == stay
            assert await work.answers.find("old") is None
            assert await work.answers.find("young") is not None
        assert await rig.store.find_session(live.id) == live
        assert await rig.store.find_session(lapsed.id) is None

    @pytest.mark.parametrize("count", [1200])
    async def test_many_are_forgotten_as_well(self, rig: Rig, count: int) -> None:
        """More than fit into one batch."""
        org = await rig.organisation()
        old = NOW - timedelta(days=40)
        gone = await waiting(rig, org, count=count, state=DeliveryState.DELIVERED, finished_at=old)
        async with rig.store.of(org) as work:
            for one in gone[::100]:
                await work.attempts.add(rig.make.attempt(one))
            for n in range(600):
                await work.answers.add(Answer(f"key {n}", "h", 200, b"", {}, old))
            await work.commit()
        counts = await rig.store.forget(NOW)
        assert (counts["deliveries"], counts["answers"]) == (count, 600)
        async with rig.store.reading(org) as work:
            assert await work.deliveries.all() == ()
            assert await work.attempts.of(gone[0].id) == ()
