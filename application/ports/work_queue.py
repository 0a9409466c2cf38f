"""How one part of the hub tells another that there is work. The database stays the truth: a lost call costs a poll."""

from abc import abstractmethod
from datetime import timedelta
from enum import Enum
from typing import Protocol


class Topic(Enum):
    """A kind of work that waits in the database."""

    DELIVERIES = "deliveries"
    INBOX = "inbox"


class WorkQueue(Protocol):
    """Calls workers to work."""

    @abstractmethod
    async def announce(self, topic: Topic) -> None:
        """Say that there is work. Never fails and never waits for a worker."""

    @abstractmethod
    async def wait(self, topic: Topic, timeout: timedelta) -> None:
        """Return when work was announced since the last wait, or when the time is up."""
