"""The store in memory: what the port promises, without a database."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, final

import attrs

from application.ports.clock import Clock
from application.ports.store import SHARE, Claimed, Store, Tried, Work
from application.ports.work_queue import Topic, WorkQueue
from domain.billing.links import PaymentLink
from domain.connections.connection import Connection
from domain.inbox import InboxState, Received
from domain.notifications.deliveries import DeliveryState
from domain.organisations import ApiKey, Organisation, Session, User
from tests.fakes.clock import FrozenClock
from tests.fakes.work import MemoryWork, Row, Shelves, Table, Transaction, kept, put_new
from tests.fakes.work_queue import RecordingQueue

T = TypeVar("T")


@final
class MemoryStore(Store):
    """Two units of work can be open at once; the second to write waits for the first (tests/fakes/work.py)."""

    def __init__(self, clock: Clock | None = None, queue: WorkQueue | None = None) -> None:
        self._clock = clock or FrozenClock()
        self._queue = queue or RecordingQueue()
        self._shelves = Shelves()

    @asynccontextmanager
    async def of(self, organisation_id: str) -> AsyncIterator[Work]:
        """A unit of work that may write."""
        async with self._transaction() as transaction:
            yield MemoryWork(transaction, organisation_id, self._queue)

    @asynccontextmanager
    async def reading(self, organisation_id: str) -> AsyncIterator[Work]:
        """A unit of work that fails when it writes."""
        yield MemoryWork(Transaction(self._shelves, writes=False), organisation_id, self._queue)

    async def found(self, organisation: Organisation, owner: User | None = None) -> None:
        async with self._transaction() as transaction:
            put_new(await transaction.change("organisation"), "organisation", organisation)
            if owner is not None:
                put_new(await transaction.change("users"), "users", owner)
            transaction.commit()

    async def organisations(self) -> tuple[Organisation, ...]:
        return tuple(self._things("organisation", Organisation))

    async def key_by_hash(self, hash: str) -> ApiKey | None:
        return next((key for key in self._things("keys", ApiKey) if key.hash == hash), None)

    async def user_by_email(self, email: str) -> User | None:
        wanted = email.strip().lower()
        return next((user for user in self._things("users", User) if user.email == wanted), None)

    async def link_by_token(self, token: str) -> PaymentLink | None:
        return next((link for link in self._things("links", PaymentLink) if link.token == token), None)

    async def connections_of(self, provider: str) -> tuple[Connection, ...]:
        return tuple(one for one in self._things("connections", Connection) if one.provider == provider)

    async def find_session(self, id: str) -> Session | None:
        return next((one for one in self._things("sessions", Session) if one.id == id), None)

    async def add_session(self, session: Session) -> None:
        async with self._transaction() as transaction:
            put_new(await transaction.change("sessions"), "sessions", session)
            transaction.commit()

    async def remove_session(self, id: str) -> None:
        async with self._transaction() as transaction:
            (await transaction.change("sessions")).pop(id, None)
            transaction.commit()

    async def remove_sessions_of(self, user_id: str) -> None:
        async with self._transaction() as transaction:
            table = await transaction.change("sessions")
            for key in [key for key, row in table.items() if row.thing.user_id == user_id]:
                del table[key]
            transaction.commit()

    async def claim_deliveries(
        self, now: datetime, lease: timedelta, limit: int, *, avoid: frozenset[str] = frozenset()
    ) -> tuple[Claimed, ...]:
        async with self._transaction() as transaction:
            table, taken = await transaction.change("deliveries"), dict[str, int]()
            events, claimed = await transaction.table("events"), list[Claimed]()
            for row in _due(table, now):
                delivery = row.thing
                if delivery.destination_id in avoid:
                    continue
                taken[delivery.destination_id] = taken.get(delivery.destination_id, 0) + 1
                if taken[delivery.destination_id] <= SHARE and len(claimed) < limit:
                    table[delivery.id] = Row(delivery, row.generation + 1, now + lease)
                    claimed.append(Claimed(delivery, events[delivery.event_id].thing, row.generation + 1))
            transaction.commit()
        return tuple(claimed)

    async def record_attempts(self, tried: Sequence[Tried]) -> tuple[Tried, ...]:
        async with self._transaction() as transaction:
            table, recorded = await transaction.change("deliveries"), list[Tried]()
            for one in tried:
                row = table.get(one.delivery.id)
                if row is not None and row.generation == one.generation:
                    table[one.delivery.id] = Row(kept(one.delivery), row.generation)
                    put_new(await transaction.change("attempts"), "attempts", one.attempt)
                    recorded.append(one)
            transaction.commit()
        return tuple(recorded)

    async def claim_inbox(self, now: datetime, lease: timedelta, limit: int) -> tuple[Received, ...]:
        async with self._transaction() as transaction:
            table = await transaction.change("inbox")
            claimed: list[Received] = [row.thing for row in _due(table, now)[:limit]]
            for received in claimed:
                table[received.id] = attrs.evolve(table[received.id], leased_until=now + lease)
            transaction.commit()
        return tuple(sorted(claimed, key=lambda one: one.id))

    async def next_due(self, topic: Topic | None = None) -> datetime | None:
        return min(
            (
                max(row.thing.due_at, row.leased_until or row.thing.due_at)
                for table in (("deliveries", "inbox") if topic is None else (topic.value,))
                for row in self._shelves.tables[table].values()
                if row.thing.state.value == "pending"
            ),
            default=None,
        )

    async def backlog(self) -> Mapping[str, Any]:
        deliveries = [row.thing for row in self._shelves.tables["deliveries"].values()]
        pending = [one.due_at for one in deliveries if one.state is DeliveryState.PENDING]
        inbox = [row.thing.state for row in self._shelves.tables["inbox"].values()]
        return {
            "deliveries_pending": len(pending),
            "deliveries_oldest_due": min(pending, default=None),
            "inbox_pending": inbox.count(InboxState.PENDING),
            "inbox_failed": inbox.count(InboxState.FAILED),
        }

    async def forget(self, before: datetime) -> Mapping[str, int]:
        done = (InboxState.HANDLED, InboxState.IGNORED)
        async with self._transaction() as transaction:
            counts: dict[str, int] = {}
            gone: set[str] = set()
            for name, old in (
                ("deliveries", lambda d: d.state is not DeliveryState.PENDING and d.finished_at < before),
                ("inbox", lambda r: r.state in done and r.handled_at < before),
                ("answers", lambda a: a.created_at < before),
                ("sessions", lambda s: s.expires_at < self._clock.now()),
                ("attempts", lambda a: a.delivery_id in gone),
            ):
                table = await transaction.change(name)
                keys = [key for key, row in table.items() if old(row.thing)]
                for key in keys:
                    del table[key]
                counts[name] = len(keys)
                if name == "deliveries":
                    gone.update(keys)
            transaction.commit()
        del counts["attempts"]
        return counts

    async def marked(self, name: str) -> str | None:
        row = self._shelves.tables["marks"].get(name)
        return None if row is None else str(row.thing)

    async def mark(self, name: str, value: str) -> None:
        async with self._transaction() as transaction:
            (await transaction.change("marks"))[name] = Row(value)
            transaction.commit()

    async def mark_once(self, name: str, value: str) -> str:
        async with self._transaction() as transaction:
            stands = (await transaction.change("marks")).setdefault(name, Row(value))
            transaction.commit()
        return str(stands.thing)

    async def ping(self) -> None:
        """It always answers."""

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        transaction = Transaction(self._shelves, writes=True)
        try:
            yield transaction
        finally:
            transaction.leave()

    def _things(self, table: str, _: type[T]) -> list[T]:
        return [row.thing for _, row in sorted(self._shelves.tables[table].items())]


def _due(table: Table, now: datetime) -> list[Row]:
    """Pending, due and free, oldest first."""
    return sorted(
        (
            row
            for row in table.values()
            if row.thing.state.value == "pending"
            and row.thing.due_at <= now
            and (row.leased_until is None or row.leased_until <= now)
        ),
        key=lambda row: (row.thing.due_at, row.thing.id),
    )
