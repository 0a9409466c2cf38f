"""The store in memory: what the port promises, without a database."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar, final

from application.ports.clock import Clock
from application.ports.store import Store, Work
from application.ports.work_queue import WorkQueue
from domain.billing.links import PaymentLink
from domain.connections.connection import Connection
from domain.inbox import ENDED, InboxState
from domain.notifications.replays import Replay, ReplayState
from domain.notifications.signatures import SigningKeyPair
from domain.organisations import ApiKey, Organisation, Session, User
from tests.fakes.clock import FrozenClock
from tests.fakes.shelves import Shelves, Transaction
from tests.fakes.work import MemoryWork, put_new
from tests.fakes.work_queue import RecordingQueue

T = TypeVar("T")


@final
class MemoryStore(Store):
    """Two units of work can be open at once; the second to write waits for the first (tests/fakes/shelves.py)."""

    def __init__(self, clock: Clock | None = None, queue: WorkQueue | None = None) -> None:
        self._clock = clock or FrozenClock()
        self._queue = queue or RecordingQueue()
        self.shelves = Shelves()

    @asynccontextmanager
    async def of(self, organisation_id: str) -> AsyncIterator[Work]:
        """A unit of work that may write."""
        async with self._transaction() as transaction:
            yield MemoryWork(transaction, organisation_id, self._queue)

    def together(self, organisation_id: str) -> AbstractAsyncContextManager[Work]:
        """As any other."""
        return self.of(organisation_id)

    @asynccontextmanager
    async def reading(self, organisation_id: str) -> AsyncIterator[Work]:
        """A unit of work that fails when it writes."""
        async with self._transaction(writes=False) as transaction:
            yield MemoryWork(transaction, organisation_id, self._queue)

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
            for key in [key for key, session in table.items() if session.user_id == user_id]:
                del table[key]
            transaction.commit()

    async def live_signing_keys(self, now: datetime) -> tuple[SigningKeyPair, ...]:
        return tuple(pair for pair in self._things("signing_keys", SigningKeyPair) if pair.live(now))

    async def running_replays(self) -> tuple[Replay, ...]:
        return tuple(one for one in self._things("replays", Replay) if one.state is ReplayState.RUNNING)

    async def backlog(self) -> Mapping[str, Any]:
        lanes = self.shelves.pending.values()
        inbox = [one.state for one in self.shelves.tables["inbox"].values()]
        return {
            "deliveries_pending": sum(len(lane) for lane in lanes),
            "deliveries_oldest_due": min((lane[0][0] for lane in lanes), default=None),
            "inbox_pending": inbox.count(InboxState.PENDING),
            "inbox_failed": inbox.count(InboxState.FAILED),
        }

    async def forget(self, before: datetime) -> Mapping[str, int]:
        async with self._transaction() as transaction:
            counts: dict[str, int] = {}
            gone: set[str] = set()
            for name, old in (
                ("deliveries", lambda d: d.finished_at is not None and d.finished_at < before),
                ("inbox", lambda r: r.state in ENDED and r.handled_at is not None and r.handled_at < before),
                ("answers", lambda a: a.created_at < before),
                ("sessions", lambda s: s.expires_at < self._clock.now()),
                ("attempts", lambda a: a.delivery_id in gone),
            ):
                table = await transaction.change(name)
                keys = [key for key, thing in table.items() if old(thing)]
                for key in keys:
                    del table[key]
                counts[name] = len(keys)
                if name == "deliveries":
                    gone.update(keys)
            transaction.commit()
        del counts["attempts"]
        return counts

    async def marked(self, name: str) -> str | None:
        found: str | None = self.shelves.tables["marks"].get(name)
        return found

    async def mark(self, name: str, value: str) -> None:
        async with self._transaction() as transaction:
            (await transaction.change("marks"))[name] = value
            transaction.commit()

    async def mark_once(self, name: str, value: str) -> str:
        async with self._transaction() as transaction:
            stands: str = (await transaction.change("marks")).setdefault(name, value)
            transaction.commit()
        return stands

    async def ping(self) -> None:
        """It always answers."""

    @asynccontextmanager
    async def _transaction(self, *, writes: bool = True) -> AsyncIterator[Transaction]:
        transaction = Transaction(self.shelves, writes=writes)
        try:
            yield transaction
        finally:
            transaction.close()

    def _things(self, table: str, _: type[T]) -> list[T]:
        return [thing for _, thing in sorted(self.shelves.tables[table].items())]
