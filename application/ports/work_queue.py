"""How one part of the hub tells another that there is work. The database stays the truth: a lost call costs a poll."""

from abc import abstractmethod
from collections.abc import Collection
from datetime import timedelta
from enum import Enum
from typing import Protocol


class Topic(Enum):
    """A kind of work that waits in the database."""

    DELIVERIES = "deliveries"
    INBOX = "inbox"
    SETTINGS = "settings"
    """An endpoint, a notification or a rate was changed: who delivers there reads it anew."""


class WorkQueue(Protocol):
    """Calls workers to work, in this process and in every other one of the hub (ADR 0019)."""

    @abstractmethod
    async def announce(self, topic: Topic, lanes: Collection[str] = ()) -> None:
        """Say that there is work. Never fails and never waits for a worker.

        `lanes` names the destinations (of deliveries) or the objects that the work waits for; none means: unknown.
        """

    @abstractmethod
    async def wait(self, topic: Topic, timeout: timedelta) -> frozenset[str]:
        """Return when work was announced since the last wait, or when the time is up, with the lanes named since.

        Empty when the time is up, or when it is unknown which lanes were meant: then look at all of them. It may return
        early without a call, for example after a time in which calls may have been missed.
        """

    @abstractmethod
    async def open(self) -> None:
        """Begin to hear and to tell other processes; returns soon, whether or not they can be reached."""

    @abstractmethod
    async def aclose(self) -> None:
        """Tell what was not told yet, if that is quick, and let go of connections."""
