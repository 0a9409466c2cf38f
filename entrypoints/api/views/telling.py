"""What the API shows of events, endpoints, deliveries and notifications."""

from datetime import datetime
from typing import Any

import msgspec

from application.notifications.looking import Look
from application.notifications.polling import Fetched
from application.notifications.previews import SAMPLE_SECRET, Previewed
from application.notifications.try_out import TriedOut
from application.ports.message_channel import Preview
from domain.events import Event
from domain.notifications.attempts import Attempt
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import EndpointMode
from domain.notifications.envelopes import Envelope
from domain.notifications.grants import Grant, TokenAuth
from domain.notifications.health import Breaker
from domain.notifications.signatures import SignatureStyle

SET = "set"
"""Stands for a secret that is there."""

MOST_SHOWN = 256 * 1024


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
    """A webhook endpoint. `secret` (whsec_…) is there only when it was just made; other secrets are shown as "set".

    url: null for a polled one. consecutive_failures: deliveries in a row that failed for good. head: what all others wait
    for, if the order is kept.
    """

    id: str
    mode: EndpointMode
    url: str | None
    name: str
    events: tuple[str, ...]
    status: str
    reason: str | None
    active: bool
    timeout_s: int
    envelope: Envelope
    template: str | None
    template_type: str | None
    filter: str | None
    signature: SignatureStyle
    signature_header: str | None
    retries: tuple[int, ...] | None
    retries_by_type: dict[str, tuple[int, ...]]
    expires_after_s: int | None
    fifo: bool
    rate_limit: int | None
    rate_period_s: int | None
    consecutive_failures: int
    health: "HealthView"
    head: "HeadView | None"
    has_headers: bool
    headers: dict[str, str]
    oauth: "OAuthView | None"
    identity: "IdentityView | None"
    secrets: list["SecretView"]
    created_at: datetime
    updated_at: datetime
    version: int
    secret: str | None = None

    @classmethod
    def of(cls, look: Look, secret: str | None = None) -> "EndpointView":
        endpoint, options = look.endpoint, look.endpoint.options
        return cls(
            id=endpoint.id,
            mode=endpoint.mode,
            url=endpoint.url or None,
            name=endpoint.name,
            events=endpoint.events,
            status=endpoint.state.value,
            reason=endpoint.reason,
            active=endpoint.active,
            timeout_s=endpoint.timeout_s,
            envelope=options.shape.envelope,
            template=options.shape.template,
            template_type=options.shape.template_type,
            filter=options.filter,
            signature=options.signature,
            signature_header=options.signature_header,
            retries=options.retries,
            retries_by_type=dict(options.retries_by_type),
            expires_after_s=options.expires_after_s,
            fifo=options.fifo,
            rate_limit=options.rate.limit if options.rate else None,
            rate_period_s=options.rate.per_s if options.rate else None,
            consecutive_failures=look.health.failures,
            health=HealthView.of(look),
            head=HeadView.of(look),
            has_headers=endpoint.sealed_headers is not None,
            headers=dict.fromkeys(look.headers, SET),
            oauth=OAuthView.of(look.grant) if look.grant else None,
            identity=IdentityView() if endpoint.sealed_identity is not None else None,
            secrets=[SecretView(s.created_at, s.expires_at) for s in endpoint.secrets],
            created_at=endpoint.created_at,
            updated_at=endpoint.updated_at,
            version=endpoint.version,
            secret=secret,
        )


class HealthView(msgspec.Struct, frozen=True):
    """How an endpoint fares. breaker: open while nothing is sent, half_open while one attempt at a time is.

    consecutive_failed_attempts: in a row. towards_off_percent: at 100 the hub switches the endpoint off.
    """

    breaker: Breaker
    paused_until: datetime | None
    consecutive_failures: int
    consecutive_failed_attempts: int
    failing_since: datetime | None
    towards_off_percent: int

    @classmethod
    def of(cls, look: Look) -> "HealthView":
        health = look.health
        return cls(
            look.breaker, look.paused_until, health.failures, health.strikes, health.failing_since, look.towards_off
        )


class HeadView(msgspec.Struct, frozen=True):
    """The delivery for which all others wait. next_attempt_at: null when it is about to be tried, or is under way."""

    delivery_id: str
    event_type: str
    waiting_since: datetime
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None

    @classmethod
    def of(cls, look: Look) -> "HeadView | None":
        head = look.head
        if head is None:
            return None
        return cls(head.id, head.event_type, head.created_at, head.attempts, look.head_due, head.last_error)


class OAuthView(msgspec.Struct, frozen=True):
    """OAuth 2.0 client credentials, without the secret."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None
    audience: str | None
    auth: TokenAuth

    @classmethod
    def of(cls, grant: Grant) -> "OAuthView":
        return cls(grant.token_url, grant.client_id, SET, grant.scope, grant.audience, grant.auth)


class IdentityView(msgspec.Struct, frozen=True):
    """A client certificate is there."""

    certificate: str = "set"
    key: str = "set"


class ClauseView(msgspec.Struct, frozen=True):
    """One comparison of a filter: as written, each path with the JSON that stands there, and what it came to."""

    text: str
    values: dict[str, str | None]
    holds: bool


class EndpointPreview(msgspec.Struct, frozen=True):
    """What would be sent. accepted: whether the filter lets it through; why: its comparisons.

    body: at most 256 KiB of it; size: bytes of the whole. missing: paths of the template that lead nowhere. sample_secret:
    the secret that signed it if the endpoint has none of its own yet.
    """

    accepted: bool
    why: list[ClauseView]
    body: str
    size: int
    media_type: str
    headers: dict[str, str]
    missing: tuple[str, ...]
    sample_secret: str | None
    event_id: str
    event_type: str

    @classmethod
    def of(cls, previewed: Previewed) -> "EndpointPreview":
        shown = previewed.preview
        return cls(
            shown.accepted,
            [ClauseView(clause.text, dict(clause.values), clause.holds) for clause in shown.why],
            shown.body[:MOST_SHOWN],
            shown.size,
            shown.media_type,
            dict(previewed.headers),
            shown.missing,
            SAMPLE_SECRET if previewed.sample_secret else None,
            previewed.event_id,
            previewed.event_type,
        )


class TemplateView(msgspec.Struct, frozen=True):
    """A named template: give its name as template_name, or copy it and change it."""

    name: str
    description: str
    source: str
    envelope: Envelope
    template: str | None
    template_type: str | None


class PolledView(msgspec.Struct, frozen=True):
    """A delivery that was fetched: headers and body as they would have been sent. fetched: how often it was."""

    id: str
    message_id: str
    event_id: str
    event_type: str
    created_at: datetime
    expires_at: datetime | None
    fetched: int
    headers: dict[str, str]
    body: str

    @classmethod
    def of(cls, fetched: Fetched) -> "PolledView":
        delivery = fetched.delivery
        return cls(
            delivery.id,
            delivery.message_id,
            delivery.event_id,
            delivery.event_type,
            delivery.created_at,
            delivery.expires_at,
            delivery.attempts,
            dict(fetched.headers),
            fetched.body.decode(),
        )


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
