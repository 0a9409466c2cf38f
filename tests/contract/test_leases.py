"""Leases in both databases, and in memory, keep the contract of the port Leases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.clock import RandomIds
from adapters.persistence.database import Database
from adapters.persistence.leases import SqlLeases
from adapters.persistence.migrate import migrate
from tests.contract.leases import LeasesContract, LeasesRig
from tests.fakes.clock import FrozenClock
from tests.fakes.leases import MemoryLeases


class TestMemoryLeases(LeasesContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> LeasesRig:
        clock = FrozenClock()
        leases = MemoryLeases(clock)
        return LeasesRig(leases, leases, clock)


async def rig_over(url: str) -> AsyncIterator[LeasesRig]:
    """Two processes' leases over one database."""
    databases, clock = (Database.at(url), Database.at(url)), FrozenClock()
    await migrate(databases[0])
    first, second = (SqlLeases(database, clock, RandomIds()) for database in databases)
    yield LeasesRig(first, second, clock)
    for database in databases:
        await database.close()


class TestSqlLeasesOnSqlite(LeasesContract):
    """SQLite."""

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[LeasesRig]:
        async for rig in rig_over(f"sqlite:///{tmp_path / 'hub.db'}"):
            yield rig


@pytest.mark.postgres
class TestSqlLeasesOnPostgres(LeasesContract):
    """PostgreSQL."""

    @pytest.fixture
    async def rig(self, postgres_url: str) -> AsyncIterator[LeasesRig]:
        async for rig in rig_over(postgres_url):
            yield rig
