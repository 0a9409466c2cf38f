"""The scheduler: APScheduler says when; the job, a use case, says what. One node at a time, by a lease."""

import json
from collections.abc import Mapping
from datetime import timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from application.ports.clock import Clock
from application.ports.leases import Held, Leases
from application.ports.store import Store
from application.upkeep.jobs import Job
from entrypoints.wiring import JOBS, Hub

_LEASE = timedelta(minutes=30)
_FIRST_LOOK = timedelta(seconds=5)
_LOOK_EVERY = timedelta(minutes=1)


class UnknownJob(Exception):
    """There is no job of this name."""


class Scheduler:
    """Looks every minute which jobs are due and runs them; a job that was missed runs once when the hub is back."""

    def __init__(self, hub: Hub) -> None:
        self._store: Store = hub.resolve(Store)  # type: ignore[type-abstract]
        self._leases: Leases = hub.resolve(Leases)  # type: ignore[type-abstract]
        self._clock: Clock = hub.resolve(Clock)  # type: ignore[type-abstract]
        self.jobs: Mapping[str, Job] = {job.name: job for job in (hub.resolve(kind) for kind in JOBS)}
        self._metrics = hub.metrics
        self._log = structlog.get_logger("scheduler")
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.add_job(
            self.run_due,
            IntervalTrigger(
                seconds=int(_LOOK_EVERY.total_seconds()), start_date=self._clock.now() + _FIRST_LOOK, timezone="UTC"
            ),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self._scheduler.start()

    def stop(self) -> None:
        """Begin nothing more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def run_due(self) -> None:
        """Run every job whose time has come."""
        for job in self.jobs.values():
            last = await self._store.marked(_mark(job.name))
            due = json.loads(last)["next"] if last else 0
            if self._clock.now().timestamp() >= due:
                await self._guarded(job)

    async def run(self, name: str) -> Mapping[str, int]:
        """Run one job now, by hand. Raises UnknownJob, or Held while it runs elsewhere."""
        if name not in self.jobs:
            raise UnknownJob(f"There is no job '{name}'; there are: {', '.join(self.jobs)}.")
        return await self._run(self.jobs[name])

    async def _guarded(self, job: Job) -> None:
        try:
            await self._run(job)
        except Held:
            return
        except Exception:  # noqa: BLE001  # one job must not keep the others from running
            self._log.exception("a job failed", job=job.name)
            self._metrics.jobs.labels(job.name, "failed").inc()

    async def _run(self, job: Job) -> Mapping[str, int]:
        async with self._leases.hold(f"job:{job.name}", for_=_LEASE):
            counts = await job()
            at = self._clock.now()
            done = {"at": at.isoformat(), "next": (at + job.every).timestamp(), "counts": dict(counts)}
            await self._store.mark(_mark(job.name), json.dumps(done))
        self._metrics.jobs.labels(job.name, "done").inc()
        self._log.info("job done", job=job.name, **counts)
        return counts


def _mark(name: str) -> str:
    return f"job:{name}"
