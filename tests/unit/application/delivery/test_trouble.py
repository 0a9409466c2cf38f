"""Workers that stop or die, a database that is away, settings that change: nothing is lost, and nothing done twice."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.delivery.dispatcher import LINGER, SURVEY
from application.delivery.tenure import LEASE
from application.ports.outgoing import Reply
from domain.notifications.deliveries import DeliveryState
from domain.notifications.endpoints import Endpoint, EndpointState
from domain.notifications.windows import FIRST_WINDOW
from tests.fakes.outgoing import reply
from tests.unit.application.delivery.scene import Away, Scene, answers, away, hangs

HOST = "acme.example"
TAKEN_OVER_WITHIN = 30
"""Seconds (issue 3)."""


async def change(scene: Scene, endpoint: Endpoint, **changes: Any) -> None:
    """A person saves the endpoint."""
    async with scene.store.of(scene.org) as work:
        await work.endpoints.save(attrs.evolve(await work.endpoints.get(endpoint.id), **changes))
        await work.commit()


def asked(scene: Scene) -> Counter[str]:
    """How often each message was sent."""
    return Counter(one.message_id for one in scene.receivers.seen)


# Stopping.


async def test_stopping_finishes_what_is_under_way_and_begins_nothing() -> None:
    """A deployment loses no answer of a receiver; the next worker goes on at once, with what it left."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(after=3)
    await scene.tell_all(30)
    worker = scene.begin()
    await asyncio.sleep(1)
    worker.dispatcher.stop()
    await asyncio.sleep(1)
    assert not worker.task.done()
    await worker.task
    done = {DeliveryState.DELIVERED: FIRST_WINDOW, DeliveryState.PENDING: 30 - FIRST_WINDOW}
    assert await scene.states(endpoint.id) == done
    assert len(scene.receivers.seen) == FIRST_WINDOW
    begun = scene.time
    async with scene.working():
        await asyncio.sleep(0.01)
        assert len(scene.receivers.seen) == 2 * FIRST_WINDOW
        await scene.until_quiet()
    assert set(asked(scene).values()) == {1}
    assert scene.time - begun < LEASE.total_seconds()


async def test_stopping_waits_until_what_ended_is_written_down() -> None:
    """Also when the database comes back only after a while."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    await scene.tell_all(5)
    worker = scene.begin()
    worker.dispatch.before["record"] = away
    await asyncio.sleep(0.5)
    worker.dispatcher.stop()
    await asyncio.sleep(3)
    assert not worker.task.done()
    del worker.dispatch.before["record"]
    await worker.task
    assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 5}


async def test_what_a_dead_worker_held_is_taken_over() -> None:
    """Within half a minute; what it had sent and not written down is sent again, under the same name."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = hangs(3600)
    await scene.tell_all(20)
    dead, other = scene.begin(), scene.begin()
    await asyncio.sleep(5)
    first = len(scene.receivers.seen)
    await dead.die()
    if not other.dispatcher._held:  # whichever of the two held the lane
        scene.receivers.by_host[HOST] = answers()
    else:
        await other.stop()
        other = scene.begin()
    died = scene.time
    scene.receivers.by_host[HOST] = answers()
    await asyncio.sleep(TAKEN_OVER_WITHIN)
    assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 20}
    again = scene.receivers.moments(HOST)[first:]
    assert LEASE.total_seconds() - 10 <= again[0] - died <= TAKEN_OVER_WITHIN
    assert {(await scene.attempts(one.id)) for one in await scene.deliveries(endpoint.id)} == {1}
    await other.stop()


# A database that is away.


@pytest.mark.parametrize("what", ["survey", "take", "read", "renew", "revisions", "release"])
async def test_a_database_that_is_away_for_a_while_ends_nothing(what: str) -> None:
    """The worker says so, waits, and goes on: everything arrives once."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    async with scene.working() as worker:
        await scene.tell_all(5)
        await asyncio.sleep(2 * LINGER.total_seconds())
        worker.dispatch.before[what] = away
        await scene.tell_all(5)
        await asyncio.sleep(15)
        del worker.dispatch.before[what]
        await scene.tell_all(5)
        await asyncio.sleep(10)
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 15}
        assert {type(error) for _, error in scene.journal.troubles} <= {Away}
        assert worker.dispatch.calls[what] < 60, "it does not ask without a pause"
    assert set(asked(scene).values()) == {1}


async def test_a_worker_starts_when_the_database_comes_up() -> None:
    """Whichever of the two is started first."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    await scene.tell_all(3)
    worker = scene.begin()
    worker.dispatch.before["enlist"] = away
    await asyncio.sleep(10)
    assert scene.receivers.seen == []
    del worker.dispatch.before["enlist"]
    await asyncio.sleep(2)
    assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 3}
    await worker.stop()


async def test_what_cannot_be_written_down_now_is_kept_and_not_sent_again() -> None:
    """The disk is full for a while. What else is due goes on; then everything is on record, once."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    async with scene.working() as worker:
        worker.dispatch.before["record"] = away
        await scene.tell_all(40)
        await asyncio.sleep(12)
        assert len(scene.receivers.seen) == 40
        assert await scene.states(endpoint.id) == {DeliveryState.PENDING: 40}
        del worker.dispatch.before["record"]
        await asyncio.sleep(5)
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 40}
    assert set(asked(scene).values()) == {1}
    assert {(await scene.attempts(one.id)) for one in await scene.deliveries(endpoint.id)} == {1}


async def test_one_that_can_never_be_written_down_takes_no_other_along() -> None:
    """Something in an answer is too odd for the database: it is recorded without what was said."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    made = await scene.tell_all(20)
    odd = made[7].payload.id

    async def picky(_: int, tried: Any, *__: Any) -> None:
        if any(one.delivery.event_id == odd and one.attempt.outcome.body for one in tried):
            raise Away

    async def talkative() -> Reply:
        return reply(200, "thank you")

    scene.receivers.by_host[HOST] = talkative
    worker = scene.begin()
    worker.dispatch.before["record"] = picky
    await asyncio.sleep(30)
    assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 20}
    for one in await scene.deliveries(endpoint.id):
        async with scene.look() as work:
            (attempt,) = await work.attempts.of(one.id)
        assert attempt.outcome.body == ("" if one.event_id == odd else "thank you")
    assert set(asked(scene).values()) == {1}
    await worker.stop()


async def test_a_fault_of_ours_takes_no_other_delivery_along() -> None:
    """It is on record with its traceback, and is tried again."""
    scene = await Scene.of()
    faulty, well = await scene.endpoint("faulty.example"), await scene.endpoint("well.example")

    async def fault() -> Reply:
        raise RuntimeError("a bug of ours")

    scene.receivers.by_host["faulty.example"] = fault
    async with scene.working():
        await scene.tell_all()
        await asyncio.sleep(0.5)
        (bad,), (good,) = await scene.deliveries(faulty.id), await scene.deliveries(well.id)
        assert (good.state, bad.state, bad.attempts) == (DeliveryState.DELIVERED, DeliveryState.PENDING, 1)
        assert "a bug of ours" in (bad.last_error or "")
        assert "Traceback" in (bad.last_error or "")
        scene.receivers.by_host.clear()
        await scene.until_quiet()


# A lease that is lost.


async def test_a_worker_that_lost_its_lease_writes_nothing_and_begins_nothing() -> None:
    """It could not reach the database for longer than its lease; another one has taken over meanwhile."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(500, after=LEASE.total_seconds() + 10)
    await scene.tell_all(FIRST_WINDOW + 4)
    lost = scene.begin()
    await asyncio.sleep(1)
    for name in ("renew", "enlist", "revisions", "record", "read", "survey", "take"):
        lost.dispatch.before[name] = away
    scene.receivers.by_host[HOST] = answers()
    async with scene.working():
        await asyncio.sleep(LEASE.total_seconds() + 5)
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: FIRST_WINDOW + 4}
        begun = len(scene.receivers.seen)
        lost.dispatch.before.clear()
        await asyncio.sleep(60)
        assert len(scene.receivers.seen) == begun
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: FIRST_WINDOW + 4}
        assert {(await scene.attempts(one.id)) for one in await scene.deliveries(endpoint.id)} == {1}
        await lost.stop()


async def test_a_worker_that_lost_its_lease_takes_another() -> None:
    """It could not renew it for too long, and nobody else was there: it goes on under another number."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    async with scene.working() as worker:
        await scene.tell_all(3)
        await asyncio.sleep(1)
        worker.dispatch.before["renew"] = away
        await asyncio.sleep(2 * LEASE.total_seconds())
        await scene.tell_all(3)
        await asyncio.sleep(5)
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 6}
        assert worker.dispatch.calls["enlist"] >= 2
        del worker.dispatch.before["renew"]
        await asyncio.sleep(2 * LEASE.total_seconds())
        enlisted = worker.dispatch.calls["enlist"]
        await asyncio.sleep(2 * LEASE.total_seconds())
        assert worker.dispatch.calls["enlist"] == enlisted
    assert set(asked(scene).values()) == {1}


# What people change.


async def test_a_changed_address_counts_at_once() -> None:
    """Also for what waited already, and although the breaker was open."""
    scene = await Scene.of()
    endpoint = await scene.endpoint("old.example")
    scene.receivers.by_host["old.example"] = answers(500, after=0)
    async with scene.working():
        for _ in range(5):
            await scene.tell_all()
            await asyncio.sleep(0.01)
        await scene.tell_all(3)
        await asyncio.sleep(2)
        await change(scene, endpoint, url="https://new.example/hook")
        await asyncio.sleep(1.5)
        assert len(scene.receivers.at("new.example")) >= 3
        await scene.until_quiet()
    assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 8}


async def test_a_change_that_was_not_announced_is_found() -> None:
    """Another process made it, and its call was lost."""
    scene = await Scene.of()
    endpoint = await scene.endpoint("old.example")
    async with scene.working():
        await scene.tell_all()
        await asyncio.sleep(0.1)
        scene.store._queue = type(scene.queue)()  # whoever saves calls nobody here
        await change(scene, endpoint, url="https://new.example/hook")
        await asyncio.sleep(3)
        await scene.tell_all()
        await asyncio.sleep(0.1)
        assert len(scene.receivers.at("new.example")) == 1


async def test_what_is_cancelled_while_it_waits_is_not_sent() -> None:
    """Its endpoint was switched off."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(after=1)
    await scene.tell_all(30)
    async with scene.working():
        await asyncio.sleep(0.5)
        async with scene.store.of(scene.org) as work:
            await work.endpoints.save(endpoint.pause(scene.clock.now()))
            await work.deliveries.cancel_pending(endpoint.id, "paused", scene.clock.now())
            await work.commit()
        await asyncio.sleep(30)
    assert len(scene.receivers.seen) == FIRST_WINDOW
    assert await scene.states(endpoint.id) == {DeliveryState.CANCELLED: 30}


async def test_a_receiver_that_is_gone_is_switched_off() -> None:
    """And what waits for it is cancelled; others are told."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST, "order.*")
    witness = await scene.endpoint("witness.example", "webhook.*")
    scene.receivers.by_host[HOST] = answers(410, after=0)
    async with scene.working():
        await scene.tell_all(30)
        await asyncio.sleep(2)
        async with scene.look() as work:
            assert (await work.endpoints.get(endpoint.id)).state is EndpointState.DISABLED
        assert (await scene.states(endpoint.id))[DeliveryState.PENDING] == 0
        assert [one.event_type for one in await scene.deliveries(witness.id)] == ["webhook.disabled"]
        assert await scene.states(witness.id) == {DeliveryState.DELIVERED: 1}


# What it costs.


async def test_what_was_just_accepted_is_not_read_again() -> None:
    """The worker of the same process holds the lane: it takes the delivery from the intake's hands."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    async with scene.working() as worker:
        await scene.tell_all()
        await asyncio.sleep(1)
        worker.dispatch.calls.clear()
        before, begun = scene.dispatch.reads, scene.time
        for _ in range(20):
            await scene.tell_all(3)
            await asyncio.sleep(0.01)
        assert scene.dispatch.reads - before <= 1 + (scene.time - begun) // SURVEY.total_seconds()
        await asyncio.sleep(0.1)
        assert await scene.states(endpoint.id) == {DeliveryState.DELIVERED: 61}
        assert len(scene.receivers.seen) == 61


async def test_a_lane_with_nothing_to_do_is_let_go_of() -> None:
    """Another worker may take it then."""
    scene = await Scene.of()
    endpoint = await scene.endpoint(HOST)
    async with scene.working() as worker:
        await scene.tell_all()
        await asyncio.sleep(LINGER.total_seconds() - 1)
        generation = worker.dispatcher._tenure.generation  # there is no other way to ask who it is
        assert set(await scene.dispatch.revisions(generation)) == {endpoint.id}
        await asyncio.sleep(3)
        assert await scene.dispatch.revisions(generation) == {}


async def test_an_idle_worker_is_quiet() -> None:
    """It looks once a second, and holds on to its lease."""
    scene = await Scene.of()
    async with scene.working() as worker:
        await asyncio.sleep(60)
        calls = worker.dispatch.calls
        assert calls["survey"] <= 70
        assert calls["renew"] <= 12
        assert set(calls) == {"survey", "renew", "enlist"}


async def test_a_worker_whose_lanes_have_to_wait_is_quiet() -> None:
    """Nothing is asked again and again of a lane that is paused."""
    scene = await Scene.of()
    await scene.endpoint(HOST)
    scene.receivers.by_host[HOST] = answers(503, after=0, headers={"retry-after": "600"})
    async with scene.working() as worker:
        await scene.tell_all(30)
        await asyncio.sleep(LINGER.total_seconds() + 2)
        worker.dispatch.calls.clear()
        await asyncio.sleep(60)
        assert worker.dispatch.calls["read"] <= 2
        assert worker.dispatch.calls["take"] <= 2
        assert worker.dispatch.calls["survey"] <= 70


async def test_two_workers_share_the_lanes() -> None:
    """None is served by both, and everything arrives once."""
    scene = await Scene.of()
    for n in range(20):
        await scene.endpoint(f"host{n}.example")
    workers = [scene.begin() for _ in range(3)]
    for _ in range(20):
        await scene.tell_all(2)
        await asyncio.sleep(0.3)
    await scene.until_quiet()
    for worker in workers:
        await worker.stop()
    assert await scene.states() == {DeliveryState.DELIVERED: 800}
    assert len({(one.host, one.message_id) for one in scene.receivers.seen}) == len(scene.receivers.seen) == 800


def test_a_dead_worker_is_noticed_in_time() -> None:
    """Its lease and the longest wait for a survey together are less than what is promised."""
    assert timedelta(seconds=TAKEN_OVER_WITHIN) > LEASE + 2 * SURVEY
