"""Order, rates, pauses and the breaker: what one worker at a time can keep exactly."""

import asyncio
from itertools import pairwise

import pytest

from application.delivery.tenure import LEASE
from application.ports.outgoing import Reply
from domain.notifications.deliveries import DeliveryState
from domain.notifications.options import Options
from domain.notifications.schedule import DEFAULT, RetrySchedule
from domain.notifications.windows import Rate
from tests.fakes.outgoing import reply
from tests.unit.application.delivery.scene import Receivers, Scene, answers, hangs

HOST = "acme.example"
ROUNDING = 0.000_01
"""The loop counts in floats, the engine in microseconds."""


def closest(moments: list[float], limit: int) -> float:
    """The shortest time in which one attempt more than `limit` was made."""
    ordered = sorted(moments)
    return min((b - a for a, b in zip(ordered, ordered[limit:], strict=False)), default=float("inf"))


def fails(receivers: Receivers, times: int, status: int = 500) -> None:
    """So often, and then it accepts."""
    left = times

    async def answer() -> Reply:
        nonlocal left
        left -= 1
        return reply(status if left >= 0 else 200)

    receivers.by_host[HOST] = answer


async def test_fifo_sends_one_at_a_time_in_order() -> None:
    """What comes while the worker is busy included, whichever process brought it."""
    scene = await Scene.of()
    await scene.endpoint(HOST, options=Options(fifo=True))
    made = await scene.tell_all(50)
    async with scene.working():
        for _ in range(5):
            made += await scene.tell_all(10)
            await asyncio.sleep(0.1)
        await scene.until_quiet()
    assert [one.message_id for one in scene.receivers.seen] == [event.payload.id for event in made]
    assert scene.receivers.most[HOST] == 1


async def test_in_fifo_a_head_that_fails_holds_up_what_comes_after_it() -> None:
    """On its own schedule; then the others follow, in order."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST, options=Options(fifo=True))
    fails(scene.receivers, 3)
    first, *rest = await scene.tell_all(4)
    async with scene.working():
        await asyncio.sleep(20)
        rest += await scene.tell_all(2)
        assert {one.message_id for one in scene.receivers.seen} == {first.payload.id}
        assert await scene.states(endpoint.id) == {DeliveryState.PENDING: 6}
        await scene.until_quiet()
    begun = [one.message_id for one in scene.receivers.seen]
    assert begun == [first.payload.id] * 4 + [event.payload.id for event in rest]
    head = scene.receivers.moments(HOST)
    waits = [round(b - a, 1) for a, b in pairwise(head[:4])]
    assert waits == [1.0, 5.0, 30.0]


async def test_in_fifo_a_head_that_is_given_up_makes_way() -> None:
    """Or it would stand there for ever."""
    scene = await Scene.of(RetrySchedule.of_seconds((1, 2)))
    endpoint = await scene.endpoint(HOST, options=Options(fifo=True))
    fails(scene.receivers, 3)
    first, second = await scene.tell_all(2)
    async with scene.working():
        await scene.until_quiet()
    assert [one.message_id for one in scene.receivers.seen] == [first.payload.id] * 3 + [second.payload.id]
    assert await scene.states(endpoint.id) == {DeliveryState.FAILED: 1, DeliveryState.DELIVERED: 1}


@pytest.mark.parametrize("how", ["let go", "dead"])
async def test_a_rate_is_exact_also_when_the_lane_changes_hands(how: str) -> None:
    """In no second are there more attempts than asked for, whoever makes them; and none is spent on waiting."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST, options=Options(rate=Rate(10, 1)))
    await scene.tell_all(100)
    first = scene.begin()
    await asyncio.sleep(3.33)
    assert 30 <= len(scene.receivers.seen) <= 50
    second = scene.begin()
    if how == "let go":
        await first.stop()
    else:
        await first.die()
    await scene.until_quiet()
    await second.stop()
    assert closest(scene.receivers.moments(HOST), 10) >= 1 - ROUNDING
    assert {one.attempts for one in await scene.deliveries(endpoint.id)} == {1}
    total = max(scene.receivers.moments(HOST)) - min(scene.receivers.moments(HOST))
    assert total < (12 if how == "let go" else 12 + LEASE.total_seconds() + 2), "it is not slower than it may be"


async def test_a_rate_over_a_minute_is_kept_by_many_workers() -> None:
    """Three workers, of which two come and go."""
    scene = await Scene.of()
    await scene.endpoint(HOST, options=Options(rate=Rate(5, 60)))
    await scene.tell_all(30)
    workers = [scene.begin()]
    for _ in range(4):
        await asyncio.sleep(45)
        workers.append(scene.begin())
        await workers.pop(0).stop()
    await scene.until_quiet()
    await workers.pop().stop()
    assert len(scene.receivers.seen) == 30
    assert closest(scene.receivers.moments(HOST), 5) >= 60 - ROUNDING


async def test_the_schedule_is_the_stated_one() -> None:
    """Its first waits; all of them are in the test of a round by hand."""
    scene = await Scene.of()
    await scene.endpoint(HOST, "order.*")
    scene.receivers.by_host[HOST] = answers(500, after=0)
    await scene.tell_all()
    async with scene.working():
        await asyncio.sleep(400)
    moments = scene.receivers.moments(HOST)
    waits = [b - a for a, b in pairwise(moments)]
    expected = [delay.total_seconds() for delay in DEFAULT.delays[:4]]
    assert len(waits) == 4
    assert all(-ROUNDING <= wait - delay < 2 for wait, delay in zip(waits, expected, strict=True)), waits


async def test_a_breaker_opens_and_lets_one_through_at_a_time() -> None:
    """After five failures nothing is sent for half a minute, then one attempt; each that fails doubles the wait."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(500, after=0)
    async with scene.working():
        for _ in range(5):
            await scene.tell_all()
            await asyncio.sleep(0.01)
        opened = scene.time
        await scene.tell_all(40)
        await asyncio.sleep(300)
        after = [at - opened for at in scene.receivers.moments(HOST) if at > opened]
        assert [round(at) for at in after] == [30, 90, 210], "30 s, then 60 s, then 120 s"
        assert (await scene.lane(endpoint.id)).health.breaks == 4
        scene.receivers.by_host[HOST] = answers()
        scene.receivers.most.clear()
        await asyncio.sleep(200)
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 45}
        assert (await scene.lane(endpoint.id)).health.breaks == 0
    (tries,) = {one.attempts for one in (await scene.deliveries(endpoint.id))[10:40]}
    assert tries == 1, "waiting for the breaker uses up no attempt"


async def test_a_half_open_breaker_has_one_attempt_under_way() -> None:
    """However much is due, and however long the receiver takes to fail."""
    scene = await Scene.of()
    await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(500, after=0)
    async with scene.working():
        for _ in range(5):
            await scene.tell_all()
            await asyncio.sleep(0.01)
        scene.receivers.by_host[HOST] = hangs(10)
        scene.receivers.most.clear()
        await scene.tell_all(40)
        await asyncio.sleep(200)
        assert scene.receivers.most[HOST] == 1
        scene.receivers.by_host.clear()
        await scene.until_quiet()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_asks_for_time_gets_it(status: int) -> None:
    """For everything that waits for it, not only for what it refused."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(status, after=0, headers={"retry-after": "120"})
    async with scene.working():
        await scene.tell_all()
        await asyncio.sleep(0.01)
        scene.receivers.by_host[HOST] = answers()
        await scene.tell_all(5)
        await asyncio.sleep(119)
        assert len(scene.receivers.seen) == 1
        await asyncio.sleep(30)
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 6}


async def test_what_has_expired_is_not_sent() -> None:
    """It waited behind a breaker until it was of no use; that is on record without an attempt."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(503, after=0, headers={"retry-after": "300"})
    async with scene.working():
        await scene.tell_all()
        await asyncio.sleep(0.01)
        scene.receivers.by_host[HOST] = answers()
        await scene.tell_all(1, expires_at=scene.moment(60))
        await asyncio.sleep(400)
    first, second = await scene.deliveries(endpoint.id)
    assert (first.state, second.state, second.attempts) == (DeliveryState.DELIVERED, DeliveryState.EXPIRED, 0)
    assert await scene.attempts(second.id) == 0
    assert len(scene.receivers.seen) == 2


async def test_what_is_to_be_told_later_is_told_then() -> None:
    """To the second, also while nothing else happens."""
    scene = await Scene.of()
    await scene.endpoint(HOST)
    async with scene.working():
        begun = scene.time
        await scene.tell_all(1, deliver_at=scene.moment(1234.5))
        await asyncio.sleep(1300)
        (at,) = scene.receivers.moments(HOST)
        assert -ROUNDING <= at - begun - 1234.5 < 1
