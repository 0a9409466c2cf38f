"""The demo's time: it begins a month ago, so that a month can pass in the story and it ends today."""

from datetime import datetime, timedelta
from typing import final

from adapters.clock import SystemClock
from application.ports.clock import Clock


@final
class StoryClock(Clock):
    """The machine's clock, behind by as much as the story still has to let pass."""

    def __init__(self, behind: timedelta) -> None:
        self._real = SystemClock()
        self._behind = behind

    def now(self) -> datetime:
        """The moment in the story."""
        return self._real.now() - self._behind

    def nanoseconds(self) -> int:
        """The same as Unix time, for the ids."""
        return round(self.now().timestamp() * 1_000) * 1_000_000

    def pass_by(self, time: timedelta) -> None:
        """Let time pass, but never beyond the present."""
        self._behind = max(self._behind - time, timedelta())
