"""Each inbox keeps the contract of the port WebhookInbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from adapters.persistence.database import Database
from adapters.persistence.inbox import SqlWebhookInbox
from adapters.persistence.store import SqlStore
from tests.contract.inbox import InboxContract, InboxRig
from tests.fakes.clock import FrozenClock
from tests.fakes.inbox import MemoryWebhookInbox
from tests.fakes.store import MemoryStore
from tests.fakes.work_queue import RecordingQueue


def memory_rig() -> InboxRig:
    """Two inboxes over one store in memory."""
    queue = RecordingQueue()
    store = MemoryStore(FrozenClock(), queue)
    first, second = (MemoryWebhookInbox(store.shelves, queue) for _ in range(2))

    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        first.away = True
        yield
        first.away = False

    return InboxRig(first, second, store, queue, away)


async def rig_over(url: str) -> AsyncIterator[InboxRig]:
    """Two inboxes over one database, each with connections of its own, as two processes have."""
    queue = RecordingQueue()
    databases = Database.at(url), Database.at(url)
    first, second = (SqlWebhookInbox(database, queue) for database in databases)

    async def rename(old: str, new: str) -> None:
        async with databases[1].writing() as connection:
            await connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
            await connection.commit()

    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        """The transaction is open when its statement fails."""
        await rename("inbox", "away")
        yield
        await rename("away", "inbox")

    yield InboxRig(first, second, SqlStore(databases[0], FrozenClock(), queue), queue, away)
    for database in databases:
        await database.close()


class TestMemoryInbox(InboxContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> InboxRig:
        return memory_rig()


class TestSqlInboxOnSqlite(InboxContract):
    """SQLite, in a file."""

    @pytest.fixture
    async def rig(self, sqlite_url: str) -> AsyncIterator[InboxRig]:
        async for rig in rig_over(sqlite_url):
            yield rig


@pytest.mark.postgres
class TestSqlInboxOnPostgres(InboxContract):
    """PostgreSQL."""

    @pytest.fixture
    async def rig(self, postgres_url: str) -> AsyncIterator[InboxRig]:
        async for rig in rig_over(postgres_url):
            yield rig
