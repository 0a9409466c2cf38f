"""What every Intake must do. Its test subclasses this and gives a `rig` fixture."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import pytest

from adapters.persistence.intake import MOST_DELIVERIES, TooMuchAtOnce
from application.delivery.handover import Handover
from application.once import Once
from application.ports.dispatch import Ready
from application.ports.intake import Intake, NewEvent, Submission
from application.ports.store import Answer
from application.ports.work_queue import Topic
from domain.events import Event
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.endpoints import EndpointMode
from domain.notifications.options import Options
from domain.notifications.payload import Payload, encode_data
from domain.refusals import Invalid
from tests.contract.examples import JSON, NOW, ODD
from tests.contract.store import Rig

HOUR = timedelta(hours=1)


@attrs.define(kw_only=True)
class IntakeRig(Rig):
    """An Intake under test. `elsewhere` is another process's; handover: to the first one's worker."""

    intake: Intake
    elsewhere: Intake
    handover: Handover

    def event(self, org: str, type: str = "order.shipped", data: Any = None, **changes: Any) -> NewEvent:
        """An event as the host application tells it."""
        body = encode_data({"id": 1} if data is None else data)
        payload = Payload(self.make.id("event"), org, type, NOW, body, "https://hub.example")
        return attrs.evolve(NewEvent(payload, NOW), **changes)

    async def keep(self, *events: NewEvent, once: Once | None = None) -> Answer | None:
        """In one call."""
        return await self.intake.accept(submission(*events, once=once))

    async def events(self, org: str) -> tuple[Event, ...]:
        """All that were kept."""
        async with self.other.reading(org) as work:
            return await work.events.all()

    async def deliveries(self, org: str) -> tuple[Delivery, ...]:
        """All that were made."""
        async with self.other.reading(org) as work:
            return await work.deliveries.all()

    async def told(self, org: str) -> list[str]:
        """Who is told, delivery by delivery."""
        return [one.destination_id for one in await self.deliveries(org)]


def submission(*events: NewEvent, once: Once | None = None) -> Submission:
    """One call's."""
    return Submission(events[0].payload.organisation_id, events, once, events)


def once(key: str = "key", request: str = "hash") -> Once:
    """A call with an Idempotency-Key; its answer names the events."""

    def render(events: Any) -> tuple[int, bytes, Mapping[str, str]]:
        return 202, " ".join(event.payload.id for event in events).encode(), {"x": request}

    return Once(key, request, render)


class IntakeContract:
    """Events, who is told of them, and the answers that are kept."""

    async def test_an_event_is_kept_as_it_was_told(self, rig: IntakeRig) -> None:
        """Also one that nobody wants: somebody may want it later."""
        org, other = await rig.organisation(), await rig.organisation()
        await rig.add(other, "endpoints", rig.make.endpoint(other))
        new = rig.event(org, data=JSON)
        new = attrs.evolve(new, payload=attrs.evolve(new.payload, occurred_at=ODD))
        assert await rig.keep(new) is None
        assert await rig.events(org) == (Event(new.payload.id, org, "order.shipped", JSON, ODD, NOW),)
        assert await rig.deliveries(org) == await rig.deliveries(other) == ()
        assert rig.queue.announced == []

    async def test_whoever_wants_it_is_told_and_nobody_else(self, rig: IntakeRig) -> None:
        """By name, by family or everything: endpoints and notifications, but none that is switched off."""
        org = await rig.organisation()
        wants = [rig.make.endpoint(org, events=events) for events in (("order.shipped",), ("order.*",), ("*",))]
        others = [rig.make.endpoint(org, events=("order.returned",)), rig.make.endpoint(org).pause(NOW)]
        board = rig.make.notification(org, events=("order.*",))
        await rig.add(org, "endpoints", *wants, *others, rig.make.endpoint(org).disable("gone", NOW))
        await rig.add(org, "notifications", board, rig.make.notification(org, is_active=False))
        new = rig.event(org)
        await rig.keep(new)
        made = await rig.deliveries(org)
        assert [one.destination_id for one in made] == [*(one.id for one in wants), board.id]
        for one in made:
            kind = DestinationKind.NOTIFICATION if one.destination_id == board.id else DestinationKind.ENDPOINT
            id_ = new.payload.id
            assert one == Delivery(one.id, org, id_, "order.shipped", kind, one.destination_id, id_, NOW, NOW)
        assert rig.queue.announced == [Topic.DELIVERIES]
        assert rig.queue.lanes == [{one.destination_id for one in made}]

    async def test_what_a_polled_endpoint_wants_waits_to_be_fetched(self, rig: IntakeRig) -> None:
        """No worker is called for it."""
        org = await rig.organisation()
        await rig.add(org, "endpoints", rig.make.endpoint(org, mode=EndpointMode.POLL, url=""))
        await rig.keep(rig.event(org))
        assert [one.state for one in await rig.deliveries(org)] == [DeliveryState.WAITING]
        assert rig.queue.announced == []

    async def test_a_filter_decides_by_what_is_told(self, rig: IntakeRig) -> None:
        """Of each event for itself."""
        org = await rig.organisation()
        picky = rig.make.endpoint(org, options=Options(filter="data.total > 100"))
        await rig.add(org, "endpoints", picky)
        large, small, none = (rig.event(org, data=data) for data in ({"total": 101}, {"total": 100}, {}))
        await rig.keep(large, small, none)
        assert [one.event_id for one in await rig.deliveries(org)] == [large.payload.id]
        assert len(await rig.events(org)) == 3

    async def test_what_is_to_be_told_later_waits(self, rig: IntakeRig) -> None:
        """And has its end; an endpoint may find that it is of no use sooner."""
        org = await rig.organisation()
        usual, hasty = rig.make.endpoint(org), rig.make.endpoint(org, options=Options(expires_after_s=60))
        await rig.add(org, "endpoints", usual, hasty)
        await rig.keep(rig.event(org, deliver_at=NOW + HOUR, expires_at=NOW + 3 * HOUR))
        await rig.keep(rig.event(org, deliver_at=NOW - HOUR))
        assert [(one.due_at, one.expires_at) for one in await rig.deliveries(org)] == [
            (NOW + HOUR, NOW + 3 * HOUR),
            (NOW + HOUR, NOW + HOUR + timedelta(seconds=60)),
            (NOW, None),
            (NOW, NOW + timedelta(seconds=60)),
        ]

    async def test_what_another_process_changed_counts_at_the_very_next_event(self, rig: IntakeRig) -> None:
        """Who is told is remembered from call to call; it must never be out of date."""
        org = await rig.organisation()
        endpoint, board = rig.make.endpoint(org), rig.make.notification(org)

        async def change(then: Any) -> list[str]:
            async with rig.other.of(org) as work:
                await then(work)
                await work.commit()
            before = len(await rig.deliveries(org))
            await rig.keep(rig.event(org))
            return (await rig.told(org))[before:]

        assert await change(lambda work: work.endpoints.add(endpoint)) == [endpoint.id]
        assert await change(lambda work: work.notifications.add(board)) == [endpoint.id, board.id]
        assert await change(lambda work: work.endpoints.save(endpoint.pause(NOW))) == [board.id]
        paused = await rig.find(org, "endpoints", endpoint.id)
        assert await change(lambda work: work.endpoints.save(paused.enable(NOW))) == [endpoint.id, board.id]
        assert await change(lambda work: work.notifications.remove(board.id)) == [endpoint.id]
        assert await change(lambda work: work.endpoints.remove(endpoint.id)) == []

    async def test_what_is_not_committed_changes_nothing(self, rig: IntakeRig) -> None:
        """A person thought better of it."""
        org = await rig.organisation()
        async with rig.store.of(org) as work:
            await work.endpoints.add(rig.make.endpoint(org))
        await rig.keep(rig.event(org))
        assert await rig.deliveries(org) == ()

    # To the worker of the same process.

    async def test_what_is_due_is_given_to_the_worker_of_this_process(self, rig: IntakeRig) -> None:
        """With its payload; for the lanes it holds nobody else is called."""
        org = await rig.organisation()
        mine, theirs = rig.make.endpoint(org, events=("order.*",)), rig.make.endpoint(org)
        await rig.add(org, "endpoints", mine, theirs)
        offered: list[Ready] = []

        def take(ready: Any) -> frozenset[str]:
            offered.extend(ready)
            return frozenset({mine.id})

        rig.handover.meet(take)
        new = rig.event(org)
        await rig.keep(new)
        assert [one.delivery for one in offered] == list(await rig.deliveries(org))
        assert {one.payload for one in offered} == {new.payload}
        assert rig.queue.lanes == [{theirs.id}]
        await rig.keep(rig.event(org, deliver_at=NOW + HOUR))
        assert len(offered) == 2, "what is not due is nobody's yet"
        assert rig.queue.lanes[1:] == [{mine.id, theirs.id}]
        rig.handover.meet(None)
        await rig.keep(rig.event(org, "news.flash"))
        assert len(offered) == 2
        assert rig.queue.lanes[2:] == [{theirs.id}]

    # All or nothing.

    async def test_too_much_at_once_is_refused_and_nothing_of_it_kept(self, rig: IntakeRig) -> None:
        """One transaction would keep all others waiting; a single event is always taken."""
        org = await rig.organisation()
        many = [rig.make.endpoint(org, events=("order.*",)) for _ in range(200)]
        await rig.add(org, "endpoints", *many)
        events = [rig.event(org) for _ in range(MOST_DELIVERIES // 200 + 1)]
        with pytest.raises(TooMuchAtOnce, match="several calls"):
            await rig.keep(*events, once=once())
        assert (await rig.events(org), await rig.deliveries(org)) == ((), ())
        assert await rig.keep(rig.event(org), once=once()) is None
        assert len(await rig.deliveries(org)) == 200

    async def test_one_refused_among_good_ones_hurts_no_other(self, rig: IntakeRig) -> None:
        """Calls that come together share a transaction, but not a fate."""
        org = await rig.organisation()
        many = [rig.make.endpoint(org, events=("mass.*",)) for _ in range(200)]
        await rig.add(org, "endpoints", *many)
        bad = submission(*(rig.event(org, "mass.mail") for _ in range(MOST_DELIVERIES // 200 + 1)))
        good = [submission(rig.event(org), once=once(f"key {n}")) for n in range(6)]
        outcomes = await asyncio.gather(
            *(rig.intake.accept(one) for one in (*good[:3], bad, *good[3:])), return_exceptions=True
        )
        assert [type(one) for one in outcomes] == [type(None)] * 3 + [TooMuchAtOnce] + [type(None)] * 3
        assert [event.id for event in await rig.events(org)] == [one.events[0].payload.id for one in good]

    async def test_one_that_cannot_be_read_hurts_no_other(self, rig: IntakeRig) -> None:
        """A filter has to look into the data, and cannot: its call is told so, and those beside it are kept."""
        org = await rig.organisation()
        await rig.add(org, "endpoints", rig.make.endpoint(org, options=Options(filter="data.total > 100")))
        deep = rig.event(org)
        nested = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        deep = attrs.evolve(deep, payload=attrs.evolve(deep.payload, data_json=nested))
        good = [rig.event(org, data={"total": 101}) for _ in range(4)]
        calls = [submission(one) for one in (*good[:2], deep, *good[2:])]
        outcomes = await asyncio.gather(*(rig.intake.accept(one) for one in calls), return_exceptions=True)
        assert [type(one) for one in outcomes] == [type(None)] * 2 + [Invalid] + [type(None)] * 2
        assert [event.id for event in await rig.events(org)] == [one.payload.id for one in good]
        assert len(await rig.deliveries(org)) == 4

    # The same call again.

    async def test_the_same_call_again_gets_the_first_answer(self, rig: IntakeRig) -> None:
        """In this process, in another, and however much later; nothing is kept twice."""
        org, other = await rig.organisation(), await rig.organisation()
        first, second, theirs = rig.event(org), rig.event(org), rig.event(other)
        assert await rig.keep(first, once=once()) is None
        expected = Answer("key", "hash", 202, first.payload.id.encode(), {"x": "hash"}, NOW)
        assert await rig.keep(second, once=once(request="other")) == expected
        assert await rig.elsewhere.accept(submission(second, once=once())) == expected
        assert await rig.keep(theirs, once=once()) is None, "another organisation's key is another key"
        assert [event.id for event in await rig.events(org)] == [first.payload.id]
        async with rig.other.reading(org) as work:
            assert await work.answers.find("key") == expected

    async def test_an_answer_that_was_kept_otherwise_counts_as_well(self, rig: IntakeRig) -> None:
        """The key was used for an invoice."""
        org = await rig.organisation()
        earlier = Answer("key", "hash", 201, b"an invoice", {}, NOW)
        async with rig.other.of(org) as work:
            await work.answers.add(earlier)
            await work.commit()
        assert await rig.keep(rig.event(org), once=once()) == earlier
        assert await rig.events(org) == ()

    async def test_of_the_same_call_many_times_at_once_one_is_kept(self, rig: IntakeRig) -> None:
        """A client that retries too soon: in one group and in several, each gets one answer."""
        org = await rig.organisation()
        await rig.add(org, "endpoints", rig.make.endpoint(org))
        calls = [submission(rig.event(org), once=once(f"key {n % 3}")) for n in range(30)]
        answers = await asyncio.gather(*(rig.intake.accept(one) for one in calls))
        kept = [one for one, answer in zip(calls, answers, strict=True) if answer is None]
        assert sorted(one.once.key for one in kept if one.once) == ["key 0", "key 1", "key 2"]
        first = {one.once.key: one.events[0].payload.id.encode() for one in kept if one.once}
        for call, answer in zip(calls, answers, strict=True):
            if answer is not None:
                assert call.once is not None
                assert answer.body == first[call.once.key]
        assert len(await rig.events(org)) == len(await rig.deliveries(org)) == 3

    async def test_of_the_same_calls_in_two_processes_one_of_each_is_kept(self, rig: IntakeRig) -> None:
        """Whichever comes first, in whatever order; neither fails, and neither waits for the other for ever."""
        org = await rig.organisation()
        keys = [f"key {n}" for n in range(20)]

        async def call(intake: Intake, order: list[str]) -> list[Answer | None]:
            events = [rig.event(org) for _ in order]
            calls = [submission(event, once=once(key)) for event, key in zip(events, order, strict=True)]
            return await asyncio.gather(*(intake.accept(one) for one in calls))

        async with asyncio.timeout(30):
            here, there = await asyncio.gather(call(rig.intake, keys), call(rig.elsewhere, keys[::-1]))
        firsts = [a is None for a in here], [a is None for a in reversed(there)]
        assert [one + other for one, other in zip(*firsts, strict=True)] == [1] * 20
        assert len(await rig.events(org)) == 20
