"""Pruning: each kind of thing in its own time, to the end, and never what is still needed."""

from datetime import datetime, timedelta

import attrs
import pytest

from application.upkeep.jobs import Retention
from application.upkeep.pruning import Prune
from domain.ids import make_id
from domain.notifications.deliveries import DeliveryState
from tests.contract.examples import Examples
from tests.fakes.clock import FrozenClock
from tests.fakes.pruning import MemoryPruning
from tests.fakes.store import MemoryStore

KEEP = Retention(timedelta(days=90), timedelta(days=30), timedelta(days=400))
MANY = 5


@attrs.define
class Scene:
    """A store with old and new things in it, and the job."""

    clock: FrozenClock = attrs.field(factory=FrozenClock)
    make: Examples = attrs.field(factory=Examples)
    store: MemoryStore = attrs.field(init=False)
    prune: Prune = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.prune = Prune(MemoryPruning(self.store.shelves), self.clock, KEEP)

    def id(self, kind: str, at: datetime, number: int = 0) -> str:
        """An id of this moment."""
        return make_id(kind, int(at.timestamp() * 1000), number.to_bytes(10, "big"))

    async def add(self, days: int, *states: DeliveryState) -> None:
        """An event so many days old, its deliveries with one attempt each, and an audit entry."""
        at = self.clock.now() - timedelta(days=days)
        event = attrs.evolve(self.make.event("org_1"), id=self.id("event", at), created_at=at)
        async with self.store.of("org_1") as work:
            await work.events.add(event)
            for number, state in enumerate(states):
                delivery = self.make.delivery("org_1", event, state=state)
                await work.deliveries.add(delivery)
                attempt = self.make.attempt(delivery, self.make.full_outcome())
                await work.attempts.add(attrs.evolve(attempt, id=self.id("attempt", at, number), at=at))
            await work.audit.add(attrs.evolve(self.make.entry("org_1"), id=self.id("audit", at), at=at))
            await work.commit()

    async def bodies(self) -> list[bool]:
        """Of every attempt, the oldest first, whether it still has its payload."""
        async with self.store.reading("org_1") as work:
            deliveries = sorted(await work.deliveries.all(), key=lambda one: one.event_id)
            attempts = [(await work.attempts.of(one.id))[0] for one in deliveries]
        return [bool(one.outcome.body) for one in attempts]

    async def kept(self) -> tuple[int, int]:
        """How many events and audit entries there are."""
        async with self.store.reading("org_1") as work:
            return len(await work.events.all()), len(await work.audit.all())


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_each_kind_goes_in_its_own_time(scene: Scene) -> None:
    """Payloads after 30 days, events without deliveries after 90, the audit trail after 400; and once."""
    for days in (10, 40, 100, 500):
        await scene.add(days, *((DeliveryState.DELIVERED,) if days < 100 else ()))
    assert await scene.prune() == {"payloads": 1, "events": 2, "audit": 1}
    assert await scene.prune() == {"payloads": 0, "events": 0, "audit": 0}
    assert await scene.bodies() == [False, True]
    assert await scene.kept() == (2, 3)


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.WAITING])
async def test_an_event_that_is_still_to_be_sent_stays(scene: Scene, state: DeliveryState) -> None:
    """However old it is: a delayed send, or a polled endpoint that nobody asked for a year."""
    await scene.add(370, state)
    assert (await scene.prune())["events"] == 0
    assert await scene.kept() == (1, 1)


async def test_more_than_one_batch_is_done(scene: Scene) -> None:
    """To the end, also past events that stay."""
    for number in range(MANY):
        await scene.add(450 + number, DeliveryState.PENDING)
        await scene.add(420 + number)
    assert await scene.prune() == {"payloads": MANY, "events": MANY, "audit": 2 * MANY}
