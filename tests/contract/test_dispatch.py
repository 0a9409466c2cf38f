"""Each Dispatch keeps the contract of the port; and the databases use their indexes, however much waits."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.dispatch import SqlDispatch
from adapters.persistence.store import SqlStore
from application.ports.dispatch import Want
from domain.notifications.statistics import Count, Counted
from tests.contract.dispatch import NOBODY, LanesContract, LanesRig
from tests.contract.dispatch_recording import RecordingContract
from tests.contract.examples import NOW
from tests.contract.store_claims import waiting
from tests.fakes.clock import FrozenClock
from tests.fakes.dispatch import MemoryDispatch
from tests.fakes.store import MemoryStore
from tests.fakes.work_queue import RecordingQueue

HUB = "https://hub.example"


class DispatchContract(LanesContract, RecordingContract):
    """The whole of it."""


class TestMemoryDispatch(DispatchContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> LanesRig:
        clock, queue = FrozenClock(), RecordingQueue()
        store = MemoryStore(clock, queue)
        dispatch = MemoryDispatch(store.shelves, HUB)

        async def statistics() -> list[Count]:
            return list(store.shelves.tables["statistics"].values())

        return LanesRig(store, store, clock, queue, dispatch=dispatch, elsewhere=dispatch, statistics=statistics)


async def rig_over(url: str) -> AsyncIterator[LanesRig]:
    """Two of everything over one database, each with connections of its own, as two processes have."""
    clock, queue = FrozenClock(), RecordingQueue()
    databases = Database.at(url), Database.at(url)
    first, second = (SqlStore(database, clock, queue) for database in databases)
    here, there = (SqlDispatch(database, HUB) for database in databases)

    async def statistics() -> list[Count]:
        async with databases[1].reading() as connection:
            rows = (await connection.execute(select(tables.statistics))).mappings().all()
        return [
            Count(
                row["destination_id"],
                row["organisation_id"],
                row["step"],
                row["at"],
                Counted(row["outcome"]),
                row["bucket"],
                row["count"],
            )
            for row in rows
        ]

    yield LanesRig(first, second, clock, queue, dispatch=here, elsewhere=there, statistics=statistics)
    for database in databases:
        await database.close()


class TestSqlDispatchOnSqlite(DispatchContract):
    """SQLite, in a file."""

    @pytest.fixture
    async def rig(self, sqlite_url: str) -> AsyncIterator[LanesRig]:
        async for rig in rig_over(sqlite_url):
            yield rig

    async def test_a_backlog_of_millions_costs_a_survey_and_a_read_nothing(
        self, sqlite_url: str, rig: LanesRig
    ) -> None:
        """Every step of both is a search in the index of what is pending; no table is gone through."""
        org = await rig.organisation()
        await waiting(rig, org, count=3)
        mine = await rig.holder()
        database, said = Database.at(sqlite_url), list[tuple[str, Any]]()
        for engine in (database.engine.sync_engine, database._direct):  # either may be asked
            if engine is not None:
                event.listen(engine, "before_cursor_execute", lambda *args: said.append((args[2], args[3])))
        dispatch = SqlDispatch(database, HUB)
        assert await dispatch.survey(NOBODY, NOW) == ()
        assert len(await dispatch.survey(mine, NOW)) == 1
        after = (NOW - timedelta(days=1), "dlv_0")
        await dispatch.read([Want("wh_1", 10), Want("wh_1", 10, after)], NOW)
        asked = [(query, given) for query, given in said if "deliveries" in query]
        assert len(asked) == 6, "two surveys, two reads, and two looks at what is due next"
        async with database.reading() as connection:
            for query, given in asked:
                plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", given)).all()
                steps = [str(row[-1]) for row in plan]
                on_deliveries = [step for step in steps if " d " in f"{step} " or " deliveries" in step]
                assert on_deliveries, steps
                assert all("ix_deliveries_pending" in step and "SEARCH" in step for step in on_deliveries), steps
                assert not [step for step in steps if step.startswith("SCAN") and step != "SCAN found"], steps
                assert not [step for step in steps if "TEMP B-TREE" in step], steps
        await database.close()


@pytest.mark.postgres
class TestSqlDispatchOnPostgres(DispatchContract):
    """PostgreSQL."""

    @pytest.fixture
    async def rig(self, postgres_url: str) -> AsyncIterator[LanesRig]:
        async for rig in rig_over(postgres_url):
            yield rig
