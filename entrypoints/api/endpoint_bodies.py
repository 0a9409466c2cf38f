"""What a caller can say about a webhook endpoint, and how it becomes settings: what is left out stays, null clears."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec

from application.notifications.endpoint_settings import EndpointSettings, GrantSettings
from application.notifications.previews import Sample
from application.ports.outgoing import ClientIdentity
from domain.notifications.endpoints import MAX_PATTERNS, EndpointMode
from domain.notifications.envelopes import Envelope
from domain.notifications.grants import TokenAuth
from domain.notifications.options import OptionSettings
from domain.notifications.signatures import SignatureStyle
from domain.refusals import Invalid

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2000, examples=["https://example.com/hooks"])]
Patterns = Annotated[
    list[str], msgspec.Meta(min_length=1, max_length=MAX_PATTERNS, examples=[["invoice.*", "payment.received"]])
]
TemplateText = Annotated[str, msgspec.Meta(examples=['{"text": "{{type}}: {{data.invoice.number}}"}'])]
FilterText = Annotated[str, msgspec.Meta(examples=['data.amount >= 10000 and data.currency in ["EUR", "USD"]'])]


class OAuthGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """OAuth 2.0 client credentials (RFC 6749, 4.4): the hub gets a token there and sends it along as `Bearer`.

    client_secret: may be left out of a change that keeps token_url and client_id.
    """

    token_url: Url
    client_id: str
    client_secret: str | None = None
    scope: str | None = None
    audience: str | None = None
    auth: TokenAuth = TokenAuth.BASIC


class IdentityGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A client certificate for receivers that ask for one (mutual TLS): PEM, the chain after it; its key, unencrypted."""

    certificate: Annotated[str, msgspec.Meta(max_length=65536)]
    key: Annotated[str, msgspec.Meta(max_length=65536)]


class ShapeGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is sent, and how it is signed (docs/shaping.md).

    template_name: a named template, which is copied; instead of envelope, template and template_type. filter: an
    expression; what it refuses is not sent. signature_header: for the stripe style.
    """

    envelope: Envelope | None = None
    template: TemplateText | None = None
    template_type: str | None = None
    template_name: str | None = None
    filter: FilterText | None = None
    signature: SignatureStyle | None = None
    signature_header: str | None = None


class EndpointCreated(ShapeGiven, forbid_unknown_fields=True, frozen=True):
    """A new webhook endpoint; only `url` is needed, or `mode: poll`.

    mode: `push`, or `poll` for a receiver that fetches. events: patterns; all of them if left out. retries: waits in
    seconds. retries_by_type: the same by pattern of event types. expires_after_s: how long an event is of use. fifo: one
    at a time, in order. rate_limit: attempts in rate_period_s seconds. headers: of your own; kept sealed.
    """

    url: Url | None = None
    mode: EndpointMode | None = None
    events: Patterns | None = None
    name: str | None = None
    headers: dict[str, str] | None = None
    timeout_s: int | None = None
    retries: Annotated[list[int], msgspec.Meta(examples=[[1, 5, 30, 300]])] | None = None
    retries_by_type: dict[str, list[int]] | None = None
    expires_after_s: int | None = None
    fifo: bool | None = None
    rate_limit: int | None = None
    rate_period_s: int | None = None
    oauth: OAuthGiven | None = None
    identity: IdentityGiven | None = None


class EndpointChanged(EndpointCreated, forbid_unknown_fields=True, frozen=True):
    """What to change, by the same names; what is left out stays, null is the usual again.

    active: true switches a paused or disabled endpoint on, false pauses it.
    """

    active: bool | None = None


class EventGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An event that never happened."""

    type: str
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class EndpointPreviewAsked(ShapeGiven, forbid_unknown_fields=True, frozen=True):
    """What to preview: a shape on an event. Give one of event, event_id (a past one) and event_type (the catalogue's sample).

    id: an endpoint whose settings and secrets count where nothing else is given.
    """

    id: str | None = None
    event: EventGiven | None = None
    event_id: str | None = None
    event_type: str | None = None

    @property
    def sample(self) -> Sample:
        """The event."""
        if self.event is None:
            return Sample(event_id=self.event_id, event_type=self.event_type)
        return Sample(self.event.type, self.event.data, self.event_id, self.event_type)


class PollAcknowledged(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What was handled: everything that was fetched up to a delivery, or these deliveries."""

    up_to: str | None = None
    delivery_ids: list[str] | None = None


class PollSought(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where to go back to: a delivery's id, or a moment (RFC 3339). What was acknowledged after it waits again."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=100, examples=["2026-11-21T13:39:24Z"])]

    @property
    def place(self) -> str | datetime:
        """The moment, if it is one. Raises Invalid for a moment without a zone."""
        if self.to.startswith("dlv_"):
            return self.to
        try:
            moment = datetime.fromisoformat(self.to)
        except ValueError as error:
            raise Invalid.field("to", "A delivery's id (dlv_…) or a moment such as 2026-11-21T13:39:24Z.") from error
        if moment.tzinfo is None:
            raise Invalid.field("to", "The moment needs a zone: Z or an offset such as +01:00.")
        return moment


def endpoint_settings(data: EndpointCreated, body: bytes) -> EndpointSettings:
    """What of the endpoint is to change. body: the request's, which says what was left out and what was null."""
    settings = dict(shape_settings(data, body))
    for name in _said(body) & _ENDPOINT_FIELDS:
        settings[name] = _plain(getattr(data, name))
    return cast("EndpointSettings", settings)


def shape_settings(data: ShapeGiven, body: bytes) -> OptionSettings:
    """What of the shape is to change."""
    return cast("OptionSettings", {name: getattr(data, name) for name in _said(body) & set(_SHAPE_FIELDS)})


_SHAPE_FIELDS = ShapeGiven.__struct_fields__
_ENDPOINT_FIELDS = set(EndpointCreated.__struct_fields__) - set(_SHAPE_FIELDS)


def _said(body: bytes) -> set[str]:
    """The names that stand in the body, which was read already."""
    return set(msgspec.json.decode(body, type=dict[str, msgspec.Raw])) if body else set()


def _plain(value: object) -> object:
    """As the application knows it."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, OAuthGiven):
        return GrantSettings(**msgspec.structs.asdict(value))
    if isinstance(value, IdentityGiven):
        return ClientIdentity(value.certificate, value.key)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value
