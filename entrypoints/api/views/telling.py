"""What the API shows of events, endpoints, deliveries and notifications."""

from datetime import datetime
from typing import Any

import msgspec

from application.notifications.endpoints import Issued
from application.notifications.try_out import TriedOut
from application.ports.message_channel import Preview
from domain.events import Event
from domain.notifications.attempts import Attempt
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import Endpoint


class EventView(msgspec.Struct, frozen=True):
    """An event."""

    id: str
    type: str
    data: dict[str, Any]
    occurred_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, event: Event) -> "EventView":
        return cls(event.id, event.type, dict(event.data), event.occurred_at, event.created_at)


class EndpointView(msgspec.Struct, frozen=True):
    """A webhook endpoint. `secret` (whsec_…) is there only when it was just made."""

    id: str
    url: str
    name: str
    events: tuple[str, ...]
    status: str
    reason: str | None
    active: bool
    timeout_s: int
    consecutive_failures: int
    has_headers: bool
    secrets: list["SecretView"]
    created_at: datetime
    updated_at: datetime
    version: int
    secret: str | None = None

    @classmethod
    def of(cls, endpoint: Endpoint, secret: str | None = None) -> "EndpointView":
        return cls(
            endpoint.id,
            endpoint.url,
            endpoint.name,
            endpoint.events,
            endpoint.state.value,
            endpoint.reason,
            endpoint.active,
            endpoint.timeout_s,
            endpoint.failures,
            endpoint.sealed_headers is not None,
            [SecretView(s.created_at, s.expires_at) for s in endpoint.secrets],
            endpoint.created_at,
            endpoint.updated_at,
            endpoint.version,
            secret,
        )

    @classmethod
    def of_issued(cls, issued: Issued) -> "EndpointView":
        return cls.of(issued.endpoint, issued.secret)


class SecretView(msgspec.Struct, frozen=True):
    """One signing secret's life; never the secret."""

    created_at: datetime
    expires_at: datetime | None


class AttemptView(msgspec.Struct, frozen=True):
    """One attempt: what was sent and what came back, bodies up to 16 KiB."""

    number: int
    at: datetime
    verdict: str
    status: int | None
    error: str | None
    duration_ms: float
    request_headers: dict[str, str]
    request_body: str
    response_headers: dict[str, str]
    response_body: str
    retry_after_s: int | None

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptView":
        outcome = attempt.outcome
        return cls(
            attempt.number,
            attempt.at,
            outcome.verdict.value,
            outcome.status,
            outcome.error,
            round(outcome.duration.total_seconds() * 1000, 3),
            dict(outcome.request_headers),
            outcome.request_body,
            dict(outcome.headers),
            outcome.body,
            int(outcome.retry_after.total_seconds()) if outcome.retry_after is not None else None,
        )


class DeliveryView(msgspec.Struct, frozen=True):
    """A delivery. `due_at` is when the next attempt is due, while it is pending."""

    id: str
    event_id: str
    event_type: str
    kind: str
    destination_id: str
    message_id: str
    status: str
    attempts: int
    created_at: datetime
    due_at: datetime | None
    finished_at: datetime | None
    last_error: str | None
    last_status: int | None
    replay_of: str | None

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryView":
        return cls(
            delivery.id,
            delivery.event_id,
            delivery.event_type,
            delivery.kind.value,
            delivery.destination_id,
            delivery.message_id,
            delivery.state.value,
            delivery.attempts,
            delivery.created_at,
            None if delivery.finished_at else delivery.due_at,
            delivery.finished_at,
            delivery.last_error,
            delivery.last_status,
            delivery.replay_of,
        )


class DeliveryDetail(msgspec.Struct, frozen=True):
    """A delivery with its attempts and its event."""

    delivery: DeliveryView
    event: EventView
    attempts: list[AttemptView]


class TestView(msgspec.Struct, frozen=True):
    """A test send, as it ended."""

    delivered: bool
    delivery: DeliveryView
    attempt: AttemptView

    @classmethod
    def of(cls, tried: TriedOut) -> "TestView":
        return cls(
            tried.delivery.state.value == "delivered", DeliveryView.of(tried.delivery), AttemptView.of(tried.attempt)
        )


class NotificationView(msgspec.Struct, frozen=True):
    """A notification configuration."""

    id: str
    name: str
    platform: str
    connection_id: str
    events: tuple[str, ...]
    target: dict[str, Any]
    is_active: bool
    reason: str | None
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, notification: Notification) -> "NotificationView":
        return cls(
            notification.id,
            notification.name,
            notification.platform,
            notification.connection_id,
            notification.events,
            dict(notification.target),
            notification.is_active,
            notification.reason,
            notification.created_at,
            notification.updated_at,
            notification.version,
        )


class MeterView(msgspec.Struct, frozen=True):
    """How much of one of the channel's limits the message uses."""

    name: str
    used: int
    limit: int


class PreviewView(msgspec.Struct, frozen=True):
    """How a channel would put it."""

    platform: str
    payload: dict[str, Any]
    meters: list[MeterView]
    shortened: tuple[str, ...]

    @classmethod
    def of(cls, platform: str, preview: Preview) -> "PreviewView":
        meters = [MeterView(m.name, m.used, m.limit) for m in preview.meters]
        return cls(platform, dict(preview.payload), meters, preview.shortened)
