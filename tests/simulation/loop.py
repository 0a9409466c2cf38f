"""An event loop in which time passes only when nothing else can happen: a week takes milliseconds, and a run repeats."""

import asyncio
from typing import Any, final


class DeadLock(AssertionError):
    """Everything waits, and nothing will ever come."""


class _NothingToSelect:
    """Stands where the loop asks the operating system to wait."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise DeadLock("nothing is scheduled")
        self._loop.pass_time(timeout)
        return []


@final
class VirtualLoop(asyncio.BaseEventLoop):
    """No sockets, no threads, no signals: timers and tasks."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 0.0
        self._selector = _NothingToSelect(self)

    def time(self) -> float:
        """Seconds since the beginning of the world."""
        return self._passed

    def pass_time(self, seconds: float) -> None:
        """Nothing else can happen before."""
        self._passed += seconds

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is nobody in another thread."""
