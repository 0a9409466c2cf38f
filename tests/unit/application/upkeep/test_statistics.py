"""The roll-up: everything that is old enough, once, and nothing that is not."""

from datetime import timedelta

from application.upkeep.statistics import RollUpStatistics
from domain.notifications.statistics import STEPS, Count, Counted, Step, start_of
from tests.fakes.clock import FrozenClock
from tests.fakes.statistics import MemoryStatistics


async def test_each_step_is_folded_in_its_time_and_days_are_forgotten() -> None:
    """A hub that was away for a year does all of it in one run; minutes that become days pass through hours."""
    clock, statistics = FrozenClock(), MemoryStatistics()
    now = clock.now()
    ages = [timedelta(hours=1), timedelta(hours=8), timedelta(days=20), timedelta(days=390), timedelta(days=402)]
    statistics.write(
        Count("wh_1", "org_1", 60, start_of(now - age, 60), Counted.ARRIVED, bucket, 1)
        for age in ages
        for bucket in range(70)
    )
    roll_up = RollUpStatistics(statistics, clock)
    assert await roll_up() == {"minutes": 280, "hours": 420, "days": 140}
    assert await roll_up() == {"minutes": 0, "hours": 0, "days": 0}
    mine = {(row.step, row.at) for row in statistics.rows if row.destination_id == "wh_1"}
    steps = (*STEPS[:2], STEPS[2], STEPS[2])
    assert mine == {(step, start_of(now - age, step)) for age, step in zip(ages, steps, strict=False)}


async def test_what_was_folded_is_folded_on_when_it_is_older() -> None:
    """Fourteen days later its hours become a day."""
    clock, statistics = FrozenClock(), MemoryStatistics()
    at = start_of(clock.now() - timedelta(hours=9), 60)
    statistics.write([Count("wh_1", "org_1", 60, at, Counted.MISSED, 3, 7)])
    roll_up = RollUpStatistics(statistics, clock)
    assert await roll_up() == {"minutes": 1, "hours": 0, "days": 0}
    clock.advance(timedelta(days=15))
    assert await roll_up() == {"minutes": 0, "hours": 2, "days": 0}
    rows = {(row.destination_id, row.step, row.at, row.count) for row in statistics.rows}
    assert rows == {(id_, Step.DAY.seconds, start_of(at, 86_400), 7) for id_ in ("wh_1", "org_1")}
