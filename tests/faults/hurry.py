"""`patchbay`, on a clock that runs thirty times as fast: what a dead worker held is free again after seconds, not minutes.

Everything else is as it is for real. What comes in by standard input is waited for, so that a process can be made ready
before it is needed: reading all of the hub's modules takes longer than starting it.
"""

import importlib
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any, final

from application.ports.clock import Clock

FACTOR = 30.0

READ_AHEAD = ("entrypoints.cli", "entrypoints.first_start", "entrypoints.sandbox", "entrypoints.serving")


@final
class HurriedClock(Clock):
    """The same time in every process that is told the same beginning (HURRIED_SINCE, Unix time in seconds)."""

    def __init__(self) -> None:
        self._since = float(os.environ["HURRIED_SINCE"])

    def now(self) -> datetime:
        """The beginning, and thirty seconds for every second since."""
        return datetime.fromtimestamp(self._since + (time.time() - self._since) * FACTOR, UTC)

    def seconds_until(self, moment: datetime) -> float:
        """A thirtieth of the time."""
        return super().seconds_until(moment) / FACTOR


def main() -> None:
    """Make ready, wait for the word, run the command."""
    modules: list[Any] = [importlib.import_module(name) for name in (*READ_AHEAD, "entrypoints.wiring")]
    for module in modules:
        if hasattr(module, "SystemClock"):
            module.SystemClock = HurriedClock
    sys.stdin.readline()
    modules[0].main()


if __name__ == "__main__":
    main()
