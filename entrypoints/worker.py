"""The worker: takes what waits in the database whenever it has a place free, and sleeps until there is more."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar

import attrs
import structlog

from application.inbox.handle import HandleInbox
from application.notifications.deliver_due import DeliverDue
from application.ports.clock import Clock
from application.ports.store import Claimed, Store
from application.ports.work_queue import Topic, WorkQueue
from domain.inbox import Received
from entrypoints.wiring import Hub

DELIVERIES_AT_ONCE = 64
WEBHOOKS_AT_ONCE = 16

LONGEST_SLEEP = timedelta(seconds=1)
"""A call from another process may be lost; this is how long its work then waits at most."""

_SHORTEST_SLEEP = timedelta(milliseconds=5)

_AFTER_AN_EMPTY_CLAIM = timedelta(milliseconds=50)
"""Something is due and yet not to be had: its destination has its share, or another worker was quicker. Doubles each time."""

_AFTER_AN_ERROR = timedelta(seconds=2)

T = TypeVar("T")


class Worker:
    """Two loops, one for deliveries and one for the inbox. `stop()` lets what is under way finish."""

    def __init__(self, hub: Hub) -> None:
        self._queue: WorkQueue = hub.resolve(WorkQueue)  # type: ignore[type-abstract]
        self._store: Store = hub.resolve(Store)  # type: ignore[type-abstract]
        self._clock: Clock = hub.resolve(Clock)  # type: ignore[type-abstract]
        self._deliver = hub.resolve(DeliverDue)
        self._handle = hub.resolve(HandleInbox)
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger("worker")

    async def run(self) -> None:
        """Work until `stop()`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._loop(_Trade(Topic.DELIVERIES, DELIVERIES_AT_ONCE, self._begin_deliveries, self._deliver.deliver))
            )
            group.create_task(
                self._loop(_Trade(Topic.INBOX, WEBHOOKS_AT_ONCE, self._begin_webhooks, self._handle.handle))
            )

    def stop(self) -> None:
        """Claim no more, finish what is under way (no longer than the longest attempt), then return from `run()`."""
        self._stopping.set()

    async def drain(self, within: timedelta) -> bool:
        """Wait until nothing is due; for tests and the demo. Returns whether that came true in time."""
        deadline = self._clock.now() + within
        while self._clock.now() < deadline:
            due = await self._store.next_due()
            if due is None or due > self._clock.now():
                return True
            await asyncio.sleep(0.02)
        return False

    async def _begin_deliveries(self, limit: int, under_way: Collection[Claimed]) -> Collection[Claimed]:
        return await self._deliver.begin(limit, Counter(one.delivery.destination_id for one in under_way))

    async def _begin_webhooks(self, limit: int, _: Collection[Received]) -> Collection[Received]:
        return await self._handle.begin(limit)

    async def _loop(self, trade: "_Trade[T]") -> None:
        """Fill the places that are free, sleep, again. Leaving the group waits for what is under way."""
        patience = _AFTER_AN_EMPTY_CLAIM
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                trade.ended.clear()
                if not trade.free:
                    await self._sleep(trade.ended.wait())
                    continue
                try:
                    wait = await self._until_due(trade.topic)
                    taken = () if wait else await trade.begin(trade.free, trade.under_way.values())
                except Exception:  # noqa: BLE001  # a loop that ends would end all deliveries
                    # The database may be away for a moment: leases keep what was claimed, and the loop goes on.
                    self._log.exception("claiming failed", topic=trade.topic.value)
                    await self._sleep(asyncio.sleep(_AFTER_AN_ERROR.total_seconds()))
                    continue
                for one in taken:
                    group.create_task(self._do(trade, trade.enter(one), one))
                if taken or wait:
                    patience = _AFTER_AN_EMPTY_CLAIM
                else:
                    wait, patience = patience, min(2 * patience, LONGEST_SLEEP)
                if not taken:
                    await self._sleep(self._queue.wait(trade.topic, wait), trade.ended.wait())

    async def _do(self, trade: "_Trade[T]", place: int, one: T) -> None:
        try:
            await trade.do(one)
        except Exception:  # noqa: BLE001  # it must not take the others along; its lease ends, and it is tried again
            self._log.exception("recording failed", topic=trade.topic.value)
        finally:
            trade.leave(place)

    async def _until_due(self, topic: Topic) -> timedelta:
        """How long to sleep; nothing when something is due. Only reads: looking takes no lock from those who write."""
        due, now = await self._store.next_due(topic), self._clock.now()
        if due is None:
            return LONGEST_SLEEP
        return timedelta() if due <= now else min(max(due - now, _SHORTEST_SLEEP), LONGEST_SLEEP)

    async def _sleep(self, *until: Coroutine[Any, Any, Any]) -> None:
        """Until the first of these, or `stop()`."""
        tasks = [asyncio.create_task(one) for one in (self._stopping.wait(), *until)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@attrs.define
class _Trade(Generic[T]):
    """One kind of work: how some is begun, how one is done, and what is under way, by place."""

    topic: Topic
    places: int
    begin: Callable[[int, Collection[T]], Awaitable[Collection[T]]]
    do: Callable[[T], Awaitable[None]]
    under_way: dict[int, T] = attrs.field(factory=dict)
    ended: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def free(self) -> int:
        """How many more may be begun."""
        return self.places - len(self.under_way)

    def enter(self, one: T) -> int:
        """Take a place, which is returned."""
        place = next(place for place in range(self.places) if place not in self.under_way)
        self.under_way[place] = one
        return place

    def leave(self, place: int) -> None:
        """Free a place, and say so."""
        del self.under_way[place]
        self.ended.set()
