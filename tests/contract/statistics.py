"""What every way of keeping statistics must do. A test of one subclasses this and gives a `rig` fixture."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import attrs
import pytest

from application.ports.statistics import Statistics
from domain.notifications.spans import Span
from domain.notifications.statistics import STEPS, Count, Counted, Step, fold_before, start_of
from tests.fakes.clock import FrozenClock

NOW = FrozenClock().now()
ORGS = ("org_1", "org_2")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@attrs.define
class StatisticsRig:
    """Statistics under test; `write` counts as a worker does, `rows` has all that is kept."""

    statistics: Statistics
    write: Callable[[Iterable[Count]], Awaitable[None]]
    rows: Callable[[], Awaitable[tuple[Count, ...]]]

    async def roll_up(self) -> None:
        """As the job does at this moment."""
        for step in (Step.MINUTE, Step.HOUR):
            while await self.statistics.fold(step, fold_before(step, NOW)):
                pass


def minute(
    ago: timedelta,
    count: int = 1,
    *,
    destination: str = "wh_1",
    org: str = "org_1",
    bucket: int = 5,
    **changes: Counted,
) -> Count:
    """So many attempts that arrived, so long ago."""
    outcome = changes.get("outcome", Counted.ARRIVED)
    return Count(destination, org, STEPS[0], start_of(NOW - ago, STEPS[0]), outcome, bucket, count)


def history(seed: int) -> list[Count]:
    """Minutes of two organisations over 40 days, most of them of late, on the edges of hours and days too."""
    chance = random.Random(seed)
    edges = [Step.MINUTE.kept, Step.HOUR.kept, HOUR, DAY]
    found: dict[Count, int] = {}
    for _ in range(300):
        ago = chance.choice((timedelta(minutes=2 ** chance.uniform(0, 15.8)), chance.choice(edges)))
        ago += timedelta(seconds=chance.choice((0, 0, -60, 60, 3600)))
        org = chance.choice(ORGS)
        one = minute(
            max(ago, timedelta()),
            0,
            destination=f"{org}_wh_{chance.randint(0, 2)}",
            org=org,
            bucket=chance.randint(0, 9),
            outcome=chance.choice(list(Counted)),
        )
        found[one] = found.get(one, 0) + chance.randint(1, 9)
    return [attrs.evolve(one, count=count) for one, count in found.items()]


def spans(seed: int) -> list[Span]:
    """What readers may ask for at this moment: as far back as each step goes, and some within."""
    chance = random.Random(seed)
    asked = [Span.asked(NOW, since=NOW - step.kept, step=step) for step in Step]
    for step in Step:
        for _ in range(3):
            since = NOW - step.kept * chance.random()
            asked.append(Span.asked(NOW, since=since, until=since + (NOW - since) * chance.uniform(0.1, 1), step=step))
    return asked


class StatisticsContract:
    """The suite."""

    async def test_nothing_was_counted_yet(self, rig: StatisticsRig) -> None:
        """Nobody is told of buckets, then."""
        span = Span.asked(NOW)
        assert await rig.statistics.over_time("org_1", span) == {}
        assert await rig.statistics.totals("org_1", span) == {}
        assert await rig.statistics.by_destination("org_1", span, ["wh_1"]) == {}
        assert await rig.statistics.by_destination("org_1", span, []) == {}
        assert await rig.statistics.fold(Step.MINUTE, NOW) == 0
        assert await rig.statistics.forget(NOW) == 0

    async def test_counts_are_told_by_time_outcome_and_duration(self, rig: StatisticsRig) -> None:
        """What a worker adds to a row of before is added; what is outside the span is not told."""
        await rig.write([minute(HOUR, 2), minute(HOUR, 3, bucket=7)])
        await rig.write([minute(HOUR, 5), minute(HOUR, 1, outcome=Counted.MISSED), minute(3 * DAY, 9)])
        span = Span.asked(NOW, step=Step.HOUR)
        counts = {(Counted.ARRIVED, 5): 7, (Counted.ARRIVED, 7): 3, (Counted.MISSED, 5): 1}
        at = start_of(NOW - HOUR, STEPS[1])
        assert await rig.statistics.over_time("org_1", span) == {at: counts}
        assert await rig.statistics.over_time("org_1", span, "wh_1") == {at: counts}
        assert await rig.statistics.totals("org_1", span) == {"wh_1": {Counted.ARRIVED: 10, Counted.MISSED: 1}}
        assert await rig.statistics.by_destination("org_1", span, ["wh_1", "wh_2"]) == {"wh_1": counts}

    @pytest.mark.parametrize("step", Step)
    async def test_a_span_ends_where_it_ends(self, rig: StatisticsRig, step: Step) -> None:
        """Its first moment is in it, the one after its last is not."""
        span = Span.asked(NOW, since=NOW - 3 * step.length, until=NOW - step.length, step=step)
        outside = (span.since - timedelta(minutes=1), span.until)
        await rig.write([minute(NOW - at) for at in (*outside, span.since, span.until - timedelta(minutes=1))])
        found = await rig.statistics.over_time("org_1", span)
        assert set(found) == {span.starts[0], span.starts[-1]}

    async def test_organisations_see_nothing_of_each_other(self, rig: StatisticsRig) -> None:
        """Also when one names another's destination, before and after it was folded."""
        await rig.write([minute(DAY, 4), minute(DAY, 6, destination="wh_2", org="org_2"), minute(HOUR, 1)])
        span = Span.asked(NOW, since=NOW - 2 * DAY, step=Step.HOUR)
        for _ in range(2):
            mine = await rig.statistics.over_time("org_2", span)
            assert list(mine.values()) == [{(Counted.ARRIVED, 5): 6}]
            assert await rig.statistics.over_time("org_2", span, "wh_1") == {}
            assert await rig.statistics.by_destination("org_2", span, ["wh_1", "org_1", "org_2"]) == {}
            assert set(await rig.statistics.totals("org_2", span)) == {"wh_2"}
            await rig.roll_up()

    @pytest.mark.parametrize("seed", range(4))
    async def test_folding_changes_no_answer(self, rig: StatisticsRig, seed: int) -> None:
        """Whatever a reader may ask: the same buckets and totals before, in the midst of it, and after."""
        await rig.write(history(seed))
        asked = spans(seed)

        async def answers() -> list[object]:
            found: list[object] = []
            for org in ORGS:
                for span in asked:
                    found.append(await rig.statistics.over_time(org, span))
                    found.append(await rig.statistics.over_time(org, span, f"{org}_wh_1"))
                    found.append(await rig.statistics.totals(org, span))
                    found.append(await rig.statistics.by_destination(org, span, [f"{org}_wh_0", f"{org}_wh_2"]))
            return found

        before = await answers()
        assert any(before)
        await rig.statistics.fold(Step.MINUTE, fold_before(Step.MINUTE, NOW))
        assert await answers() == before
        await rig.roll_up()
        assert await answers() == before
        await rig.roll_up()
        assert await answers() == before

    async def test_what_is_folded_is_kept_in_fewer_rows(self, rig: StatisticsRig) -> None:
        """An hour's sixty minutes are one row, and one of the organisation's."""
        end = fold_before(Step.MINUTE, NOW)
        young = [minute(NOW - end - timedelta(minutes=n)) for n in range(3)]
        await rig.write([minute(NOW - end + timedelta(minutes=n + 1), n + 1) for n in range(60)])
        await rig.write(young)
        await rig.roll_up()
        kept = set(await rig.rows())
        assert {row for row in kept if row.step == STEPS[0]} == set(young)
        sums = {(row.destination_id, row.step, row.at, row.count) for row in kept if row.step != STEPS[0]}
        assert sums == {(id_, STEPS[1], end - HOUR, 1830) for id_ in ("wh_1", "org_1")}

    async def test_what_comes_late_is_added_to_what_was_folded(self, rig: StatisticsRig) -> None:
        """A worker whose clock is behind, or who was held up."""
        span = Span.asked(NOW, since=NOW - 2 * DAY, step=Step.HOUR)
        await rig.write([minute(DAY, 4)])
        await rig.roll_up()
        await rig.write([minute(DAY, 3)])
        for _ in range(2):
            assert list((await rig.statistics.over_time("org_1", span)).values()) == [{(Counted.ARRIVED, 5): 7}]
            assert await rig.statistics.totals("org_1", span) == {"wh_1": {Counted.ARRIVED: 7}}
            await rig.roll_up()

    async def test_nothing_is_lost_or_counted_twice_while_workers_count(self, rig: StatisticsRig) -> None:
        """Two schedulers and two workers at once, upon the same rows."""
        span = Span.asked(NOW, since=NOW - 3 * DAY, step=Step.DAY)
        ago = [DAY + timedelta(minutes=n % 5) for n in range(60)]

        async def work() -> None:
            for one in ago:
                await rig.write([minute(one)])

        await asyncio.gather(work(), rig.roll_up(), work(), rig.roll_up())
        await rig.roll_up()
        assert await rig.statistics.totals("org_1", span) == {"wh_1": {Counted.ARRIVED: 120}}
        found = await rig.statistics.over_time("org_1", span)
        assert sum(sum(counts.values()) for counts in found.values()) == 120

    async def test_days_are_forgotten_and_not_folded(self, rig: StatisticsRig) -> None:
        """After 400 of them; the rest stays."""
        await rig.write([minute(401 * DAY), minute(399 * DAY)])
        await rig.roll_up()
        forgotten = 0
        while count := await rig.statistics.forget(fold_before(Step.DAY, NOW)):
            forgotten += count
        assert forgotten == 2
        assert {row.at for row in await rig.rows()} == {start_of(NOW - 399 * DAY, STEPS[2])}
        with pytest.raises(ValueError, match="days"):
            await rig.statistics.fold(Step.DAY, NOW)
