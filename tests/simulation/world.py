"""A world with receivers, a network and a database that fail, workers that die, and a clock that jumps; all from one seed.

The engine in it is the real one; what is played are its ports.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, final

import attrs

from adapters.queue.embedded import EmbeddedQueue
from application.billing.printing import PrintInvoice
from application.caller import Caller
from application.connections.connect import PublicUrl
from application.delivery.consequences import Consequences
from application.delivery.dispatcher import Dispatcher
from application.delivery.handover import Handover
from application.notifications.carry import Carry, ConsoleUrl
from application.notifications.client_credentials import ClientCredentials
from application.notifications.publish_events import PublishEvents
from application.notifications.signing_keys import SigningKeys
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.dispatch import Chunk, Dispatch, Lane, Tried, Waiting, Want
from application.ports.outgoing import ClientIdentity, Outgoing, Reply, Unreachable
from application.ports.work_queue import Topic, WorkQueue
from domain.notifications.endpoints import Endpoint, SigningSecret
from domain.notifications.options import Options
from domain.notifications.schedule import RetrySchedule
from domain.notifications.signing import new_secret
from domain.organisations import Organisation
from tests.fakes.dispatch import MemoryDispatch
from tests.fakes.ids import CountingIds
from tests.fakes.intake import MemoryIntake
from tests.fakes.journal import RememberingJournal
from tests.fakes.paper import PlainPaper
from tests.fakes.providers import FakeProviders
from tests.fakes.signer import PlainSigner
from tests.fakes.store import MemoryStore
from tests.fakes.vault import PlainVault

BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)
SCHEDULE = RetrySchedule.of_seconds((1, 2, 5))
"""Shorter than the real one: a history lasts two minutes."""


class DatabaseAway(Exception):
    """It does not answer, or its answer was lost."""


@final
class WorldClock(Clock):
    """The loop's time, and what it was set forward by."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=asyncio.get_running_loop().time()) + self.ahead


@attrs.frozen
class Arrival:
    """A request that reached a receiver. `begun`: when it was sent, by the loop's time; `taken`: it answered 2xx."""

    begun: float
    at: float
    url: str
    message_id: str
    taken: bool


@final
class Network(Outgoing):
    """Receivers in moods: `well`, `flaky`, `down`, `hangs`, `busy`, `gone`."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.moods: dict[str, str] = defaultdict(lambda: "well")
        self.arrivals: list[Arrival] = []
        self.sent: dict[str, list[float]] = defaultdict(list)
        self.under_way: dict[str, int] = defaultdict(int)
        self.most_under_way: dict[str, int] = defaultdict(int)

    async def check(self, url: str, *, field: str = "url") -> None:
        """All may be reached."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout: timedelta,
        identity: ClientIdentity | None = None,
    ) -> Reply:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self.sent[url].append(begun)
        self.under_way[url] += 1
        self.most_under_way[url] = max(self.most_under_way[url], self.under_way[url])
        try:
            return await self._answer(url, headers["webhook-id"], begun, timeout)
        finally:
            self.under_way[url] -= 1

    async def _answer(self, url: str, message_id: str, begun: float, timeout: timedelta) -> Reply:
        loop, mood = asyncio.get_running_loop(), self.moods[url]
        if mood == "down":
            await asyncio.sleep(0.001)
            raise Unreachable("connection refused")
        if mood == "hangs":
            await asyncio.sleep(timeout.total_seconds())
            raise Unreachable("the time was up", timed_out=True)
        await asyncio.sleep(self._chance.uniform(0.001, 0.2))
        status, retry = {"busy": (429, "2"), "gone": (410, "")}.get(mood, (200, ""))
        if mood == "flaky":
            status = self._chance.choice((200, 200, 500, 503, 302))
        self.arrivals.append(Arrival(begun, loop.time(), url, message_id, status == 200))
        await asyncio.sleep(self._chance.uniform(0.001, 0.1))  # the answer's way back: the worker may die meanwhile
        if mood == "flaky" and self._chance.random() < 0.15:
            raise Unreachable("connection reset")
        headers = {"retry-after": retry} if retry else {}
        return Reply(status, headers, b"", timedelta(seconds=loop.time() - begun))


@final
class ShakyDispatch(Dispatch):
    """The database as one node sees it: it takes its time, and is away now and then, before or after it did its work."""

    def __init__(self, real: MemoryDispatch, chance: random.Random) -> None:
        self._real = real
        self._chance = chance
        self.away = False
        self.trouble = 0.0
        """How likely a call fails."""

    async def _call(self, work: Any) -> Any:
        try:
            await asyncio.sleep(self._chance.uniform(0.0005, 0.01))
            if self.away or self._chance.random() < self.trouble / 2:
                raise DatabaseAway
        except BaseException:
            work.close()
            raise
        done = await work
        if self._chance.random() < self.trouble / 2:
            raise DatabaseAway  # it was committed, and nobody heard of it
        return done

    async def enlist(self, name: str, now: datetime, until: datetime) -> int:
        return int(await self._call(self._real.enlist(name, now, until)))

    async def renew(self, generation: int, now: datetime, until: datetime) -> bool:
        return bool(await self._call(self._real.renew(generation, now, until)))

    async def retire(self, generation: int) -> None:
        await self._call(self._real.retire(generation))

    async def survey(self, generation: int, now: datetime) -> tuple[Waiting, ...]:
        return tuple(await self._call(self._real.survey(generation, now)))

    async def take(self, generation: int, lanes: Sequence[Waiting], now: datetime) -> tuple[Lane, ...]:
        return tuple(await self._call(self._real.take(generation, lanes, now)))

    async def read(self, wants: Sequence[Want], now: datetime) -> Mapping[str, Chunk]:
        return dict(await self._call(self._real.read(wants, now)))

    async def record(
        self, generation: int, tried: Sequence[Tried], lanes: Sequence[Lane], now: datetime
    ) -> frozenset[str]:
        return frozenset(await self._call(self._real.record(generation, tried, lanes, now)))

    async def release(self, generation: int, lanes: Sequence[Lane]) -> None:
        await self._call(self._real.release(generation, lanes))

    async def revisions(self, generation: int) -> Mapping[str, int]:
        return dict(await self._call(self._real.revisions(generation)))

    async def lanes(self, organisation_id: str, destinations: Collection[str]) -> Mapping[str, Lane]:
        return dict(await self._call(self._real.lanes(organisation_id, destinations)))

    async def next_due(self) -> datetime | None:
        return await self._real.next_due()


@final
class LossyQueue(WorkQueue):
    """Calls within a node always come; those to other nodes may be lost."""

    def __init__(self, chance: random.Random, others: "list[LossyQueue]") -> None:
        self._chance = chance
        self._own = EmbeddedQueue()
        self._others = others

    async def announce(self, topic: Topic, lanes: Collection[str] = ()) -> None:
        await self._own.announce(topic, lanes)
        for other in self._others:
            if other is not self and self._chance.random() < 0.6:
                await other._own.announce(topic, lanes)

    async def wait(self, topic: Topic, timeout: timedelta) -> frozenset[str]:
        return await self._own.wait(topic, timeout)

    async def open(self) -> None:
        """Nothing to open."""

    async def aclose(self) -> None:
        """Nothing to close."""


@attrs.define(eq=False)
class Node:
    """One process: a door and a worker. Killed, it writes nothing more; what was on its way may still arrive."""

    world: "World"
    dispatch: ShakyDispatch
    queue: LossyQueue
    handover: Handover
    publish: PublishEvents
    worker: Dispatcher
    task: "asyncio.Task[None]"

    async def kill(self) -> None:
        """As a power cut does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def drain(self) -> None:
        """As SIGTERM does."""
        self.worker.stop()
        await self.task


class World:
    """One organisation, some endpoints, up to three nodes."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.clock = WorldClock()
        self.ids = CountingIds()
        self.network = Network(chance)
        self.queues: list[LossyQueue] = []
        self.store = MemoryStore(self.clock, LossyQueue(chance, self.queues))
        self.dispatch = MemoryDispatch(self.store.shelves)
        self.vault = PlainVault()
        self.nodes: list[Node] = []
        self.accepted: dict[str, frozenset[str]] = {}
        """Each event that was acknowledged, and the endpoints that were active all the while."""
        self.journal = RememberingJournal()

    async def begin(self, endpoints: Mapping[str, Options]) -> None:
        """Found it."""
        now = self.clock.now()
        self.organisation = Organisation(self.ids.new("organisation"), "World", now)
        self.caller = Caller(self.organisation.id, "key:world")
        await self.store.found(self.organisation)
        self.endpoints: dict[str, Endpoint] = {}
        async with self.store.of(self.organisation.id) as work:
            for name, options in endpoints.items():
                secret = self.vault.seal(new_secret(self.ids.randomness(32)), about=f"{self.organisation.id}/{name}")
                endpoint = Endpoint(
                    name,
                    self.organisation.id,
                    f"https://{name}.example/",
                    name,
                    ("*",),
                    (SigningSecret(secret, now),),
                    now,
                    now,
                    options=options,
                    timeout_s=5,
                )
                await work.endpoints.add(endpoint)
                self.endpoints[name] = endpoint
            await work.commit()

    def start(self) -> Node:
        """One more node."""
        queue, handover = LossyQueue(self.chance, self.queues), Handover()
        self.queues.append(queue)
        dispatch = ShakyDispatch(self.dispatch, self.chance)
        tell = Tell(self.clock, self.ids)
        keys = SigningKeys(self.store, tell, self.clock, self.ids, self.vault, PlainSigner())
        providers, credentials = FakeProviders(self.clock), ClientCredentials(self.network, self.clock)
        printing = PrintInvoice(self.store, self.clock, PublicUrl("https://hub.example"), PlainPaper())
        carry = Carry(
            self.store,
            self.clock,
            self.vault,
            self.network,
            providers,
            ConsoleUrl(None),
            keys,
            credentials,
            SCHEDULE,
            printing,
        )
        worker = Dispatcher(
            dispatch,
            carry,
            Consequences(self.store, tell, self.clock),
            self.clock,
            self.ids,
            self.journal,
            queue,
            handover,
        )
        intake = MemoryIntake(self.store.shelves, self.ids, queue, handover)
        publish = PublishEvents(intake, self.clock, self.ids, PublicUrl("https://hub.example"))
        node = Node(self, dispatch, queue, handover, publish, worker, asyncio.create_task(worker.run()))
        self.nodes.append(node)
        return node
