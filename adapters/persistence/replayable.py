"""Choosing many deliveries by a filter. A long list is looked through stretch by stretch, along an index.

Ids tell when they were made, so that a time is a stretch of ids; a clock that is set right is given an hour's latitude.
"""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, and_, case, exists, false, func, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.persistence import tables
from adapters.persistence.rows import Mapper
from application.ports.replayable import MOST_LOOKED_AT, Replayable, Stretch
from domain.events import Event
from domain.ids import make_id
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.selection import TIMED_OUT, Selection, Trouble

LOOKED_AT_ONCE = 10_000
"""Rows of a stretch in which something is searched."""

_COUNTED_AT_ONCE = 100_000
_LATITUDE = timedelta(hours=1)

_ON_ITS_WAY = (DeliveryState.PENDING, DeliveryState.WAITING)
_EVENTS = Mapper(Event, tables.events)
_DELIVERIES = tables.deliveries
_PENDING = _DELIVERIES.c.state == text("'pending'")
"""Written out, not bound: only then do both databases use the partial index."""


def chosen(selection: Selection) -> list[ColumnElement[bool]]:
    """The filter's conditions on deliveries."""
    columns = _DELIVERIES.c
    where = _in_time("delivery", columns.id, columns.created_at, selection)
    if selection.destination_id is not None:
        where.append(columns.destination_id == selection.destination_id)
    if selection.event_id is not None:
        where.append(columns.event_id == selection.event_id)
    if selection.event_types:
        where.append(_of_types(columns.event_type, selection.event_types))
    if selection.states:
        where.append(columns.state.in_([state.value for state in selection.states]))
    if selection.troubles:
        where.append(or_(*(_in_trouble(trouble) for trouble in selection.troubles)))
    return where


class SqlReplayable(Replayable):
    """The part of SqlDeliveries that is about many at once."""

    _connection: AsyncConnection
    _organisation_id: str
    _mapper: Mapper[Delivery]

    async def to_replay(self, wanted: Selection, destination_id: str, after: str, limit: int) -> Stretch[Delivery]:
        where = self._replayed(wanted, destination_id)
        edge = await self._edge(_DELIVERIES, where[0], after, LOOKED_AT_ONCE)
        query = select(_DELIVERIES).where(*where[0], *where[1], *_between(_DELIVERIES, after, edge))
        rows = (await self._connection.execute(query.order_by(_DELIVERIES.c.id).limit(limit))).mappings().all()
        found = tuple(self._mapper.from_row(cast("Any", row)) for row in rows)
        return Stretch(found, found[-1].id if len(found) == limit else edge)

    async def count_to_replay(self, wanted: Selection, destination_id: str, most: int) -> int | None:
        return await self._count(_DELIVERIES, *self._replayed(wanted, destination_id), most)

    async def missed(
        self, wanted: Selection, patterns: tuple[str, ...], destination_id: str, after: str, limit: int
    ) -> Stretch[Event]:
        table, where = tables.events, self._missed(wanted, patterns, destination_id)
        edge = await self._edge(table, where[0], after, LOOKED_AT_ONCE)
        query = select(table).where(*where[0], *where[1], *_between(table, after, edge))
        rows = (await self._connection.execute(query.order_by(table.c.id).limit(limit))).mappings().all()
        found = tuple(_EVENTS.from_row(cast("Any", row)) for row in rows)
        return Stretch(found, found[-1].id if len(found) == limit else edge)

    async def count_missed(
        self, wanted: Selection, patterns: tuple[str, ...], destination_id: str, most: int
    ) -> int | None:
        return await self._count(tables.events, *self._missed(wanted, patterns, destination_id), most)

    async def add_replayed(self, deliveries: Sequence[Delivery]) -> int:
        wanted = sorted({one.event_id for one in deliveries})
        events, made = tables.events.c, _DELIVERIES.c
        # On PostgreSQL they stay kept until the commit, and another replay of them waits until then.
        kept = select(events.id).where(events.organisation_id == self._organisation_id, events.id.in_(wanted))
        rows = await self._connection.execute(kept.order_by(events.id).with_for_update(key_share=True))
        still = set(rows.scalars())
        others = select(made.event_id, made.destination_id, made.state).where(
            made.organisation_id == self._organisation_id,
            made.event_id.in_(wanted),
            _unindexed(made.destination_id).in_({one.destination_id for one in deliveries}),
        )
        known: dict[tuple[str, str], set[str]] = {}
        for event_id, destination_id, state in (await self._connection.execute(others)).all():
            known.setdefault((event_id, destination_id), set()).add(state)
        found = [
            one
            for one in deliveries
            if one.event_id in still and not _made_already(one, known.get((one.event_id, one.destination_id), set()))
        ]
        await self.add_all(found)
        return len(found)

    @abstractmethod
    async def add_all(self, deliveries: Sequence[Delivery]) -> None:
        """Keep many new ones."""

    async def count_due(self, destination_id: str, now: datetime, most: int) -> int:
        due = select(literal(1)).where(
            _DELIVERIES.c.destination_id == destination_id, _PENDING, _DELIVERIES.c.due_at <= now
        )
        return await self._number(due.limit(most))

    async def hasten(self, id: str, now: datetime) -> bool:
        columns = _DELIVERIES.c
        mine = (columns.organisation_id == self._organisation_id, columns.id == id, _PENDING)
        # What is due already keeps its place in its lane.
        due = case((columns.due_at > now, literal(now, columns.due_at.type)), else_=columns.due_at)
        result = await self._connection.execute(update(_DELIVERIES).where(*mine).values(due_at=due))
        return result.rowcount == 1

    async def hasten_retries(self, destination_id: str, now: datetime, most: int) -> int:
        columns = _DELIVERIES.c
        soonest = (
            select(columns.id)
            .where(
                columns.organisation_id == self._organisation_id,
                columns.destination_id == destination_id,
                _PENDING,
                columns.due_at > now,
                columns.attempts > 0,
            )
            .order_by(columns.due_at, columns.id)
            .limit(most)
        )
        ids = sorted((await self._connection.execute(soonest)).scalars())  # as workers lock them
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            hasten = update(_DELIVERIES).where(columns.id.in_(part), _PENDING).values(due_at=now)
            await self._connection.execute(hasten)
        return len(ids)

    async def skip(self, id: str, reason: str, now: datetime) -> bool:
        columns = _DELIVERIES.c
        waits = columns.state.in_([state.value for state in _ON_ITS_WAY])
        mine = (columns.organisation_id == self._organisation_id, columns.id == id, waits)
        ended = {"state": DeliveryState.CANCELLED.value, "last_error": reason, "finished_at": now}
        return (await self._connection.execute(update(_DELIVERIES).where(*mine).values(ended))).rowcount == 1

    def _replayed(
        self, wanted: Selection, destination_id: str
    ) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
        """The conditions that lead along the index, and the others."""
        columns, other, events = _DELIVERIES.c, _DELIVERIES.alias("other").c, tables.events.c
        assert wanted.until is not None, "a replay's time has an end"
        settles = [other.created_at < wanted.until]
        if DeliveryState.DELIVERED not in wanted.states:
            settles.append(other.state == DeliveryState.DELIVERED.value)
        superseded = exists().where(
            other.organisation_id == self._organisation_id,
            other.event_id == columns.event_id,
            _unindexed(other.destination_id) == destination_id,
            or_(
                other.state.in_([state.value for state in _ON_ITS_WAY]),
                and_(_unindexed(other.id) > columns.id, or_(*settles)),
            ),
        )
        along = [columns.organisation_id == self._organisation_id, columns.destination_id == destination_id]
        along += _ids("delivery", columns.id, wanted)
        return along, [*chosen(wanted), ~superseded, exists().where(events.id == columns.event_id)]

    def _missed(
        self, wanted: Selection, patterns: tuple[str, ...], destination_id: str
    ) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
        events, made = tables.events.c, _DELIVERIES.alias("made").c
        known = exists().where(
            made.organisation_id == self._organisation_id,
            made.event_id == events.id,
            _unindexed(made.destination_id) == destination_id,
        )
        along = [events.organisation_id == self._organisation_id, *_ids("event", events.id, wanted)]
        where = _in_time("event", events.id, events.created_at, wanted)
        where += [_of_types(events.type, types) for types in (patterns, wanted.event_types) if types]
        return along, [*where, ~known]

    async def _edge(self, table: Table, along: Sequence[ColumnElement[bool]], after: str, rows: int) -> str | None:
        """The id so many rows further along; None when there are fewer."""
        query: Select[Any] = select(table.c.id).where(*along, table.c.id > after).order_by(table.c.id)
        found: str | None = (await self._connection.execute(query.limit(1).offset(rows - 1))).scalar_one_or_none()
        return found

    async def _count(
        self, table: Table, along: Sequence[ColumnElement[bool]], where: Sequence[ColumnElement[bool]], most: int
    ) -> int | None:
        total, after, looked_at = 0, "", 0
        while looked_at < MOST_LOOKED_AT:
            edge = await self._edge(table, along, after, _COUNTED_AT_ONCE)
            found = select(literal(1)).select_from(table).where(*along, *where, *_between(table, after, edge))
            total += await self._number(found.limit(most + 1))
            if total > most:
                return None
            if edge is None:
                return total
            after, looked_at = edge, looked_at + _COUNTED_AT_ONCE
        return None

    async def _number(self, rows: Select[Any]) -> int:
        return int((await self._connection.execute(select(func.count()).select_from(rows.subquery()))).scalar_one())


def _unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """The same text, but no reason to use an index: SQLite would else look through all of a destination for each row,
    and not through the few of an event."""
    return column.concat("")


def _made_already(delivery: Delivery, states: Collection[str]) -> bool:
    """Whether someone has just made the same, by the states of the event's deliveries to the destination: one that is on
    its way, or, of an event that was missed, any at all."""
    return bool(states) if delivery.replay_of is None else any(state.value in states for state in _ON_ITS_WAY)


def _between(table: Table, after: str, up_to: str | None) -> tuple[ColumnElement[bool], ...]:
    return (table.c.id > after,) if up_to is None else (table.c.id > after, table.c.id <= up_to)


def _in_time(
    kind: str, id_: ColumnElement[str], made: ColumnElement[datetime], selection: Selection
) -> list[ColumnElement[bool]]:
    where = _ids(kind, id_, selection)
    if selection.since is not None:
        where.append(made >= selection.since)
    if selection.until is not None:
        where.append(made < selection.until)
    return where


def _ids(kind: str, id_: ColumnElement[str], selection: Selection) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if selection.since is not None:
        where.append(id_ >= _id_at(kind, selection.since, -_LATITUDE))
    if selection.until is not None:
        where.append(id_ < _id_at(kind, selection.until, _LATITUDE))
    return where


def _id_at(kind: str, moment: datetime, latitude: timedelta) -> str:
    return make_id(kind, max(0, int((moment.timestamp() + latitude.total_seconds()) * 1000)), bytes(10))


def _of_types(column: ColumnElement[str], patterns: Sequence[str]) -> ColumnElement[bool]:
    """As `domain.events.wanted` decides."""
    if "*" in patterns:
        return literal(1) == 1
    families = [column.startswith(pattern[:-1], autoescape=True) for pattern in patterns if pattern.endswith(".*")]
    names = [pattern for pattern in patterns if not pattern.endswith(".*")]
    return or_(*families, column.in_(names) if names else false())


def _in_trouble(trouble: Trouble) -> ColumnElement[bool]:
    """As `Trouble.of` decides."""
    columns = _DELIVERIES.c
    status, error = columns.last_status, columns.last_error
    if trouble in (Trouble.REFUSED, Trouble.FAULT):
        first = 400 if trouble is Trouble.REFUSED else 500
        return status.between(first, first + 99)
    timed_out = or_(*(error.contains(words, autoescape=True) for words in TIMED_OUT))
    tried = and_(columns.attempts > 0, columns.state != DeliveryState.CANCELLED.value)
    return and_(tried, status.is_(None), error.is_not(None), timed_out if trouble is Trouble.TIMEOUT else ~timed_out)
