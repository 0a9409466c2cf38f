"""What every store must do for a person who wants many deliveries sent again, or one of them now (see store.py)."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.ports.store import Slice, StaleWrite
from domain.events import Event
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.replays import Replay, ReplayKind
from domain.notifications.selection import Selection, Trouble
from tests.contract.examples import NOW
from tests.contract.store import Rig

MINUTE = timedelta(minutes=1)
FAILED, DELIVERED = DeliveryState.FAILED, DeliveryState.DELIVERED
HOUR = Selection(states=(FAILED,), since=NOW - 60 * MINUTE, until=NOW)
"""The failed deliveries of the last hour."""


async def happened(rig: Rig, org: str, type: str = "invoice.paid", **changes: Any) -> Event:
    """An event, ten minutes ago."""
    event = rig.make.event(org, **{"type": type, "created_at": NOW - 10 * MINUTE, **changes})
    await rig.add(org, "events", event)
    return event


async def told(rig: Rig, org: str, event: Event | None = None, destination: str = "wh_1", **changes: Any) -> Delivery:
    """A delivery that failed ten minutes ago."""
    event = event or await happened(rig, org)
    usual: dict[str, Any] = {
        "created_at": NOW - 10 * MINUTE,
        "state": FAILED,
        "finished_at": NOW - 9 * MINUTE,
        "attempts": 3,
    }
    delivery = rig.make.delivery(org, event, destination, **{**usual, **changes})
    await rig.add(org, "deliveries", delivery)
    return delivery


async def found(rig: Rig, org: str, wanted: Selection = HOUR, destination: str = "wh_1") -> list[str]:
    """The ids of what a replay would send; counting says the same."""
    async with rig.other.reading(org) as work:
        stretch = await work.deliveries.to_replay(wanted, destination, "", 500)
        assert stretch.up_to is None
        assert await work.deliveries.count_to_replay(wanted, destination, 1000) == len(stretch.found)
    return [one.id for one in stretch.found]


async def missing(
    rig: Rig, org: str, wanted: Selection, patterns: tuple[str, ...] = ("*",), destination: str = "wh_1"
) -> list[str]:
    """The ids of the events an endpoint has missed; counting says the same."""
    async with rig.other.reading(org) as work:
        stretch = await work.deliveries.missed(wanted, patterns, destination, "", 500)
        assert stretch.up_to is None
        assert await work.deliveries.count_missed(wanted, patterns, destination, 1000) == len(stretch.found)
    return [one.id for one in stretch.found]


class ReplaysContract:
    """Filters, replays, what was missed, now and never."""

    @pytest.mark.parametrize(
        "change",
        [
            {"destination_id": "wh_1"},
            {"event_types": ("invoice.*",)},
            {"event_types": ("client.*", "invoice.paid")},
            {"event_types": ("*",)},
            {"event_types": ("invoice_x.*",)},
            {"states": (FAILED, DELIVERED)},
            {"troubles": (Trouble.REFUSED,)},
            {"troubles": (Trouble.FAULT, Trouble.TIMEOUT)},
            {"troubles": (Trouble.UNREACHABLE,)},
            {"since": NOW - 10 * MINUTE},
            {"until": NOW - 10 * MINUTE},
            {"since": NOW - 11 * MINUTE, "until": NOW - 5 * MINUTE},
        ],
        ids=str,
    )
    async def test_a_list_is_filtered_as_the_domain_says(self, rig: Rig, change: dict[str, Any]) -> None:
        """One rule for the list, the dry count and the replay: what a person sees is what is sent."""
        org, other = await rig.organisation(), await rig.organisation()
        await told(rig, other)
        kept = [
            await told(rig, org, destination="wh_2"),
            await told(rig, org, await happened(rig, org, "invoice_x.sent"), created_at=NOW - 20 * MINUTE),
            await told(rig, org, await happened(rig, org, "client.created"), state=DELIVERED, last_status=200),
            await told(rig, org, await happened(rig, org, "invoice.sent"), last_status=404, last_error="said 404"),
            await told(rig, org, await happened(rig, org, "invoicesx.sent"), last_status=503, last_error="said 503"),
            await told(rig, org, last_error="No complete answer came within 15 s."),
            await told(rig, org, last_error="The name x.example was not found in time.", created_at=NOW - 5 * MINUTE),
            await told(rig, org, last_error="The name x.example was not found."),
            await told(rig, org, last_error="skipped by a person", state=DeliveryState.CANCELLED),
            await told(rig, org, last_error="It expired.", state=DeliveryState.EXPIRED, attempts=0),
        ]
        selection = Selection(**change)
        expected = [one.id for one in reversed(kept) if selection.accepts(one)]
        assert 0 < len(expected) <= len(kept)
        async with rig.other.reading(org) as work:
            whole = await work.deliveries.selected(Slice(200), selection)
            first = await work.deliveries.selected(Slice(1), selection)
            rest = await work.deliveries.selected(Slice(200, first.items[-1].id), selection)
        assert [one.id for one in whole.items] == expected
        assert [one.id for one in (*first.items, *rest.items)] == expected

    async def test_what_failed_is_found_stretch_by_stretch(self, rig: Rig) -> None:
        """Oldest first, each once; so a replay that was interrupted goes on where it was."""
        org = await rig.organisation()
        made = [await told(rig, org) for _ in range(5)]
        seen, after = list[str](), ""
        async with rig.other.reading(org) as work:
            while True:
                stretch = await work.deliveries.to_replay(HOUR, "wh_1", after, 2)
                seen += [one.id for one in stretch.found]
                if stretch.up_to is None:
                    break
                after = stretch.up_to
        assert seen == [one.id for one in made]

    async def test_only_one_destination_s_and_one_organisation_s(self, rig: Rig) -> None:
        """Nobody sends what is another's."""
        org, other = await rig.organisation(), await rig.organisation()
        mine = await told(rig, org)
        await told(rig, org, destination="wh_2")
        await told(rig, other)
        assert await found(rig, org) == [mine.id]

    async def test_of_several_only_the_latest_counts(self, rig: Rig) -> None:
        """A person who asks for the same replay twice does not bother the receiver twice."""
        org = await rig.organisation()
        event = await happened(rig, org)
        await told(rig, org, event)
        latest = await told(rig, org, event, created_at=NOW - 5 * MINUTE)
        assert await found(rig, org) == [latest.id]

    @pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.WAITING, DELIVERED])
    async def test_what_was_sent_again_is_not_sent_once_more(self, rig: Rig, state: DeliveryState) -> None:
        """It is on its way, or has arrived."""
        org = await rig.organisation()
        event = await happened(rig, org)
        early = await told(rig, org, event)
        ended = NOW if state is DELIVERED else None
        await told(rig, org, event, created_at=NOW + MINUTE, state=state, finished_at=ended)
        assert await found(rig, org) == []
        if state is not DELIVERED:
            other = await happened(rig, org)
            await told(rig, org, other, state=state, finished_at=None)
            await told(rig, org, other)
            assert await found(rig, org) == [], "also if it is the earlier of the two"
        everything = attrs.evolve(HOUR, states=(FAILED, DELIVERED))
        assert await found(rig, org, everything) == ([early.id] if state is DELIVERED else [])

    async def test_what_failed_again_later_is_sent(self, rig: Rig) -> None:
        """A first replay that came to nothing does not stand in the way of a second."""
        org = await rig.organisation()
        event = await happened(rig, org)
        early = await told(rig, org, event)
        await told(rig, org, event, created_at=NOW + MINUTE)
        assert await found(rig, org) == [early.id]

    async def test_what_has_no_event_any_more_is_left_out(self, rig: Rig) -> None:
        """There is nothing to send."""
        org = await rig.organisation()
        gone, stays = await told(rig, org), await told(rig, org)
        again = [one.send_again(id=rig.make.id("delivery"), now=NOW) for one in (gone, stays)]
        async with rig.store.of(org) as work:
            await work.events.remove(gone.event_id)
            await work.commit()
        assert await found(rig, org) == [stays.id]
        async with rig.store.of(org) as work:
            assert await work.deliveries.add_replayed(again) == 1
            await work.commit()
        assert await rig.find(org, "deliveries", again[0].id) is None
        assert await rig.find(org, "deliveries", again[1].id) == again[1]

    async def test_two_who_send_the_same_at_once_send_it_once(self, rig: Rig) -> None:
        """Both have looked before either wrote. What was missed and has any delivery by now is no longer missed."""
        org = await rig.organisation()
        failed, missed = await told(rig, org), await happened(rig, org)

        async def send() -> int:
            again = failed.send_again(id=rig.make.id("delivery"), now=NOW)
            first = rig.make.delivery(org, missed)
            async with rig.store.of(org) as work:
                made = await work.deliveries.add_replayed([again, first])
                await work.commit()
            return made

        assert sorted(await asyncio.gather(send(), send(), send())) == [0, 0, 2]
        async with rig.store.of(org) as work:
            assert await work.deliveries.cancel_pending("wh_1", "why", NOW) == 2
            await work.commit()
        assert await send() == 1, "what was cancelled can be sent again; what was missed is not missed any more"

    async def test_a_count_has_a_bound(self, rig: Rig) -> None:
        """Ten million are not counted."""
        org = await rig.organisation()
        for _ in range(3):
            await told(rig, org)
        await happened(rig, org)
        async with rig.other.reading(org) as work:
            assert await work.deliveries.count_to_replay(HOUR, "wh_1", 3) == 3
            assert await work.deliveries.count_to_replay(HOUR, "wh_1", 2) is None
            assert await work.deliveries.count_missed(HOUR, ("*",), "wh_2", 4) == 4
            assert await work.deliveries.count_missed(HOUR, ("*",), "wh_2", 3) is None

    async def test_what_an_endpoint_missed_is_what_it_has_no_delivery_of(self, rig: Rig) -> None:
        """In any state: what failed is no news."""
        org, other = await rig.organisation(), await rig.organisation()
        await told(rig, org)
        await happened(rig, other)
        elsewhere = await told(rig, org, destination="wh_2")
        untold = await happened(rig, org)
        await happened(rig, org, created_at=NOW)
        await happened(rig, org, created_at=NOW - 61 * MINUTE)
        client = await happened(rig, org, "client.created", created_at=NOW - 60 * MINUTE)
        hour = attrs.evolve(HOUR, states=())
        assert await missing(rig, org, hour) == [elsewhere.event_id, untold.id, client.id]
        assert await missing(rig, org, hour, ("client.*", "quote.sent")) == [client.id]
        assert await missing(rig, org, attrs.evolve(hour, event_types=("invoice.*",))) == [
            elsewhere.event_id,
            untold.id,
        ]
        assert await missing(rig, org, attrs.evolve(hour, event_types=("invoice.*",)), ("client.*",)) == []
        async with rig.other.reading(org) as work:
            stretch = await work.deliveries.missed(hour, ("*",), "wh_1", elsewhere.event_id, 1)
            assert ([one.id for one in stretch.found], stretch.up_to) == ([untold.id], untold.id)

    async def test_what_is_due_is_counted_up_to_a_bound(self, rig: Rig) -> None:
        """A replay looks often how full a lane is."""
        org = await rig.organisation()
        pending: dict[str, Any] = {"state": DeliveryState.PENDING, "finished_at": None}
        for _ in range(3):
            await told(rig, org, due_at=NOW, **pending)
        await told(rig, org, due_at=NOW + MINUTE, **pending)
        await told(rig, org)
        async with rig.other.reading(org) as work:
            assert await work.deliveries.count_due("wh_1", NOW, 1000) == 3
            assert await work.deliveries.count_due("wh_1", NOW, 2) == 2
            assert await work.deliveries.count_due("wh_2", NOW, 2) == 0

    async def test_one_is_hastened_and_keeps_its_place(self, rig: Rig) -> None:
        """What is due already stays where it is in its lane: it may be the first of those that are served in order."""
        org, other = await rig.organisation(), await rig.organisation()
        pending: dict[str, Any] = {"state": DeliveryState.PENDING, "finished_at": None}
        later, due = [await told(rig, org, due_at=NOW + n * MINUTE, **pending) for n in (5, -5)]
        ended = await told(rig, org)
        async with rig.store.of(other) as work:
            assert not await work.deliveries.hasten(later.id, NOW)
        async with rig.store.of(org) as work:
            assert await work.deliveries.hasten(later.id, NOW)
            assert await work.deliveries.hasten(due.id, NOW)
            assert not await work.deliveries.hasten(ended.id, NOW)
            await work.commit()
        assert await rig.find(org, "deliveries", later.id) == attrs.evolve(later, due_at=NOW)
        assert await rig.find(org, "deliveries", due.id) == due

    async def test_retries_are_hastened_the_soonest_due_first(self, rig: Rig) -> None:
        """What was never tried waits for the time that its sender gave it."""
        org = await rig.organisation()
        pending: dict[str, Any] = {"state": DeliveryState.PENDING, "finished_at": None}
        third, first, second = [await told(rig, org, due_at=NOW + n * MINUTE, **pending) for n in (3, 1, 2)]
        fresh = await told(rig, org, due_at=NOW + MINUTE, **{**pending, "attempts": 0})
        elsewhere = await told(rig, org, destination="wh_2", due_at=NOW + MINUTE, **pending)
        async with rig.store.of(org) as work:
            assert await work.deliveries.hasten_retries("wh_1", NOW, 2) == 2
            await work.commit()
        for one in (first, second):
            assert await rig.find(org, "deliveries", one.id) == attrs.evolve(one, due_at=NOW)
        for one in (third, fresh, elsewhere):
            assert await rig.find(org, "deliveries", one.id) == one

    async def test_one_is_skipped_while_it_waits(self, rig: Rig) -> None:
        """And not after: what arrived has arrived."""
        org, other = await rig.organisation(), await rig.organisation()
        for state in DeliveryState:
            open_ = state in (DeliveryState.PENDING, DeliveryState.WAITING)
            one = await told(rig, org, state=state, finished_at=None if open_ else NOW)
            async with rig.store.of(other) as work:
                assert not await work.deliveries.skip(one.id, "why", NOW)
            async with rig.store.of(org) as work:
                assert await work.deliveries.skip(one.id, "why", NOW) is open_
                await work.commit()
            assert await rig.find(org, "deliveries", one.id) == (one.cancel("why", NOW) if open_ else one)

    async def test_a_replay_is_kept_with_where_it_is(self, rig: Rig) -> None:
        """Another node reads it as it was written, and of two that go on at once one writes nothing."""
        org, other = await rig.organisation(), await rig.organisation()
        wanted = attrs.evolve(HOUR, destination_id="wh_1", event_types=("invoice.*",), troubles=(Trouble.TIMEOUT,))
        replay = Replay.of(
            ReplayKind.AGAIN,
            wanted,
            ("wh_1", "wh_2"),
            id=rig.make.id("replay"),
            organisation_id=org,
            asked_by="key:app",
            total=3,
            now=NOW,
        )
        await rig.add(org, "replays", replay)
        assert [one for one in await rig.other.running_replays() if one.organisation_id == org] == [replay]
        assert await rig.find(other, "replays", replay.id) is None
        async with rig.store.of(org) as work:
            saved = await work.replays.save(replay.advanced("wh_1", 2, "dlv_2", NOW + MINUTE))
            await work.commit()
        assert await rig.find(org, "replays", replay.id) == saved
        assert (saved.ahead, saved.done, saved.version) == ({"wh_1": "dlv_2", "wh_2": ""}, 2, 2)
        async with rig.store.of(org) as work:
            with pytest.raises(StaleWrite):
                await work.replays.save(replay.advanced("wh_2", 1, None, NOW))
        async with rig.store.of(org) as work:
            await work.replays.save(saved.cancel(NOW))
            await work.commit()
        assert [one for one in await rig.other.running_replays() if one.organisation_id == org] == []
