"""Each store keeps the contract of the port Store; and what only the databases have to do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from adapters.persistence.database import Database
from adapters.persistence.store import SqlStore
from tests.contract.store import Rig, UnitOfWorkContract
from tests.contract.store_at_once import AtOnceContract
from tests.contract.store_books import BooksContract
from tests.contract.store_claims import ClaimsContract
from tests.contract.store_polled import PolledContract
from tests.contract.store_replays import ReplaysContract
from tests.contract.store_together import TogetherContract
from tests.fakes.clock import FrozenClock
from tests.fakes.store import MemoryStore
from tests.fakes.work_queue import RecordingQueue


class StoreContract(
    UnitOfWorkContract, TogetherContract, ClaimsContract, AtOnceContract, ReplaysContract, PolledContract, BooksContract
):
    """The whole of it."""


class TestMemoryStore(StoreContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> Rig:
        clock, queue = FrozenClock(), RecordingQueue()
        store = MemoryStore(clock, queue)
        return Rig(store, store, clock, queue)


async def rig_over(url: str) -> AsyncIterator[Rig]:
    """Two stores over one database, each with connections of its own, as two processes have."""
    clock, queue = FrozenClock(), RecordingQueue()
    databases = Database.at(url), Database.at(url)
    first, second = (SqlStore(database, clock, queue) for database in databases)
    yield Rig(first, second, clock, queue)
    for database in databases:
        await database.close()


class SqlStoreContract(StoreContract):
    """The contract, and what a database can spoil in a way of its own."""

    async def test_what_only_reads_cannot_write(self, rig: Rig) -> None:
        """On SQLite it cannot be committed; PostgreSQL refuses it at once."""
        org = await rig.organisation()

        async def write() -> None:
            async with rig.store.reading(org) as work:
                await work.invoices.add(rig.make.invoice(org))
                await work.commit()

        with pytest.raises((AssertionError, DBAPIError)):
            await write()
        async with rig.store.reading(org) as work:
            assert await work.invoices.all() == ()


class TestSqlStoreOnSqlite(SqlStoreContract):
    """SQLite, in a file."""

    @pytest.fixture
    async def rig(self, sqlite_url: str) -> AsyncIterator[Rig]:
        async for rig in rig_over(sqlite_url):
            yield rig

    async def test_a_writer_says_so_at_once(self, sqlite_url: str) -> None:
        """A transaction that reads first and writes later could not be waited for: SQLite would refuse it."""
        database = Database.at(sqlite_url)
        said: list[str] = []
        event.listen(
            database.engine.sync_engine, "before_cursor_execute", lambda *args: said.append(args[2].split("\n")[0])
        )
        store = SqlStore(database, FrozenClock(), RecordingQueue())
        async with store.of("org_1") as work:
            await work.counters.next("x")
            await work.commit()
        await store.mark("a mark", "x")
        async with store.reading("org_1") as work:
            await work.invoices.all()
        await database.close()
        assert [word for word in said if word.startswith("BEGIN")] == ["BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN"]

    async def test_a_commit_survives_a_power_cut(self, sqlite_url: str) -> None:
        """The journal is written through, by every connection."""
        database = Database.at(sqlite_url)
        async with database.reading() as one, database.reading() as two:
            for connection in (one, two):
                found = [
                    (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                ]
                assert found == ["wal", 2, 1, 30000]
        await database.close()

    def test_a_database_can_be_used_from_one_event_loop_after_another(self, sqlite_url: str) -> None:
        """A command line that runs two things one after the other, each with writers that wait for each other."""
        database = Database.at(sqlite_url)
        store = SqlStore(database, FrozenClock(), RecordingQueue())

        async def write() -> None:
            await asyncio.gather(*(store.mark(f"mark {n}", "x") for n in range(5)))
            await database.close()

        with asyncio.Runner() as first:
            first.run(write())
        with asyncio.Runner() as second:
            second.run(write())


@pytest.mark.postgres
class TestSqlStoreOnPostgres(SqlStoreContract):
    """PostgreSQL."""

    @pytest.fixture
    async def rig(self, postgres_url: str) -> AsyncIterator[Rig]:
        async for rig in rig_over(postgres_url):
            yield rig

    async def test_an_address_with_sslmode_is_understood(self, postgres_url: str) -> None:
        """It is what people paste."""
        database = Database.at(f"{postgres_url}&sslmode=disable")
        await SqlStore(database, FrozenClock(), RecordingQueue()).ping()
        await database.close()
