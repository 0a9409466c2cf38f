"""A queue that remembers what it was told."""

from collections.abc import Collection
from datetime import timedelta
from typing import final

from adapters.queue.embedded import EmbeddedQueue
from application.ports.work_queue import Topic, WorkQueue


@final
class RecordingQueue(WorkQueue):
    """Works as the embedded queue does. `announced` has the topics, oldest first, and `lanes` what each call named."""

    def __init__(self) -> None:
        self.announced: list[Topic] = []
        self.lanes: list[frozenset[str]] = []
        self._queue = EmbeddedQueue()

    async def announce(self, topic: Topic, lanes: Collection[str] = ()) -> None:
        """Write it down and call."""
        self.announced.append(topic)
        self.lanes.append(frozenset(lanes))
        await self._queue.announce(topic, lanes)

    async def wait(self, topic: Topic, timeout: timedelta) -> frozenset[str]:
        """As the embedded queue."""
        return await self._queue.wait(topic, timeout)

    async def open(self) -> None:
        """As the embedded queue."""
        await self._queue.open()

    async def aclose(self) -> None:
        """As the embedded queue."""
        await self._queue.aclose()
