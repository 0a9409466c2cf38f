"""Which time statistics are asked for: from when to when, and in buckets of what length."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Self

import attrs

from domain.notifications.statistics import Step, start_of
from domain.refusals import Invalid

_USUAL = {Step.MINUTE: timedelta(hours=1), Step.HOUR: timedelta(days=1), Step.DAY: timedelta(days=90)}
"""How far back a reader looks who says only the step."""

_READABLE = 200
"""More buckets than this are not chosen unasked: a plot would be a blur."""


@attrs.frozen
class Span:
    """From `since` on, before `until`: both are where a bucket begins. At most 401 buckets, as nothing older is kept."""

    since: datetime
    until: datetime
    step: Step

    @classmethod
    def asked(
        cls, now: datetime, *, since: datetime | None = None, until: datetime | None = None, step: Step | None = None
    ) -> Self:
        """What a reader asked for, widened to whole buckets; what is left out is chosen.

        until: now, if it is later or left out. since: a day back, or what is usual for the step. step: the finest that
        is still kept and gives no more than 200 buckets.

        Raises:
            Invalid: naming since, until or step.
        """
        for name, moment in (("since", since), ("until", until)):
            if moment is not None and moment.utcoffset() is None:
                raise Invalid.field(name, "A moment with its time zone, such as 2026-05-01T00:00:00Z.")
        until = now if until is None else min(until, now)
        if since is None:
            since = _before(until, _USUAL[step or Step.HOUR])
        if since >= until:
            raise Invalid.field("since", "It must be earlier than until, and not in the future.")
        if since < now - Step.DAY.kept:
            raise Invalid.field("since", f"Statistics are kept for {Step.DAY.kept.days} days.")
        if step is None:
            step = _fitting(now, since, until)
        elif since < now - step.kept:
            earliest = (now - step.kept).isoformat(timespec="seconds").replace("+00:00", "Z")
            assert step.coarser is not None, "days are kept as long as anything"
            raise Invalid.field(
                "step",
                f"By {step.value}, statistics go back to {earliest}: ask for step={step.coarser.value}, or a later since.",
            )
        return cls(start_of(since, step.seconds), _end_of(until, step), step)

    @property
    def starts(self) -> tuple[datetime, ...]:
        """Where each bucket begins, the oldest first."""
        return tuple(self._starts())

    def _starts(self) -> Iterator[datetime]:
        start = self.since
        while start < self.until:
            yield start
            start += self.step.length


def _fitting(now: datetime, since: datetime, until: datetime) -> Step:
    for step in (Step.MINUTE, Step.HOUR):
        if since >= now - step.kept and until - since <= step.length * _READABLE:
            return step
    return Step.DAY


def _before(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment - by
    except OverflowError as error:
        raise Invalid.field("until", "That is before the calendar begins.") from error


def _end_of(until: datetime, step: Step) -> datetime:
    start = start_of(until, step.seconds)
    return start if start == until else start + step.length
