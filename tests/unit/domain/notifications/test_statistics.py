"""Counts on a logarithmic scale: what is read is what happened, before and after it was folded."""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from domain.notifications.statistics import (
    ATTEMPTS,
    STEPS,
    Count,
    Counted,
    Figures,
    Quantiles,
    Step,
    bucket_of,
    fold_before,
    folded,
    middle_of,
    start_of,
    together,
)

NOW = datetime(2026, 5, 17, 10, 23, 45, tzinfo=UTC)


def test_a_buckets_middle_is_off_by_less_than_5_per_cent() -> None:
    """From a tenth of a millisecond to a month: that is what a reader is promised."""
    chance = random.Random(3)
    for _ in range(5000):
        duration = timedelta(microseconds=int(2 ** chance.uniform(6.7, 41)))
        assert abs(middle_of(bucket_of(duration)) / duration - 1) < 0.05


def test_no_duration_is_refused() -> None:
    """A clock that was set back makes a delivery end before it began."""
    assert bucket_of(timedelta()) == bucket_of(timedelta(seconds=-5)) == bucket_of(timedelta(microseconds=1)) == 0


@pytest.mark.parametrize("seed", range(10))
def test_percentiles_are_near_those_of_the_durations_themselves(seed: int) -> None:
    """By the nearest rank, off by less than 5 %."""
    chance = random.Random(seed)
    durations = sorted(timedelta(milliseconds=chance.lognormvariate(4, 1.5)) for _ in range(chance.randint(1, 900)))
    counts = Counter((chance.choice((Counted.ARRIVED, Counted.MISSED)), bucket_of(one)) for one in durations)
    counts[Counted.DELIVERED, bucket_of(timedelta(days=3))] += 5000
    found = Quantiles.of(counts, ATTEMPTS)
    assert found is not None
    for per_cent, told in ((50, found.p50), (95, found.p95), (99, found.p99)):
        true = durations[-(-len(durations) * per_cent // 100) - 1]
        assert abs(told / true - 1) < 0.05


def test_figures_count_and_share() -> None:
    """An attempt is no delivery: three attempts may be one."""
    counts = {
        (Counted.MISSED, 80): 2,
        (Counted.ARRIVED, 80): 1,
        (Counted.ARRIVED, 90): 1,
        (Counted.DELIVERED, 200): 2,
        (Counted.FAILED, 300): 1,
        (Counted.EXPIRED, 300): 1,
    }
    figures = Figures.of(counts)
    assert (figures.attempts, figures.arrived, figures.missed, figures.success_rate) == (4, 2, 2, 0.5)
    assert (figures.delivered, figures.failed, figures.expired, figures.delivery_rate) == (2, 1, 1, 0.5)
    assert figures.duration == Quantiles(middle_of(80), middle_of(90), middle_of(90))
    assert figures.time_to_end == Quantiles(middle_of(200), middle_of(300), middle_of(300))


def test_nothing_has_no_rate() -> None:
    """It is neither all nor none of nothing."""
    assert Figures.of({}) == Figures()
    assert (Figures().success_rate, Figures().delivery_rate, Figures().duration) == (None, None, None)


def test_steps_are_known_by_their_seconds() -> None:
    """What workers write and what readers ask for are the same buckets."""
    assert tuple(step.seconds for step in Step) == STEPS
    assert [step.coarser for step in Step] == [Step.HOUR, Step.DAY, None]


def test_a_bucket_is_folded_with_all_of_its_hour_or_day() -> None:
    """And only when its last moment is old enough."""
    assert fold_before(Step.MINUTE, NOW) == datetime(2026, 5, 17, 4, tzinfo=UTC)
    assert fold_before(Step.HOUR, NOW) == datetime(2026, 5, 3, tzinfo=UTC)
    assert fold_before(Step.DAY, NOW) == datetime(2025, 4, 12, tzinfo=UTC)


def history(seed: int) -> list[Count]:
    """Minutes of two organisations with some destinations each, over two days."""
    chance = random.Random(seed)
    found: Counter[tuple[str, str, datetime, Counted, int]] = Counter()
    for _ in range(400):
        organisation = chance.choice(("org_a", "org_b"))
        at = start_of(NOW - timedelta(minutes=chance.randint(0, 2880)), 60)
        key = (f"{organisation}_wh_{chance.randint(0, 3)}", organisation, at, chance.choice(list(Counted)))
        found[(*key, chance.randint(0, 12))] += chance.randint(1, 5)
    return [
        Count(destination, organisation, 60, at, outcome, bucket, count)
        for (destination, organisation, at, outcome, bucket), count in found.items()
    ]


def of(destination: str, counts: Iterable[Count]) -> Counter[tuple[Counted, int]]:
    """What one destination's rows say together."""
    return Counter(
        together({(one.outcome, one.bucket): one.count} for one in counts if one.destination_id == destination)
    )


@pytest.mark.parametrize("seed", range(20))
def test_folding_keeps_every_count(seed: int) -> None:
    """Minutes, hours and days say the same, of each destination and of its organisation."""
    minutes = history(seed)
    hours = folded(minutes, Step.HOUR)
    days = folded(hours, Step.DAY)
    for destination in {one.destination_id for one in minutes}:
        assert of(destination, minutes) == of(destination, hours) == of(destination, days)
    for organisation in ("org_a", "org_b"):
        whole = together({(m.outcome, m.bucket): m.count} for m in minutes if m.organisation_id == organisation)
        assert whole == of(organisation, hours) == of(organisation, days)
    for rows, step in ((hours, Step.HOUR), (days, Step.DAY)):
        keys = [(row.destination_id, row.at, row.outcome, row.bucket) for row in rows]
        assert len(set(keys)) == len(keys)
        assert all(row.step == step.seconds and row.at == start_of(row.at, step.seconds) for row in rows)


@pytest.mark.parametrize("seed", range(5))
def test_it_does_not_matter_in_how_many_parts_rows_are_folded(seed: int) -> None:
    """A batch ends anywhere: what it leaves is added by the next."""
    minutes = history(seed)
    cut = random.Random(seed).randint(1, len(minutes) - 1)
    parts = (*folded(minutes[:cut], Step.HOUR), *folded(minutes[cut:], Step.HOUR))
    for destination in {one.destination_id for one in parts}:
        assert of(destination, parts) == of(destination, folded(minutes, Step.HOUR))
