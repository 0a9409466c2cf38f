"""Each queue keeps the contract of the port WorkQueue."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from adapters.queue.embedded import EmbeddedQueue
from application.ports.work_queue import WorkQueue
from tests.contract.work_queue import WorkQueueContract


class TestEmbeddedQueue(WorkQueueContract):
    """The one for one process."""

    def open(self) -> AbstractAsyncContextManager[WorkQueue]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[WorkQueue]:
            yield EmbeddedQueue()

        return opened()
