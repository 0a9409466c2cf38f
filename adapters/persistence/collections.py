"""The collections of a unit of work: every statement carries the organisation, so that none can forget it."""

from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, final

from sqlalchemy import ColumnElement, Table, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from adapters.persistence import tables, waiting
from adapters.persistence.database import Database
from adapters.persistence.replayable import SqlReplayable, chosen
from adapters.persistence.rows import Mapper, attempt_from_row, attempt_to_row, plain
from adapters.persistence.together import Behind, WritingLate
from application.ports.store import (
    AlreadyThere,
    Answer,
    Answers,
    Attempts,
    Collection,
    Counters,
    Deliveries,
    Page,
    Records,
    Slice,
    StaleWrite,
)
from domain.inbox import InboxState, Received
from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.selection import Selection
from domain.notifications.statistics import Counted
from domain.refusals import NotFound
from domain.work.records import Kind, Record

T = TypeVar("T")

SUBSCRIPTIONS = "subscriptions"
"""The counter that counts up when an organisation's endpoints or notifications change."""


class SqlCollection(Collection[T], Generic[T]):
    """Things of one kind, of one organisation, in one table."""

    _also_saved: Mapping[str, object] = MappingProxyType({})
    """Columns that are no attribute of the thing and take these values when it is saved."""

    def __init__(
        self,
        database: Database,
        connection: AsyncConnection,
        organisation_id: str,
        mapper: Mapper[T],
        name: str,
    ) -> None:
        self._database = database
        self._connection = connection
        self._organisation_id = organisation_id
        self._mapper = mapper
        self._name = name
        self.added = False
        """Whether this unit of work has brought work for a worker."""
        table = mapper.table
        # An organisation's own row is owned by itself.
        owner = table.c.get("organisation_id")
        self._mine: ColumnElement[bool] = (table.c.id if owner is None else owner) == organisation_id
        self._behind: Behind[T] | None = None
        late = cast("object", connection)
        if isinstance(late, WritingLate):
            self._behind = Behind(database, mapper, self._mine, name)
            late.register(self._behind)

    @property
    def _table(self) -> Table:
        return self._mapper.table

    async def find(self, id: str) -> T | None:
        if self._behind is not None:
            known, thing = self._behind.find(id)
            if known:
                return thing
        query = select(self._table).where(self._mine, self._table.c.id == id)
        if self._behind is not None:
            query = self._behind.locked(query)
        row = (await self._connection.execute(query)).mappings().first()
        if row is None:
            if self._behind is not None:
                self._behind.missing(id)
            return None
        found = self._mapper.from_row(cast("Mapping[str, Any]", row))
        return found if self._behind is None else self._behind.seen(found)

    async def get(self, id: str) -> T:
        thing = await self.find(id)
        if thing is None:
            raise NotFound(self._name, id)
        return thing

    async def add(self, thing: T) -> None:
        row = self._mapper.to_row(thing)
        self._check_owner(row)
        self.added = True
        if self._behind is not None:
            self._behind.add(thing, row)
            return
        statement = self._database.insert(self._table).values(row).on_conflict_do_nothing()
        if (await self._connection.execute(statement)).rowcount != 1:
            raise AlreadyThere(f"There already is such a {self._name}.")

    async def save(self, thing: T) -> T:
        row = self._mapper.to_row(thing)
        self._check_owner(row)
        if self._behind is not None and not self._also_saved:
            return self._behind.save(thing, row)
        where = [self._mine, self._table.c.id == row.pop("id")]
        if "version" in row:
            where.append(self._table.c.version == row["version"])
            row["version"] += 1
        result = await self._connection.execute(update(self._table).where(*where).values({**row, **self._also_saved}))
        if result.rowcount != 1:
            raise StaleWrite(f"The {self._name} was changed by someone else meanwhile.")
        return self._mapper.at_version(thing, row["version"]) if "version" in row else thing

    async def remove(self, id: str) -> None:
        if self._behind is not None:
            self._behind.forget(id)
        await self._connection.execute(delete(self._table).where(self._mine, self._table.c.id == id))

    async def page(self, slice: Slice = Slice(), /, **equal: object) -> Page[T]:  # noqa: B008  # a frozen value
        return await self._part(slice, self._filters(equal))

    async def _part(self, slice: Slice, where: Sequence[ColumnElement[bool]]) -> Page[T]:
        id_ = self._table.c.id
        query = select(self._table).where(self._mine, *where).limit(slice.limit + 1)
        if slice.after is not None:
            query = query.where(id_ < slice.after if slice.newest_first else id_ > slice.after)
        query = query.order_by(id_.desc() if slice.newest_first else id_.asc())
        rows = (await self._connection.execute(query)).mappings().all()
        items = tuple(self._mapper.from_row(cast("Mapping[str, Any]", row)) for row in rows[: slice.limit])
        return Page(items, rows[slice.limit - 1]["id"] if len(rows) > slice.limit else None)

    async def all(self, **equal: object) -> tuple[T, ...]:
        if self._behind is not None:
            known = self._behind.all(equal)
            if known is not None:
                return known
        query = select(self._table).where(self._mine, *self._filters(equal)).order_by(self._table.c.id)
        query = query if self._behind is None else self._behind.locked(query)
        rows = (await self._connection.execute(query)).mappings().all()
        found = tuple(self._mapper.from_row(cast("Mapping[str, Any]", row)) for row in rows)
        return found if self._behind is None else self._behind.learned(equal, found)

    async def expect(self, **one_of: Several[str]) -> None:
        if self._behind is not None:
            for column, values in one_of.items():
                await self._behind.expect(self._connection, column, values)

    def _filters(self, equal: Mapping[str, object]) -> list[ColumnElement[bool]]:
        filters: list[ColumnElement[bool]] = []
        for name, value in equal.items():
            column = self._table.c[name]
            values = tuple(value) if isinstance(value, tuple | frozenset | set) else (value,)
            wanted = [plain(one) for one in values if one is not None]
            one_of = column == wanted[0] if len(wanted) == 1 else column.in_(wanted)
            filters.append(or_(one_of, column.is_(None)) if None in values else one_of)
        return filters

    def _check_owner(self, row: Mapping[str, Any]) -> None:
        owner = row.get("organisation_id", row.get("id"))
        assert owner == self._organisation_id, "a unit of work writes only its own organisation's things"


_OPEN = (DeliveryState.PENDING.value, DeliveryState.WAITING.value)


async def stir(connection: AsyncConnection, organisation_id: str, destination_id: str) -> None:
    """Have the worker that holds a destination's lane look at it anew, and try at once what it waits with."""
    table = tables.lanes
    await connection.execute(
        update(table)
        .where(table.c.destination_id == destination_id, table.c.organisation_id == organisation_id)
        .values(revision=table.c.revision + 1, paused_until=None)
    )


class SqlSubscriptions(SqlCollection[T], Generic[T]):
    """Endpoints, or notifications: whoever remembers who wants which events learns from a counter that it changed."""

    def __init__(
        self,
        database: Database,
        connection: AsyncConnection,
        organisation_id: str,
        mapper: Mapper[T],
        name: str,
        counters: Counters,
    ) -> None:
        super().__init__(database, connection, organisation_id, mapper, name)
        self._counters = counters
        self.changed: set[str] = set()
        """Destinations whose settings this unit of work has changed."""

    async def add(self, thing: T) -> None:
        await super().add(thing)
        await self._counters.next(SUBSCRIPTIONS)

    async def save(self, thing: T) -> T:
        saved = await super().save(thing)
        await self._changed(cast("Any", thing).id)
        return saved

    async def remove(self, id: str) -> None:
        await super().remove(id)
        await self._changed(id)

    async def _changed(self, id: str) -> None:
        await self._counters.next(SUBSCRIPTIONS)
        await stir(self._connection, self._organisation_id, id)
        self.changed.add(id)


@final
class SqlDeliveries(SqlCollection[Delivery], SqlReplayable, Deliveries):
    """Deliveries, with what is asked of many at once."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.lanes: set[str] = set()
        """The destinations for which this unit of work has brought work."""
        self.stirred: set[str] = set()
        """The destinations whose lanes are to be looked at anew."""

    async def add(self, thing: Delivery) -> None:
        await super().add(thing)
        self.lanes.add(thing.destination_id)

    async def save(self, thing: Delivery) -> Delivery:
        if thing.state is DeliveryState.PENDING:
            self.added = True
            self.lanes.add(thing.destination_id)
        return await super().save(thing)

    async def add_all(self, deliveries: Sequence[Delivery]) -> None:
        rows = [self._mapper.to_row(delivery) for delivery in deliveries]
        for row in rows:
            self._check_owner(row)
        if rows:
            if self._behind is not None:
                for delivery, row in zip(deliveries, rows, strict=True):
                    self._behind.add(delivery, row)
            else:
                await self._connection.execute(self._table.insert(), rows)
            self.added = True
            self.lanes.update(row["destination_id"] for row in rows)

    async def selected(self, slice: Slice, selection: Selection) -> Page[Delivery]:
        return await self._part(slice, chosen(selection))

    async def cancel_pending(self, destination_id: str, reason: str, now: datetime) -> int:
        waiting = (
            select(self._table.c.id)
            .where(
                self._mine,
                self._table.c.destination_id == destination_id,
                self._table.c.state.in_(_OPEN),
            )
            # In the order in which workers record, so that neither holds what the other waits for.
            .order_by(self._table.c.id)
            .with_for_update()
        )
        result = await self._connection.execute(
            update(self._table)
            .where(self._table.c.id.in_(waiting), self._table.c.state.in_(_OPEN))
            .values(state=DeliveryState.CANCELLED.value, last_error=reason, finished_at=now)
        )
        return result.rowcount

    async def stir(self, destination_id: str) -> None:
        await stir(self._connection, self._organisation_id, destination_id)
        self.stirred.add(destination_id)

    async def head(self, destination_id: str) -> Delivery | None:
        query = waiting.first_pending(destination_id).where(self._mine)
        row = (await self._connection.execute(query)).mappings().first()
        return None if row is None else self._mapper.from_row(cast("Mapping[str, Any]", row))

    async def waiting(
        self, destination_id: str, now: datetime, limit: int, after: str | None = None
    ) -> tuple[Delivery, ...]:
        query = waiting.waiting(destination_id, now, limit, after).where(self._mine)
        rows = (await self._connection.execute(query)).mappings().all()
        return tuple(self._mapper.from_row(cast("Mapping[str, Any]", row)) for row in rows)

    async def hand_out(self, ids: Several[str]) -> None:
        await self._connection.execute(waiting.hand_out(self._mine, ids))

    async def collect(
        self, destination_id: str, now: datetime, *, ids: Several[str] = (), up_to: str | None = None
    ) -> int:
        ended = waiting.collect(self._mine, destination_id, now, ids, up_to)
        return await self._ended(ended, destination_id, Counted.DELIVERED, now)

    async def expire_waiting(self, destination_id: str, now: datetime) -> int:
        ended = waiting.expire(self._mine, destination_id, now)
        return await self._ended(ended, destination_id, Counted.EXPIRED, now)

    async def _ended(
        self, statement: ReturningUpdate[Any], destination_id: str, outcome: Counted, now: datetime
    ) -> int:
        made = (await self._connection.execute(statement)).scalars().all()
        if made:
            given = (self._database, self._organisation_id, destination_id, outcome, made, now)
            await self._connection.execute(waiting.counted(*given))
        return len(made)

    async def hand_over(self, destination_id: str, state: DeliveryState) -> None:
        await self._connection.execute(waiting.hand_over(self._mine, destination_id, state))
        if state is DeliveryState.PENDING:
            self.added = True
            self.lanes.add(destination_id)

    async def counts(self, destination_id: str | None = None) -> Mapping[str, int]:
        query = select(self._table.c.state, func.count()).where(self._mine).group_by(self._table.c.state)
        if destination_id is not None:
            query = query.where(self._table.c.destination_id == destination_id)
        found: dict[str, int] = dict((await self._connection.execute(query)).all())
        return {state.value: found.get(state.value, 0) for state in DeliveryState}


@final
class SqlInbox(SqlCollection[Received]):
    """Received webhooks. Saving one ends the claim on it: what is to be tried again waits for its time, not the lease's."""

    _also_saved: Mapping[str, object] = MappingProxyType({"leased_until": None})

    async def save(self, thing: Received) -> Received:
        saved = await super().save(thing)
        self.added = self.added or thing.state is InboxState.PENDING
        return saved


@final
class SqlRecords(SqlCollection[Record], Records):
    """Work records; their fields are in one JSON column, which both databases can look into."""

    async def matching(self, kind: Kind, slice: Slice, fields: Mapping[str, str]) -> Page[Record]:
        kept = self._table.c.fields
        where = [kept[tuple(name.split("."))].as_string() == value for name, value in fields.items()]
        return await self._part(slice, [self._table.c.kind == kind.name, *where])


@final
class SqlAttempts(Attempts):
    """Attempts of deliveries; the engine writes most of them (store.py)."""

    def __init__(self, connection: AsyncConnection, organisation_id: str) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def add(self, attempt: Attempt) -> None:
        assert attempt.organisation_id == self._organisation_id
        await self._connection.execute(tables.attempts.insert().values(attempt_to_row(attempt)))

    async def of(self, delivery_id: str) -> tuple[Attempt, ...]:
        table = tables.attempts
        query = (
            select(table)
            .where(table.c.organisation_id == self._organisation_id, table.c.delivery_id == delivery_id)
            .order_by(table.c.number, table.c.id)
        )
        rows = (await self._connection.execute(query)).mappings().all()
        return tuple(attempt_from_row(cast("Mapping[str, Any]", row)) for row in rows)


@final
class SqlAnswers(Answers):
    """Answers by Idempotency-Key."""

    def __init__(self, database: Database, connection: AsyncConnection, organisation_id: str) -> None:
        self._database = database
        self._connection = connection
        self._organisation_id = organisation_id

    async def find(self, key: str) -> Answer | None:
        table = tables.answers
        query = select(table).where(table.c.organisation_id == self._organisation_id, table.c.key == key)
        row = (await self._connection.execute(query)).mappings().first()
        if row is None:
            return None
        return Answer(row["key"], row["request_hash"], row["status"], row["body"], row["headers"], row["created_at"])

    async def add(self, answer: Answer) -> None:
        statement = self._database.insert(tables.answers).values(
            organisation_id=self._organisation_id,
            key=answer.key,
            request_hash=answer.request_hash,
            status=answer.status,
            body=answer.body,
            headers=dict(answer.headers),
            created_at=answer.created_at,
        )
        if (await self._connection.execute(statement.on_conflict_do_nothing())).rowcount != 1:
            raise AlreadyThere("This Idempotency-Key was answered already.")

    async def replace(self, answer: Answer) -> None:
        table = tables.answers
        await self._connection.execute(
            update(table)
            .where(table.c.organisation_id == self._organisation_id, table.c.key == answer.key)
            .values(status=answer.status, body=answer.body, headers=dict(answer.headers))
        )


@final
class SqlCounters(Counters):
    """Numbers without gaps: a counter's row is locked until the commit."""

    def __init__(self, database: Database, connection: AsyncConnection, organisation_id: str) -> None:
        self._database = database
        self._connection = connection
        self._organisation_id = organisation_id

    async def next(self, name: str) -> int:
        table = tables.counters
        statement = self._database.insert(table).values(organisation_id=self._organisation_id, name=name, value=1)
        statement = statement.on_conflict_do_update(
            index_elements=["organisation_id", "name"], set_={"value": table.c.value + 1}
        ).returning(table.c.value)
        return int((await self._connection.execute(statement)).scalar_one())
