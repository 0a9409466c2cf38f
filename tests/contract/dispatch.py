"""What every Dispatch must do. Its test subclasses the parts and gives a `rig` fixture.

Here: leases, lanes, and what is read of them. What is written down is in dispatch_recording.py.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import attrs

from application.ports.dispatch import Dispatch, Lane, Waiting, Want
from domain.notifications.deliveries import DeliveryState, DestinationKind
from domain.notifications.health import WELL, Health
from domain.notifications.statistics import Count
from tests.contract.examples import JSON, NOW, ODD, full
from tests.contract.store import Rig
from tests.contract.store_claims import waiting

LEASE = timedelta(seconds=20)
SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)
NOBODY = 0
"""The generation of one who only looks."""

UNWELL = Health(7, 2, ODD, 3, NOW - timedelta(days=1), 50, 1)


@attrs.define(kw_only=True)
class LanesRig(Rig):
    """A Dispatch under test. `elsewhere` is another process's over the same data; statistics: all that was counted."""

    dispatch: Dispatch
    elsewhere: Dispatch
    statistics: Callable[[], Awaitable[list[Count]]]

    async def worker(self, now: datetime = NOW) -> int:
        """A lease's generation."""
        return await self.dispatch.enlist("wrk_1", now, now + LEASE)

    async def holder(self, *destinations: str, now: datetime = NOW) -> int:
        """A worker that holds these lanes, or all that are free."""
        generation = await self.worker(now)
        found = await self.dispatch.survey(generation, now)
        wanted = [one for one in found if not destinations or one.destination_id in destinations]
        taken = await self.dispatch.take(generation, wanted, now)
        assert len(taken) == len(destinations or found), "they were not all free"
        return generation


def free(*destinations: str, org: str = "org_1") -> list[Waiting]:
    """Lanes to be taken."""
    return [Waiting(one, org, DestinationKind.ENDPOINT, NOW) for one in destinations]


def ids(waiting: Sequence[Waiting]) -> list[str]:
    """Of the destinations."""
    return [one.destination_id for one in waiting]


class LanesContract:
    """Who holds what, and what is read."""

    async def test_a_generation_is_never_given_again(self, rig: LanesRig) -> None:
        """Whatever became of the workers before: or one that was dead could record as another."""
        given = []
        for n in range(6):
            dispatch = rig.elsewhere if n % 2 else rig.dispatch
            given.append(await dispatch.enlist("wrk_1", NOW, NOW + LEASE))
            if n % 3 == 0:
                await rig.dispatch.retire(given[-1])
        given.append(await rig.dispatch.enlist("wrk_1", NOW + 1000 * LEASE, NOW + 1001 * LEASE))
        assert given == sorted(set(given))
        assert all(given)

    async def test_a_lease_is_prolonged_until_it_is_over(self, rig: LanesRig) -> None:
        """Then others may hold the lanes, and the worker must know."""
        mine, theirs = await rig.worker(), await rig.worker()
        assert await rig.dispatch.renew(mine, NOW + LEASE - INSTANT, NOW + 2 * LEASE)
        assert await rig.elsewhere.renew(mine, NOW + 2 * LEASE - INSTANT, NOW + 3 * LEASE)
        assert not await rig.dispatch.renew(mine, NOW + 3 * LEASE, NOW + 9 * LEASE)
        assert not await rig.dispatch.renew(theirs, NOW + LEASE, NOW + 9 * LEASE)
        assert not await rig.dispatch.renew(987_654, NOW, NOW + LEASE)

    async def test_a_retired_worker_has_no_lease(self, rig: LanesRig) -> None:
        """Nor does retiring it hurt another."""
        mine, theirs = await rig.worker(), await rig.worker()
        await rig.dispatch.retire(mine)
        await rig.dispatch.retire(mine)
        assert not await rig.dispatch.renew(mine, NOW, NOW + LEASE)
        assert await rig.dispatch.renew(theirs, NOW, NOW + LEASE)

    # What is free.

    async def test_a_survey_finds_each_lane_with_something_pending(self, rig: LanesRig) -> None:
        """Of every organisation, the soonest due first, with the moment of its first delivery."""
        org, other = await rig.organisation(), await rig.organisation()
        assert await rig.dispatch.survey(NOBODY, NOW) == ()
        await waiting(rig, org, count=3, destination="wh_late", due_at=NOW + 9 * SECOND)
        await waiting(rig, org, destination="wh_late", due_at=NOW + 5 * SECOND)
        await waiting(rig, org, destination="wh_now")
        mail = await waiting(rig, other, destination="con_1", kind=DestinationKind.MAIL, due_at=NOW - SECOND)
        for state in DeliveryState:
            if state is not DeliveryState.PENDING:
                await waiting(rig, org, destination=f"wh_{state.value}", state=state, finished_at=NOW)
        assert await rig.elsewhere.survey(NOBODY, NOW) == (
            Waiting("con_1", other, DestinationKind.MAIL, mail[0].due_at),
            Waiting("wh_now", org, DestinationKind.ENDPOINT, NOW),
            Waiting("wh_late", org, DestinationKind.ENDPOINT, NOW + 5 * SECOND),
        )

    async def test_what_somebody_alive_holds_is_not_free(self, rig: LanesRig) -> None:
        """Until its lease is over, to the microsecond; to itself it is told, because something new may have come."""
        org = await rig.organisation()
        for n in range(3):
            await waiting(rig, org, destination=f"wh_{n}")
        mine = await rig.holder("wh_0", "wh_2")
        assert ids(await rig.elsewhere.survey(NOBODY, NOW)) == ["wh_1"]
        assert ids(await rig.elsewhere.survey(mine, NOW)) == ["wh_0", "wh_1", "wh_2"]
        assert ids(await rig.elsewhere.survey(NOBODY, NOW + LEASE - INSTANT)) == ["wh_1"]
        assert ids(await rig.elsewhere.survey(NOBODY, NOW + LEASE)) == ["wh_0", "wh_1", "wh_2"]
        assert await rig.dispatch.renew(mine, NOW + SECOND, NOW + SECOND + LEASE)
        assert ids(await rig.elsewhere.survey(NOBODY, NOW + LEASE)) == ["wh_1"]

    async def test_a_paused_lane_is_to_be_served_when_its_pause_is_over(self, rig: LanesRig) -> None:
        """Nobody takes it up before; a pause that is over counts for nothing."""
        org = await rig.organisation()
        pauses = {"wh_1": NOW + 60 * SECOND, "wh_2": NOW - 60 * SECOND}
        for id_ in pauses:
            await waiting(rig, org, destination=id_)
        mine = await rig.holder()
        lanes = [Lane(id_, org, DestinationKind.ENDPOINT, health=Health(paused_until=at)) for id_, at in pauses.items()]
        await rig.dispatch.release(mine, lanes)
        assert [(one.destination_id, one.due_at) for one in await rig.elsewhere.survey(NOBODY, NOW)] == [
            ("wh_2", NOW),
            ("wh_1", NOW + 60 * SECOND),
        ]

    # Taking.

    async def test_a_lane_is_taken_as_it_is_kept(self, rig: LanesRig) -> None:
        """New at first; then with how it fared when its last holder let go of it."""
        org = await rig.organisation()
        mine = await rig.worker()
        assert await rig.dispatch.take(mine, [], NOW) == ()
        (taken,) = await rig.dispatch.take(mine, free("wh_1", org=org), NOW)
        assert taken == Lane("wh_1", org, DestinationKind.ENDPOINT, 0, WELL, None)
        left = attrs.evolve(taken, health=UNWELL, sent_at=ODD)
        await rig.dispatch.release(mine, [left])
        (again,) = await rig.elsewhere.take(await rig.worker(), free("wh_1", org=org), NOW)
        assert again == left

    async def test_what_is_held_is_not_taken(self, rig: LanesRig) -> None:
        """The free ones of those asked for are; what one holds already is told again."""
        mine, theirs = await rig.worker(), await rig.worker()
        assert len(await rig.dispatch.take(mine, free("wh_2"), NOW)) == 1
        found = await rig.elsewhere.take(theirs, free("wh_3", "wh_2", "wh_1"), NOW)
        assert sorted(lane.destination_id for lane in found) == ["wh_1", "wh_3"]
        (still,) = await rig.dispatch.take(mine, free("wh_1", "wh_2"), NOW)
        assert (still.destination_id, still.inherited) == ("wh_2", False)
        assert set(await rig.dispatch.revisions(mine)) == {"wh_2"}
        assert set(await rig.dispatch.revisions(theirs)) == {"wh_1", "wh_3"}

    async def test_a_lane_that_is_free_is_taken_whoever_holds_others(self, rig: LanesRig) -> None:
        """Let go, or left behind by the dead: both go to the next, while somebody alive holds a third."""
        mine, dead = await rig.worker(), await rig.worker(NOW - LEASE)
        await rig.dispatch.take(dead, free("wh_dead"), NOW - LEASE)
        taken = await rig.dispatch.take(mine, free("wh_free", "wh_held"), NOW)
        await rig.dispatch.release(mine, [lane for lane in taken if lane.destination_id == "wh_free"])
        found = await rig.elsewhere.take(await rig.worker(), free("wh_dead", "wh_free", "wh_held"), NOW)
        assert {lane.destination_id: lane.inherited for lane in found} == {"wh_dead": True, "wh_free": False}

    async def test_of_many_who_take_at_once_each_lane_goes_to_one(self, rig: LanesRig) -> None:
        """Ten workers of two processes want the same forty, in whatever order."""
        wanted = [f"wh_{n}" for n in range(40)]
        workers = [await rig.worker() for _ in range(10)]

        async def take(n: int) -> list[str]:
            dispatch = rig.elsewhere if n % 2 else rig.dispatch
            order = wanted[n:] + wanted[:n] if n % 3 else wanted[::-1]
            return [lane.destination_id for lane in await dispatch.take(workers[n], free(*order), NOW)]

        async with asyncio.timeout(20):
            taken = await asyncio.gather(*(take(n) for n in range(10)))
        assert sorted(id_ for some in taken for id_ in some) == sorted(wanted)
        for worker, some in zip(workers, taken, strict=True):
            assert set(await rig.dispatch.revisions(worker)) == set(some)

    async def test_a_lapsed_lease_is_taken_over(self, rig: LanesRig) -> None:
        """A dead worker's lanes go to the next who asks, when its time is over."""
        org = await rig.organisation()
        await waiting(rig, org)
        mine, theirs = await rig.holder(), await rig.worker(NOW + LEASE)
        assert await rig.elsewhere.take(theirs, free("wh_1", org=org), NOW + LEASE - INSTANT) == ()
        (taken,) = await rig.elsewhere.take(theirs, free("wh_1", org=org), NOW + LEASE)
        assert taken.inherited, "when the dead one sent last is not known for sure"
        (again,) = await rig.elsewhere.take(theirs, free("wh_1", org=org), NOW + LEASE)
        assert not again.inherited
        assert await rig.dispatch.revisions(mine) == {}
        assert await rig.dispatch.revisions(theirs) == {"wh_1": 0}

    # Letting go.

    async def test_what_is_released_is_free_at_once(self, rig: LanesRig) -> None:
        """What is not stays held; one cannot let go of what is another's."""
        org = await rig.organisation()
        for n in range(3):
            await waiting(rig, org, destination=f"wh_{n}")
        mine, theirs = await rig.holder("wh_0", "wh_1"), await rig.holder("wh_2")
        lanes = [Lane(f"wh_{n}", org, DestinationKind.ENDPOINT, health=UNWELL) for n in (1, 2)]
        await rig.dispatch.release(mine, [])
        await rig.dispatch.release(mine, lanes)
        assert ids(await rig.elsewhere.survey(NOBODY, NOW)) == ["wh_1"]
        assert set(await rig.dispatch.revisions(theirs)) == {"wh_2"}
        kept = await rig.elsewhere.lanes(org, ["wh_1", "wh_2"])
        assert {id_: lane.health for id_, lane in kept.items()} == {"wh_1": UNWELL, "wh_2": WELL}

    async def test_retiring_frees_all_at_once(self, rig: LanesRig) -> None:
        """A deployment's next worker need not wait for the lease; how the lanes fare is kept."""
        org = await rig.organisation()
        for n in range(3):
            await waiting(rig, org, destination=f"wh_{n}")
        mine = await rig.holder("wh_0", "wh_1")
        await rig.holder("wh_2")
        fares = Lane("wh_0", org, DestinationKind.ENDPOINT, health=attrs.evolve(UNWELL, paused_until=None))
        assert await rig.dispatch.record(mine, [], [fares], NOW) == frozenset()
        await rig.dispatch.retire(mine)
        assert ids(await rig.elsewhere.survey(NOBODY, NOW)) == ["wh_0", "wh_1"]
        assert (await rig.elsewhere.lanes(org, ["wh_0"]))["wh_0"].health == fares.health

    # Reading.

    async def test_what_is_due_is_read_with_its_event(self, rig: LanesRig) -> None:
        """As it was stored: the data is the JSON that goes out."""
        org = await rig.organisation()
        event = rig.make.event(org, data=JSON, occurred_at=ODD)
        bare = rig.make.delivery(org, event)
        rich = attrs.evolve(
            full(rig.make, "deliveries", org),
            event_id=event.id,
            state=DeliveryState.PENDING,
            finished_at=None,
            due_at=NOW,
        )
        await rig.add(org, "events", event)
        await rig.add(org, "deliveries", bare, rich)
        chunk = (await rig.elsewhere.read([Want("wh_1", 10)], NOW))["wh_1"]
        assert [one.delivery for one in chunk.ready] == [bare, rich]
        assert chunk.next_due is None
        for one in chunk.ready:
            payload = one.payload
            assert (payload.id, payload.organisation_id, payload.type) == (event.id, org, event.type)
            assert (payload.occurred_at, payload.source_url) == (ODD, "https://hub.example")
            assert json.loads(payload.data_json) == JSON

    async def test_the_oldest_due_come_first(self, rig: LanesRig) -> None:
        """Of those due at the same moment, the first made; nothing of what is not due, ended, or another's."""
        org = await rig.organisation()
        late = await waiting(rig, org, count=2)
        early = await waiting(rig, org, count=2, due_at=NOW - SECOND)
        await waiting(rig, org, due_at=NOW + INSTANT)
        await waiting(rig, org, state=DeliveryState.CANCELLED, finished_at=NOW)
        await waiting(rig, org, destination="wh_2", due_at=NOW - SECOND)
        chunk = (await rig.dispatch.read([Want("wh_1", 10)], NOW))["wh_1"]
        assert [one.delivery for one in chunk.ready] == [*early, *late]
        assert chunk.next_due == NOW + INSTANT
        assert len((await rig.dispatch.read([Want("wh_1", 10)], NOW + INSTANT))["wh_1"].ready) == 5

    async def test_reading_goes_on_where_it_ended(self, rig: LanesRig) -> None:
        """Page by page, also through those that are due at the same moment; each once."""
        org = await rig.organisation()
        made = [*await waiting(rig, org, count=3, due_at=NOW - SECOND), *await waiting(rig, org, count=4)]
        await waiting(rig, org, due_at=NOW + SECOND)
        seen, after = [], None
        while True:
            chunk = (await rig.dispatch.read([Want("wh_1", 2, after)], NOW))["wh_1"]
            seen += [one.delivery for one in chunk.ready]
            if len(chunk.ready) < 2:
                break
            assert chunk.next_due is None, "a full chunk does not look further"
            after = (chunk.ready[-1].delivery.due_at, chunk.ready[-1].delivery.id)
        assert seen == made
        assert chunk.next_due == NOW + SECOND

    async def test_many_lanes_are_read_together(self, rig: LanesRig) -> None:
        """Each as far as is wanted of it; one with nothing is empty, and knows when there will be."""
        org, other = await rig.organisation(), await rig.organisation()
        mine = await waiting(rig, org, count=5)
        theirs = await waiting(rig, other, count=5, destination="wh_2")
        await waiting(rig, org, destination="wh_3", due_at=NOW + SECOND)
        wants = [Want("wh_1", 2), Want("wh_2", 9, (NOW, theirs[2].id)), Want("wh_3", 5), Want("wh_none", 5)]
        found = await rig.dispatch.read(wants, NOW)
        assert {id_: [one.delivery for one in chunk.ready] for id_, chunk in found.items()} == {
            "wh_1": mine[:2],
            "wh_2": theirs[3:],
            "wh_3": [],
            "wh_none": [],
        }
        assert (found["wh_3"].next_due, found["wh_none"].next_due) == (NOW + SECOND, None)
        assert await rig.dispatch.read([], NOW) == {}

    async def test_reading_does_not_wait_for_a_writer(self, rig: LanesRig) -> None:
        """A long transaction of a person's does not keep the deliveries waiting."""
        org = await rig.organisation()
        made = await waiting(rig, org)
        async with rig.store.of(org) as work, asyncio.timeout(5):
            await work.deliveries.cancel_pending("wh_1", "gone", NOW)
            for dispatch in (rig.dispatch, rig.elsewhere):
                chunk = (await dispatch.read([Want("wh_1", 10)], NOW))["wh_1"]
                assert [one.delivery for one in chunk.ready] == made
                assert ids(await dispatch.survey(NOBODY, NOW)) == ["wh_1"]
                assert await dispatch.next_due() == NOW

    # What is known of lanes.

    async def test_a_changed_destination_counts_its_lane_up(self, rig: LanesRig) -> None:
        """And ends its pause: whoever holds it looks anew. What else is known of it stays."""
        org = await rig.organisation()
        endpoint, board = rig.make.endpoint(org), rig.make.notification(org)
        await rig.add(org, "endpoints", endpoint)
        await rig.add(org, "notifications", board)
        mine = await rig.worker()
        taken = await rig.dispatch.take(mine, free(endpoint.id, board.id, "wh_other", org=org), NOW)
        await rig.dispatch.record(mine, [], [attrs.evolve(lane, health=UNWELL) for lane in taken], NOW)
        assert set((await rig.dispatch.revisions(mine)).values()) == {0}
        async with rig.store.of(org) as work:
            endpoint = await work.endpoints.save(attrs.evolve(endpoint, name="Other"))
            board = await work.notifications.save(attrs.evolve(board, name="Other"))
            await work.deliveries.stir("wh_none")
            await work.commit()
        assert await rig.elsewhere.revisions(mine) == {endpoint.id: 1, board.id: 1, "wh_other": 0}
        async with rig.store.of(org) as work:
            await work.endpoints.remove(endpoint.id)
            await work.deliveries.stir(board.id)
            await work.commit()
        assert await rig.elsewhere.revisions(mine) == {endpoint.id: 2, board.id: 2, "wh_other": 0}
        async with rig.store.of(org) as work:
            await work.notifications.save(attrs.evolve(board, name="Never"))  # not committed
        lanes = await rig.elsewhere.lanes(org, [endpoint.id, board.id, "wh_other"])
        assert lanes["wh_other"].health == UNWELL
        for id_ in (endpoint.id, board.id):
            assert (lanes[id_].revision, lanes[id_].health) == (2, UNWELL.resumed())

    async def test_no_organisation_touches_or_sees_anothers_lanes(self, rig: LanesRig) -> None:
        """Also not by naming them."""
        org, other = await rig.organisation(), await rig.organisation()
        endpoint = rig.make.endpoint(other)
        await rig.add(other, "endpoints", endpoint)
        mine = await rig.worker()
        (taken,) = await rig.dispatch.take(mine, free(endpoint.id, org=other), NOW)
        await rig.dispatch.record(mine, [], [attrs.evolve(taken, health=UNWELL)], NOW)
        async with rig.store.of(org) as work:
            await work.endpoints.remove(endpoint.id)
            await work.deliveries.stir(endpoint.id)
            await work.commit()
        assert await rig.dispatch.lanes(org, [endpoint.id]) == {}
        found = (await rig.dispatch.lanes(other, [endpoint.id, "wh_none"]))[endpoint.id]
        assert (found.revision, found.health) == (0, UNWELL)
        assert await rig.dispatch.lanes(other, []) == {}

    async def test_the_next_due_moment_is_known_whoever_holds_the_lane(self, rig: LanesRig) -> None:
        """A pause counts; what is held counts too: somebody has to do it."""
        assert await rig.dispatch.next_due() is None
        org = await rig.organisation()
        await waiting(rig, org, state=DeliveryState.FAILED, finished_at=NOW)
        await waiting(rig, org, state=DeliveryState.WAITING)
        assert await rig.dispatch.next_due() is None
        await waiting(rig, org, destination="wh_1", due_at=NOW + 3 * SECOND)
        await waiting(rig, org, destination="wh_2", due_at=NOW)
        assert await rig.elsewhere.next_due() == NOW
        mine = await rig.holder()
        assert await rig.elsewhere.next_due() == NOW
        paused = Lane("wh_2", org, DestinationKind.ENDPOINT, health=Health(paused_until=NOW + 60 * SECOND))
        await rig.dispatch.record(mine, [], [paused], NOW)
        assert await rig.elsewhere.next_due() == NOW + 3 * SECOND
        async with rig.store.of(org) as work:
            await work.deliveries.cancel_pending("wh_1", "gone", NOW)
            await work.commit()
        assert await rig.elsewhere.next_due() == NOW + 60 * SECOND
