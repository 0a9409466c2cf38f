"""The store over SQL: units of work for the use cases, and the few questions that cross organisations."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast, final

from sqlalchemy import Column, ColumnElement, Select, Table, and_, case, delete, func, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.persistence import tables
from adapters.persistence.collections import (
    SqlAnswers,
    SqlAttempts,
    SqlCollection,
    SqlCounters,
    SqlDeliveries,
    SqlInbox,
    SqlRecords,
)
from adapters.persistence.database import Database
from adapters.persistence.rows import Mapper, attempt_to_row
from application.ports.clock import Clock
from application.ports.store import SHARE, AlreadyThere, Claimed, Store, Tried, Work
from application.ports.work_queue import Topic, WorkQueue
from domain.audit import AuditEntry
from domain.billing.invoices import Invoice
from domain.billing.links import Checkout, PaymentLink
from domain.billing.payments import Payment, Refund
from domain.connections.connection import Connection
from domain.events import Event
from domain.inbox import InboxState, Received
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import Endpoint
from domain.organisations import ApiKey, Organisation, Session, User
from domain.work.records import Record

_ORGANISATIONS = Mapper(Organisation, tables.organisations)
_USERS = Mapper(User, tables.users)
_SESSIONS = Mapper(Session, tables.sessions)
_KEYS = Mapper(ApiKey, tables.api_keys)
_EVENTS = Mapper(Event, tables.events)
_DELIVERIES = Mapper(Delivery, tables.deliveries)
_CONNECTIONS = Mapper(Connection, tables.connections)
_INBOX = Mapper(Received, tables.inbox)
_LINKS = Mapper(PaymentLink, tables.links)
_ENDPOINTS = Mapper(Endpoint, tables.endpoints)
_NOTIFICATIONS = Mapper(Notification, tables.notifications)
_RECORDS = Mapper(Record, tables.records)
_INVOICES = Mapper(Invoice, tables.invoices)
_PAYMENTS = Mapper(Payment, tables.payments)
_REFUNDS = Mapper(Refund, tables.refunds)
_CHECKOUTS = Mapper(Checkout, tables.checkouts)
_AUDIT = Mapper(AuditEntry, tables.audit)

T = TypeVar("T")

FORGET_AT_ONCE = 500

_WAITING = {Topic.DELIVERIES: tables.deliveries, Topic.INBOX: tables.inbox}
"""Where the work of a topic waits."""


def _due(table: Table, now: datetime) -> ColumnElement[bool]:
    """Pending, its time has come, and no worker holds it."""
    free = or_(table.c.leased_until.is_(None), table.c.leased_until <= now)
    return and_(table.c.state == "pending", table.c.due_at <= now, free)


@final
class SqlWork(Work):
    """One unit of work in one organisation, on one database transaction."""

    def __init__(
        self, database: Database, connection: AsyncConnection, organisation_id: str, queue: WorkQueue, *, writes: bool
    ) -> None:
        self.organisation_id = organisation_id
        self._connection = connection
        self._queue = queue
        self._writes = writes

        def collection(mapper: Mapper[Any], name: str) -> Any:
            return SqlCollection(database, connection, organisation_id, mapper, name)

        self.organisation = collection(_ORGANISATIONS, "organisation")
        self.users = collection(_USERS, "user")
        self.keys = collection(_KEYS, "API key")
        self.events = collection(_EVENTS, "event")
        self.answers = SqlAnswers(database, connection, organisation_id)
        self.counters = SqlCounters(database, connection, organisation_id)
        self.endpoints = collection(_ENDPOINTS, "webhook endpoint")
        self.notifications = collection(_NOTIFICATIONS, "notification configuration")
        self.deliveries = SqlDeliveries(database, connection, organisation_id, _DELIVERIES, "delivery")
        self.attempts = SqlAttempts(connection, organisation_id)
        self.connections = collection(_CONNECTIONS, "connection")
        self.inbox = SqlInbox(database, connection, organisation_id, _INBOX, "received webhook")
        self.records = SqlRecords(database, connection, organisation_id, _RECORDS, "record")
        self.invoices = collection(_INVOICES, "invoice")
        self.payments = collection(_PAYMENTS, "payment")
        self.refunds = collection(_REFUNDS, "refund")
        self.links = collection(_LINKS, "payment link")
        self.checkouts = collection(_CHECKOUTS, "checkout")
        self.audit = collection(_AUDIT, "audit entry")

    async def commit(self) -> None:
        assert self._writes, "this unit of work only reads"
        await self._connection.commit()
        # What waits in the database is announced here, so that no use case can forget to.
        if self.deliveries.added:
            await self._queue.announce(Topic.DELIVERIES)
        if self.inbox.added:
            await self._queue.announce(Topic.INBOX)


@final
class SqlStore(Store):
    """Everything that is kept, in SQLite or PostgreSQL."""

    def __init__(self, database: Database, clock: Clock, queue: WorkQueue) -> None:
        self._database = database
        self._clock = clock
        self._queue = queue

    @asynccontextmanager
    async def of(self, organisation_id: str) -> AsyncIterator[Work]:
        async with self._database.writing() as connection:
            yield SqlWork(self._database, connection, organisation_id, self._queue, writes=True)

    @asynccontextmanager
    async def reading(self, organisation_id: str) -> AsyncIterator[Work]:
        async with self._database.reading() as connection:
            yield SqlWork(self._database, connection, organisation_id, self._queue, writes=False)

    async def found(self, organisation: Organisation, owner: User | None = None) -> None:
        async with self._database.writing() as connection:
            await self._add(connection, _ORGANISATIONS, organisation, f"There already is {organisation.id}.")
            if owner is not None:
                await self._add(connection, _USERS, owner, f"Someone already signs in as {owner.email}.")
            await connection.commit()

    async def _add(self, connection: AsyncConnection, mapper: Mapper[T], thing: T, taken: str) -> None:
        statement = self._database.insert(mapper.table).values(mapper.to_row(thing)).on_conflict_do_nothing()
        if (await connection.execute(statement)).rowcount != 1:
            raise AlreadyThere(taken)

    async def organisations(self) -> tuple[Organisation, ...]:
        return await self._select(_ORGANISATIONS)

    async def key_by_hash(self, hash: str) -> ApiKey | None:
        return await self._one(_KEYS, tables.api_keys.c.hash == hash)

    async def user_by_email(self, email: str) -> User | None:
        return await self._one(_USERS, tables.users.c.email == email.strip().lower())

    async def link_by_token(self, token: str) -> PaymentLink | None:
        return await self._one(_LINKS, tables.links.c.token == token)

    async def connections_of(self, provider: str) -> tuple[Connection, ...]:
        return await self._select(_CONNECTIONS, tables.connections.c.provider == provider)

    async def find_session(self, id: str) -> Session | None:
        return await self._one(_SESSIONS, tables.sessions.c.id == id)

    async def add_session(self, session: Session) -> None:
        async with self._database.writing() as connection:
            await connection.execute(tables.sessions.insert().values(_SESSIONS.to_row(session)))
            await connection.commit()

    async def remove_session(self, id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(tables.sessions).where(tables.sessions.c.id == id))
            await connection.commit()

    async def remove_sessions_of(self, user_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(tables.sessions).where(tables.sessions.c.user_id == user_id))
            await connection.commit()

    async def claim_deliveries(
        self, now: datetime, lease: timedelta, limit: int, *, avoid: frozenset[str] = frozenset()
    ) -> tuple[Claimed, ...]:
        table = tables.deliveries
        due = and_(_due(table, now), table.c.destination_id.not_in(sorted(avoid)))
        rank = func.row_number().over(partition_by=table.c.destination_id, order_by=(table.c.due_at, table.c.id))
        ranked = select(table.c.id, table.c.due_at, rank.label("rank")).where(due).subquery()
        fair = select(ranked.c.id).where(ranked.c.rank <= SHARE).order_by(ranked.c.due_at, ranked.c.id).limit(limit)
        async with self._database.writing() as connection:
            rows = await self._claim(
                connection, table, fair, due, leased_until=now + lease, generation=table.c.generation + 1
            )
            if not rows:
                return ()
            wanted = {row["event_id"] for row in rows}
            found = await connection.execute(select(tables.events).where(tables.events.c.id.in_(wanted)))
            events = {row["id"]: _EVENTS.from_row(cast("Mapping[str, Any]", row)) for row in found.mappings()}
            await connection.commit()
        claimed = [Claimed(_DELIVERIES.from_row(row), events[row["event_id"]], row["generation"]) for row in rows]
        return tuple(sorted(claimed, key=lambda c: (c.delivery.due_at, c.delivery.id)))

    async def record_attempts(self, tried: Sequence[Tried]) -> tuple[Tried, ...]:
        table = tables.deliveries
        kept: list[Tried] = []
        async with self._database.writing() as connection:
            for one in sorted(tried, key=lambda one: one.delivery.id):  # as cancel_pending does
                row = _DELIVERIES.to_row(one.delivery)
                result = await connection.execute(
                    update(table)
                    .where(table.c.id == one.delivery.id, table.c.generation == one.generation)
                    .values({**row, "leased_until": None})
                )
                if result.rowcount == 1:
                    kept.append(one)
            if kept:
                await connection.execute(tables.attempts.insert(), [attempt_to_row(one.attempt) for one in kept])
            await connection.commit()
        return tuple(kept)

    async def claim_inbox(self, now: datetime, lease: timedelta, limit: int) -> tuple[Received, ...]:
        table = tables.inbox
        due = _due(table, now)
        oldest = select(table.c.id).where(due).order_by(table.c.due_at, table.c.id).limit(limit)
        async with self._database.writing() as connection:
            rows = await self._claim(connection, table, oldest, due, leased_until=now + lease)
            await connection.commit()
        return tuple(sorted((_INBOX.from_row(row) for row in rows), key=lambda one: one.id))

    async def _claim(
        self, connection: AsyncConnection, table: Table, which: Select[Any], due: ColumnElement[bool], **values: Any
    ) -> list[Mapping[str, Any]]:
        """Take rows for this worker: on PostgreSQL, those that no other worker is taking at this moment."""
        free = select(table.c.id).where(table.c.id.in_(which), due).with_for_update(skip_locked=True)
        ids = list((await connection.execute(free)).scalars())
        if not ids:
            return []
        claim = update(table).where(table.c.id.in_(ids)).values(values).returning(table)
        return [cast("Mapping[str, Any]", row) for row in (await connection.execute(claim)).mappings()]

    async def next_due(self, topic: Topic | None = None) -> datetime | None:
        moments: list[datetime | None] = []
        async with self._database.reading() as connection:
            for table in _WAITING.values() if topic is None else (_WAITING[topic],):
                # A leased row is due again when its lease is over.
                due = case((table.c.leased_until > table.c.due_at, table.c.leased_until), else_=table.c.due_at)
                query = select(func.min(due)).where(table.c.state == "pending")
                moments.append((await connection.execute(query)).scalar_one())
        return min((moment for moment in moments if moment is not None), default=None)

    async def backlog(self) -> Mapping[str, Any]:
        deliveries, inbox = tables.deliveries, tables.inbox
        async with self._database.reading() as connection:
            pending, oldest = (
                await connection.execute(
                    select(func.count(), func.min(deliveries.c.due_at)).where(deliveries.c.state == "pending")
                )
            ).one()
            waiting = (
                await connection.execute(select(func.count()).where(inbox.c.state == InboxState.PENDING.value))
            ).scalar_one()
            failed = (
                await connection.execute(select(func.count()).where(inbox.c.state == InboxState.FAILED.value))
            ).scalar_one()
        return {
            "deliveries_pending": pending,
            "deliveries_oldest_due": oldest,
            "inbox_pending": waiting,
            "inbox_failed": failed,
        }

    async def forget(self, before: datetime) -> Mapping[str, int]:
        deliveries, inbox, answers, sessions = tables.deliveries, tables.inbox, tables.answers, tables.sessions
        finished = and_(deliveries.c.state != DeliveryState.PENDING.value, deliveries.c.finished_at < before)
        handled = and_(
            inbox.c.state.in_([InboxState.HANDLED.value, InboxState.IGNORED.value]), inbox.c.handled_at < before
        )
        return {
            "deliveries": await self._forget(deliveries, finished, tables.attempts.c.delivery_id),
            "inbox": await self._forget(inbox, handled),
            "answers": await self._forget(answers, answers.c.created_at < before),
            "sessions": await self._forget(sessions, sessions.c.expires_at < self._clock.now()),
        }

    async def _forget(self, table: Table, old: ColumnElement[bool], pointer: Column[str] | None = None) -> int:
        """Delete rows, and what points at them, a batch to a transaction: no writer waits long."""
        columns = tuple(table.primary_key.columns)
        key = columns[0] if len(columns) == 1 else tuple_(*columns)
        count = 0
        while True:
            async with self._database.writing() as connection:
                rows = (await connection.execute(select(*columns).where(old).limit(FORGET_AT_ONCE))).all()
                batch = [row[0] if len(columns) == 1 else tuple(row) for row in rows]
                if not batch:
                    return count
                if pointer is not None:
                    await connection.execute(delete(pointer.table).where(pointer.in_(batch)))
                count += (await connection.execute(delete(table).where(key.in_(batch), old))).rowcount
                await connection.commit()
            if len(batch) < FORGET_AT_ONCE:
                return count

    async def marked(self, name: str) -> str | None:
        async with self._database.reading() as connection:
            query = select(tables.marks.c.value).where(tables.marks.c.name == name)
            return (await connection.execute(query)).scalar_one_or_none()

    async def mark(self, name: str, value: str) -> None:
        statement = self._database.insert(tables.marks).values(name=name, value=value)
        async with self._database.writing() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
            await connection.commit()

    async def mark_once(self, name: str, value: str) -> str:
        statement = self._database.insert(tables.marks).values(name=name, value=value)
        stands = select(tables.marks.c.value).where(tables.marks.c.name == name)
        async with self._database.writing() as connection:
            await connection.execute(statement.on_conflict_do_nothing())
            value = (await connection.execute(stands)).scalar_one()
            await connection.commit()
        return value

    async def ping(self) -> None:
        async with self._database.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def _select(self, mapper: Mapper[T], *where: Any) -> tuple[T, ...]:
        table: Table = mapper.table
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(table).where(*where).order_by(table.c.id))).mappings().all()
        return tuple(mapper.from_row(cast("Mapping[str, Any]", row)) for row in rows)

    async def _one(self, mapper: Mapper[T], *where: Any) -> T | None:
        found = await self._select(mapper, *where)
        return found[0] if found else None
