"""The worker: takes what waits in the database, round after round, and sleeps until there is more."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from application.inbox.handle import HandleInbox
from application.notifications.deliver_due import DeliverDue
from application.ports.clock import Clock
from application.ports.store import Store
from application.ports.work_queue import Topic, WorkQueue
from entrypoints.wiring import Hub

LONGEST_SLEEP = timedelta(seconds=1)
"""A call from another process may be lost; this is how long its work then waits at most."""

_AFTER_AN_ERROR = timedelta(seconds=2)


class Worker:
    """Two loops, one for deliveries and one for the inbox. `stop()` lets the round under way finish."""

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
            group.create_task(self._loop(Topic.DELIVERIES, self._deliver))
            group.create_task(self._loop(Topic.INBOX, self._handle))

    def stop(self) -> None:
        """Finish what is under way, then return from `run()`."""
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

    async def _loop(self, topic: Topic, one_round: Callable[[], Awaitable[int]]) -> None:
        while not self._stopping.is_set():
            try:
                done = await one_round()
            except Exception:  # noqa: BLE001  # a loop that ends would end all deliveries
                # The database may be away for a moment: leases keep what was claimed, and the loop goes on.
                self._log.exception("a round failed", topic=topic.value)
                await self._sleep(_AFTER_AN_ERROR)
                continue
            if done == 0:
                await self._wait(topic)

    async def _wait(self, topic: Topic) -> None:
        """Until something is announced, or due, or the longest sleep is over."""
        stopping = asyncio.create_task(self._stopping.wait())
        calling = asyncio.create_task(self._queue.wait(topic, await self._until_due()))
        try:
            await asyncio.wait({stopping, calling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, calling):
                task.cancel()
            await asyncio.gather(stopping, calling, return_exceptions=True)

    async def _until_due(self) -> timedelta:
        due = await self._store.next_due()
        if due is None:
            return LONGEST_SLEEP
        return min(max(due - self._clock.now(), timedelta(milliseconds=5)), LONGEST_SLEEP)

    async def _sleep(self, how_long: timedelta) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), how_long.total_seconds())
        except TimeoutError:
            return
