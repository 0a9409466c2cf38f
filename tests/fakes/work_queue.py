"""A queue that remembers what it was told."""

from datetime import timedelta
from typing import final

from adapters.queue.embedded import EmbeddedQueue
from application.ports.work_queue import Topic, WorkQueue


@final
class RecordingQueue(WorkQueue):
    """Works as the embedded queue does; `announced` has the topics, oldest first."""

    def __init__(self) -> None:
        self.announced: list[Topic] = []
        self._queue = EmbeddedQueue()

    async def announce(self, topic: Topic) -> None:
        """Write it down and call."""
        self.announced.append(topic)
        await self._queue.announce(topic)

    async def wait(self, topic: Topic, timeout: timedelta) -> None:
        """As the embedded queue."""
        await self._queue.wait(topic, timeout)
