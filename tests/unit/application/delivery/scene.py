"""Workers at work over the bench, receivers with a will of their own, and a database that may be away."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast, final
from urllib.parse import urlsplit

import attrs

from application.delivery.dispatcher import Dispatcher
from application.ports.dispatch import Dispatch
from application.ports.outgoing import ClientIdentity, Outgoing, Reply, Unreachable
from domain.notifications.deliveries import DeliveryState
from domain.notifications.schedule import DEFAULT, RetrySchedule
from tests.fakes.clock import LoopClock
from tests.fakes.outgoing import reply
from tests.unit.application.bench import Bench

Behaviour = Callable[[], Awaitable[Reply]]


@attrs.frozen
class Arrival:
    """A request that reached a receiver. until: when it was answered, if it was."""

    host: str
    at: float
    until: float | None
    message_id: str
    data: Any


def answers(status: int = 200, after: float = 0.02, headers: Mapping[str, str] | None = None) -> Behaviour:
    """The same, again and again."""

    async def answer() -> Reply:
        await asyncio.sleep(after)
        return reply(status, headers=headers)

    return answer


def hangs(for_: float = 15.0) -> Behaviour:
    """Until the hub gives up."""

    async def hang() -> Reply:
        await asyncio.sleep(for_)
        raise Unreachable(f"no answer within {for_:g} s", timed_out=True)

    return hang


@final
class Receivers(Outgoing):
    """By host; whoever has no behaviour of its own answers 200 after 20 ms. seen: in the order of their beginning."""

    def __init__(self) -> None:
        self.by_host: dict[str, Behaviour] = {}
        self.seen: list[Arrival] = []
        self.now, self.most = Counter[str](), Counter[str]()

    async def check(self, url: str, *, field: str = "url") -> None:
        """Anything goes."""

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
        """As the host behaves."""
        host, loop = urlsplit(url).hostname or "", asyncio.get_running_loop()
        arrival = Arrival(host, loop.time(), None, headers["webhook-id"], json.loads(body)["data"])
        index = len(self.seen)
        self.seen.append(arrival)
        self.now[host] += 1
        self.most[host] = max(self.most[host], self.now[host])
        try:
            return await self.by_host.get(host, answers())()
        finally:
            self.now[host] -= 1
            self.seen[index] = attrs.evolve(arrival, until=loop.time())

    def at(self, host: str) -> list[Arrival]:
        """What one of them got."""
        return [one for one in self.seen if one.host == host]

    def moments(self, host: str) -> list[float]:
        """When it got them."""
        return [one.at for one in self.at(host)]


class Watched:
    """Stands before a Dispatch: counts what is called; `before` may fail or wait, by the name of the method."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self.calls = Counter[str]()
        self.before: dict[str, Callable[..., Awaitable[None]]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._dispatch, name)

        async def called(*args: Any) -> Any:
            self.calls[name] += 1
            if name in self.before:
                await self.before[name](*args)
            return await method(*args)

        return called


class Away(Exception):
    """The database does not answer."""


async def away(*_: Any) -> None:
    """What a database does that is away."""
    raise Away


@attrs.define
class Worker:
    """A dispatcher that runs, and how it sees the database."""

    dispatcher: Dispatcher
    dispatch: Watched
    task: "asyncio.Task[None]"

    async def stop(self) -> None:
        """As a deployment does."""
        self.dispatcher.stop()
        await self.task

    async def die(self) -> None:
        """As the power goes: nothing is let go of, nothing is written any more."""
        for name in ("record", "release", "retire", "renew"):
            self.dispatch.before[name] = away
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Scene(Bench):
    """A bench whose time is the loop's."""

    receivers: Receivers

    @classmethod
    async def of(cls, schedule: RetrySchedule = DEFAULT) -> "Scene":
        """With an organisation in it."""
        receivers = Receivers()
        scene = cls(receivers, schedule, LoopClock())
        scene.receivers = receivers
        await scene.prepare()
        return scene

    def begin(self) -> Worker:
        """Another worker, with eyes of its own."""
        watched = Watched(self.dispatch)
        dispatcher = attrs.evolve(self.deliver, dispatch=cast("Dispatch", watched)).dispatcher()
        return Worker(dispatcher, watched, asyncio.create_task(dispatcher.run()))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """A worker, stopped at the end."""
        worker = self.begin()
        await asyncio.sleep(0.001)
        try:
            yield worker
        finally:
            await worker.stop()

    async def states(self, destination_id: str | None = None) -> Counter[DeliveryState]:
        """How many deliveries are in each."""
        return Counter(one.state for one in await self.deliveries(destination_id))

    async def until_quiet(self, within: float = 3600) -> None:
        """Wait until nothing is pending, by the loop's time."""
        async with asyncio.timeout(within):
            while (due := await self.dispatch.next_due()) is not None:  # noqa: ASYNC110  # a store has no event
                await asyncio.sleep(max(0.05, self.clock.seconds_until(due)))

    async def attempts(self, delivery_id: str) -> int:
        """How many are on record."""
        async with self.look() as work:
            return len(await work.attempts.of(delivery_id))

    @property
    def time(self) -> float:
        """The loop's."""
        return asyncio.get_running_loop().time()

    def moment(self, seconds: float) -> datetime:
        """So many seconds from now."""
        return self.clock.now() + timedelta(seconds=seconds)
