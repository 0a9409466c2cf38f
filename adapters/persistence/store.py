"""The store over SQL: units of work for the use cases, and the few questions that cross organisations."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar, cast, final

from sqlalchemy import Column, ColumnElement, Table, and_, delete, func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.persistence import tables
from adapters.persistence.books import SqlLedger, SqlPayments
from adapters.persistence.collections import (
    SqlAnswers,
    SqlAttempts,
    SqlCollection,
    SqlCounters,
    SqlDeliveries,
    SqlInbox,
    SqlRecords,
    SqlSubscriptions,
)
from adapters.persistence.database import Database
from adapters.persistence.rows import Mapper
from adapters.persistence.together import WritingLate
from application.ports.clock import Clock
from application.ports.store import AlreadyThere, Store, Work
from application.ports.work_queue import Topic, WorkQueue
from domain.audit import AuditEntry
from domain.billing.credit_notes import CreditNote
from domain.billing.customers import CustomerAtProvider, SavedMethod
from domain.billing.invoices import Invoice
from domain.billing.ledger import Entry
from domain.billing.links import Checkout, PaymentLink
from domain.billing.payments import Payment, Refund
from domain.billing.payouts import Payout
from domain.billing.plans import Plan, PlanAtProvider
from domain.billing.reconciliation import Difference, Reconciliation
from domain.billing.settings import BillingSettings
from domain.billing.subscriptions import Subscription
from domain.connections.connection import Connection
from domain.events import Event
from domain.inbox import ENDED, InboxState, Received
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import Endpoint
from domain.notifications.replays import Replay, ReplayState
from domain.notifications.signatures import SigningKeyPair
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
_SIGNING_KEYS = Mapper(SigningKeyPair, tables.signing_keys)
_REPLAYS = Mapper(Replay, tables.replays)
_NOTIFICATIONS = Mapper(Notification, tables.notifications)
_RECORDS = Mapper(Record, tables.records)
_INVOICES = Mapper(Invoice, tables.invoices)
_PAYMENTS = Mapper(Payment, tables.payments, reckoned=("state",))
_REFUNDS = Mapper(Refund, tables.refunds)
_CHECKOUTS = Mapper(Checkout, tables.checkouts)
_PLANS = Mapper(Plan, tables.plans)
_PLANS_AT_PROVIDERS = Mapper(PlanAtProvider, tables.plans_at_providers)
_SUBSCRIPTIONS = Mapper(Subscription, tables.subscriptions)
_CUSTOMERS_AT_PROVIDERS = Mapper(CustomerAtProvider, tables.customers_at_providers)
_SAVED_METHODS = Mapper(SavedMethod, tables.saved_methods)
_PAYOUTS = Mapper(Payout, tables.payouts)
_CREDIT_NOTES = Mapper(CreditNote, tables.credit_notes)
_BILLING_SETTINGS = Mapper(BillingSettings, tables.billing_settings)
_LEDGER = Mapper(Entry, tables.ledger)
_RECONCILIATIONS = Mapper(Reconciliation, tables.reconciliations)
_DIFFERENCES = Mapper(Difference, tables.differences)
_AUDIT = Mapper(AuditEntry, tables.audit)

T = TypeVar("T")

FORGET_AT_ONCE = 500


@final
class SqlWork(Work):
    """One unit of work in one organisation, on one database transaction."""

    def __init__(
        self,
        database: Database,
        connection: AsyncConnection,
        organisation_id: str,
        queue: WorkQueue,
        *,
        writes: bool,
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
        self.endpoints = SqlSubscriptions(
            database, connection, organisation_id, _ENDPOINTS, "webhook endpoint", self.counters
        )
        self.notifications = SqlSubscriptions(
            database, connection, organisation_id, _NOTIFICATIONS, "notification configuration", self.counters
        )
        self.signing_keys = collection(_SIGNING_KEYS, "signing key")
        self.replays = collection(_REPLAYS, "replay")
        self.deliveries = SqlDeliveries(database, connection, organisation_id, _DELIVERIES, "delivery")
        self.attempts = SqlAttempts(connection, organisation_id)
        self.connections = collection(_CONNECTIONS, "connection")
        self.inbox = SqlInbox(database, connection, organisation_id, _INBOX, "received webhook")
        self.records = SqlRecords(database, connection, organisation_id, _RECORDS, "record")
        self.invoices = collection(_INVOICES, "invoice")
        self.payments = SqlPayments(database, connection, organisation_id, _PAYMENTS, "payment")
        self.refunds = collection(_REFUNDS, "refund")
        self.links = collection(_LINKS, "payment link")
        self.checkouts = collection(_CHECKOUTS, "checkout")
        self.plans = collection(_PLANS, "plan")
        self.plans_at_providers = collection(_PLANS_AT_PROVIDERS, "plan at a provider")
        self.subscriptions = collection(_SUBSCRIPTIONS, "subscription")
        self.customers_at_providers = collection(_CUSTOMERS_AT_PROVIDERS, "customer at a provider")
        self.saved_methods = collection(_SAVED_METHODS, "payment method")
        self.payouts = collection(_PAYOUTS, "payout")
        self.credit_notes = collection(_CREDIT_NOTES, "credit note")
        self.billing_settings = collection(_BILLING_SETTINGS, "billing settings")
        self.ledger = SqlLedger(database, connection, organisation_id, _LEDGER, "ledger entry")
        self.reconciliations = collection(_RECONCILIATIONS, "reconciliation")
        self.differences = collection(_DIFFERENCES, "difference")
        self.audit = collection(_AUDIT, "audit entry")

    async def commit(self) -> None:
        assert self._writes, "this unit of work only reads"
        await self._connection.commit()
        # What waits in the database is announced here, so that no use case can forget to.
        if self.deliveries.added:
            await self._queue.announce(Topic.DELIVERIES, self.deliveries.lanes)
        if self.deliveries.stirred or self.endpoints.changed:
            await self._queue.announce(Topic.SETTINGS, self.deliveries.stirred | self.endpoints.changed)
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
    async def together(self, organisation_id: str) -> AsyncIterator[Work]:
        async with self._database.writing() as connection:
            late = cast("AsyncConnection", WritingLate(connection))
            yield SqlWork(self._database, late, organisation_id, self._queue, writes=True)

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

    async def live_signing_keys(self, now: datetime) -> tuple[SigningKeyPair, ...]:
        ends = tables.signing_keys.c.expires_at
        return await self._select(_SIGNING_KEYS, or_(ends.is_(None), ends > now))

    async def running_replays(self) -> tuple[Replay, ...]:
        return await self._select(_REPLAYS, tables.replays.c.state == ReplayState.RUNNING.value)

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
        finished = deliveries.c.finished_at < before
        handled = and_(inbox.c.state.in_([state.value for state in ENDED]), inbox.c.handled_at < before)
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
