"""Recovering: what was not delivered, by a person's decision."""

from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from application.connections.connect import PublicUrl
from application.notifications.endpoints import ChangeEndpoint
from application.notifications.replays import CancelReplay, StartReplay
from application.notifications.run_replays import LEASE, RunReplays
from application.notifications.send_again import SendAgain
from application.notifications.skipping import SkipDelivery
from application.ports.outgoing import Unreachable
from application.upkeep.jobs import Retention
from domain.events import Event
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.replays import Replay, ReplayKind
from domain.notifications.selection import Selection
from tests.fakes.journal import RememberingJournal
from tests.features.conftest import ADDRESSES, Run
from tests.features.studio import Studio

scenarios("recovering.feature")

APPLICATION, BOOKKEEPER = "the studio's application", "the bookkeeper's application"


@attrs.define
class Morning:
    """What this feature's sentences speak of."""

    runner: RunReplays | None = None
    counted: int = -1
    replay: str = ""
    delivers: bool = True
    dead: AsyncExitStack = attrs.field(factory=AsyncExitStack)


@pytest.fixture
def morning() -> Morning:
    """Nothing has happened yet."""
    return Morning()


def o_clock(studio: Studio, hour: int, minutes: float = 0) -> datetime:
    """A moment of this day."""
    day = studio.clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(hours=hour, minutes=minutes)


# Given


@given(parsers.parse("{count:d} firings failed to reach the application between {first:d} and {last:d} o'clock"))
def failed(studio: Studio, run: Run, count: int, first: int, last: int) -> None:
    async def keep() -> None:
        endpoint = studio.scene.listeners[APPLICATION].endpoint
        step = (last - first) * 60 / count
        async with studio.store.of(studio.caller.organisation_id) as work:
            for number in range(count):
                at = o_clock(studio, first, number * step)
                event = Event(studio.ids.new("event"), work.organisation_id, "kiln.fired", {"n": number}, at, at)
                made = Delivery.of(event, DestinationKind.ENDPOINT, endpoint.id, id=studio.ids.new("delivery"), now=at)
                await work.events.add(event)
                gave_up: dict[str, Any] = {
                    "state": DeliveryState.FAILED,
                    "attempts": 12,
                    "finished_at": at,
                    "last_status": 503,
                }
                await work.deliveries.add(attrs.evolve(made, **gave_up))
            await work.commit()

    run(keep())


@given("it is noon")
def noon(studio: Studio) -> None:
    studio.clock.advance(o_clock(studio, 12) - studio.clock.now())


@given("Grace has sent the last one again by hand")
def has_sent_again(studio: Studio, run: Run) -> None:
    run(studio.use(SendAgain)(studio.caller, run(studio.delivery(APPLICATION)).id))
    run(studio.settle_down())


@given("Grace has paused the application")
def has_paused(studio: Studio, run: Run) -> None:
    id_ = studio.scene.listeners[APPLICATION].endpoint.id
    run(studio.use(ChangeEndpoint)(studio.caller, id_, active=False))


@given("nothing is delivered at the moment")
def nothing_is_delivered(morning: Morning) -> None:
    morning.delivers = False


@given(parsers.parse("a replay of what failed since {hour:d} o'clock has made its first {count:d}"))
def has_made_its_first(studio: Studio, run: Run, morning: Morning, hour: int, count: int) -> None:
    begin(studio, run, morning, ReplayKind.AGAIN, Selection(since=o_clock(studio, hour)))
    assert run(runner(studio, morning)()) == count


@given("the power fails in the middle of the next step")
def power_fails(studio: Studio, run: Run, morning: Morning) -> None:
    """Its deliveries are written, but not committed; its lease is still held, and nobody is there to give it back."""

    async def die() -> None:
        lease = studio.leases.hold(f"replay:{morning.replay}", for_=LEASE)
        await morning.dead.enter_async_context(lease)
        last = await studio.delivery(APPLICATION)
        async with studio.store.of(studio.caller.organisation_id) as work:
            again = last.send_again if last.state is not DeliveryState.PENDING else None
            assert again is not None
            await work.deliveries.add_replayed([again(id=studio.ids.new("delivery"), now=studio.clock.now())])

    run(studio.settle_down())
    run(die())


@given("the application has just failed to take a firing")
def has_just_failed(studio: Studio, run: Run) -> None:
    studio.receivers.at(ADDRESSES[APPLICATION]).script.append(Unreachable("refused"))
    endpoint = studio.scene.listeners[APPLICATION].endpoint

    async def publish() -> None:
        now = studio.clock.now()
        event = Event(studio.ids.new("event"), studio.caller.organisation_id, "kiln.fired", {}, now, now)
        made = Delivery.of(event, DestinationKind.ENDPOINT, endpoint.id, id=studio.ids.new("delivery"), now=now)
        async with studio.store.of(studio.caller.organisation_id) as work:
            await work.events.add(event)
            await work.deliveries.add(made)
            await work.commit()
        await studio.settle_down()

    run(publish())
    assert run(studio.delivery(APPLICATION)).attempts == 1


# When


@given(parsers.parse("Grace has replayed what failed since {hour:d} o'clock"))
@when(parsers.parse("Grace replays what failed since {hour:d} o'clock"))
def replays(studio: Studio, run: Run, morning: Morning, hour: int) -> None:
    begin(studio, run, morning, ReplayKind.AGAIN, Selection(since=o_clock(studio, hour)))
    carry_out(studio, run, morning)


@when(parsers.parse("Grace replays what failed since {hour:d} o'clock to the application"))
def replays_to(studio: Studio, run: Run, hour: int) -> None:
    wanted = Selection(studio.scene.listeners[APPLICATION].endpoint.id, since=o_clock(studio, hour))
    run(studio.attempt(studio.use(StartReplay)(studio.caller, ReplayKind.AGAIN, wanted)))


@when(parsers.parse("Grace replays what the bookkeeper missed since {hour:d} o'clock"))
def replays_missed(studio: Studio, run: Run, morning: Morning, hour: int) -> None:
    wanted = Selection(studio.scene.listeners[BOOKKEEPER].endpoint.id, since=o_clock(studio, hour))
    begin(studio, run, morning, ReplayKind.MISSED, wanted)
    carry_out(studio, run, morning)


@when("Grace stops the replay")
def stops(studio: Studio, run: Run, morning: Morning) -> None:
    run(studio.use(CancelReplay)(studio.caller, morning.replay))
    carry_out(studio, run, morning)


@when("the hub loses its power and is started again")
def is_restarted(studio: Studio, run: Run, morning: Morning) -> None:
    """Whatever was in memory is gone; what a dead node held is free after its lease."""
    morning.runner = None
    carry_out(studio, run, morning)
    studio.clock.advance(LEASE)
    carry_out(studio, run, morning)


@when(parsers.parse("a replay of what failed since {hour:d} o'clock goes on for a while"))
def goes_on(studio: Studio, run: Run, morning: Morning, hour: int) -> None:
    begin(studio, run, morning, ReplayKind.AGAIN, Selection(since=o_clock(studio, hour)))
    for _ in range(10):
        run(runner(studio, morning)())
        studio.clock.advance(timedelta(seconds=1))


@when("Grace sends it again")
def sends_again(studio: Studio, run: Run) -> None:
    run(studio.use(SendAgain)(studio.caller, run(studio.delivery(APPLICATION)).id))
    run(studio.settle_down())


@when("Grace skips it")
def skips(studio: Studio, run: Run) -> None:
    run(studio.use(SkipDelivery)(studio.caller, run(studio.delivery(APPLICATION)).id))


# Then


@then(parsers.parse("she was told that it is {count:d} deliveries"))
def was_told(morning: Morning, count: int) -> None:
    assert morning.counted == count


@then(parsers.parse("the replay is {state}: {done:d} of {total:d}"))
def stands(studio: Studio, run: Run, morning: Morning, state: str, done: int, total: int) -> None:
    replay: Replay = run(studio.look(lambda work: work.replays.get(morning.replay)))
    assert (replay.state.value, replay.done, replay.total) == (state, done, total)


@then("the application has heard of each firing once")
def each_once(studio: Studio, run: Run) -> None:
    events = run(studio.look(lambda work: work.events.all(type="kiln.fired")))
    assert names(studio, APPLICATION) == Counter(event.id for event in events)


@then("each under the name it had before")
def same_names(studio: Studio, run: Run) -> None:
    deliveries = run(studio.look(lambda work: work.deliveries.all()))
    before = {one.id: one.message_id for one in deliveries}
    again = [one for one in deliveries if one.replay_of is not None]
    assert again, "nothing was sent again"
    assert all(one.message_id == before[one.replay_of] for one in again)


@then(parsers.parse("the application has heard of {count:d} firings"))
def heard_of(studio: Studio, run: Run, count: int) -> None:
    run(studio.settle_down())
    assert names(studio, APPLICATION).total() == count


@then(parsers.parse("the bookkeeper has heard of {count:d} firings, each once"))
def bookkeeper_heard(studio: Studio, count: int) -> None:
    heard = names(studio, BOOKKEEPER)
    assert (len(heard), heard.total()) == (count, count)


@then(parsers.parse("no more than {count:d} deliveries wait for the application"))
def no_more_wait(studio: Studio, run: Run, count: int) -> None:
    id_ = studio.scene.listeners[APPLICATION].endpoint.id
    waiting = run(studio.look(lambda work: work.deliveries.count_due(id_, studio.clock.now(), 1000)))
    assert 0 < waiting <= count


@then("there is one delivery only")
def one_delivery(studio: Studio, run: Run) -> None:
    (only,) = run(studio.look(lambda work: work.deliveries.all()))
    assert (only.state, only.attempts) == (DeliveryState.DELIVERED, 2)


@then("nothing is left to be delivered")
def nothing_left(studio: Studio, run: Run) -> None:
    assert run(studio.next_due()) is None
    assert run(studio.delivery(APPLICATION)).state is DeliveryState.CANCELLED


# What these steps share.


def begin(studio: Studio, run: Run, morning: Morning, kind: ReplayKind, wanted: Selection) -> None:
    """Count it, then start it."""
    start = studio.use(StartReplay)
    morning.counted = run(start.count(studio.caller, kind, wanted)).total
    replay = run(start(studio.caller, kind, wanted))
    assert replay.total == morning.counted
    morning.replay = replay.id


def runner(studio: Studio, morning: Morning) -> RunReplays:
    """What a worker carries replays out with; it remembers what it has learned until the hub stops."""
    if morning.runner is None:
        journal, public = RememberingJournal(), PublicUrl("https://hub.harbour-finch.example")
        keep = Retention(timedelta(days=90))
        morning.runner = RunReplays(studio.store, studio.leases, studio.clock, studio.ids, journal, public, keep)
    return morning.runner


def carry_out(studio: Studio, run: Run, morning: Morning) -> None:
    """A worker makes and delivers, turn by turn, until there is nothing to make."""

    async def turns() -> None:
        await studio.settle_down()
        while await runner(studio, morning)():
            await studio.settle_down()
            studio.clock.advance(timedelta(seconds=1))

    run(turns())


def names(studio: Studio, listener: str) -> "Counter[str]":
    """The message ids that a listener was sent."""
    arrivals: list[Any] = [one for one in studio.receivers.arrivals if one.url == ADDRESSES[listener]]
    return Counter(one.request.headers["webhook-id"] for one in arrivals)
