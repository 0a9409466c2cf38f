"""Nobody's slowness is another's."""

import asyncio
from statistics import quantiles

from application.caller import Caller
from application.delivery.places import AT_ONCE, MOST_AT_ONCE, OF_ONE_ORGANISATION, Places
from application.notifications.publish_events import Published
from application.ports.outgoing import Reply
from domain.notifications.deliveries import DeliveryState
from domain.notifications.windows import FIRST_WINDOW, LARGEST_WINDOW
from tests.fakes.outgoing import reply
from tests.unit.application.delivery.scene import Scene, answers, hangs


async def slowest_of_the_quick(hanging: bool) -> float:
    """The 95th percentile of the time from an event to its arrival, over 99 receivers that answer."""
    scene = await Scene.of()
    hosts = [f"host{n}.example" for n in range(100)]
    for host in hosts:
        await scene.endpoint(host)
    if hanging:
        scene.receivers.by_host[hosts[0]] = hangs()
    told: dict[str, float] = {}
    async with scene.working():
        for _ in range(30):
            (event,) = await scene.tell_all()
            told[event.payload.id] = scene.time
            await asyncio.sleep(0.01)
        await asyncio.sleep(10)
        quick = [one for one in scene.receivers.seen if one.host != hosts[0]]
        assert len(quick) == 99 * 30
        scene.receivers.by_host.clear()
        took = [(one.until or 0) - told[one.message_id] for one in quick]
        await scene.until_quiet()
    return quantiles(took, n=20)[-1]


async def test_of_a_hundred_receivers_one_that_hangs_is_not_noticed() -> None:
    """The 95th percentile of the 99 others changes by less than a fifth."""
    usual, beside_a_hanging_one = await slowest_of_the_quick(False), await slowest_of_the_quick(True)
    assert usual >= 0.02
    assert beside_a_hanging_one < 1.2 * usual


async def test_an_organisation_takes_no_more_than_its_share() -> None:
    """Another's delivery goes out at once, although this one has hundreds of receivers that hang."""
    scene = await Scene.of()
    for n in range(OF_ONE_ORGANISATION // FIRST_WINDOW + 20):
        await scene.endpoint(f"slow{n}.example")
        scene.receivers.by_host[f"slow{n}.example"] = hangs()
    other = await scene.found()
    await scene.endpoint("quick.example", organisation_id=other)
    async with scene.working():
        await scene.tell_all(FIRST_WINDOW + 4)
        await asyncio.sleep(1)
        held = len(scene.receivers.seen)
        assert OF_ONE_ORGANISATION // 2 < held == sum(scene.receivers.now.values()) <= OF_ONE_ORGANISATION < AT_ONCE
        await scene.publish.one(Caller(other, "key:other"), Published("order.shipped", {}))
        await asyncio.sleep(0.05)
        assert [one.host for one in scene.receivers.seen[held:]] == ["quick.example"]
        scene.receivers.by_host.clear()
        await scene.until_quiet()
    assert set(await scene.states()) == {DeliveryState.DELIVERED}


async def test_a_receiver_that_answers_gets_more_and_more_at_once() -> None:
    """A few at first, one more for each that arrived, up to a bound."""
    scene = await Scene.of()
    await scene.endpoint("quick.example")
    await scene.tell_all(600)
    async with scene.working():
        await asyncio.sleep(0.01)
        assert scene.receivers.most["quick.example"] == FIRST_WINDOW
        await scene.until_quiet()
    assert scene.receivers.most["quick.example"] == LARGEST_WINDOW
    assert len(scene.receivers.seen) == 600


async def test_a_receiver_that_is_too_slow_gets_fewer() -> None:
    """Half for each time-out, so that it holds places of others no longer than it must."""
    scene = await Scene.of()
    await scene.endpoint("slow.example")
    scene.receivers.by_host["slow.example"] = hangs(5)
    await scene.tell_all(40)
    async with scene.working():
        await asyncio.sleep(6)
        assert scene.receivers.most["slow.example"] == FIRST_WINDOW
        first = len(scene.receivers.seen)
        scene.receivers.most.clear()
        await asyncio.sleep(120)
        assert scene.receivers.most["slow.example"] == 1
        assert len(scene.receivers.seen) - first <= 3
        scene.receivers.by_host.clear()
        await scene.until_quiet()


async def test_a_backlog_of_one_lane_does_not_keep_a_new_event_of_another_waiting() -> None:
    """Lanes take turns."""
    scene = await Scene.of()
    await scene.endpoint("busy.example", "order.*")
    await scene.endpoint("other.example", "news.*")
    scene.receivers.by_host["busy.example"] = answers(after=0.5)
    await scene.tell_all(500)
    async with scene.working():
        await asyncio.sleep(1)
        await scene.tell_all(1, "news.flash")
        await asyncio.sleep(0.03)
        assert len(scene.receivers.at("other.example")) == 1
        scene.receivers.by_host.clear()
        await scene.until_quiet()


async def test_one_that_ends_makes_room_for_one() -> None:
    """A destination never has more than its window under way."""
    scene = await Scene.of()
    await scene.endpoint("slow.example")
    gate = asyncio.Semaphore(0)

    async def gated() -> Reply:
        await gate.acquire()
        return reply(500)  # the window grows with what arrives, and with nothing else

    scene.receivers.by_host["slow.example"] = gated
    await scene.tell_all(20)
    async with scene.working():
        await asyncio.sleep(0.01)
        for n in range(1, 4):
            gate.release()
            await asyncio.sleep(0.01)
            assert len(scene.receivers.seen) == FIRST_WINDOW + n
        assert scene.receivers.most["slow.example"] == FIRST_WINDOW
        scene.receivers.by_host.clear()
        for _ in range(20):
            gate.release()
        await scene.until_quiet()


async def test_many_that_hang_hold_up_nobody_in_their_own_organisation() -> None:
    """Sixty receivers that hang, with more waiting than they get: the one that answers is told at once."""
    scene = await Scene.of()
    for n in range(100):
        await scene.endpoint(f"slow{n}.example")
        scene.receivers.by_host[f"slow{n}.example"] = hangs()
    async with scene.working():
        await scene.tell_all(30)
        await asyncio.sleep(1)
        await scene.endpoint("quick.example")
        began = scene.time
        await scene.tell_all(50)
        await asyncio.sleep(1)
        quick = [one for one in scene.receivers.seen if one.host == "quick.example"]
        assert len(quick) == 50
        assert max(one.until or 0 for one in quick) - began < 0.5
        scene.receivers.by_host.clear()
        await scene.until_quiet()


async def test_two_organisations_that_hang_do_not_fill_the_worker() -> None:
    """A third one's receiver is told at once, and more than one thing at a time."""
    scene = await Scene.of()
    others = [await scene.found() for _ in range(2)]
    for place, other in enumerate(others):
        for n in range(70):
            host = f"slow{place}-{n}.example"
            await scene.endpoint(host, organisation_id=other)
            scene.receivers.by_host[host] = hangs()
    await scene.endpoint("quick.example")
    async with scene.working():
        for other in others:
            await scene.publish(
                Caller(other, "key:other"), [Published("order.shipped", {}) for _ in range(FIRST_WINDOW)]
            )
        await asyncio.sleep(1)
        began = scene.time
        await scene.tell_all(50)
        await asyncio.sleep(1)
        quick = [one for one in scene.receivers.seen if one.host == "quick.example"]
        assert len(quick) == 50
        assert max(one.until or 0 for one in quick) - began < 0.5
        scene.receivers.by_host.clear()
        await scene.until_quiet()


def test_places_are_shared_out() -> None:
    """Whoever has none gets one; who has many waits for those who have few; nothing goes beyond the sockets there are."""
    places = Places()

    def fill(organisation: str, lanes: int, each: int) -> None:
        for _ in range(lanes):
            for n in range(each):
                assert places.free_for(organisation, n)
                places.take(organisation, first=n == 0)

    fill("one", 8, 64)
    assert not places.free_for("one", 64), "its share is taken"
    assert places.free_for("one", 0)
    fill("two", 64, 8)
    assert places.taken == AT_ONCE == 2 * OF_ONE_ORGANISATION
    assert not places.free_for("two", 8)
    fill("three", 1, 64)
    assert places.free_for("three", 64), "it has less than a third"
    places.taken = MOST_AT_ONCE
    assert not places.free_for("four", 0)


def test_places_that_are_freed_are_free() -> None:
    """Organisations come and go; nothing of them is left."""
    places = Places()
    for n in range(3):
        places.take("one", first=n == 0)
    for n in range(3):
        places.free("one", last=n == 2)
    assert places.taken == 0
    assert places.free_for("one", 5)
