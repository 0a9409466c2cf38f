"""What every inbox must do. An inbox's own test subclasses this and gives a `rig` fixture."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from application.ports.inbox import InboxUnavailable, Wanted, WebhookInbox
from application.ports.store import Slice, StaleWrite, Store
from application.ports.work_queue import Topic
from domain.connections.connection import Connection
from domain.inbox import HOLDING_TRIES, REPEATABLE, InboxState, Received
from tests.contract.examples import NOW, Examples, full
from tests.fakes.work_queue import RecordingQueue

LEASE = timedelta(seconds=20)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@attrs.define
class InboxRig:
    """An inbox under test, and its store. `other` is another process's inbox over the same data."""

    inbox: WebhookInbox
    other: WebhookInbox
    store: Store
    queue: RecordingQueue
    away: Callable[[], AbstractAsyncContextManager[None]]
    """Inside, the inbox can keep nothing, and fails in the midst of it."""
    make: Examples = attrs.field(factory=Examples)

    async def organisation(self) -> str:
        """A new organisation's id."""
        organisation = self.make.organisation()
        await self.store.found(organisation)
        return organisation.id

    async def add_connection(self, connection: Connection) -> None:
        """Keep a connection."""
        async with self.store.of(connection.organisation_id) as work:
            await work.connections.add(connection)
            await work.commit()

    async def take(self, org: str, *changes: dict[str, Any]) -> list[Received]:
        """Webhooks that were taken in."""
        made = [self.make.received(org, **change) for change in changes]
        assert all(await self.inbox.take_in(made))
        return made

    async def find(self, received: Received) -> Received:
        """As anybody sees it."""
        async with self.store.reading(received.organisation_id) as work:
            return await work.inbox.get(received.id)

    async def ids(self, now: datetime = NOW, limit: int = 10) -> list[str]:
        """What a worker claims."""
        return [one.id for one in await self.inbox.claim(now, LEASE, limit)]


def about(name: str, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    """A webhook about an object, which came at a moment."""
    return {"object": name, "received_at": at, "due_at": at, **more}


class InboxContract:
    """The door's side, the workers' side, and that of whoever looks after it."""

    # The door.

    async def test_what_is_taken_in_is_kept_as_it_came(self, rig: InboxRig) -> None:
        """Every byte: the signature must still fit."""
        org = await rig.organisation()
        made = rig.make.received(org, body=bytes(range(256)), headers={"a-signature": "t=1"}, object="intent:é\u2713")
        assert await rig.inbox.take_in([made]) == [True]
        assert await rig.find(made) == made
        assert rig.queue.announced == [Topic.INBOX]
        assert await rig.inbox.take_in([]) in ((), [])

    async def test_one_event_is_kept_once_for_each_connection(self, rig: InboxRig) -> None:
        """Again, within one call, from another process: each is told."""
        org = await rig.organisation()
        same = [rig.make.received(org, external_id="evt_1") for _ in range(4)]
        elsewhere = rig.make.received(org, external_id="evt_1", connection_id="con_2")
        assert await rig.inbox.take_in([same[0], same[1], elsewhere]) == [True, False, True]
        assert await rig.other.take_in([same[2]]) == [False]
        assert await rig.inbox.take_in([same[3]]) == [False]
        assert await rig.inbox.count(org, Wanted()) == 2
        assert await rig.inbox.known("con_1", ["evt_1", "evt_2"]) == {"evt_1"}
        assert len(rig.queue.announced) == 1

    async def test_a_copy_has_an_ignored_one_handled_anew(self, rig: InboxRig) -> None:
        """Whoever made up the first copy must not have the provider's own dropped. It is no new one, and workers wake; what
        was handled, and the same event at another connection, stay as they are."""
        org = await rig.organisation()
        states = [("evt_1", InboxState.IGNORED, "con_1"), ("evt_2", InboxState.HANDLED, "con_1")]
        made = [
            rig.make.received(org, external_id=id_, state=state, connection_id=at, tries=9, error="no", handled_at=NOW)
            for id_, state, at in (*states, ("evt_1", InboxState.IGNORED, "con_2"))
        ]
        async with rig.store.of(org) as work:
            for one in made:
                await work.inbox.add(one)
            await work.commit()
        before = [await rig.find(one) for one in made]
        later = NOW + MINUTE
        copies = [rig.make.received(org, external_id=id_, due_at=later) for id_ in ("evt_1", "evt_2", "evt_3")]
        rig.queue.announced.clear()
        assert await rig.other.take_in(copies[:2]) == [False, False]
        assert len(rig.queue.announced) == 1
        assert await rig.inbox.take_in(copies) == [False, False, True]
        heard, handled, elsewhere = [await rig.find(one) for one in made]
        assert (heard.state, heard.tries, heard.due_at) == (InboxState.PENDING, 0, later)
        assert (heard.handled_at, heard.version) == (None, before[0].version + 1)
        assert [handled, elsewhere] == before[1:]
        assert await rig.ids(later) == [made[0].id, *[one.id for one in copies if one.external_id == "evt_3"]]

    async def test_many_at_once_are_kept_once(self, rig: InboxRig) -> None:
        """Twenty events, each five times, over two processes: twenty are new."""
        org = await rig.organisation()
        calls = [
            (inbox, [rig.make.received(org, external_id=f"evt_{number}")])
            for copy in range(5)
            for number in range(20)
            for inbox in [(rig.inbox, rig.other)[(number + copy) % 2]]
        ]
        told = await asyncio.gather(*(inbox.take_in(received) for inbox, received in calls))
        assert sum(sum(new) for new in told) == 20
        assert await rig.inbox.count(org, Wanted()) == 20

    async def test_while_it_is_away_nothing_is_kept(self, rig: InboxRig) -> None:
        """Every call of the group is told, and to send it again is right."""
        org = await rig.organisation()
        made = [rig.make.received(org) for _ in range(3)]
        async with rig.away():
            told = await asyncio.gather(*(rig.inbox.take_in([one]) for one in made), return_exceptions=True)
        assert [type(one) for one in told] == [InboxUnavailable] * 3
        assert await rig.inbox.count(org, Wanted()) == 0
        assert await rig.inbox.take_in(made) == [True] * 3

    # The workers' side.

    async def test_a_webhook_is_claimed_once(self, rig: InboxRig) -> None:
        """Of every organisation, the longest due first, as long as the lease lasts; each claim has its own version."""
        org, other = await rig.organisation(), await rig.organisation()
        (mine, _) = await rig.take(org, {}, {"due_at": NOW + MINUTE})
        (theirs,) = await rig.take(other, {"due_at": NOW - MINUTE})
        ended = full(rig.make, "inbox", org)
        async with rig.store.of(org) as work:
            await work.inbox.add(ended)
            await work.commit()
        claimed = await rig.inbox.claim(NOW, LEASE, 10)
        assert claimed == tuple(attrs.evolve(one, version=2) for one in (theirs, mine))
        assert await rig.inbox.claim(NOW, LEASE, 10) == await rig.other.claim(NOW, LEASE, 10) == ()
        (again,) = await rig.other.claim(NOW + LEASE, LEASE, 1)
        assert again == attrs.evolve(theirs, version=3)

    async def test_workers_that_claim_at_once_share(self, rig: InboxRig) -> None:
        """Nothing twice, and of one object one at a time."""
        org = await rig.organisation()
        await rig.take(org, *(about(f"intent:{n % 5}", NOW + n * SECOND) for n in range(30)))
        later = NOW + MINUTE
        first = await asyncio.gather(*(inbox.claim(later, LEASE, 3) for inbox in (rig.inbox, rig.other) * 4))
        found = [one for claimed in first for one in claimed]
        assert len(found) == len({one.object for one in found}) == 5

    async def test_workers_never_get_the_same_webhook(self, rig: InboxRig) -> None:
        """Six workers over two processes share what is due; everything is claimed, each once."""
        org = await rig.organisation()
        made = await rig.take(org, *({} for _ in range(40)))
        seen: list[str] = []

        async def work(inbox: WebhookInbox) -> None:
            while (await inbox.next_due(NOW) or NOW + LEASE) <= NOW:
                seen.extend(one.id for one in await inbox.claim(NOW, LEASE, 3))

        async with asyncio.timeout(30):
            await asyncio.gather(*(work(rig.other if n % 2 else rig.inbox) for n in range(6)))
        assert sorted(seen) == sorted(one.id for one in made)

    async def test_what_is_recorded_is_kept_and_the_claim_ended(self, rig: InboxRig) -> None:
        """One to be tried again waits for its time, not for the lease's end."""
        org = await rig.organisation()
        await rig.take(org, {}, {}, {})
        first, second, third = await rig.inbox.claim(NOW, LEASE, 10)
        await rig.inbox.record(first.handled(NOW))
        await rig.inbox.record(second.ignored("no use", NOW))
        await rig.inbox.record(third.failed("busy", NOW))
        assert await rig.find(first) == attrs.evolve(first.handled(NOW), version=3)
        assert (await rig.find(second)).error == "no use"
        assert await rig.inbox.claim(NOW, LEASE, 10) == ()
        assert await rig.inbox.next_due(NOW) == NOW + SECOND
        assert await rig.ids(NOW + SECOND) == [third.id]

    async def test_no_secret_is_kept_in_an_error(self, rig: InboxRig) -> None:
        """A provider's refusal may quote the key it refused; whoever reads the inbox must not learn it."""
        org = await rig.organisation()
        await rig.take(org, {})
        (claimed,) = await rig.inbox.claim(NOW, LEASE, 1)
        await rig.inbox.record(claimed.failed("Invalid API Key provided: sk_live_51Hsecret\0 \ud800", NOW))
        told = (await rig.find(claimed)).error
        assert told is not None
        assert "51Hsecret" not in told
        assert told.startswith("Invalid API Key provided: sk_live_[redacted]")

    async def test_a_worker_that_lost_its_claim_records_nothing(self, rig: InboxRig) -> None:
        """Taken over while the first still works; or a person decided meanwhile."""
        org = await rig.organisation()
        await rig.take(org, {}, {})
        lost, decided = await rig.inbox.claim(NOW, LEASE, 10)
        (taken,) = await rig.other.claim(NOW + LEASE, LEASE, 1)
        assert taken.id == lost.id
        assert not await rig.inbox.renew(lost, NOW + MINUTE)
        with pytest.raises(StaleWrite):
            await rig.inbox.record(lost.handled(NOW))
        await rig.other.record(taken.failed("theirs", NOW))
        assert (await rig.find(lost)).error == "theirs"
        async with rig.store.of(org) as work:
            await work.inbox.save((await work.inbox.get(decided.id)).skipped("user:ada", "a test", NOW))
            await work.commit()
        with pytest.raises(StaleWrite):
            await rig.inbox.record(decided.handled(NOW))
        assert not await rig.inbox.renew(decided, NOW + MINUTE)

    async def test_a_claim_can_be_held_longer(self, rig: InboxRig) -> None:
        """Handling may take longer than the lease; then nobody takes it over."""
        org = await rig.organisation()
        await rig.take(org, {})
        (claimed,) = await rig.inbox.claim(NOW, LEASE, 1)
        assert await rig.inbox.renew(claimed, NOW + LEASE + MINUTE)
        assert await rig.other.claim(NOW + LEASE, LEASE, 1) == ()
        assert await rig.other.next_due(NOW) == NOW + LEASE + MINUTE
        await rig.inbox.record(claimed.handled(NOW))
        assert await rig.other.next_due(NOW) is None

    async def test_webhooks_about_one_object_go_one_after_the_other(self, rig: InboxRig) -> None:
        """In the order in which they came, while others go on; the same name at another connection is another object."""
        org = await rig.organisation()
        made = await rig.take(
            org,
            about("intent:1", NOW + SECOND),
            about("intent:1"),
            about("intent:2", NOW + SECOND),
            about("intent:1", NOW, connection_id="con_2"),
            {"due_at": NOW},
            {"due_at": NOW},
        )
        later = NOW + SECOND
        claimed = await rig.inbox.claim(later, LEASE, 10)
        assert {one.id for one in claimed} == {made[n].id for n in (1, 2, 3, 4, 5)}
        assert await rig.other.claim(later, LEASE, 10) == ()
        assert await rig.other.next_due(later) == later + LEASE
        (head,) = [one for one in claimed if one.id == made[1].id]
        await rig.inbox.record(head.handled(later))
        assert await rig.other.next_due(later) == later
        assert await rig.ids(later) == [made[0].id]

    async def test_one_that_waits_for_its_retry_holds_up_only_its_own_object_and_not_for_ever(
        self, rig: InboxRig
    ) -> None:
        """After HOLDING_TRIES the later one, which may say that it is paid, goes ahead; and still one at a time."""
        org = await rig.organisation()
        first, second, elsewhere = await rig.take(
            org, about("intent:1"), about("intent:1", NOW + SECOND), about("intent:2", NOW + SECOND)
        )
        now = NOW + SECOND
        assert set(await rig.ids(now)) == {first.id, elsewhere.id}
        failed = (await rig.find(first)).failed("no", now)
        await rig.inbox.record(failed)
        for _ in range(HOLDING_TRIES - 1):
            now = failed.due_at
            assert second.id not in (found := await rig.ids(now))
            assert first.id in found
            failed = (await rig.find(first)).failed("no", now)
            await rig.inbox.record(failed)
        assert failed.due_at > now
        assert await rig.ids(now) == [second.id]
        # Its own time has come too, but one of the two is under way.
        assert set(await rig.ids(failed.due_at)) == {second.id, elsewhere.id}

    async def test_a_skipped_one_holds_up_nothing(self, rig: InboxRig) -> None:
        """A person need not wait."""
        org = await rig.organisation()
        first, second = await rig.take(org, about("intent:1"), about("intent:1", NOW + SECOND))
        (claimed,) = await rig.inbox.claim(NOW, LEASE, 1)
        await rig.inbox.record(claimed.failed("no", NOW + MINUTE))
        assert await rig.ids(NOW + SECOND) == []
        async with rig.store.of(org) as work:
            await work.inbox.save((await work.inbox.get(first.id)).skipped("user:ada", "known", NOW))
            await work.commit()
        assert await rig.ids(NOW + SECOND) == [second.id]

    async def test_the_next_moment_is_known(self, rig: InboxRig) -> None:
        """A worker sleeps until then: a leased one counts at the end of its lease, one that is held up not at all."""
        assert await rig.inbox.next_due(NOW) is None
        org = await rig.organisation()
        await rig.take(org, {"due_at": NOW + 9 * MINUTE})
        assert await rig.inbox.next_due(NOW) == NOW + 9 * MINUTE
        await rig.take(org, about("intent:1"), about("intent:1", NOW))
        assert await rig.inbox.next_due(NOW) == NOW
        await rig.ids()
        assert await rig.other.next_due(NOW) == NOW + LEASE

    # Who looks after it.

    async def test_the_list_is_filtered_and_has_no_bodies(self, rig: InboxRig) -> None:
        """By provider, state, type, object, time; only of one organisation."""
        org = await rig.organisation()
        one, two, three = await rig.take(
            org,
            {"object": "intent:pi_1", "type": "paid", "received_at": NOW - MINUTE},
            {"object": "checkout:pi_1x", "provider": "stripe", "connection_id": "con_2"},
            {},
        )
        await rig.take(await rig.organisation(), {"object": "intent:pi_1"})

        async def found(**wanted: Any) -> list[str]:
            page = await rig.inbox.page(org, Wanted(**wanted), Slice(limit=10))
            assert all(received.body == b"" for received in page.items)
            assert await rig.inbox.count(org, Wanted(**wanted)) == len(page.items)
            return [received.id for received in page.items]

        assert await found() == [three.id, two.id, one.id]
        assert await found(object="pi_1") == await found(object="intent:pi_1") == [one.id]
        assert await found(object="%") == []
        assert await found(type="paid") == [one.id]
        assert await found(provider="stripe") == await found(connection_id="con_2") == [two.id]
        assert await found(states=(InboxState.FAILED,)) == []
        assert await found(since=NOW) == [three.id, two.id]
        assert await found(until=NOW) == [one.id]
        page = await rig.inbox.page(org, Wanted(), Slice(limit=2))
        rest = await rig.inbox.page(org, Wanted(), Slice(limit=2, after=page.next))
        assert [received.id for received in (*page.items, *rest.items)] == [three.id, two.id, one.id]
        assert rest.next is None

    async def test_many_are_handled_again_from_their_first_try(self, rig: InboxRig) -> None:
        """What waits or was handled is left alone, and so is another organisation's."""
        org, other = await rig.organisation(), await rig.organisation()
        made = [
            rig.make.received(whose, state=state, tries=4, error="no", handled_at=NOW, version=3)
            for whose in (org, other)
            for state in InboxState
        ]
        async with rig.store.of(org) as work:
            for one in made[: len(InboxState)]:
                await work.inbox.add(one)
            await work.commit()
        assert await rig.inbox.again(org, Wanted(), NOW + MINUTE, 2) == 2
        assert await rig.inbox.again(org, Wanted(), NOW + MINUTE, 1_000) == len(REPEATABLE) - 2
        assert await rig.inbox.again(other, Wanted(), NOW + MINUTE, 1_000) == 0
        for one in made[: len(InboxState)]:
            now = await rig.find(one)
            if one.state in REPEATABLE:
                assert (now.state, now.tries, now.due_at) == (InboxState.PENDING, 0, NOW + MINUTE)
                assert (now.handled_at, now.version) == (None, 4)
            else:
                assert now == one
