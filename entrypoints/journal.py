"""The workers' journal: a line in the log and a count in the metrics for each attempt and each handled webhook."""

from typing import final

import structlog

from application.ports.journal import Journal
from domain.inbox import Received
from domain.notifications.attempts import Attempt, Verdict
from domain.notifications.deliveries import Delivery
from entrypoints.metrics import Metrics


@final
class LoggedJournal(Journal):
    """Writes to structlog and to the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger("worker")

    def tried(self, delivery: Delivery, attempt: Attempt) -> None:
        outcome = attempt.outcome
        self._metrics.observe_attempt(delivery.kind.value, outcome.verdict.value, outcome.duration.total_seconds())
        if outcome.verdict is Verdict.DELIVERED and attempt.number == 1:
            return  # the usual: it is counted, and shown in the console; a line each would cost more than the delivery
        self._log.info(
            "delivery tried",
            delivery_id=delivery.id,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            kind=delivery.kind.value,
            attempt=attempt.number,
            verdict=outcome.verdict.value,
            status=outcome.status,
            state=delivery.state.value,
            ms=round(outcome.duration.total_seconds() * 1000, 1),
        )

    def handled(self, received: Received) -> None:
        self._metrics.handled.labels(received.provider, received.state.value).inc()
        self._log.info(
            "webhook handled",
            inbox_id=received.id,
            provider=received.provider,
            type=received.type,
            external_id=received.external_id,
            state=received.state.value,
            tries=received.tries,
        )

    def troubled(self, doing: str, error: Exception) -> None:
        self._log.error("worker troubled", doing=doing, error=type(error).__name__, exc_info=error)
