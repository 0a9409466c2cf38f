"""Time comes in through a port, so that a test can hold it still."""

from abc import abstractmethod
from datetime import datetime
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """What time it is."""

    @abstractmethod
    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def seconds_until(self, moment: datetime) -> float:
        """How many seconds of waiting bring that moment; 0 when it has come."""
        return max(0.0, (moment - self.now()).total_seconds())
