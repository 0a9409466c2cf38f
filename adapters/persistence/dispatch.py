"""The lanes over SQL (ADR 0020). The statements that run for every delivery are compiled once and given plain tuples."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, final

import attrs
from sqlalchemy import Connection, case, delete, func, literal_column, select, text, update
from sqlalchemy.exc import IntegrityError

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.fast import (
    READY_COLUMNS,
    Many,
    attempt_values,
    health_from,
    health_to,
    instant,
    instant_of,
    ready_from,
)
from adapters.persistence.presence import Presence
from adapters.persistence.tables import keepable
from application.ports.dispatch import Chunk, Dispatch, Lane, Tried, Waiting, Want
from domain.notifications.deliveries import DeliveryState, DestinationKind
from domain.notifications.statistics import STEPS, Counted, bucket_of, start_of

_PENDING = tables.deliveries.c.state == text("'pending'")
"""Written out, not bound: only then do both databases use the partial index."""

_SURVEY = text("""
WITH RECURSIVE found(id) AS (
  SELECT min(destination_id) FROM deliveries WHERE state = 'pending'
  UNION ALL
  SELECT (SELECT min(d.destination_id) FROM deliveries d WHERE d.state = 'pending' AND d.destination_id > found.id)
  FROM found WHERE found.id IS NOT NULL
)
SELECT f.destination_id, f.organisation_id, f.kind, f.due_at, l.paused_until
FROM found
JOIN deliveries f ON f.id = (
  SELECT d.id FROM deliveries d WHERE d.state = 'pending' AND d.destination_id = found.id ORDER BY d.due_at, d.id LIMIT 1)
LEFT JOIN lanes l ON l.destination_id = found.id
LEFT JOIN workers w ON w.id = l.generation AND w.until > :now AND w.id <> :generation
WHERE found.id IS NOT NULL AND w.id IS NULL
""")
"""A step of the recursion jumps over everything that waits for one destination, so that a backlog costs nothing here."""

_READ = f"""
SELECT {", ".join(READY_COLUMNS)}
FROM deliveries d JOIN events e ON e.id = d.event_id
WHERE d.destination_id = :destination AND d.state = 'pending' AND d.due_at <= :now {{after}}
ORDER BY d.due_at, d.id LIMIT :limit
"""  # noqa: S608  # column names of our own
_READ_FIRST = text(_READ.format(after=""))
_READ_ON = text(_READ.format(after="AND (d.due_at, d.id) > (:due_at, :id)"))
_NEXT = text(
    "SELECT min(due_at) FROM deliveries WHERE destination_id = :destination AND state = 'pending' AND due_at > :now"
)

_STILL = "state = 'pending'"
_END = Many.update(
    tables.deliveries,
    ("state", "attempts", "last_error", "last_status", "finished_at"),
    key="id",
    where=f"deliveries.{_STILL}",
)
_AGAIN = Many.update(
    tables.deliveries, ("due_at", "attempts", "last_error", "last_status"), key="id", where=f"deliveries.{_STILL}"
)
_ATTEMPTS = Many.insert(tables.attempts)
_COUNTS = Many.insert(
    tables.statistics,
    on_conflict=(
        "ON CONFLICT (destination_id, step, at, outcome, bucket) DO UPDATE SET count = statistics.count + excluded.count"
    ),
)
_FARE = Many.update(tables.lanes, ("paused_until", "sent_at", "health"), key="destination_id")


@final
class SqlDispatch(Dispatch):
    """In SQLite or PostgreSQL."""

    def __init__(self, database: Database, source_url: str = "") -> None:
        self._database = database
        self._source_url = source_url
        self._presence = Presence()

    async def enlist(self, name: str, now: datetime, until: datetime) -> int:
        workers = tables.workers
        mark = (
            self._presence.mark()
        )  # before the lease: a lease with a mark has a process behind it, until that is dead
        async with self._database.writing() as connection:
            # Whose lease ended long ago holds nothing that others have not taken since.
            await connection.execute(delete(workers).where(workers.c.until < now - (until - now) * 100))
            others = (await connection.execute(select(workers.c.id, workers.c.name).where(workers.c.until > now))).all()
            gone = [id_ for id_, named in others if self._presence.is_gone(named.rpartition(" ")[2])]
            if gone:
                await connection.execute(delete(workers).where(workers.c.id.in_(gone)))
            made = workers.insert().values(name=f"{name} {mark}".rstrip(), until=until).returning(workers.c.id)
            generation = int((await connection.execute(made)).scalar_one())
            await connection.commit()
        return generation

    async def renew(self, generation: int, now: datetime, until: datetime) -> bool:
        mine = update(tables.workers).where(tables.workers.c.id == generation, tables.workers.c.until > now)
        async with self._database.writing() as connection:
            renewed = (await connection.execute(mine.values(until=until))).rowcount == 1
            await connection.commit()
        return renewed

    async def retire(self, generation: int) -> None:
        async with self._database.writing() as connection:
            held = update(tables.lanes).where(tables.lanes.c.generation == generation)
            await connection.execute(held.values(generation=0))
            await connection.execute(delete(tables.workers).where(tables.workers.c.id == generation))
            await connection.commit()

    async def survey(self, generation: int, now: datetime) -> tuple[Waiting, ...]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(_SURVEY, {"now": instant(now), "generation": generation})).all()
        found = [
            Waiting(id_, organisation, DestinationKind(kind), instant_of(max(due_at, paused or due_at)))
            for id_, organisation, kind, due_at, paused in rows
        ]
        return tuple(sorted(found, key=lambda one: one.due_at))

    async def take(self, generation: int, lanes: Sequence[Waiting], now: datetime) -> tuple[Lane, ...]:
        if not lanes:
            return ()
        table, workers = tables.lanes, tables.workers
        # Written out: a column of the table would join it anew instead of meaning the row that is there.
        holder = literal_column("lanes.generation", table.c.generation.type)
        alive = select(workers.c.id).where(workers.c.id == holder, workers.c.until > now, workers.c.id != generation)
        wanted = sorted(lanes, key=lambda one: one.destination_id)  # in the order in which `record` locks them
        insert = self._database.insert(table).values(
            [
                {
                    "destination_id": one.destination_id,
                    "organisation_id": one.organisation_id,
                    "kind": one.kind.value,
                    "generation": generation,
                    "revision": 0,
                    "health": {},
                }
                for one in wanted
            ]
        )
        took = insert.on_conflict_do_update(
            index_elements=["destination_id"], set_={"generation": generation}, where=~alive.exists()
        ).returning(table)
        ids = [one.destination_id for one in wanted]
        orphans = select(table.c.destination_id).where(
            table.c.destination_id.in_(ids), table.c.generation.not_in((0, generation))
        )
        mine = select(workers.c.id).where(workers.c.id == generation, workers.c.until > now)
        async with self._database.writing() as connection:
            if (await connection.execute(mine)).first() is None:
                return ()
            inherited = set((await connection.execute(orphans)).scalars())
            rows = (await connection.execute(took)).mappings().all()
            await connection.commit()
        return tuple(attrs.evolve(_lane(row), inherited=row["destination_id"] in inherited) for row in rows)

    async def read(self, wants: Sequence[Want], now: datetime) -> Mapping[str, Chunk]:
        return await self._database.read(lambda connection: self._read(connection, wants, instant(now)))

    def _read(self, connection: Connection, wants: Sequence[Want], now: int) -> Mapping[str, Chunk]:
        chunks: dict[str, Chunk] = {}
        for want in wants:
            given: dict[str, Any] = {"destination": want.destination_id, "now": now, "limit": want.limit}
            query = _READ_FIRST
            if want.after is not None:
                query, given["due_at"], given["id"] = _READ_ON, instant(want.after[0]), want.after[1]
            rows = connection.execute(query, given).all()
            next_due = None
            if len(rows) < want.limit:
                later = {"destination": want.destination_id, "now": now}
                found = connection.execute(_NEXT, later).scalar_one()
                next_due = None if found is None else instant_of(found)
            chunks[want.destination_id] = Chunk(tuple(ready_from(row, self._source_url) for row in rows), next_due)
        return chunks

    async def record(
        self, generation: int, tried: Sequence[Tried], lanes: Sequence[Lane], now: datetime
    ) -> frozenset[str]:
        concerned = {one.delivery.destination_id for one in tried} | {lane.destination_id for lane in lanes}
        if not concerned:
            return frozenset()

        def write(connection: Connection, again: bool = False) -> frozenset[str]:
            held = _held(connection, generation, concerned)
            kept = _kept(connection, tried) if again else frozenset()
            mine = [
                one
                for one in tried
                if one.delivery.destination_id in held and (one.attempt is None or one.attempt.id not in kept)
            ]
            _record_deliveries(connection, mine)
            _ATTEMPTS(connection, [attempt_values(one.attempt) for one in mine if one.attempt is not None])
            _COUNTS(connection, _counts(mine, now))
            _FARE(connection, [_fare(lane) for lane in lanes if lane.destination_id in held])
            return frozenset(concerned - held)

        try:
            return await self._database.write(write)
        except IntegrityError:
            # An earlier commit went through, and only its answer was lost: what it wrote is left as it is.
            return await self._database.write(partial(write, again=True))

    async def release(self, generation: int, lanes: Sequence[Lane]) -> None:
        if not lanes:
            return
        table = tables.lanes
        ids = sorted(lane.destination_id for lane in lanes)

        def write(connection: Connection) -> None:
            held = _held(connection, generation, ids)
            _FARE(connection, [_fare(lane) for lane in lanes if lane.destination_id in held])
            freed = update(table).where(table.c.destination_id.in_(ids), table.c.generation == generation)
            connection.execute(freed.values(generation=0))

        await self._database.write(write)

    async def revisions(self, generation: int) -> Mapping[str, int]:
        table = tables.lanes
        query = select(table.c.destination_id, table.c.revision).where(table.c.generation == generation)
        async with self._database.reading() as connection:
            return dict((await connection.execute(query)).all())

    async def lanes(self, organisation_id: str, destinations: Collection[str]) -> Mapping[str, Lane]:
        table = tables.lanes
        query = select(table).where(
            table.c.organisation_id == organisation_id, table.c.destination_id.in_(sorted(destinations))
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return {row["destination_id"]: _lane(row) for row in rows}

    async def next_due(self) -> datetime | None:
        deliveries, lanes = tables.deliveries, tables.lanes
        due = select(deliveries.c.destination_id, func.min(deliveries.c.due_at).label("due_at"))
        first = due.where(_PENDING).group_by(deliveries.c.destination_id).subquery()
        later = case((lanes.c.paused_until > first.c.due_at, lanes.c.paused_until), else_=first.c.due_at)
        query = select(func.min(later)).select_from(
            first.outerjoin(lanes, lanes.c.destination_id == first.c.destination_id)
        )
        async with self._database.reading() as connection:
            found: datetime | None = (await connection.execute(query)).scalar_one()
        return found


def _held(connection: Connection, generation: int, concerned: Collection[str]) -> set[str]:
    """Which of the lanes are held under this generation; on PostgreSQL they stay so until the commit."""
    table = tables.lanes
    query = select(table.c.destination_id).where(
        table.c.destination_id.in_(sorted(concerned)), table.c.generation == generation
    )
    return set(connection.execute(query.order_by(table.c.destination_id).with_for_update()).scalars())


def _kept(connection: Connection, tried: Sequence[Tried]) -> frozenset[str]:
    """Which of the attempts are written down already."""
    ids = [one.attempt.id for one in tried if one.attempt is not None]
    return frozenset(connection.execute(select(tables.attempts.c.id).where(tables.attempts.c.id.in_(ids))).scalars())


def _record_deliveries(connection: Connection, tried: Sequence[Tried]) -> None:
    ended, again = [], []
    for one in sorted(tried, key=lambda one: one.delivery.id):  # as `cancel_pending` locks them
        to = one.delivery
        if to.state is DeliveryState.PENDING:
            again.append((instant(to.due_at), to.attempts, keepable(to.last_error), to.last_status, to.id))
        else:
            assert to.finished_at is not None
            at = instant(to.finished_at)
            ended.append((to.state.value, to.attempts, keepable(to.last_error), to.last_status, at, to.id))
    _END(connection, ended)
    _AGAIN(connection, again)


def _lane(row: Any) -> Lane:
    return Lane(
        row["destination_id"],
        row["organisation_id"],
        DestinationKind(row["kind"]),
        row["revision"],
        health_from(row["health"], row["paused_until"]),
        row["sent_at"],
    )


def _fare(lane: Lane) -> tuple[Any, ...]:
    paused, sent = lane.health.paused_until, lane.sent_at
    return (
        None if paused is None else instant(paused),
        None if sent is None else instant(sent),
        health_to(lane.health),
        lane.destination_id,
    )


def _counts(tried: Sequence[Tried], now: datetime) -> list[tuple[Any, ...]]:
    """One row for all of an outcome that fall into one bucket: a batch to one receiver makes a handful."""
    at = instant(start_of(now, STEPS[0]))
    counts: Counter[tuple[str, str, str, int]] = Counter()
    for one in tried:
        to = one.delivery
        if one.attempt is not None:
            arrived = to.state is DeliveryState.DELIVERED
            kind = Counted.ARRIVED if arrived else Counted.MISSED
            counts[to.destination_id, to.organisation_id, kind.value, bucket_of(one.attempt.outcome.duration)] += 1
        if to.finished_at is not None:
            took = bucket_of(to.finished_at - to.created_at)
            counts[to.destination_id, to.organisation_id, to.state.value, took] += 1
    return [
        (destination, STEPS[0], at, outcome, bucket, organisation, count)
        for (destination, organisation, outcome, bucket), count in sorted(counts.items())
    ]
