"""What is counted of deliveries, and how durations are kept small: as counts on a logarithmic scale."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from math import ceil, log2
from typing import Self

import attrs

STEPS = (60, 3600, 86_400)
"""Seconds of a bucket of time. Minutes are folded into hours, and those into days, as they grow old."""

_PER_OCTAVE = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Counted(Enum):
    """What happened. An attempt's duration is the call's; a delivery's is the time from the event to its end."""

    ARRIVED = "arrived"
    MISSED = "missed"
    """An attempt that failed."""
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"


ATTEMPTS = frozenset((Counted.ARRIVED, Counted.MISSED))
ENDS = frozenset((Counted.DELIVERED, Counted.FAILED, Counted.EXPIRED))

Counts = Mapping[tuple[Counted, int], int]
"""How often each outcome was counted, by the bucket of its duration."""


@attrs.frozen
class Count:
    """So many of one outcome, of one destination, within one bucket of time and one of duration.

    An organisation's own row has its id as `destination_id`: the sum over its destinations, written as minutes are
    folded, so that its history need not be added up anew for every reader.
    """

    destination_id: str
    organisation_id: str
    step: int
    at: datetime
    outcome: Counted
    bucket: int
    count: int


def bucket_of(duration: timedelta) -> int:
    """The bucket of a duration: eight to a doubling, so that a bucket's middle is off by less than 5 % (from 0.1 ms on)."""
    microseconds = duration // timedelta(microseconds=1)
    return int(log2(microseconds) * _PER_OCTAVE) if microseconds > 1 else 0


def middle_of(bucket: int) -> timedelta:
    """A duration that stands for a bucket's: its geometric middle."""
    return timedelta(microseconds=2 ** ((bucket + 0.5) / _PER_OCTAVE))


def start_of(moment: datetime, step: int) -> datetime:
    """When the bucket of time began in which a moment lies. step: seconds."""
    whole = timedelta(seconds=step)
    return _EPOCH + (moment - _EPOCH) // whole * whole


class Step(Enum):
    """The buckets of time that a reader may ask for."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """How many a bucket has."""
        return STEPS[_ORDER.index(self)]

    @property
    def length(self) -> timedelta:
        """How long a bucket is."""
        return timedelta(seconds=self.seconds)

    @property
    def kept(self) -> timedelta:
        """How far back there are buckets of this length, at least. Older ones are folded into the next longer."""
        return _KEPT[self]

    @property
    def coarser(self) -> "Step | None":
        """What it is folded into; None for days, which are forgotten."""
        following = _ORDER.index(self) + 1
        return _ORDER[following] if following < len(_ORDER) else None


_ORDER = (Step.MINUTE, Step.HOUR, Step.DAY)
_KEPT = {Step.MINUTE: timedelta(hours=6), Step.HOUR: timedelta(days=14), Step.DAY: timedelta(days=400)}


def fold_before(step: Step, now: datetime) -> datetime:
    """Before which moment buckets of this step are folded, or for days forgotten.

    It is where a bucket of the coarser step begins: that one is then folded as a whole, and whoever reads from a moment
    within `kept` finds every bucket of this step that they ask for.
    """
    return start_of(now - step.kept, (step.coarser or step).seconds)


def folded(counts: Iterable[Count], into: Step) -> tuple[Count, ...]:
    """What rows of a finer step become, added up. Minutes also make their organisation's rows. The order is that of the
    rows' keys, so that two writers cannot wait for each other in a circle."""
    sums: Counter[tuple[str, datetime, str, int, str]] = Counter()
    for one in counts:
        at = start_of(one.at, into.seconds)
        sums[one.destination_id, at, one.outcome.value, one.bucket, one.organisation_id] += one.count
        if one.step == Step.MINUTE.seconds:
            sums[one.organisation_id, at, one.outcome.value, one.bucket, one.organisation_id] += one.count
    return tuple(
        Count(destination, organisation, into.seconds, at, Counted(outcome), bucket, count)
        for (destination, at, outcome, bucket, organisation), count in sorted(sums.items())
    )


@attrs.frozen
class Quantiles:
    """Durations that half, 95 % and 99 % of all did not exceed: each off by less than 5 % (see `bucket_of`)."""

    p50: timedelta
    p95: timedelta
    p99: timedelta

    @classmethod
    def of(cls, counts: Counts, outcomes: frozenset[Counted]) -> Self | None:
        """Of these outcomes together, by the nearest rank; None when there were none."""
        buckets: Counter[int] = Counter()
        for (outcome, bucket), count in counts.items():
            if outcome in outcomes:
                buckets[bucket] += count
        total = buckets.total()
        if not total:
            return None
        return cls(*(_ranked(buckets, ceil(total * per_cent / 100)) for per_cent in (50, 95, 99)))


@attrs.frozen
class Figures:
    """What a reader sees of one bucket of time, one destination, or a whole range.

    duration: of attempts. time_to_end: from the delivery's making to its end, whichever that was. A rate is a share of
    one, or None when there is nothing to share.
    """

    arrived: int = 0
    missed: int = 0
    delivered: int = 0
    failed: int = 0
    expired: int = 0
    duration: Quantiles | None = None
    time_to_end: Quantiles | None = None

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """From what was counted."""
        sums: Counter[Counted] = Counter()
        for (outcome, _), count in counts.items():
            sums[outcome] += count
        return cls(
            sums[Counted.ARRIVED],
            sums[Counted.MISSED],
            sums[Counted.DELIVERED],
            sums[Counted.FAILED],
            sums[Counted.EXPIRED],
            Quantiles.of(counts, ATTEMPTS),
            Quantiles.of(counts, ENDS),
        )

    @property
    def attempts(self) -> int:
        """Arrived or not."""
        return self.arrived + self.missed

    @property
    def success_rate(self) -> float | None:
        """The share of attempts that arrived."""
        return self.arrived / self.attempts if self.attempts else None

    @property
    def delivery_rate(self) -> float | None:
        """The share of deliveries that ended well, of those that ended."""
        ended = self.delivered + self.failed + self.expired
        return self.delivered / ended if ended else None


def together(parts: Iterable[Counts]) -> Counts:
    """Counts added up."""
    sums: Counter[tuple[Counted, int]] = Counter()
    for part in parts:
        sums.update(part)
    return sums


def _ranked(buckets: Mapping[int, int], rank: int) -> timedelta:
    passed, bucket = 0, 0
    for bucket in sorted(buckets):
        passed += buckets[bucket]
        if passed >= rank:
            break
    return middle_of(bucket)
