"""Statistics: how deliveries fared over time, and which destinations do worst. Plots are pictures made on the server."""

from collections.abc import Mapping
from datetime import timedelta

from litestar import Controller, Response, get

from application.notifications.statistics import ReadStatistics
from domain.notifications.statistics import Step
from entrypoints.api.statistics import plotted
from entrypoints.console.gathering import GONE, destinations
from entrypoints.console.pages import Page
from entrypoints.plots import deliveries_plot, shown

RANGES: Mapping[str, tuple[str, timedelta, Step]] = {
    "hour": ("Hour", timedelta(hours=1), Step.MINUTE),
    "day": ("Day", timedelta(days=1), Step.HOUR),
    "week": ("Week", timedelta(days=7), Step.HOUR),
    "90-days": ("90 days", timedelta(days=90), Step.DAY),
}
_USUAL = "day"
_WORST = 20


class StatisticsPages(Controller):
    """/console/statistics"""

    path = "/statistics"

    @get("/")
    async def show(self, page: Page, read_statistics: ReadStatistics) -> Response[str]:
        """Of everything, or of one destination; over the range that was chosen."""
        chosen, destination = _range(page), page.choice("destination")
        _, length, step = RANGES[chosen]
        since = page.reader.now - length
        found = await read_statistics(page.caller, destination_id=destination, since=since, step=step)
        worst = None
        if destination is None:
            worst = await read_statistics.destinations(page.caller, since=since, limit=_WORST)
        async with page.reading() as work:
            known = await destinations(work)
        return page(
            "statistics.html",
            ranges=RANGES,
            chosen=chosen,
            found=found,
            shown=shown,
            total=found.total,
            destination=destination,
            of=None if destination is None else known.get(destination, GONE),
            worst=worst and [(id_, known.get(id_, GONE), figures) for id_, figures in worst.listed],
            count=worst.count if worst else 0,
        )

    @get("/plot.svg")
    async def draw(self, page: Page, read_statistics: ReadStatistics) -> Response[str]:
        """The plot on a page."""
        destination = page.choice("destination")
        _, length, step = RANGES[_range(page)]
        since = page.reader.now - length
        found = await read_statistics(page.caller, destination_id=destination, since=since, step=step)
        return plotted(deliveries_plot(found, destination or "all destinations"))


def _range(page: Page) -> str:
    chosen = page.choice("range") or _USUAL
    return chosen if chosen in RANGES else _USUAL
