"""A webhook endpoint: an address of the host application's that wants to be told, and its signing secrets."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.events import check_patterns, wanted
from domain.notifications.options import Options
from domain.notifications.schedule import LONGEST_GRACE
from domain.refusals import Conflict, Fault, Invalid

MAX_ENDPOINTS = 1_000
"""Per organisation; every event is matched against each of them."""

MAX_PATTERNS = 200

MAX_HEADERS = 20
_RESERVED = frozenset(
    "host content-length content-type transfer-encoding connection user-agent webhook-id webhook-timestamp"
    " webhook-signature webhook-key-id upgrade expect te trailer keep-alive proxy-authorization proxy-connection".split()
)
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class EndpointState(Enum):
    """Whether an endpoint is told."""

    ACTIVE = "active"
    PAUSED = "paused"
    """By a person."""
    DISABLED = "disabled"
    """By the hub: too many failures, or the receiver said it is gone."""


class EndpointMode(Enum):
    """Who calls whom."""

    PUSH = "push"
    """The hub calls the endpoint's address."""
    POLL = "poll"
    """The receiver fetches what waits for it: it is behind a firewall."""


@attrs.frozen
class SigningSecret:
    """One sealed `whsec_` secret. `expires_at` is set when a newer one has taken its place."""

    sealed: str
    created_at: datetime
    expires_at: datetime | None = None

    def live(self, now: datetime) -> bool:
        """Whether deliveries are still signed with it."""
        return self.expires_at is None or now < self.expires_at


@attrs.frozen
class Endpoint:
    """An address that receives signed events, or a box from which they are fetched (then `url` is empty).

    events: patterns (`*`, `invoice.*`, `invoice.paid`). secrets: newest first. headers: sent along, sealed, because they
    often carry a token. sealed_oauth, sealed_identity: OAuth 2.0 client credentials, and a client certificate with its
    key, for receivers that ask for them. timeout_s: seconds for one attempt.
    """

    id: str
    organisation_id: str
    url: str
    name: str
    events: tuple[str, ...]
    secrets: tuple[SigningSecret, ...]
    created_at: datetime
    updated_at: datetime
    state: EndpointState = EndpointState.ACTIVE
    reason: str | None = None
    sealed_headers: str | None = None
    timeout_s: int = 15
    mode: EndpointMode = EndpointMode.PUSH
    options: Options = Options()  # noqa: RUF009  # a frozen value
    sealed_oauth: str | None = None
    sealed_identity: str | None = None
    version: int = 1

    def __attrs_post_init__(self) -> None:
        check_patterns(self.events)
        if len(self.events) > MAX_PATTERNS:
            raise Invalid.field("events", f"At most {MAX_PATTERNS} patterns.")
        if not 1 <= self.timeout_s <= 30:
            raise Invalid.field("timeout_s", "An attempt may take from 1 to 30 seconds.")
        if len(self.name) > 200:
            raise Invalid.field("name", "A name has at most 200 characters.")

    @property
    def polled(self) -> bool:
        """Whether its receiver fetches what waits for it."""
        return self.mode is EndpointMode.POLL

    @property
    def active(self) -> bool:
        """Whether it is told."""
        return self.state is EndpointState.ACTIVE

    def wants(self, type_: str) -> bool:
        """Whether it is to be told of events of this type."""
        return self.active and wanted(self.events, type_)

    def signing(self, now: datetime) -> tuple[SigningSecret, ...]:
        """The secrets a delivery is signed with at this moment, newest first."""
        return tuple(secret for secret in self.secrets if secret.live(now))

    def rotate(self, sealed: str, now: datetime, grace: timedelta) -> "Endpoint":
        """Take a new secret; the older ones still sign until the grace is over (at most 7 days)."""
        if not timedelta() <= grace <= LONGEST_GRACE:
            raise Invalid.field("grace_seconds", "The grace period is from 0 seconds to 7 days (604800 seconds).")
        until = now + grace
        older = tuple(
            attrs.evolve(s, expires_at=until if s.expires_at is None else min(s.expires_at, until))
            for s in self.secrets
            if s.live(now)
        )
        return attrs.evolve(
            self, secrets=(SigningSecret(sealed, now), *(s for s in older if s.live(now))), updated_at=now
        )

    def disable(self, reason: str, now: datetime) -> "Endpoint":
        """Switch off by the hub's own decision."""
        return attrs.evolve(self, state=EndpointState.DISABLED, reason=reason, updated_at=now)

    def enable(self, now: datetime) -> "Endpoint":
        """Switch on again by a person's decision; its health starts anew (domain/notifications/health.py)."""
        return attrs.evolve(self, state=EndpointState.ACTIVE, reason=None, updated_at=now)

    def pause(self, now: datetime) -> "Endpoint":
        """Switch off by a person's decision."""
        return attrs.evolve(self, state=EndpointState.PAUSED, reason="paused by a person", updated_at=now)

    def require_active(self) -> None:
        """Raise Conflict unless it is told."""
        if not self.active:
            raise Conflict(f"The endpoint is {self.state.value} ({self.reason}). Switch it on first.")


def check_headers(headers: Mapping[str, str], *, field: str = "headers") -> Mapping[str, str]:
    """The custom headers, if none could break the request or forge what the hub itself says. Raises Invalid."""
    faults: list[Fault] = []
    if len(headers) > MAX_HEADERS:
        faults.append(Fault(field, f"At most {MAX_HEADERS} headers."))
    if len({name.lower() for name in headers}) < len(headers):
        faults.append(Fault(field, "A header stands there twice; upper and lower case are the same."))
    for name, value in headers.items():
        if not name or not set(name) <= _TOKEN or len(name) > 100:
            faults.append(Fault(f"{field}.{name[:40]}", "This is not a header name."))
        elif name.lower() in _RESERVED:
            faults.append(Fault(f"{field}.{name}", "The hub sets this header itself."))
        elif len(value) > 2000 or not value.isascii() or any(ord(c) < 32 or ord(c) == 127 for c in value):
            faults.append(Fault(f"{field}.{name}", "A value is at most 2000 printable ASCII characters."))
        elif value != value.strip():
            faults.append(Fault(f"{field}.{name}", "A value has no space at its ends."))  # RFC 9110, section 5.5
    if faults:
        raise Invalid(*faults)
    return headers
