"""Calls between processes that share one SQLite file: whoever opened the queue sees that another one has committed."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import final

from adapters.queue.embedded import EmbeddedQueue
from application.ports.work_queue import Topic, WorkQueue

GLANCE_S = 0.01
"""How often it looks. A look is a read of shared memory."""

_AFTER_AN_ERROR_S = 1.0


@final
class SqliteQueue(WorkQueue):
    """Calls within the process are as in EmbeddedQueue. What changed elsewhere is not known: all topics are called, without
    lanes.

    version: a number that is another one after somebody else has committed. It may fail while the file cannot be read.
    """

    def __init__(self, version: Callable[[], Awaitable[int]]) -> None:
        self._version = version
        self._own = EmbeddedQueue()
        self._watch: asyncio.Task[None] | None = None

    async def announce(self, topic: Topic, lanes: Collection[str] = ()) -> None:
        """Say that there is work in this process; the others see the commit."""
        await self._own.announce(topic, lanes)

    async def wait(self, topic: Topic, timeout: timedelta) -> frozenset[str]:
        """Return when work was announced or committed elsewhere, or when the time is up."""
        return await self._own.wait(topic, timeout)

    async def open(self) -> None:
        """Begin to watch."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._look())

    async def aclose(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def _look(self) -> None:
        """Until cancelled. A file that cannot be read is looked at again: the workers' own surveys do without."""
        seen = None
        while True:
            try:
                version = await self._version()
            except Exception:  # noqa: BLE001  # whatever keeps the file from being read, it is not this one's to tell
                await asyncio.sleep(_AFTER_AN_ERROR_S)
                continue
            if seen is not None and version != seen:
                for topic in Topic:
                    self._own.call(topic)
            seen = version
            await asyncio.sleep(GLANCE_S)
