"""A worker's lease: taken, renewed, lost. Its number, the generation, is new each time it is taken (ADR 0020)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from application.ports.clock import Clock
from application.ports.dispatch import Dispatch
from application.ports.ids import Ids
from application.ports.journal import Journal

LEASE = timedelta(seconds=20)
"""A dead worker's lanes are taken over after this, and a survey."""

_AFTER_AN_ERROR = 1.0
"""Seconds."""


@attrs.define(eq=False)
class Tenure:
    """changed: called when the lease was taken, renewed or lost."""

    _dispatch: Dispatch
    _clock: Clock
    _ids: Ids
    _journal: Journal
    _changed: Callable[[], None]
    generation: int = attrs.field(default=0, init=False)
    _until: datetime | None = attrs.field(default=None, init=False)

    def lapsed(self, now: datetime) -> bool:
        """Whether others may hold the lanes by now."""
        return self._until is None or now >= self._until

    def lose(self, why: str) -> None:
        """Others think that this worker is dead: it is to begin anew, under another number."""
        self._journal.troubled("holding the lease", TimeoutError(why))
        self._until = None
        self._changed()

    async def begin(self) -> None:
        """Take a lease."""
        now = self._clock.now()
        if self.generation:
            with suppress(
                Exception
            ):  # its own former lease, should the others believe in it: else they wait for its end
                await self._dispatch.renew(self.generation, now, now)
        self.generation = await self._dispatch.enlist(self._ids.new("worker"), now, now + LEASE)
        self._until = now + LEASE
        self._changed()

    async def begin_at_last(self) -> None:
        """As `begin`, however long the database is away."""
        while True:
            try:
                await self.begin()
            except Exception as error:  # noqa: BLE001  # the database may come back
                self._journal.troubled("taking a lease", error)
                await asyncio.sleep(_AFTER_AN_ERROR)
            else:
                return

    async def keep(self, renewed: Callable[[], Awaitable[None]]) -> None:
        """Renew it until cancelled. renewed: awaited each time."""
        while True:
            now = self._clock.now()
            beat = now + LEASE / 3 if self._until is None else self._until - LEASE * 2 / 3
            # No longer than that: on a clock that was set back, the beat is far away.
            await asyncio.sleep(min(max(self._clock.seconds_until(beat), 0.01), LEASE.total_seconds() / 3))
            try:
                now = self._clock.now()
                if self.lapsed(now):
                    continue
                generation = self.generation
                if await self._dispatch.renew(generation, now, now + LEASE):
                    if generation == self.generation:
                        self._until = now + LEASE
                    self._changed()
                    await renewed()
                elif generation == self.generation:
                    self.lose("it was over before it was renewed")
            except Exception as error:  # noqa: BLE001
                self._journal.troubled("renewing the lease", error)
                await asyncio.sleep(_AFTER_AN_ERROR)
