"""Statistics in memory."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import final

import attrs

from application.ports.statistics import Statistics
from domain.notifications.spans import Span
from domain.notifications.statistics import Count, Counted, Counts, Step, folded, start_of

AT_ONCE = 50


@final
class MemoryStatistics(Statistics):
    """`rows` has what is kept, in no order."""

    def __init__(self) -> None:
        self._rows: dict[Count, int] = {}

    @property
    def rows(self) -> tuple[Count, ...]:
        """What is kept."""
        return tuple(attrs.evolve(key, count=count) for key, count in self._rows.items())

    def write(self, counts: Iterable[Count]) -> None:
        """Count, as a worker does."""
        for one in counts:
            key = attrs.evolve(one, count=0)
            self._rows[key] = self._rows.get(key, 0) + one.count

    async def over_time(
        self, organisation_id: str, span: Span, destination_id: str | None = None
    ) -> Mapping[datetime, Counts]:
        await asyncio.sleep(0)
        found: defaultdict[datetime, Counter[tuple[Counted, int]]] = defaultdict(Counter)
        for row in self._within(organisation_id, span):
            if destination_id in (None, row.destination_id):
                found[start_of(row.at, span.step.seconds)][row.outcome, row.bucket] += row.count
        return found

    async def totals(self, organisation_id: str, span: Span) -> Mapping[str, Mapping[Counted, int]]:
        await asyncio.sleep(0)
        found: defaultdict[str, Counter[Counted]] = defaultdict(Counter)
        for row in self._within(organisation_id, span):
            found[row.destination_id][row.outcome] += row.count
        return found

    async def by_destination(
        self, organisation_id: str, span: Span, destinations: Collection[str]
    ) -> Mapping[str, Counts]:
        await asyncio.sleep(0)
        found: defaultdict[str, Counter[tuple[Counted, int]]] = defaultdict(Counter)
        for row in self._within(organisation_id, span):
            if row.destination_id in destinations:
                found[row.destination_id][row.outcome, row.bucket] += row.count
        return found

    async def fold(self, step: Step, before: datetime) -> int:
        await asyncio.sleep(0)
        if step.coarser is None:
            raise ValueError("days are not folded any further")
        taken = self._take(step, before)
        self.write(folded(taken, step.coarser))
        return len(taken)

    async def forget(self, before: datetime) -> int:
        await asyncio.sleep(0)
        return len(self._take(Step.DAY, before))

    def _take(self, step: Step, before: datetime) -> list[Count]:
        old = [row for row in self.rows if row.step == step.seconds and row.at < before][:AT_ONCE]
        for row in old:
            del self._rows[attrs.evolve(row, count=0)]
        return old

    def _within(self, organisation_id: str, span: Span) -> Iterable[Count]:
        """The rows of destinations: an organisation's own are sums of them."""
        for row in self.rows:
            if row.organisation_id == organisation_id != row.destination_id and span.since <= row.at < span.until:
                yield row
