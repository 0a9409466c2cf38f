"""Statistics over SQL. Sums are made by the database; what is folded is taken out and put back in one transaction."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, final

import attrs
from sqlalchemy import bindparam, text

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.fast import instant, instant_of
from application.ports.statistics import Statistics
from domain.notifications.spans import Span
from domain.notifications.statistics import Count, Counted, Counts, Step, folded

AT_ONCE = 1000
"""Rows that are folded or deleted in one transaction."""

_OUTCOMES = ", ".join(f"'{outcome.value}'" for outcome in Counted)
_WITHIN = f"at >= :since AND at < :until AND outcome IN ({_OUTCOMES})"
_STEPS = "step IN (60, 3600, 86400)"

_OF_ONE = text(f"""
SELECT at / :width AS number, outcome, bucket, sum(count)
FROM statistics
WHERE destination_id = :destination AND organisation_id = :organisation AND {_STEPS} AND {_WITHIN}
  AND destination_id <> :organisation
GROUP BY 1, 2, 3
""")  # noqa: S608  # words of our own
_OF_ALL = text(f"""
SELECT number, outcome, bucket, sum(count) FROM (
  SELECT at / :width AS number, outcome, bucket, count
  FROM statistics
  WHERE destination_id = :organisation AND step IN (3600, 86400) AND {_WITHIN}
  UNION ALL
  SELECT at / :width AS number, outcome, bucket, count
  FROM statistics
  WHERE organisation_id = :organisation AND step = 60 AND {_WITHIN}
) AS found
GROUP BY 1, 2, 3
""")  # noqa: S608  # words of our own
"""Minutes have no rows of the organisation's own; hours and days do."""
_TOTALS = text(f"""
SELECT destination_id, outcome, sum(count)
FROM statistics
WHERE organisation_id = :organisation AND {_STEPS} AND {_WITHIN} AND destination_id <> :organisation
GROUP BY 1, 2
""")  # noqa: S608  # words of our own
_BY_DESTINATION = text(f"""
SELECT destination_id, outcome, bucket, sum(count)
FROM statistics
WHERE destination_id IN :destinations AND organisation_id = :organisation AND {_STEPS} AND {_WITHIN}
  AND destination_id <> :organisation
GROUP BY 1, 2, 3
""").bindparams(bindparam("destinations", expanding=True, type_=tables.Short(64)))  # noqa: S608  # words of our own

_TAKE = """
DELETE FROM statistics WHERE (destination_id, step, at, outcome, bucket) IN (
  SELECT destination_id, step, at, outcome, bucket FROM statistics
  WHERE step = :step AND at < :before ORDER BY at LIMIT :most)
"""
_FORGET = text(_TAKE)
_TAKE_OUT = text(f"{_TAKE} RETURNING destination_id, organisation_id, step, at, outcome, bucket, count")


@final
class SqlStatistics(Statistics):
    """In SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        table, insert = tables.statistics, database.insert(tables.statistics)
        self._add = insert.on_conflict_do_update(
            index_elements=[column.name for column in table.primary_key],
            set_={"count": table.c.count + insert.excluded.count},
        )

    async def over_time(
        self, organisation_id: str, span: Span, destination_id: str | None = None
    ) -> Mapping[datetime, Counts]:
        width = span.step.seconds * 1_000_000
        given = {**_given(organisation_id, span), "width": width}
        query = _OF_ALL
        if destination_id is not None:
            query, given["destination"] = _OF_ONE, destination_id
        found: defaultdict[datetime, dict[tuple[Counted, int], int]] = defaultdict(dict)
        async with self._database.reading() as connection:
            for number, outcome, bucket, count in (await connection.execute(query, given)).all():
                found[instant_of(number * width)][Counted(outcome), bucket] = int(count)
        return found

    async def totals(self, organisation_id: str, span: Span) -> Mapping[str, Mapping[Counted, int]]:
        found: defaultdict[str, dict[Counted, int]] = defaultdict(dict)
        async with self._database.reading() as connection:
            for destination, outcome, count in (await connection.execute(_TOTALS, _given(organisation_id, span))).all():
                found[destination][Counted(outcome)] = int(count)
        return found

    async def by_destination(
        self, organisation_id: str, span: Span, destinations: Collection[str]
    ) -> Mapping[str, Counts]:
        given = {**_given(organisation_id, span), "destinations": sorted(destinations)}
        found: defaultdict[str, dict[tuple[Counted, int], int]] = defaultdict(dict)
        async with self._database.reading() as connection:
            for destination, outcome, bucket, count in (await connection.execute(_BY_DESTINATION, given)).all():
                found[destination][Counted(outcome), bucket] = int(count)
        return found

    async def fold(self, step: Step, before: datetime) -> int:
        if step.coarser is None:
            raise ValueError("days are not folded any further")
        given = {"step": step.seconds, "before": instant(before), "most": AT_ONCE}
        async with self._database.writing() as connection:
            rows = (await connection.execute(_TAKE_OUT, given)).all()
            # What has no name any more is dropped with its row.
            counts = [_count(row) for row in rows if row.outcome in _NAMES]
            sums = [_row(one) for one in folded(counts, step.coarser)]
            if sums:
                await connection.execute(self._add, sums)
            await connection.commit()
        return len(rows)

    async def forget(self, before: datetime) -> int:
        given = {"step": Step.DAY.seconds, "before": instant(before), "most": AT_ONCE}
        async with self._database.writing() as connection:
            count = (await connection.execute(_FORGET, given)).rowcount
            await connection.commit()
        return count


_NAMES = frozenset(outcome.value for outcome in Counted)


def _given(organisation_id: str, span: Span) -> dict[str, Any]:
    return {"organisation": organisation_id, "since": instant(span.since), "until": instant(span.until)}


def _count(row: Any) -> Count:
    destination, organisation, step, at, outcome, bucket, count = row
    return Count(destination, organisation, step, instant_of(at), Counted(outcome), bucket, count)


def _row(count: Count) -> dict[str, Any]:
    return {**attrs.asdict(count), "outcome": count.outcome.value}
