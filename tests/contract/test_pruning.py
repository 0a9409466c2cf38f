"""Pruning in both databases, and in memory, keeps the contract of the port Pruning."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate
from adapters.persistence.pruning import SqlPruning
from adapters.persistence.store import SqlStore
from tests.contract.pruning import PruningContract, PruningRig
from tests.fakes.clock import FrozenClock
from tests.fakes.pruning import MemoryPruning
from tests.fakes.store import MemoryStore
from tests.fakes.work_queue import RecordingQueue


class TestMemoryPruning(PruningContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> PruningRig:
        store = MemoryStore(FrozenClock(), RecordingQueue())
        return PruningRig(MemoryPruning(store.shelves), store)


async def rig_over(url: str) -> AsyncIterator[PruningRig]:
    """Another process's: each has connections of its own."""
    databases = Database.at(url), Database.at(url)
    await migrate(databases[0])
    yield PruningRig(SqlPruning(databases[0]), SqlStore(databases[1], FrozenClock(), RecordingQueue()))
    for database in databases:
        await database.close()


class SqlPruningContract(PruningContract):
    """In parts of three rows, so that tests see what lies between two of them."""

    @pytest.fixture(autouse=True)
    def few_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("adapters.persistence.pruning.AT_ONCE", 3)


class TestSqlPruningOnSqlite(SqlPruningContract):
    """SQLite."""

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[PruningRig]:
        async for rig in rig_over(f"sqlite:///{tmp_path / 'hub.db'}"):
            yield rig


@pytest.mark.postgres
class TestSqlPruningOnPostgres(SqlPruningContract):
    """PostgreSQL."""

    @pytest.fixture
    async def rig(self, postgres_url: str) -> AsyncIterator[PruningRig]:
        async for rig in rig_over(postgres_url):
            yield rig
