"""The scheduler's jobs: when they ran, and running one now."""

import json
from datetime import UTC, datetime
from typing import Any

from litestar import Controller, Response, get, post

from application.ports.leases import Held
from application.ports.store import Store
from domain.refusals import NotFound
from entrypoints.console.pages import Notice, Page
from entrypoints.scheduler import Scheduler


class JobPages(Controller):
    """/console/jobs"""

    path = "/jobs"

    @get("/")
    async def show_all(self, page: Page) -> Response[str]:
        """Every job with its last run."""
        return await _show(page)

    @post("/{name:str}/run")
    async def run(self, page: Page, name: str) -> Response[str]:
        """Now, unless it is being done already."""
        scheduler = Scheduler(page.hub)
        if name not in scheduler.jobs:
            raise NotFound("job", name)
        try:
            counts = await scheduler.run(name)
        except Held:
            return await _show(page, notice=Notice("care", "The job is running already, here or on another node."))
        said = ", ".join(f"{count} {what}" for what, count in counts.items()) if await _alone(page) else ""
        return await _show(page, notice=Notice("good", f"{name} is done{f': {said}' if said else ''}."))


async def _show(page: Page, *, notice: Notice | None = None) -> Response[str]:
    store: Store = page.hub.resolve(Store)  # type: ignore[type-abstract]
    alone = await _alone(page)
    rows = []
    for job in Scheduler(page.hub).jobs.values():
        kept = await store.marked(f"job:{job.name}")
        rows.append((job, _last_run(kept, alone) if kept else None))
    return page("jobs.html", notice=notice, jobs=rows)


def _last_run(kept: str, alone: bool) -> dict[str, Any]:
    run = json.loads(kept)
    return {
        "at": datetime.fromisoformat(run["at"]),
        "next": datetime.fromtimestamp(run["next"], UTC),
        "counts": run["counts"] if alone else {},
    }


async def _alone(page: Page) -> bool:
    """Jobs count over all organisations: with several, what they counted is nobody's business."""
    store: Store = page.hub.resolve(Store)  # type: ignore[type-abstract]
    return len(await store.organisations()) == 1
