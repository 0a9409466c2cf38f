"""Statistics of deliveries: numbers, and the same as a plot.

The plots are for pages and are not in the API's document: client generators know no SVG. docs/statistics.md has them.
"""

from datetime import datetime
from typing import Annotated, Literal

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from application.caller import Caller
from application.notifications.statistics import MOST_LISTED, ReadStatistics
from domain.notifications.statistics import Step
from domain.organisations import Scope
from entrypoints.api.views.statistics import DestinationsView, OverTimeView
from entrypoints.plots import HEADERS, MEDIA_TYPE, deliveries_plot

Since = Annotated[
    datetime | None,
    QueryParameter(
        name="since",
        required=False,
        description="From when on, with a time zone; widened to a whole bucket. By default a day before `until`.",
    ),
]
Until = Annotated[
    datetime | None,
    QueryParameter(name="until", required=False, description="Before when. By default, and at the latest, now."),
]
By = Annotated[
    Step | None,
    QueryParameter(
        name="step",
        required=False,
        description=(
            "The length of a bucket. There are minutes for 6 hours, hours for 14 days, days for 400. By default the"
            " finest that there is, with at most 200 buckets."
        ),
    ),
]
Of = Annotated[
    str | None,
    QueryParameter(name="destination_id", required=False, description="Of one destination only, also a removed one."),
]


class DeliveryStatistics(Controller):
    """Of the organisation: everything that was sent, whoever it was for."""

    path = "/api/statistics"
    tags = ("Statistics",)

    @get("/deliveries", scope=Scope.WEBHOOKS_READ, summary="Deliveries over time")
    async def read_statistics(
        self,
        caller: NamedDependency[Caller],
        read_statistics: NamedDependency[ReadStatistics],
        since: Since = None,
        until: Until = None,
        step: By = None,
        destination_id: Of = None,
    ) -> OverTimeView:
        """Counts, rates and percentiles of each bucket and of the whole range. Percentiles are off by less than 5 %."""
        return OverTimeView.of(
            await read_statistics(caller, destination_id=destination_id, since=since, until=until, step=step)
        )

    @get("/deliveries.svg", scope=Scope.WEBHOOKS_READ, include_in_schema=False)
    async def draw_statistics(
        self,
        caller: NamedDependency[Caller],
        read_statistics: NamedDependency[ReadStatistics],
        since: Since = None,
        until: Until = None,
        step: By = None,
        destination_id: Of = None,
    ) -> Response[str]:
        """Attempts as stacked bars, arrived and missed, with the 95th percentile of their duration. Light or dark."""
        found = await read_statistics(caller, destination_id=destination_id, since=since, until=until, step=step)
        return plotted(deliveries_plot(found, destination_id or "all destinations"))

    @get("/destinations", scope=Scope.WEBHOOKS_READ, summary="Destinations that do worst")
    async def list_destination_statistics(
        self,
        caller: NamedDependency[Caller],
        read_statistics: NamedDependency[ReadStatistics],
        since: Since = None,
        until: Until = None,
        order: Annotated[
            Literal["failures", "attempts"],
            QueryParameter(name="order", description="What the first one has the most of."),
        ] = "failures",
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=MOST_LISTED, description="How many at most.")] = 20,
    ) -> DestinationsView:
        """Each destination over the whole range. A failure is an attempt that missed, or a delivery that failed or expired."""
        found = await read_statistics.destinations(
            caller, since=since, until=until, by_attempts=order == "attempts", limit=limit
        )
        return DestinationsView.of(found)


class EndpointStatistics(Controller):
    """Of one webhook endpoint."""

    path = "/api/webhooks/{webhook_id:str}"
    tags = ("Webhooks",)

    @get("/statistics", scope=Scope.WEBHOOKS_READ, summary="An endpoint's deliveries over time")
    async def read_endpoint_statistics(
        self,
        caller: NamedDependency[Caller],
        read_statistics: NamedDependency[ReadStatistics],
        webhook_id: FromPath[str],
        since: Since = None,
        until: Until = None,
        step: By = None,
    ) -> OverTimeView:
        """Counts, rates and percentiles of each bucket and of the whole range. Percentiles are off by less than 5 %."""
        return OverTimeView.of(
            await read_statistics.of_endpoint(caller, webhook_id, since=since, until=until, step=step)
        )

    @get("/statistics.svg", scope=Scope.WEBHOOKS_READ, include_in_schema=False)
    async def draw_endpoint_statistics(
        self,
        caller: NamedDependency[Caller],
        read_statistics: NamedDependency[ReadStatistics],
        webhook_id: FromPath[str],
        since: Since = None,
        until: Until = None,
        step: By = None,
    ) -> Response[str]:
        """Attempts as stacked bars, arrived and missed, with the 95th percentile of their duration. Light or dark."""
        found = await read_statistics.of_endpoint(caller, webhook_id, since=since, until=until, step=step)
        return plotted(deliveries_plot(found, webhook_id))


def plotted(plot: str) -> Response[str]:
    """The plot as an answer."""
    return Response(plot, media_type=MEDIA_TYPE, headers=HEADERS)
