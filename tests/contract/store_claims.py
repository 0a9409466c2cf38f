"""What every store must do for the metrics and for the scheduler (see store.py)."""

from datetime import timedelta
from typing import Any

import pytest

from application.ports.store import Answer
from domain.inbox import InboxState
from domain.notifications.deliveries import Delivery, DeliveryState
from tests.contract.examples import NOW, full
from tests.contract.store import Rig

LEASE = timedelta(seconds=90)
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


class ClaimsContract:
    """The backlog, forgetting. What workers claim of the inbox is the inbox's (inbox.py)."""

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
        ends = (DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.EXPIRED)
        gone = [one for state in ends for one in await waiting(rig, org, state=state, finished_at=old)]
        unfetched = await waiting(rig, org, state=DeliveryState.WAITING, created_at=old, due_at=old)
        young = await waiting(rig, org, state=DeliveryState.FAILED, created_at=old, finished_at=before)
        async with rig.store.of(org) as work:
            attempts = {one.id: rig.make.attempt(one) for one in (*pending, *gone, *unfetched, *young)}
            for attempt in attempts.values():
                await work.attempts.add(attempt)
            make = rig.make.received
            handled = make(org, state=InboxState.HANDLED, handled_at=old)
            ignored = make(org, state=InboxState.IGNORED, handled_at=old)
            skipped = make(org, state=InboxState.SKIPPED, handled_at=old)
            stay = (make(org, due_at=old), make(org, state=InboxState.FAILED), make(org, handled_at=before))
            for received in (handled, ignored, skipped, *stay):
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
        assert dict(await rig.store.forget(before)) == {"deliveries": 4, "inbox": 3, "answers": 1, "sessions": 1}
        assert set((await rig.store.forget(before)).values()) == {0}
        async with rig.other.reading(org) as work:
            assert await work.deliveries.all() == (*pending, *unfetched, *young)
            for one in (*pending, *gone, *unfetched, *young):
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
