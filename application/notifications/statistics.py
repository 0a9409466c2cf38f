"""Reading the statistics of deliveries: over time, and which destinations do worst."""

from collections.abc import Mapping
from datetime import datetime

import attrs

from application.caller import Caller
from application.ports.clock import Clock
from application.ports.statistics import Statistics
from application.ports.store import Store
from domain.notifications.spans import Span
from domain.notifications.statistics import Counted, Figures, Step, together
from domain.refusals import Invalid

MOST_LISTED = 100


@attrs.frozen
class OverTime:
    """A span's buckets, the oldest first, also those in which nothing happened; and the whole span as one."""

    span: Span
    buckets: tuple[tuple[datetime, Figures], ...]
    total: Figures


@attrs.frozen
class Destinations:
    """The destinations of a span that were found, in order, and how many there are in all."""

    span: Span
    listed: tuple[tuple[str, Figures], ...]
    count: int


@attrs.define
class ReadStatistics:
    """What was counted, of one organisation or one of its destinations."""

    _store: Store
    _statistics: Statistics
    _clock: Clock

    async def __call__(
        self,
        caller: Caller,
        *,
        destination_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        step: Step | None = None,
    ) -> OverTime:
        """Over time. A destination that is removed keeps its statistics; one that never was has none. Raises Invalid."""
        span = Span.asked(self._clock.now(), since=since, until=until, step=step)
        found = await self._statistics.over_time(caller.organisation_id, span, destination_id)
        buckets = tuple((start, Figures.of(found.get(start, {}))) for start in span.starts)
        return OverTime(span, buckets, Figures.of(together(found.values())))

    async def of_endpoint(
        self,
        caller: Caller,
        endpoint_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: Step | None = None,
    ) -> OverTime:
        """Of a webhook endpoint. Raises NotFound, or Invalid."""
        async with self._store.reading(caller.organisation_id) as work:
            await work.endpoints.get(endpoint_id)
        return await self(caller, destination_id=endpoint_id, since=since, until=until, step=step)

    async def destinations(
        self,
        caller: Caller,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by_attempts: bool = False,
        limit: int = 20,
    ) -> Destinations:
        """Those with the most failures (attempts missed, deliveries failed or expired), or with the most attempts.

        Raises Invalid.
        """
        if not 1 <= limit <= MOST_LISTED:
            raise Invalid.field("limit", f"A whole number from 1 to {MOST_LISTED}.")
        span = Span.asked(self._clock.now(), since=since, until=until)
        totals = await self._statistics.totals(caller.organisation_id, span)
        rank = _attempts if by_attempts else _failures
        first = sorted(totals, key=lambda id_: (-rank(totals[id_]), -_attempts(totals[id_]), id_))[:limit]
        found = await self._statistics.by_destination(caller.organisation_id, span, first)
        return Destinations(span, tuple((id_, Figures.of(found.get(id_, {}))) for id_ in first), len(totals))


def _attempts(counts: Mapping[Counted, int]) -> int:
    return counts.get(Counted.ARRIVED, 0) + counts.get(Counted.MISSED, 0)


def _failures(counts: Mapping[Counted, int]) -> int:
    return sum(counts.get(outcome, 0) for outcome in (Counted.MISSED, Counted.FAILED, Counted.EXPIRED))
