"""A commit that went through, and whose answer was lost: the database stopped in between, or a connection was cut."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.dispatch import SqlDispatch
from adapters.persistence.migrate import migrate
from adapters.persistence.store import SqlStore
from domain.notifications.statistics import Counted
from tests.contract.dispatch import LanesRig
from tests.contract.dispatch_recording import arrived, attempts_of, missed, states
from tests.contract.examples import NOW
from tests.contract.store_claims import waiting
from tests.fakes.clock import FrozenClock
from tests.fakes.work_queue import RecordingQueue

pytestmark = pytest.mark.faults

T = TypeVar("T")


class Mute(Database):
    """Commits, and then says that the connection is gone, when it is told to."""

    mute = False

    async def write(self, work: Callable[[Connection], T]) -> T:
        """As the real one, but for that."""
        done = await super().write(work)
        if self.mute:
            self.mute = False
            raise OperationalError("COMMIT", {}, ConnectionResetError())
        return done


async def test_what_was_recorded_without_an_answer_is_recorded_once(tmp_path: Path) -> None:
    """The worker cannot know and records it again, with what ended meanwhile: no attempt and no count comes twice."""
    database = Mute.at(f"sqlite:///{tmp_path / 'a.db'}")
    assert isinstance(database, Mute)
    await migrate(database)
    clock, queue = FrozenClock(), RecordingQueue()
    store, dispatch = SqlStore(database, clock, queue), SqlDispatch(database)

    async def nothing() -> list[object]:
        return []

    rig = LanesRig(store, store, clock, queue, dispatch=dispatch, elsewhere=dispatch, statistics=nothing)  # type: ignore[arg-type]
    try:
        org = await rig.organisation()
        one, two, three = await waiting(rig, org, count=3)
        mine = await rig.holder()
        tried = [arrived(rig, one), missed(rig, two)]
        database.mute = True
        with pytest.raises(OperationalError):
            await dispatch.record(mine, tried, [], NOW)
        later = arrived(rig, three)
        assert await dispatch.record(mine, [*tried, later], [], NOW) == frozenset()

        assert {state.value: count for state, count in (await states(rig, org)).items()} == {
            "delivered": 2,
            "pending": 1,
        }
        for each in (*tried, later):
            assert await attempts_of(rig, each.delivery) == (each.attempt,)
        counted = select(tables.statistics.c.outcome, func.sum(tables.statistics.c.count)).group_by("outcome")
        async with database.reading() as connection:
            counts = dict((await connection.execute(counted)).all())
        assert counts == {Counted.ARRIVED.value: 2, Counted.MISSED.value: 1, Counted.DELIVERED.value: 2}
    finally:
        await database.close()
