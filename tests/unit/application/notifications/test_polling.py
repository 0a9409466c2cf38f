"""Polled endpoints: nothing is given twice without need, and nothing is acknowledged that was never fetched."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.caller import Caller
from application.notifications import polling
from application.notifications.polling import MOST_WAITING, AcknowledgePolled, PollEndpoint, SeekPolled
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import Endpoint, EndpointMode
from domain.notifications.options import Options
from domain.notifications.shape import Shape
from domain.refusals import Conflict, Invalid, NotFound
from tests.unit.application.bench import PUBLIC, Bench

LIFE = Options(expires_after_s=3600)


@attrs.define
class Box:
    """A polled endpoint, and the use cases of its receiver."""

    bench: Bench
    endpoint: Endpoint
    poll_: PollEndpoint
    ack_: AcknowledgePolled
    seek_: SeekPolled

    @classmethod
    async def of(cls, bench: Bench, **changes: Any) -> "Box":
        """A new one."""
        endpoint = await bench.endpoint(**{"url": "", "mode": EndpointMode.POLL, "options": LIFE, **changes})
        return cls(
            bench,
            endpoint,
            PollEndpoint(bench.store, bench.carry, bench.clock, PUBLIC),
            AcknowledgePolled(bench.store, bench.clock),
            SeekPolled(bench.store, bench.tell, bench.clock, bench.ids),
        )

    async def poll(self, **more: Any) -> list[str]:
        """The ids of what comes."""
        polled = await self.poll_(self.bench.caller, self.endpoint.id, **more)
        return [one.delivery.id for one in polled.items]

    async def ack(self, **more: Any) -> int:
        """How many were acknowledged."""
        return await self.ack_(self.bench.caller, self.endpoint.id, **more)

    async def seek(self, to: Any) -> int:
        """How many wait again."""
        return await self.seek_(self.bench.caller, self.endpoint.id, to)

    async def all(self) -> tuple[Delivery, ...]:
        """Its deliveries."""
        return await self.bench.deliveries(self.endpoint.id)


@pytest.fixture
async def box(bench: Bench) -> Box:
    """One with three deliveries."""
    made = await Box.of(bench)
    await bench.tell_all(3)
    return made


async def test_what_is_not_acknowledged_comes_again(box: Box) -> None:
    """A receiver that crashed after it fetched has lost nothing; each fetch is counted."""
    first = await box.poll()
    assert len(first) == 3
    assert await box.poll() == first
    assert [one.attempts for one in await box.all()] == [2, 2, 2]
    assert await box.ack(up_to=first[1]) == 2
    assert await box.poll() == first[2:]
    assert [one.state.value for one in await box.all()] == ["delivered", "delivered", "waiting"]
    assert await box.ack(ids=first) == 1, "a repetition does no harm"
    assert await box.poll() == []


async def test_pages_follow_each_other(box: Box) -> None:
    """Before anything is acknowledged."""
    polled = await box.poll_(box.bench.caller, box.endpoint.id, limit=2)
    assert (len(polled.items), polled.more) == (2, True)
    rest = await box.poll_(box.bench.caller, box.endpoint.id, limit=2, after=polled.items[-1].delivery.id)
    assert (len(rest.items), rest.more) == (1, False)


async def test_up_to_means_only_what_was_fetched(box: Box) -> None:
    """A delivery with a smaller id may be committed, or become due, after the fetch: it must not vanish unseen."""
    one, two, _ = await box.all()
    async with box.bench.store.of(box.bench.org) as work:
        await work.deliveries.save(attrs.evolve(one, due_at=box.bench.clock.now() + timedelta(seconds=5)))
        await work.commit()
    assert (await box.poll())[0] == two.id
    box.bench.clock.advance(timedelta(seconds=6))
    await box.ack(up_to=two.id)
    assert (await box.poll())[0] == one.id


async def test_what_expired_is_not_given(box: Box) -> None:
    """It is marked when the receiver next acknowledges something."""
    (first, *_) = await box.poll()
    box.bench.clock.advance(timedelta(seconds=3600))
    assert await box.poll() == []
    await box.ack(ids=[first])
    assert [one.state.value for one in await box.all()] == ["delivered", "expired", "expired"]


async def test_what_cannot_be_shaped_does_not_block_the_rest(bench: Bench) -> None:
    """It has failed, with the reason."""
    box = await Box.of(bench, options=Options(Shape(template="{{data | json}}" * 400), expires_after_s=3600))
    await bench.tell_all(1)
    async with bench.look() as work:
        (event,) = await work.events.all()
    large = attrs.evolve(event, data={"x": "y" * 2000})
    async with bench.store.of(bench.org) as work:
        await work.events.save(large)
        await work.commit()
    await bench.tell_all(1)
    spoilt, good = await box.all()
    assert await box.poll() == [good.id]
    spoilt, _ = await box.all()
    assert spoilt.state is DeliveryState.FAILED
    assert spoilt.last_error


async def test_going_back_makes_new_deliveries_of_each_event_once(box: Box) -> None:
    """However often one goes back, and not of what waits already."""
    ids = await box.poll()
    await box.ack(up_to=ids[-1])
    assert await box.seek(ids[0]) == 2
    again = await box.poll()
    assert len(again) == 2
    assert not set(again) & set(ids)
    assert [one.replay_of for one in (await box.all())[3:]] == ids[1:]
    assert await box.seek(ids[0]) == 0, "they wait already"
    await box.ack(up_to=again[-1])
    assert await box.seek(box.bench.clock.now() - timedelta(days=1)) == 3
    await box.ack(up_to=(await box.poll())[-1])
    assert await box.seek(ids[0]) == 3, "each event once, although it was delivered two or three times"
    assert {one.message_id for one in await box.all()} == {one.message_id for one in (await box.all())[:3]}


async def test_going_back_is_bounded(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that asks for everything there ever was is told to go back less far."""
    ids = await box.poll()
    await box.ack(up_to=ids[-1])
    monkeypatch.setattr(polling, "MOST_SOUGHT", 2)
    with pytest.raises(Invalid, match="Go back less far"):
        await box.seek(box.bench.clock.now() - timedelta(days=1))
    assert await box.seek(ids[0]) == 2


async def test_a_poll_waits_for_something(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not longer than it was asked to; further ones of the same organisation are answered at once."""
    monkeypatch.setattr(polling, "LOOK_EVERY_S", 0.001)
    box = await Box.of(bench)
    waiting = asyncio.create_task(box.poll(wait=timedelta(seconds=30)))
    await asyncio.sleep(0.01)
    await bench.tell_all(1)
    assert len(await waiting) == 1
    await box.ack(up_to=waiting.result()[0])
    assert await box.poll(wait=timedelta(milliseconds=5)) == []
    assert not box.poll_._waiting
    box.poll_._waiting[bench.org] = MOST_WAITING
    async with asyncio.timeout(5):
        assert await box.poll(wait=timedelta(seconds=30)) == []


async def test_wrong_questions_are_named(box: Box) -> None:
    """By field."""
    for asked, field in (
        (box.poll(limit=0), "limit"),
        (box.poll(limit=101), "limit"),
        (box.poll(wait=timedelta(seconds=31)), "wait_s"),
        (box.ack(), "up_to"),
        (box.ack(up_to="x", ids=["y"]), "up_to"),
        (box.ack(up_to="dlv_nobody"), "up_to"),
        (box.ack(ids=[]), "delivery_ids"),
        (box.ack(ids=["x"] * 1001), "delivery_ids"),
        (box.ack(ids=["dlv_nobody"]), "delivery_ids.0"),
        (box.seek("dlv_nobody"), "to"),
    ):
        with pytest.raises(Invalid) as refused:
            await asked
        assert [fault.field for fault in refused.value.faults] == [field]


async def test_only_its_own_organisation_polls_it_and_only_if_it_is_polled(box: Box) -> None:
    """Another's endpoint is not there; a called one has nothing to fetch; a paused one says so."""
    stranger = Caller(await box.bench.found(), "key:stranger")
    with pytest.raises(NotFound):
        await box.poll_(stranger, box.endpoint.id)
    pushed = await box.bench.endpoint()
    with pytest.raises(Conflict, match="mode would have to be poll"):
        await box.poll_(box.bench.caller, pushed.id)
    async with box.bench.store.of(box.bench.org) as work:
        await work.endpoints.save(box.endpoint.pause(box.bench.clock.now()))
        await work.commit()
    with pytest.raises(Conflict, match="Switch it on"):
        await box.poll()
