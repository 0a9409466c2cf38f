"""Each Intake keeps the contract of the port; and the databases commit for many calls at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from adapters.persistence.database import Database
from adapters.persistence.intake import MOST_EVENTS, SqlIntake
from adapters.persistence.store import SqlStore
from application.delivery.handover import Handover
from tests.contract.intake import IntakeContract, IntakeRig, once, submission
from tests.fakes.clock import FrozenClock
from tests.fakes.intake import MemoryIntake
from tests.fakes.store import MemoryStore
from tests.fakes.work_queue import RecordingQueue


class TestMemoryIntake(IntakeContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> IntakeRig:
        clock, queue, handover = FrozenClock(), RecordingQueue(), Handover()
        store = MemoryStore(clock, queue)
        rig = IntakeRig(store, store, clock, queue, intake=None, elsewhere=None, handover=handover)  # type: ignore[arg-type]
        rig.intake = rig.elsewhere = MemoryIntake(store.shelves, rig.make.ids, queue, handover)
        return rig


class Engines:
    """The databases behind a rig; counts commits, and fails as told."""

    def __init__(self, *databases: Database) -> None:
        self.commits, self.failing = 0, 0
        for database in databases:
            for engine in (database.engine.sync_engine, database._direct):  # both commit
                if engine is not None:
                    event.listen(engine, "commit", self._commit)

    def _commit(self, connection: Any) -> None:
        if self.failing:
            self.failing -= 1
            connection.connection.rollback()  # as the database does when the disk is full
            raise OperationalError("COMMIT", {}, Exception("the disk is full"))
        self.commits += 1


async def rig_over(url: str) -> AsyncIterator[tuple[IntakeRig, Engines]]:
    """Two of everything over one database, each with connections of its own, as two processes have."""
    clock, queue, handover = FrozenClock(), RecordingQueue(), Handover()
    databases = Database.at(url), Database.at(url)
    first, second = (SqlStore(database, clock, queue) for database in databases)
    rig = IntakeRig(first, second, clock, queue, intake=None, elsewhere=None, handover=handover)  # type: ignore[arg-type]
    rig.intake = SqlIntake(databases[0], rig.make.ids, queue, handover)
    rig.elsewhere = SqlIntake(databases[1], rig.make.ids, queue, Handover())
    yield rig, Engines(*databases)
    for database in databases:
        await database.close()


class SqlIntakeContract(IntakeContract):
    """The contract, and what a transaction that is shared can spoil."""

    @pytest.fixture
    def rig(self, opened: tuple[IntakeRig, Engines]) -> IntakeRig:
        return opened[0]

    @pytest.fixture
    def engines(self, opened: tuple[IntakeRig, Engines]) -> Engines:
        return opened[1]

    async def test_calls_of_one_moment_share_a_commit(self, rig: IntakeRig, engines: Engines) -> None:
        """A hundred calls at once, of two organisations: one commit; and then one for each call that comes alone."""
        orgs = [await rig.organisation() for _ in range(2)]
        for org in orgs:
            await rig.add(org, "endpoints", rig.make.endpoint(org))
        engines.commits = 0
        await asyncio.gather(*(rig.keep(rig.event(orgs[n % 2])) for n in range(100)))
        assert engines.commits == 1
        assert [len(await rig.deliveries(org)) for org in orgs] == [50, 50]
        for _ in range(3):
            await rig.keep(rig.event(orgs[0]))
        assert engines.commits == 4

    async def test_what_comes_during_a_commit_shares_the_next(self, rig: IntakeRig, engines: Engines) -> None:
        """And a group does not grow without bound: what waits longest is in the first."""
        org = await rig.organisation()
        engines.commits = 0
        first = asyncio.create_task(rig.keep(rig.event(org)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.gather(first, *(rig.keep(rig.event(org)) for _ in range(MOST_EVENTS + 1)))
        assert engines.commits == 3
        assert len(await rig.events(org)) == MOST_EVENTS + 2

    async def test_nothing_is_kept_when_the_commit_fails(self, rig: IntakeRig, engines: Engines) -> None:
        """Every call of the group is told so; nobody is called; the same calls succeed later."""
        org = await rig.organisation()
        await rig.add(org, "endpoints", rig.make.endpoint(org))
        calls = [submission(rig.event(org), once=once(f"key {n}")) for n in range(5)]
        engines.failing = 1
        outcomes = await asyncio.gather(*(rig.intake.accept(one) for one in calls), return_exceptions=True)
        assert [type(one) for one in outcomes] == [OperationalError] * 5
        assert (await rig.events(org), await rig.deliveries(org)) == ((), ())
        assert rig.queue.announced == []
        assert await asyncio.gather(*(rig.intake.accept(one) for one in calls)) == [None] * 5
        assert len(await rig.deliveries(org)) == 5

    async def test_who_gives_up_waiting_keeps_no_other_from_being_served(self, rig: IntakeRig) -> None:
        """A client hangs up: its event may be kept, the others' are."""
        org = await rig.organisation()
        tasks = [asyncio.create_task(rig.keep(rig.event(org))) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in outcomes] == [asyncio.CancelledError, type(None)] * 3
        assert len(await rig.events(org)) >= 3
        await rig.keep(rig.event(org))


class TestSqlIntakeOnSqlite(SqlIntakeContract):
    """SQLite, in a file."""

    @pytest.fixture
    async def opened(self, sqlite_url: str) -> AsyncIterator[tuple[IntakeRig, Engines]]:
        async for opened in rig_over(sqlite_url):
            yield opened


@pytest.mark.postgres
class TestSqlIntakeOnPostgres(SqlIntakeContract):
    """PostgreSQL."""

    @pytest.fixture
    async def opened(self, postgres_url: str) -> AsyncIterator[tuple[IntakeRig, Engines]]:
        async for opened in rig_over(postgres_url):
            yield opened
