"""What the workers ask of the database: who delivers what, what waits, and what came of it.

A lane is everything that waits for one destination. One worker at a time holds a lane, by a lease: so order, rates and
the breaker need no agreement between workers, and taking a delivery costs no write. A worker's lease has a number, its
generation; what a worker records is dropped unless the lane is still held under that number (ADR 0020).
"""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import attrs

from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import Delivery, DestinationKind
from domain.notifications.health import WELL, Health
from domain.notifications.payload import Payload


@attrs.frozen
class Ready:
    """A delivery with the event that it carries."""

    delivery: Delivery
    payload: Payload


@attrs.frozen
class Lane:
    """One destination's lane as it is kept. revision: counts up when a person changes something about the destination.
    sent_at: when its holder last sent something, if its rate is limited. inherited: its last holder died with it, so that
    `sent_at` may be out of date."""

    destination_id: str
    organisation_id: str
    kind: DestinationKind
    revision: int = 0
    health: Health = WELL
    sent_at: datetime | None = None
    inherited: bool = False


@attrs.frozen
class Waiting:
    """A lane that nobody alive holds, and when it may next be served."""

    destination_id: str
    organisation_id: str
    kind: DestinationKind
    due_at: datetime


@attrs.frozen
class Want:
    """What is to be read of a lane: at most `limit` deliveries that are due, after this place in its order."""

    destination_id: str
    limit: int
    after: tuple[datetime, str] | None = None


@attrs.frozen
class Chunk:
    """Deliveries that are due, oldest first; `next_due`: when more is due, if there is less than was asked for."""

    ready: tuple[Ready, ...]
    next_due: datetime | None = None


@attrs.frozen
class Tried:
    """What a delivery became, and the attempt that made it so; none for one that merely expired."""

    delivery: Delivery
    attempt: Attempt | None


class Dispatch(Protocol):
    """The lanes, for workers."""

    @abstractmethod
    async def enlist(self, name: str, now: datetime, until: datetime) -> int:
        """Begin a worker's lease. Returns its generation, which is never given again."""

    @abstractmethod
    async def renew(self, generation: int, now: datetime, until: datetime) -> bool:
        """Prolong the lease. False when it is over: then others may hold the lanes already."""

    @abstractmethod
    async def retire(self, generation: int) -> None:
        """End the lease; the lanes held under it are free at once."""

    @abstractmethod
    async def survey(self, generation: int, now: datetime) -> tuple[Waiting, ...]:
        """Every lane with something pending that no other live worker holds, the soonest due first.

        Those held under this generation are among them: something may have come that its holder has not heard of.
        """

    @abstractmethod
    async def take(self, generation: int, lanes: Sequence[Waiting], now: datetime) -> tuple[Lane, ...]:
        """Hold these lanes; returns those that were still free, or are held under this generation already.

        None of them when the lease is over.
        """

    @abstractmethod
    async def read(self, wants: Sequence[Want], now: datetime) -> Mapping[str, Chunk]:
        """What is due in lanes that the asker holds. Never waits for a writer."""

    @abstractmethod
    async def record(
        self, generation: int, tried: Sequence[Tried], lanes: Sequence[Lane], now: datetime
    ) -> frozenset[str]:
        """Write, in one transaction, what became of deliveries, their attempts, the statistics, and how lanes fare.

        Returns the destinations that are no longer held under this generation; nothing of theirs was written. The attempt
        at a delivery that was cancelled meanwhile is kept; the delivery stays cancelled.
        """

    @abstractmethod
    async def release(self, generation: int, lanes: Sequence[Lane]) -> None:
        """Let go of lanes, keeping how they fare and when they last sent."""

    @abstractmethod
    async def revisions(self, generation: int) -> Mapping[str, int]:
        """The revision of every lane held under this generation: also those taken away are missing."""

    @abstractmethod
    async def lanes(self, organisation_id: str, destinations: Collection[str]) -> Mapping[str, Lane]:
        """How destinations of one organisation fare; only those that were ever tried."""

    @abstractmethod
    async def next_due(self) -> datetime | None:
        """When the next pending delivery may be tried, whoever holds its lane."""
