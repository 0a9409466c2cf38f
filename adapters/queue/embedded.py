"""Calls between the parts of one process: no broker, nothing to install."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta
from typing import final

import attrs

from adapters.queue.lanes import Called
from application.ports.work_queue import Topic, WorkQueue


@attrs.define(eq=False)
class _Waiter:
    woken: asyncio.Future[None]
    heard: Called = attrs.field(factory=Called)


@attrs.define
class _Line:
    """Who waits for a topic, and what was called while nobody did."""

    waiting: set[_Waiter] = attrs.field(factory=set)
    kept: Called = attrs.field(factory=Called)


@final
class EmbeddedQueue(WorkQueue):
    """For one event loop: call it from there only.

    Every waiter of a topic wakes at a call. A call that comes while nobody waits is kept for the next who does.
    """

    def __init__(self) -> None:
        self._lines: defaultdict[Topic, _Line] = defaultdict(_Line)

    async def announce(self, topic: Topic, lanes: Collection[str] = ()) -> None:
        """Say that there is work. Never fails and never waits for a worker."""
        self.call(topic, lanes)

    def call(self, topic: Topic, lanes: Collection[str] = ()) -> None:
        """As `announce`, for who cannot await."""
        line = self._lines[topic]
        if not line.waiting:
            line.kept.add(lanes)
        for waiter in line.waiting:  # also one who is woken and not yet up: it hears this call with the first
            waiter.heard.add(lanes)
            if not waiter.woken.done():
                waiter.woken.set_result(None)

    async def wait(self, topic: Topic, timeout: timedelta) -> frozenset[str]:
        """Return when work was announced since the last wait, or when the time is up, with the lanes named since."""
        line = self._lines[topic]
        if line.kept:
            kept, line.kept = line.kept, Called()
            return kept.lanes
        waiter = _Waiter(asyncio.get_running_loop().create_future())
        line.waiting.add(waiter)
        try:
            await asyncio.wait((waiter.woken,), timeout=max(timeout.total_seconds(), 0))
        except asyncio.CancelledError:
            line.kept.merge(waiter.heard)  # it was called, and will not come: the call is for the next one
            raise
        finally:
            line.waiting.discard(waiter)
            waiter.woken.cancel()
        return waiter.heard.lanes

    async def open(self) -> None:
        """Nothing to connect."""

    async def aclose(self) -> None:
        """Nothing to let go of."""
