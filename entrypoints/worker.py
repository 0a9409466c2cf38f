"""The worker: the delivery engine, and a loop that handles what providers sent."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from application.inbox.handle import HandleInbox
from application.notifications.deliver_due import DeliverDue
from application.notifications.run_replays import TURN, RunReplays
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch
from application.ports.inbox import WebhookInbox
from application.ports.work_queue import Topic, WorkQueue
from domain.inbox import Received
from entrypoints.wiring import Hub

WEBHOOKS_AT_ONCE = 64

LONGEST_SLEEP = timedelta(seconds=1)
"""A call from another process may be lost; this is how long its work then waits at most."""

_SHORTEST_SLEEP = timedelta(milliseconds=5)

_AFTER_AN_EMPTY_CLAIM = timedelta(milliseconds=50)
"""Something is due and yet not to be had: another worker was quicker. Doubles each time."""

_AFTER_AN_ERROR = timedelta(seconds=2)

_NEXT_REPLAYS = timedelta(seconds=2)
"""How long a new replay waits at most until a worker looks."""


class Worker:
    """`stop()` lets what is under way finish."""

    def __init__(self, hub: Hub) -> None:
        self._queue: WorkQueue = hub.resolve(WorkQueue)  # type: ignore[type-abstract]
        self._inbox: WebhookInbox = hub.resolve(WebhookInbox)  # type: ignore[type-abstract]
        self._dispatch: Dispatch = hub.resolve(Dispatch)  # type: ignore[type-abstract]
        self._clock: Clock = hub.resolve(Clock)  # type: ignore[type-abstract]
        self._dispatcher = hub.resolve(DeliverDue).dispatcher()
        self._handle = hub.resolve(HandleInbox)
        self._run_replays = hub.resolve(RunReplays)
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], int] = {}
        self._log = structlog.get_logger("worker")

    async def run(self) -> None:
        """Work until `stop()`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatcher.run())
            group.create_task(self._webhooks())
            group.create_task(self._replays())

    def stop(self) -> None:
        """Take no more, finish what is under way (no longer than the longest attempt), then return from `run()`."""
        self._stopping.set()
        self._dispatcher.stop()

    async def drain(self, within: timedelta) -> bool:
        """Wait until nothing is due; for tests and the demo. Returns whether that came true in time."""
        deadline = self._clock.now() + within
        while self._clock.now() < deadline:
            now = self._clock.now()
            due = [moment for moment in (await self._dispatch.next_due(), await self._inbox.next_due(now)) if moment]
            if not self._under_way and (not due or min(due) > now):
                return True
            await asyncio.sleep(0.02)
        return False

    async def _webhooks(self) -> None:
        """Fill the places that are free, sleep, again; at the end, wait for what is under way."""
        patience = _AFTER_AN_EMPTY_CLAIM
        while not self._stopping.is_set():
            self._ended.clear()
            free = WEBHOOKS_AT_ONCE - sum(self._under_way.values())
            if free <= 0:
                await self._sleep(self._ended.wait())
                continue
            try:
                wait = await self._until_due()
                taken = () if wait else await self._handle.begin(free)
            except Exception:  # noqa: BLE001  # a loop that ends would end all handling
                # The database may be away for a moment: leases keep what was claimed, and the loop goes on.
                self._log.exception("claiming webhooks failed")
                await self._sleep(asyncio.sleep(_AFTER_AN_ERROR.total_seconds()))
                continue
            for together in self._handle.groups(taken):
                self._begin(together)
            if taken or wait:
                patience = _AFTER_AN_EMPTY_CLAIM
            else:
                wait, patience = patience, min(2 * patience, LONGEST_SLEEP)
            if not taken:
                await self._sleep(self._queue.wait(Topic.INBOX, wait), self._ended.wait())
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _replays(self) -> None:
        """Look every moment whether there are replays, and work at them."""
        while not self._stopping.is_set():
            try:
                made = await self._run_replays(TURN, self._stopping)
            except Exception:  # noqa: BLE001  # as above
                self._log.exception("replaying failed")
                made = 0
            if not made:
                await self._sleep(asyncio.sleep(_NEXT_REPLAYS.total_seconds()))

    def _begin(self, group: Sequence[Received]) -> None:
        task = asyncio.create_task(self._do(group))
        self._under_way[task] = len(group)
        task.add_done_callback(self._leave)

    def _leave(self, task: "asyncio.Task[None]") -> None:
        self._under_way.pop(task, None)
        self._ended.set()

    async def _do(self, group: Sequence[Received]) -> None:
        try:
            await self._handle.handle_together(group)
        except Exception:  # noqa: BLE001  # it must not take the others along; its lease ends, and it is tried again
            self._log.exception("recording failed")

    async def _until_due(self) -> timedelta:
        """How long to sleep; nothing when something is due. Only reads: looking takes no lock from those who write."""
        now = self._clock.now()
        due = await self._inbox.next_due(now)
        if due is None:
            return LONGEST_SLEEP
        return timedelta() if due <= now else min(max(due - now, _SHORTEST_SLEEP), LONGEST_SLEEP)

    async def _sleep(self, *until: Awaitable[Any]) -> None:
        """Until the first of these, or `stop()`."""
        tasks = [asyncio.ensure_future(_awaited(one)) for one in (self._stopping.wait(), *until)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _awaited(one: Awaitable[Any]) -> Any:
    return await one
