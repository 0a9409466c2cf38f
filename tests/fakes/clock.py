"""A clock that stands still until it is told to move."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import final

from application.ports.clock import Clock


@final
class FrozenClock(Clock):
    """Always the same moment. `now` must be aware; it is kept in UTC."""

    def __init__(self, now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) -> None:
        assert now.tzinfo is not None, "a clock's time is aware"
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        """The moment it was stopped at."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Let time pass; returns the new moment."""
        self._now += by
        return self._now


@final
class LoopClock(Clock):
    """The event loop's time: on a loop whose time is virtual, it passes while tasks wait."""

    def now(self) -> datetime:
        """Since 2026, in the loop's seconds."""
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=asyncio.get_running_loop().time())
