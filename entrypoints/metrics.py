"""What is counted. Labels are bounded: never an id, a URL or a customer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The hub's own metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "patchbay_http_requests_total", "Answered requests", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "patchbay_http_request_seconds", "Time to answer", ["method", "route"], registry=registry
        )
        self.deliveries_pending = Gauge(
            "patchbay_deliveries_pending", "Deliveries that wait for an attempt", registry=registry
        )
        self.oldest_due_seconds = Gauge(
            "patchbay_deliveries_oldest_due_seconds", "How long the oldest due delivery has waited", registry=registry
        )
        self.inbox = Gauge("patchbay_inbox", "Received webhooks by state", ["state"], registry=registry)
        self.tried = Counter(
            "patchbay_delivery_attempts_total", "Delivery attempts", ["kind", "verdict"], registry=registry
        )
        self.attempt_seconds = Histogram(
            "patchbay_delivery_attempt_seconds", "Time of a delivery attempt", ["kind"], registry=registry
        )
        self.handled = Counter(
            "patchbay_inbox_handled_total",
            "Providers' webhooks by what became of them",
            ["provider", "state"],
            registry=registry,
        )
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._tried: dict[tuple[str, str], Counter] = {}
        self._seconds: dict[str, Histogram] = {}
        self.jobs = Counter("patchbay_jobs_total", "Scheduled jobs run", ["job", "outcome"], registry=registry)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        kept = self._answered.get((method, route, status))
        if kept is None:
            counter, histogram = self.requests.labels(method, route, str(status)), self.request_seconds
            kept = self._answered[method, route, status] = (counter, histogram.labels(method, route))
        kept[0].inc()
        kept[1].observe(seconds)

    def observe_attempt(self, kind: str, verdict: str, seconds: float) -> None:
        """Count one attempt. Looking a metric's child up costs more than counting, so children are kept."""
        counter = self._tried.get((kind, verdict))
        if counter is None:
            counter = self._tried[kind, verdict] = self.tried.labels(kind, verdict)
            self._seconds.setdefault(kind, self.attempt_seconds.labels(kind))
        counter.inc()
        self._seconds[kind].observe(seconds)

    def observe_backlog(self, backlog: Mapping[str, Any], now: datetime) -> None:
        """Set the gauges that are read from the database."""
        self.deliveries_pending.set(backlog["deliveries_pending"])
        oldest: datetime | None = backlog["deliveries_oldest_due"]
        self.oldest_due_seconds.set(max((now - oldest).total_seconds(), 0) if oldest else 0)
        self.inbox.labels("pending").set(backlog["inbox_pending"])
        self.inbox.labels("failed").set(backlog["inbox_failed"])
