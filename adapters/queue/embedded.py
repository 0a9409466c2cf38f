"""Calls between the parts of one process: no broker, nothing to install."""

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import final

import attrs

from application.ports.work_queue import Topic, WorkQueue


@attrs.define
class _Line:
    """Who waits for a topic, and whether someone called while nobody did."""

    waiting: set[asyncio.Future[None]] = attrs.field(factory=set)
    called: bool = False


@final
class EmbeddedQueue(WorkQueue):
    """For one event loop: call it from there only. Every waiter of a topic wakes at a call."""

    def __init__(self) -> None:
        self._lines: defaultdict[Topic, _Line] = defaultdict(_Line)

    async def announce(self, topic: Topic) -> None:
        """Say that there is work. Never fails and never waits for a worker."""
        line = self._lines[topic]
        line.called = not line.waiting
        while line.waiting:
            waiter = line.waiting.pop()
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, topic: Topic, timeout: timedelta) -> None:
        """Return when work was announced since the last wait, or when the time is up."""
        line = self._lines[topic]
        if line.called:
            line.called = False
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=max(timeout.total_seconds(), 0))
        except asyncio.CancelledError:
            if waiter.done():  # it was called, and will not come: the call is for the next one
                line.called = True
            raise
        finally:
            line.waiting.discard(waiter)
            waiter.cancel()
