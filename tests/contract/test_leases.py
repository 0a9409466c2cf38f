"""Leases in both databases, and in memory, keep the contract of the port Leases."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.clock import RandomIds, SystemClock
from adapters.persistence.database import Database
from adapters.persistence.leases import SqlLeases
from adapters.persistence.migrate import migrate
from application.ports.leases import Held
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


async def test_a_lease_lasts_as_long_as_its_holder(sqlite_url: str) -> None:
    """It may be short, so that a dead holder's is free soon; a living one is not robbed of it."""
    database = Database.at(sqlite_url)
    await migrate(database)
    mine, theirs = (SqlLeases(database, SystemClock(), RandomIds()) for _ in range(2))
    async with mine.hold("payment", for_=timedelta(seconds=0.3)):
        await asyncio.sleep(0.8)
        with pytest.raises(Held):
            await theirs.hold("payment", for_=timedelta(seconds=0.3)).__aenter__()
    async with theirs.hold("payment", for_=timedelta(seconds=0.3)):
        pass
    await database.close()
