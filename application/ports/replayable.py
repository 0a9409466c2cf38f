"""What a person's decisions on many deliveries ask of the store. Every question has a bounded cost."""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import attrs

from domain.events import Event
from domain.notifications.deliveries import Delivery
from domain.notifications.selection import Selection

T_co = TypeVar("T_co", covariant=True)

MOST_LOOKED_AT = 10_000_000
"""Rows that a count looks through."""


@attrs.frozen
class Stretch(Generic[T_co]):
    """What was found on a stretch of a long list. up_to: the id up to which was looked, to go on after; None: the end."""

    found: tuple[T_co, ...]
    up_to: str | None


class Replayable(Protocol):
    """Deliveries, where many of them are to be sent again, or one is to be sent now or never."""

    @abstractmethod
    async def to_replay(self, wanted: Selection, destination_id: str, after: str, limit: int) -> Stretch[Delivery]:
        """Deliveries to one destination that the filter means, after this id, oldest first, at most `limit`.

        Of several deliveries of one event only the latest counts, and none if one is still on its way, or a later one has
        arrived (unless the filter means what has arrived). Those whose event is no longer kept are left out.
        `wanted` has both ends of its time.
        """

    @abstractmethod
    async def count_to_replay(self, wanted: Selection, destination_id: str, most: int) -> int | None:
        """How many that are. None if they are more than `most`, or too many have to be looked through."""

    @abstractmethod
    async def missed(
        self, wanted: Selection, patterns: tuple[str, ...], destination_id: str, after: str, limit: int
    ) -> Stretch[Event]:
        """Events of the filter's time and types, and of these patterns, that have no delivery to the destination."""

    @abstractmethod
    async def count_missed(
        self, wanted: Selection, patterns: tuple[str, ...], destination_id: str, most: int
    ) -> int | None:
        """How many that are. None as for `count_to_replay`."""

    @abstractmethod
    async def add_replayed(self, deliveries: Sequence[Delivery]) -> int:
        """Keep new deliveries of events from before; returns how many.

        Left out are those whose event is no longer kept, or of which another was made meanwhile: one that is on its way,
        or of a missed event (`replay_of` is None) any at all. Two that ask for the same at once get one.
        """

    @abstractmethod
    async def count_due(self, destination_id: str, now: datetime, most: int) -> int:
        """How many are pending and due; `most` if there are more."""

    @abstractmethod
    async def hasten(self, id: str, now: datetime) -> bool:
        """Have a pending delivery due now, if it is due later. False if it is no longer pending."""

    @abstractmethod
    async def hasten_retries(self, destination_id: str, now: datetime, most: int) -> int:
        """Have those due now that wait for a further attempt: at most so many, the soonest due. Returns how many."""

    @abstractmethod
    async def skip(self, id: str, reason: str, now: datetime) -> bool:
        """Cancel one that is pending or waits to be fetched. False if it is neither any more."""
