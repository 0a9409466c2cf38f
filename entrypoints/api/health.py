"""For whoever watches the hub: alive, ready, metrics."""

import hmac
from typing import Any

from litestar import Controller, MediaType, Request, Response, get
from litestar.di import NamedDependency
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from application.ports.clock import Clock
from application.ports.store import Store
from domain.organisations import Unauthenticated
from entrypoints.metrics import Metrics
from entrypoints.settings import Settings


class Health(Controller):
    """Not under /api: no key is needed, and nothing of an organisation is shown."""

    tags = ("Health",)

    @get("/livez", public=True, media_type=MediaType.TEXT, summary="Alive")
    async def livez(self) -> str:
        """The process answers."""
        return "ok"

    @get("/readyz", public=True, media_type=MediaType.TEXT, summary="Ready")
    async def readyz(self, store: NamedDependency[Store]) -> Response[str]:
        """The database answers too; 503 otherwise."""
        try:
            await store.ping()
        except Exception:  # noqa: BLE001  # whatever keeps the database from answering, the hub is not ready
            return Response("the database does not answer", status_code=503, media_type=MediaType.TEXT)
        return Response("ok", media_type=MediaType.TEXT)

    @get("/metrics", public=True, summary="Metrics for Prometheus", include_in_schema=True)
    async def metrics(
        self,
        request: Request[Any, Any, Any],
        store: NamedDependency[Store],
        clock: NamedDependency[Clock],
        settings: NamedDependency[Settings],
        metrics: NamedDependency[Metrics],
        registry: NamedDependency[CollectorRegistry],
    ) -> Response[bytes]:
        """Counts and times; no ids, nothing of an organisation. PATCHBAY_METRICS_TOKEN makes it ask for a token."""
        if settings.metrics_token is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), settings.metrics_token.encode()):
                raise Unauthenticated("This needs the metrics token.")
        metrics.observe_backlog(await store.backlog(), clock.now())
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
