"""One history from a seed: what happens to the world, and what must be true of it all the while and in the end."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta

import attrs

from application.notifications.publish_events import Published
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.options import Options
from domain.notifications.windows import Rate
from tests.simulation.loop import VirtualLoop
from tests.simulation.world import Node, World

STEPS = 40
PATIENCE_S = 3_600
"""How long the healed world may take to deliver everything: the longest break of a breaker, several times."""

ENDPOINTS = {
    "quick": Options(),
    "fifo": Options(fifo=True),
    "rated": Options(rate=Rate(3, 2)),
    "short": Options(expires_after_s=20),
}
OPEN = (DeliveryState.PENDING, DeliveryState.WAITING)


class Broken(AssertionError):
    """Something that must always be true is not."""


def play(seed: int) -> "Report":
    """Play one history. Raises Broken."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(_History(random.Random(seed)).play())
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@attrs.frozen
class Report:
    """What came of a history, for the statistics of many."""

    events: int
    deliveries: int
    arrivals: int
    duplicates: int
    kills: int
    passed_s: float


class _History:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.world = World(chance)
        self.kills = 0
        self._events = 0
        self._jumped = False

    async def play(self) -> Report:
        world, chance = self.world, self.chance
        await world.begin(ENDPOINTS)
        for _ in range(chance.randint(1, 2)):
            world.start()
        for _ in range(STEPS):
            await self._something()()
            await asyncio.sleep(chance.choice((0.001, 0.05, 0.5, 3)) * chance.random())
            self.check()
        await self._heal()
        self.check()
        self._check_end()
        for node in world.nodes:
            await node.drain()
        return self._report()

    def _something(self) -> Callable[[], Awaitable[None]]:
        happenings: tuple[tuple[int, Callable[[], Awaitable[None]]], ...] = (
            (10, self._publish),
            (4, self._publish_many),
            (4, self._mood),
            (3, self._trouble),
            (2, self._kill),
            (2, self._one_more),
            (1, self._drain_one),
            (1, self._outage),
            (1, self._jump),
            (1, self._stir),
            (2, self._wait),
        )
        weights = [weight for weight, _ in happenings]
        return self.chance.choices([happening for _, happening in happenings], weights)[0]

    # What may happen

    async def _publish(self) -> None:
        await self._accept(1)

    async def _publish_many(self) -> None:
        await self._accept(self.chance.randint(2, 30))

    async def _accept(self, many: int) -> None:
        if not self.world.nodes:
            return
        node = self.chance.choice(self.world.nodes)
        told = [Published("kiln.fired", {"number": self._events + n}) for n in range(many)]
        self._events += many
        events = await node.publish(self.world.caller, told)
        assert isinstance(events, tuple)
        for event in events:
            self.world.accepted[event.payload.id] = frozenset(ENDPOINTS)

    async def _mood(self) -> None:
        name = self.chance.choice(list(ENDPOINTS))
        mood = self.chance.choice(("well", "well", "flaky", "flaky", "down", "hangs", "busy"))
        self.world.network.moods[f"https://{name}.example/"] = mood

    async def _trouble(self) -> None:
        for node in self.world.nodes:
            node.dispatch.trouble = self.chance.choice((0.0, 0.0, 0.05, 0.2))

    async def _kill(self) -> None:
        if self.world.nodes:
            node = self.world.nodes.pop(self.chance.randrange(len(self.world.nodes)))
            await node.kill()
            self.kills += 1

    async def _drain_one(self) -> None:
        if len(self.world.nodes) > 1:
            node = self.world.nodes.pop(0)
            node.dispatch.trouble = 0.0
            node.dispatch.away = False
            await node.drain()

    async def _one_more(self) -> None:
        if len(self.world.nodes) < 3:
            self.world.start()

    async def _outage(self) -> None:
        """The database is away for a node, perhaps for longer than its lease."""
        if self.world.nodes:
            node = self.chance.choice(self.world.nodes)
            node.dispatch.away = True
            asyncio.get_running_loop().call_later(self.chance.choice((0.5, 5, 30)), self._back, node)

    def _back(self, node: Node) -> None:
        node.dispatch.away = False

    async def _jump(self) -> None:
        """Somebody sets the clock forward."""
        self._jumped = True
        self.world.clock.ahead += timedelta(seconds=self.chance.choice((1, 15, 60)))

    async def _stir(self) -> None:
        """A person wants an endpoint tried at once."""
        async with self.world.store.of(self.world.organisation.id) as work:
            await work.deliveries.stir(self.chance.choice(list(ENDPOINTS)))
            await work.commit()

    async def _wait(self) -> None:
        await asyncio.sleep(self.chance.uniform(1, 20))

    async def _heal(self) -> None:
        """From now on all is well; everything that waits must arrive."""
        self.world.network.moods.clear()
        for node in self.world.nodes:
            node.dispatch.trouble, node.dispatch.away = 0.0, False
        if not self.world.nodes:
            self.world.start()
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while any(delivery.state in OPEN for delivery in self._deliveries()):
            if loop.time() > until:
                raise Broken(f"not delivered: {[d for d in self._deliveries() if d.state in OPEN][:3]}")
            await asyncio.sleep(1)
            self.check()

    # What must be true

    def _deliveries(self) -> list[Delivery]:
        return list(self.world.store.shelves.tables["deliveries"].values())

    def check(self) -> None:
        """Raises Broken."""
        by_event: dict[str, set[str]] = defaultdict(set)
        by_id: dict[str, Delivery] = {}
        for delivery in self._deliveries():
            by_event[delivery.event_id].add(delivery.destination_id)
            by_id[delivery.id] = delivery
        for event_id, endpoints in self.world.accepted.items():
            if not endpoints <= by_event[event_id]:
                raise Broken(f"{event_id} was accepted, and has no delivery to {endpoints - by_event[event_id]}")
        taken = {(one.url, one.message_id) for one in self.world.network.arrivals if one.taken}
        numbers: dict[str, list[int]] = defaultdict(list)
        for attempt in self.world.store.shelves.tables["attempts"].values():
            numbers[attempt.delivery_id].append(attempt.number)
        for delivery in by_id.values():
            url = f"https://{delivery.destination_id}.example/"
            if delivery.state is DeliveryState.DELIVERED and (url, delivery.message_id) not in taken:
                raise Broken(f"{delivery.id} is recorded as delivered, and its receiver did not take it")
            kept = sorted(numbers[delivery.id])
            if kept != list(range(1, delivery.attempts + 1)):
                raise Broken(f"{delivery.id} had {delivery.attempts} attempts; kept are {kept}")

    def _check_end(self) -> None:
        self._check_order()
        if not self._jumped:
            self._check_rate()

    def _check_order(self) -> None:
        """At the FIFO endpoint messages arrived in the order in which they were made."""
        url, first = "https://fifo.example/", dict[str, float]()
        for arrival in self.world.network.arrivals:
            if arrival.url == url and arrival.taken:
                first.setdefault(arrival.message_id, arrival.at)
        mine = sorted((d for d in self._deliveries() if d.destination_id == "fifo"), key=lambda d: (d.due_at, d.id))
        delivered = [d.message_id for d in mine if d.state is DeliveryState.DELIVERED]
        if sorted(delivered, key=lambda id_: first[id_]) != delivered:
            raise Broken("FIFO: they did not arrive in their order")

    def _check_rate(self) -> None:
        """Nowhere more than `limit` attempts within a period, whoever made them."""
        rate = ENDPOINTS["rated"].rate
        assert rate is not None
        sent = self.world.network.sent["https://rated.example/"]
        for begin, end in zip(sent, sent[rate.limit :], strict=False):
            if end - begin < rate.per_s - 1e-6:
                raise Broken(f"rate: {rate.limit + 1} attempts within {end - begin:.3f} s")

    def _report(self) -> Report:
        arrivals = [one for one in self.world.network.arrivals if one.taken]
        return Report(
            self._events,
            len(self._deliveries()),
            len(arrivals),
            len(arrivals) - len({(one.url, one.message_id) for one in arrivals}),
            self.kills,
            asyncio.get_running_loop().time(),
        )
