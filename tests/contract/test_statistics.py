"""Statistics in both databases, and in memory, keep the contract of the port Statistics."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import attrs
import pytest
from sqlalchemy import select

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate
from adapters.persistence.statistics import SqlStatistics
from domain.notifications.spans import Span
from domain.notifications.statistics import Count, Counted, Step, fold_before
from tests.contract.statistics import DAY, NOW, StatisticsContract, StatisticsRig, minute
from tests.fakes.statistics import MemoryStatistics


class TestMemoryStatistics(StatisticsContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> StatisticsRig:
        statistics = MemoryStatistics()

        async def write(counts: Iterable[Count]) -> None:
            await asyncio.sleep(0)
            statistics.write(counts)

        async def rows() -> tuple[Count, ...]:
            return statistics.rows

        return StatisticsRig(statistics, write, rows)


async def rig_over(url: str) -> AsyncIterator[StatisticsRig]:
    """Rows are written as workers write them, in a transaction of their own."""
    database = Database.at(url)
    await migrate(database)
    table, insert = tables.statistics, database.insert(tables.statistics)
    add = insert.on_conflict_do_update(
        index_elements=[c.name for c in table.primary_key], set_={"count": table.c.count + insert.excluded.count}
    )

    async def write(counts: Iterable[Count]) -> None:
        async with database.writing() as connection:
            await connection.execute(add, [{**attrs.asdict(one), "outcome": one.outcome.value} for one in counts])
            await connection.commit()

    async def rows() -> tuple[Count, ...]:
        async with database.reading() as connection:
            found = (await connection.execute(select(table))).mappings().all()
        return tuple(Count(**{**row, "outcome": Counted(row["outcome"])}) for row in found)

    yield StatisticsRig(SqlStatistics(database), write, rows)
    await database.close()


class SqlStatisticsContract(StatisticsContract):
    """The contract, and what only a database can do half."""

    async def test_a_fold_that_is_cut_off_has_folded_nothing(
        self, rig: StatisticsRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was taken out is back again: the process died before the commit."""
        await rig.write([minute(DAY, 4), minute(DAY, 2, bucket=6)])
        before = set(await rig.rows())

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("adapters.persistence.statistics.folded", die)
            with pytest.raises(KeyboardInterrupt):
                await rig.statistics.fold(Step.MINUTE, fold_before(Step.MINUTE, NOW))
        assert set(await rig.rows()) == before
        await rig.roll_up()
        span = Span.asked(NOW, since=NOW - 2 * DAY)
        assert await rig.statistics.totals("org_1", span) == {"wh_1": {Counted.ARRIVED: 6}}


class TestSqlStatisticsOnSqlite(SqlStatisticsContract):
    """SQLite."""

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[StatisticsRig]:
        async for rig in rig_over(f"sqlite:///{tmp_path / 'hub.db'}"):
            yield rig


@pytest.mark.postgres
class TestSqlStatisticsOnPostgres(SqlStatisticsContract):
    """PostgreSQL."""

    @pytest.fixture
    async def rig(self, postgres_url: str) -> AsyncIterator[StatisticsRig]:
        async for rig in rig_over(postgres_url):
            yield rig
