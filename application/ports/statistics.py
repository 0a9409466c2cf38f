"""What was counted of deliveries, for readers, and the folding of what grows old."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from domain.notifications.spans import Span
from domain.notifications.statistics import Counted, Counts, Step


class Statistics(Protocol):
    """Counts by time, destination, outcome and duration. Workers write them with each batch (application/ports/dispatch.py)."""

    @abstractmethod
    async def over_time(
        self, organisation_id: str, span: Span, destination_id: str | None = None
    ) -> Mapping[datetime, Counts]:
        """The buckets in which something was counted, by where they begin: of one destination, or of the organisation."""

    @abstractmethod
    async def totals(self, organisation_id: str, span: Span) -> Mapping[str, Mapping[Counted, int]]:
        """How often each outcome was counted over the whole span, for every destination for which any was."""

    @abstractmethod
    async def by_destination(
        self, organisation_id: str, span: Span, destinations: Collection[str]
    ) -> Mapping[str, Counts]:
        """Everything counted over the whole span, for these destinations; those without any are missing."""

    # The scheduler's side.

    @abstractmethod
    async def fold(self, step: Step, before: datetime) -> int:
        """Fold some buckets of this step that begin before a moment into the next coarser one, in one transaction.

        Returns how many rows were folded, 0 when none are left. What is counted in them meanwhile is not lost: the next
        call finds it. Raises ValueError for days, into which everything has been folded already.
        """

    @abstractmethod
    async def forget(self, before: datetime) -> int:
        """Delete some buckets of days that begin before a moment. Returns how many rows, 0 when none are left."""
