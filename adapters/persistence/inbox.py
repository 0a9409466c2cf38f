"""The inbox over SQL: one transaction for all webhooks of a moment, and one under way of each object."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast, final

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    and_,
    bindparam,
    func,
    literal,
    null,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.fast import instant, text_of
from adapters.persistence.group import Grouped
from adapters.persistence.rows import Mapper
from adapters.persistence.tables import keepable
from adapters.redaction import redact_text
from application.ports.inbox import InboxUnavailable, Wanted, WebhookInbox
from application.ports.store import Page, Slice, StaleWrite
from application.ports.work_queue import Topic, WorkQueue
from domain.inbox import HOLDING_TRIES, REPEATABLE, InboxState, Received

MOST_AT_ONCE = 128
"""The most weight of one transaction: a webhook weighs 1, and 1 more for each 16 KiB of its body."""
_HEAVY = 16 * 1024

_AGAIN_AT_ONCE = 500
"""Rows that one transaction changes when a person has many handled again."""

_CLAIMING = 0x696E626F78
"""PostgreSQL's advisory lock for claims (the letters `inbox`): of two claims at once, neither would see the other's."""

_PENDING = InboxState.PENDING.value
_FROM_ITS_FIRST_TRY: dict[str, Any] = {"state": _PENDING, "tries": 0, "handled_at": null(), "leased_until": null()}

_RECORDED = ("state", "tries", "due_at", "handled_at")
_RECORD = (
    update(tables.inbox)
    .where(tables.inbox.c.id == bindparam("this"), tables.inbox.c.version == bindparam("seen"))
    .values(
        **{name: bindparam(f"new_{name}", type_=tables.inbox.c[name].type) for name in (*_RECORDED, "error")},
        version=bindparam("next"),
        leased_until=null(),
    )
)


@final
class SqlWebhookInbox(WebhookInbox):
    """In SQLite or PostgreSQL."""

    def __init__(self, database: Database, queue: WorkQueue) -> None:
        self._database = database
        self._queue = queue
        self._mapper = Mapper(Received, tables.inbox)
        self._inserts: dict[int, tuple[str, Sequence[str]]] = {}
        self._grouped: Grouped[Sequence[Received], frozenset[str]] = Grouped(
            self._write, most=MOST_AT_ONCE, weight=lambda call: sum(1 + len(one.body) // _HEAVY for one in call)
        )

        self._recorded: Grouped[Received, bool] = Grouped(self._record, most=MOST_AT_ONCE, weight=lambda _: 1)

    async def take_in(self, received: Sequence[Received]) -> Sequence[bool]:
        if not received:
            return ()
        new = await self._grouped(received)
        return [one.id in new for one in received]

    async def _write(self, group: Sequence[Sequence[Received]]) -> Sequence[frozenset[str]]:
        """For each call, the ids of those that are new."""
        first: dict[tuple[str, str], Received] = {}
        for one in (one for call in group for one in call):
            first.setdefault((one.connection_id, one.external_id), one)
        # In one order everywhere, so that two processes with the same webhooks never wait for each other.
        rows = [_values(first[key]) for key in sorted(first)]
        statement, order = self._insert(len(rows))
        flat = {f"{name}_{number}": value for number, row in enumerate(rows) for name, value in row.items()}
        async with _available(), self._database.writing() as connection:
            result = await connection.exec_driver_sql(statement, tuple(flat[name] for name in order))
            new = frozenset(result.scalars())
            again = 0
            if len(new) < len(rows):
                again = await _heard_again(connection, [one for one in first.values() if one.id not in new])
            await connection.commit()
        if new or again:
            await self._queue.announce(Topic.INBOX)
        return [new & {one.id for one in call} for call in group]

    def _insert(self, rows: int) -> tuple[str, Sequence[str]]:
        """The statement for so many rows, and the order of its parameters; compiled once."""
        if rows not in self._inserts:
            table = tables.inbox
            names = [{c.name: bindparam(f"{c.name}_{number}", type_=c.type) for c in table.c} for number in range(rows)]
            statement = self._database.insert(table).values(names).on_conflict_do_nothing().returning(table.c.id)
            compiled: Any = statement.compile(dialect=self._database.engine.dialect)
            self._inserts[rows] = (compiled.string, compiled.positiontup)
        return self._inserts[rows]

    async def known(self, connection_id: str, external_ids: Sequence[str]) -> frozenset[str]:
        table = tables.inbox
        query = select(table.c.external_id).where(
            table.c.connection_id == connection_id, table.c.external_id.in_(external_ids)
        )
        async with self._database.reading() as connection:
            return frozenset((await connection.execute(query)).scalars())

    # The workers' side.

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> tuple[Received, ...]:
        table = tables.inbox
        free = select(table.c.id, table.c.connection_id, table.c.object).where(
            table.c.state == _PENDING, table.c.due_at <= now, _free(now), ~_held_up(now)
        )
        free = free.order_by(table.c.due_at, table.c.received_at, table.c.id).limit(limit)
        async with self._database.writing() as connection:
            if not self._database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _CLAIMING})
            found = (await connection.execute(free.with_for_update(skip_locked=True, of=table))).all()
            ids = _one_of_each(found)
            if not ids:
                return ()
            claim = (
                update(table)
                .where(table.c.id.in_(ids))
                .values(leased_until=now + lease, version=table.c.version + 1)
                .returning(table)
            )
            rows = (await connection.execute(claim)).mappings().all()
            await connection.commit()
        claimed = {row["id"]: self._mapper.from_row(cast("Mapping[str, Any]", row)) for row in rows}
        return tuple(claimed[id_] for id_ in ids)

    async def renew(self, claimed: Received, until: datetime) -> bool:
        table = tables.inbox
        async with self._database.writing() as connection:
            statement = update(table).where(_is(claimed), table.c.state == _PENDING).values(leased_until=until)
            renewed = (await connection.execute(statement)).rowcount == 1
            await connection.commit()
        return renewed

    async def record(self, ended: Received) -> None:
        if not await self._recorded(ended):
            raise StaleWrite("The webhook was taken over, or decided upon, meanwhile.")

    async def _record(self, group: Sequence[Received]) -> Sequence[bool]:
        """For each, whether it was still the caller's to record."""
        order = sorted(range(len(group)), key=lambda number: group[number].id)

        def work(connection: Connection) -> list[bool]:
            done = [False] * len(group)
            for number in order:
                one = group[number]
                row = self._mapper.to_row(one)
                given = {f"new_{name}": row[name] for name in _RECORDED}
                given |= {"new_error": None if one.error is None else redact_text(one.error)}
                given |= {"this": one.id, "seen": one.version, "next": one.version + 1}
                done[number] = connection.execute(_RECORD, given).rowcount == 1
            return done

        return await self._database.write(work)

    async def next_due(self, now: datetime) -> datetime | None:
        table = tables.inbox
        pending = table.c.state == _PENDING
        first = select(table.c.due_at).where(pending, _free(now), ~_held_up(now)).order_by(table.c.due_at).limit(1)
        async with self._database.reading() as connection:
            due: datetime | None = (await connection.execute(first)).scalar_one_or_none()
            if due is not None and due <= now:
                return due
            # A dead worker's is due when its lease is over; what it held up waits for nothing else.
            leases = select(func.min(table.c.leased_until)).where(pending, table.c.leased_until > now)
            over: datetime | None = (await connection.execute(leases)).scalar_one()
        return min((moment for moment in (due, over) if moment is not None), default=None)

    # Who looks after it.

    async def page(self, organisation_id: str, wanted: Wanted, slice: Slice) -> Page[Received]:
        table = tables.inbox
        columns = [c for c in table.c if c.name not in ("body", "leased_until")]
        query = select(*columns, literal(b"", LargeBinary).label("body")).where(*_where(organisation_id, wanted))
        if slice.after is not None:
            query = query.where(table.c.id < slice.after if slice.newest_first else table.c.id > slice.after)
        query = query.order_by(table.c.id.desc() if slice.newest_first else table.c.id.asc()).limit(slice.limit + 1)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        items = tuple(self._mapper.from_row(cast("Mapping[str, Any]", row)) for row in rows[: slice.limit])
        return Page(items, items[-1].id if len(rows) > slice.limit else None)

    async def count(self, organisation_id: str, wanted: Wanted) -> int:
        query = select(func.count()).select_from(tables.inbox).where(*_where(organisation_id, wanted))
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def again(self, organisation_id: str, wanted: Wanted, now: datetime, limit: int) -> int:
        done = 0
        while done < limit:
            async with self._database.writing() as connection:
                changed = await self._again(connection, organisation_id, wanted, now, min(_AGAIN_AT_ONCE, limit - done))
                await connection.commit()
            done += changed
            if not changed:
                break
        if done:
            await self._queue.announce(Topic.INBOX)
        return done

    async def _again(
        self, connection: AsyncConnection, organisation_id: str, wanted: Wanted, now: datetime, limit: int
    ) -> int:
        table = tables.inbox
        ended = table.c.state.in_([state.value for state in REPEATABLE])
        where = [*_where(organisation_id, wanted), ended]
        oldest = select(table.c.id).where(*where).order_by(table.c.id).limit(limit).with_for_update()
        ids = (await connection.execute(oldest)).scalars().all()
        if not ids:
            return 0
        statement = update(table).where(table.c.id.in_(ids), ended)
        statement = statement.values(**_FROM_ITS_FIRST_TRY, due_at=now, version=table.c.version + 1)
        return (await connection.execute(statement)).rowcount


async def _heard_again(connection: AsyncConnection, copies: Sequence[Received]) -> int:
    """Have those handled anew that were ignored (domain.inbox.Received.heard_again). Returns how many."""
    table = tables.inbox
    of = [(one.connection_id, keepable(one.external_id)) for one in copies]
    statement = (
        update(table)
        .where(tuple_(table.c.connection_id, table.c.external_id).in_(of), table.c.state == InboxState.IGNORED.value)
        .values(**_FROM_ITS_FIRST_TRY, due_at=min(one.due_at for one in copies), version=table.c.version + 1)
    )
    return (await connection.execute(statement)).rowcount


@asynccontextmanager
async def _available() -> AsyncIterator[None]:
    """Inside, what the database cannot do becomes InboxUnavailable: away, full, locked, out of connections."""
    try:
        yield
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise InboxUnavailable(f"The database did not take it: {type(error).__name__}.") from error


def _is(received: Received) -> ColumnElement[bool]:
    return and_(tables.inbox.c.id == received.id, tables.inbox.c.version == received.version)


def _free(now: datetime) -> ColumnElement[bool]:
    """No worker holds it."""
    return or_(tables.inbox.c.leased_until.is_(None), tables.inbox.c.leased_until <= now)


def _held_up(now: datetime) -> ColumnElement[bool]:
    """Another one about the same object is under way, or came earlier and is still to be tried."""
    this, other = tables.inbox, tables.inbox.alias("other")
    earlier = or_(
        other.c.received_at < this.c.received_at,
        and_(other.c.received_at == this.c.received_at, other.c.id < this.c.id),
    )
    return (
        select(other.c.id)
        .where(
            other.c.connection_id == this.c.connection_id,
            other.c.object == this.c.object,
            other.c.state == _PENDING,
            other.c.id != this.c.id,
            or_(other.c.leased_until > now, and_(other.c.tries < HOLDING_TRIES, earlier)),
        )
        .correlate(this)
        .exists()
    )


def _one_of_each(found: Sequence[Any]) -> list[str]:
    """The ids, one for each object: several that no longer hold each other up may be due."""
    taken: set[tuple[str, str]] = set()
    ids = []
    for id_, connection_id, about in found:
        if about is None or (connection_id, about) not in taken:
            ids.append(id_)
            taken.add((connection_id, about))
    return ids


def _where(organisation_id: str, wanted: Wanted) -> list[ColumnElement[bool]]:
    table = tables.inbox
    where: list[ColumnElement[bool]] = [table.c.organisation_id == organisation_id]
    for column, value in (
        (table.c.provider, wanted.provider),
        (table.c.connection_id, wanted.connection_id),
        (table.c.type, wanted.type),
    ):
        if value is not None:
            where.append(column == value)
    if wanted.states:
        where.append(table.c.state.in_([state.value for state in wanted.states]))
    if wanted.object is not None:
        where.append(
            or_(table.c.object == wanted.object, table.c.object.endswith(f":{wanted.object}", autoescape=True))
        )
    if wanted.since is not None:
        where.append(table.c.received_at >= wanted.since)
    if wanted.until is not None:
        where.append(table.c.received_at < wanted.until)
    return where


def _values(received: Received) -> dict[str, Any]:
    """A new row, in the driver's own values."""
    return {
        "id": received.id,
        "organisation_id": received.organisation_id,
        "connection_id": received.connection_id,
        "provider": received.provider,
        "external_id": keepable(received.external_id),
        "type": keepable(received.type),
        "body": received.body,
        "headers": keepable(text_of(received.headers)),
        "received_at": instant(received.received_at),
        "due_at": instant(received.due_at),
        "state": received.state.value,
        "tries": received.tries,
        "handled_at": None,
        "error": None,
        "object": keepable(received.object),
        "version": received.version,
        "leased_until": None,
    }
