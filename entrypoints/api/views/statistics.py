"""What the API shows of statistics."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec

from application.notifications.statistics import Destinations, OverTime
from domain.notifications.statistics import Figures, Quantiles

_Rate = Annotated[float | None, msgspec.Meta(description="A share of one; null when there is nothing to share.")]


class QuantilesView(msgspec.Struct, frozen=True):
    """Milliseconds that 50, 95 and 99 % did not exceed. Each is off by less than 5 %."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, quantiles: Quantiles | None) -> "QuantilesView | None":
        if quantiles is None:
            return None
        return cls(_ms(quantiles.p50), _ms(quantiles.p95), _ms(quantiles.p99))


class FiguresView(msgspec.Struct, frozen=True):
    """Attempts and how they went; deliveries and how they ended.

    `duration_ms` is of attempts, `time_to_end_ms` from the making of a delivery to its end; null when there were none.
    """

    attempts: int
    arrived: int
    missed: int
    success_rate: _Rate
    delivered: int
    failed: int
    expired: int
    delivery_rate: _Rate
    duration_ms: QuantilesView | None
    time_to_end_ms: QuantilesView | None

    @classmethod
    def of(cls, figures: Figures) -> "FiguresView":
        return cls(
            figures.attempts,
            figures.arrived,
            figures.missed,
            figures.success_rate,
            figures.delivered,
            figures.failed,
            figures.expired,
            figures.delivery_rate,
            QuantilesView.of(figures.duration),
            QuantilesView.of(figures.time_to_end),
        )


class BucketView(msgspec.Struct, frozen=True):
    """What happened from `at` on, for one step. The last one may still be going on."""

    at: datetime
    figures: FiguresView


class OverTimeView(msgspec.Struct, frozen=True):
    """A range in buckets, the oldest first, also those in which nothing happened; `total` is the whole range."""

    since: datetime
    until: datetime
    step: Literal["minute", "hour", "day"]
    total: FiguresView
    buckets: list[BucketView]

    @classmethod
    def of(cls, found: OverTime) -> "OverTimeView":
        span = found.span
        return cls(
            span.since,
            span.until,
            span.step.value,
            FiguresView.of(found.total),
            [BucketView(at, FiguresView.of(figures)) for at, figures in found.buckets],
        )


class DestinationView(msgspec.Struct, frozen=True):
    """One destination over the whole range: an endpoint, a notification, or a connection that mails to clients."""

    destination_id: str
    figures: FiguresView


class DestinationsView(msgspec.Struct, frozen=True):
    """The first destinations in the order asked for; `count` is how many there are in all."""

    since: datetime
    until: datetime
    count: int
    items: list[DestinationView]

    @classmethod
    def of(cls, found: Destinations) -> "DestinationsView":
        items = [DestinationView(id_, FiguresView.of(figures)) for id_, figures in found.listed]
        return cls(found.span.since, found.span.until, found.count, items)


def _ms(duration: timedelta) -> float:
    """To three figures: no more is known."""
    return float(f"{duration / timedelta(milliseconds=1):.3g}")
