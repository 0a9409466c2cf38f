"""A lane while a worker holds it: what is read, what is known, and when the next attempt may begin."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import final

import attrs

from application.delivery.held import MOST_READ, HeldLane
from application.notifications.carry import Carrier
from application.ports.dispatch import Chunk, Lane, Ready, Want
from domain.notifications.attempts import Outcome
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.health import Health
from domain.notifications.options import Options
from domain.notifications.payload import Payload
from domain.notifications.schedule import DEFAULT, RetrySchedule
from domain.notifications.windows import FIRST_WINDOW, Rate
from tests.contract.examples import NOW, Examples

SECOND = timedelta(seconds=1)
MAKE = Examples()
USUAL = Options()


@final
@attrs.frozen
class Idle(Carrier):
    """Carries nothing."""

    options: Options

    async def carry(self, ready: Ready, now: datetime) -> Outcome:
        raise NotImplementedError

    def schedule(self, event_type: str) -> RetrySchedule:
        return DEFAULT


def held(options: Options = USUAL, **lane: object) -> HeldLane:
    """A lane that was just taken."""
    kept = attrs.evolve(Lane("wh_1", "org_1", DestinationKind.ENDPOINT), **lane)  # type: ignore[arg-type]
    return HeldLane(kept, 7, Idle(options), NOW)


def due(count: int, at: datetime = NOW, size: int = 2) -> list[Ready]:
    """Deliveries that are due, in their order."""
    made = []
    for _ in range(count):
        delivery = MAKE.delivery("org_1", due_at=at)
        payload = Payload(delivery.event_id, "org_1", "order.shipped", NOW, b"x" * size, "")
        made.append(Ready(delivery, payload))
    return made


def read(lane: HeldLane, waiting: Sequence[Ready]) -> Want:
    """One read of it, as a database answers."""
    want = lane.want(NOW)
    assert want is not None
    places = [(one.delivery.due_at, one.delivery.id) for one in waiting]
    rest = [one for one, place in zip(waiting, places, strict=True) if want.after is None or place > want.after]
    lane.took(Chunk(tuple(rest[: want.limit])), want)
    return want


def begun(lane: HeldLane, count: int = 1) -> list[Delivery]:
    """The next attempts."""
    return [lane.begin(NOW).delivery for _ in range(count)]


def ended(lane: HeldLane, delivery: Delivery, **changes: object) -> None:
    """It was tried, and that was written down."""
    lane.busy -= 1
    lane.unrecorded += 1
    lane.recorded(attrs.evolve(delivery, **changes))  # type: ignore[arg-type]


def test_a_backlog_is_read_piece_by_piece_each_once() -> None:
    """However many are under way when the next piece is read."""
    lane, waiting, tried = held(), due(1000), list[Delivery]()
    while len(tried) < 1000:
        if lane.hungry:
            read(lane, waiting)
        tried += begun(lane, min(5, len(lane.ready)))
    assert tried == [one.delivery for one in waiting]


def test_what_is_known_is_not_taken_up_again() -> None:
    """Under way, ended and not yet written down, or waiting in memory."""
    lane, waiting = held(), due(10)
    read(lane, waiting)
    (first, second) = begun(lane, 2)
    ended(lane, first, state=DeliveryState.DELIVERED)
    lane.clear()
    read(lane, waiting[1:])
    assert [one.delivery for one in lane.ready] == [one.delivery for one in waiting[2:]]
    assert second.id in lane.known


def test_what_was_written_down_during_a_read_is_not_taken_up_from_it() -> None:
    """That read may have seen it as it was before."""
    lane, waiting = held(), due(3)
    read(lane, waiting[:1])
    (first,) = begun(lane)
    lane.clear()
    want = lane.want(NOW)
    assert want is not None
    ended(lane, first, state=DeliveryState.DELIVERED)
    lane.took(Chunk(tuple(waiting)), want)
    assert [one.delivery for one in lane.ready] == [one.delivery for one in waiting[1:]]


def test_what_was_just_committed_is_taken_from_the_intakes_hands() -> None:
    """If all before it is known; else it is read in its turn."""
    lane, (one, two, three) = held(), due(3)
    assert not lane.offered(one), "nothing was read yet"
    read(lane, [one])
    assert lane.offered(two)
    assert not lane.offered(two), "once is enough"
    lane.clear()
    assert not lane.offered(three), "what was put back comes before it"


def test_a_full_lane_takes_no_more_into_memory() -> None:
    """The rest waits in the database."""
    lane = held()
    read(lane, [])
    taken = [lane.offered(one) for one in due(MOST_READ + 10)]
    assert sum(taken) == MOST_READ


def test_large_events_are_read_a_few_at_a_time() -> None:
    """A million deliveries of a quarter of a megabyte must not fill the memory."""
    lane, waiting = held(), due(200, size=256 * 1024)
    read(lane, waiting)
    begun(lane, len(lane.ready))
    want = lane.want(NOW)
    assert want is not None
    assert want.limit - len(lane.known) <= 4 or want.limit <= 4


def test_there_are_as_many_places_as_the_window_has() -> None:
    """One less for each under way; one at a time for a half-open breaker and for FIFO."""
    lane = held()
    read(lane, due(20))
    assert lane.places(NOW) == FIRST_WINDOW
    begun(lane, 3)
    assert lane.places(NOW) == FIRST_WINDOW - 3
    lane.health = Health(strikes=5, breaks=1, paused_until=NOW - SECOND)
    assert lane.places(NOW) <= 0
    fifo = held(Options(fifo=True))
    read(fifo, due(3))
    assert fifo.places(NOW) == 1
    (first,) = begun(fifo)
    assert fifo.places(NOW) == 0
    fifo.busy, fifo.unrecorded = 0, 1
    assert fifo.places(NOW) == 0, "not before it was written down"
    fifo.recorded(attrs.evolve(first, state=DeliveryState.DELIVERED))
    assert fifo.places(NOW) == 1


def test_nothing_begins_before_the_pause_is_over_and_the_rate_allows() -> None:
    """Whichever is later counts first."""
    lane = held(Options(rate=Rate(2, 10)))
    read(lane, due(5))
    assert lane.not_before(NOW) is None
    begun(lane, 2)
    assert lane.lane.sent_at == NOW
    assert lane.stirred, "the next holder must know"
    assert lane.not_before(NOW) == NOW + 10 * SECOND
    lane.health = Health(paused_until=NOW + 60 * SECOND)
    assert lane.not_before(NOW) == NOW + 60 * SECOND


def test_a_new_holder_keeps_to_what_the_last_one_sent() -> None:
    """Whoever died may have sent until it died: then a whole period is waited from the taking."""
    rate = Options(rate=Rate(2, 10))
    assert held(rate).not_before(NOW) is None
    assert held(rate, sent_at=NOW - 4 * SECOND).not_before(NOW) == NOW + 6 * SECOND
    assert held(rate, sent_at=NOW - 90 * SECOND, inherited=True).not_before(NOW) == NOW + 10 * SECOND


def test_health_is_written_down_when_it_changes() -> None:
    """And not otherwise: most attempts arrive."""
    lane = held()
    lane.health = lane.health
    assert not lane.stirred
    lane.health = Health(strikes=1)
    assert lane.stirred
