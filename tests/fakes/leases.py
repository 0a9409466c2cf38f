"""Leases in memory."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import final

from application.ports.clock import Clock
from application.ports.leases import Held, Leases
from tests.fakes.clock import FrozenClock

_POLL_S = 0.001


@final
class MemoryLeases(Leases):
    """A lease runs out by the clock; waiting for one takes real time. `held` has the names and when each runs out."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or FrozenClock()
        self._holders: dict[str, tuple[object, datetime]] = {}

    @property
    def held(self) -> dict[str, datetime]:
        """What is held at this moment."""
        return {name: until for name, (_, until) in self._holders.items() if until > self._clock.now()}

    @asynccontextmanager
    async def hold_free(self, names: Iterable[str], *, for_: timedelta) -> AsyncIterator[frozenset[str]]:
        """As the port says."""
        await asyncio.sleep(0)
        async with AsyncExitStack() as stack:
            free = frozenset(names) - set(self.held)
            for name in sorted(free):
                await stack.enter_async_context(self._mine(name, for_))
            yield free

    @asynccontextmanager
    async def hold(self, name: str, *, for_: timedelta, wait: timedelta = timedelta()) -> AsyncIterator[None]:
        """As the port says."""
        loop, holder = asyncio.get_running_loop(), object()
        deadline = loop.time() + wait.total_seconds()
        await asyncio.sleep(0)  # as a database would: someone else may come first
        while name in self.held:
            if loop.time() >= deadline:
                raise Held(f"'{name}' is being worked on by someone else.", name=name)
            await asyncio.sleep(_POLL_S)
        async with self._mine(name, for_, holder):
            yield

    @asynccontextmanager
    async def _mine(self, name: str, for_: timedelta, holder: object | None = None) -> AsyncIterator[None]:
        holder = holder or object()
        self._holders[name] = (holder, self._clock.now() + for_)
        try:
            yield
        finally:
            if self._holders.get(name, (None,))[0] is holder:
                del self._holders[name]
