"""The job that keeps statistics small."""

from collections.abc import Mapping
from datetime import timedelta

import attrs

from application.ports.clock import Clock
from application.ports.statistics import Statistics
from application.upkeep.jobs import Job
from domain.notifications.statistics import Step, fold_before


@attrs.define
class RollUpStatistics(Job):
    """Minutes become hours, hours become days, and days are forgotten, each when its time has come."""

    _statistics: Statistics
    _clock: Clock
    name = "statistics"
    every = timedelta(minutes=30)
    what = "Folds the statistics of minutes into hours after 6 hours, those into days after 14, and forgets days after 400."

    async def __call__(self) -> Mapping[str, int]:
        now = self._clock.now()
        counts = {"minutes": 0, "hours": 0, "days": 0}
        for step, name in ((Step.MINUTE, "minutes"), (Step.HOUR, "hours")):
            while folded := await self._statistics.fold(step, fold_before(step, now)):
                counts[name] += folded
        while forgotten := await self._statistics.forget(fold_before(Step.DAY, now)):
            counts["days"] += forgotten
        return counts
