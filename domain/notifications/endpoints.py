"""A webhook endpoint: an address of the host application's that wants to be told, and its signing secrets."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.events import check_patterns, wanted
from domain.refusals import Conflict, Fault, Invalid

FAILURES_UNTIL_DISABLED = 10
"""Deliveries that failed for good in a row before the endpoint is switched off."""

LONGEST_GRACE = timedelta(days=7)
MAX_HEADERS = 20
_RESERVED = frozenset(
    "host content-length content-type transfer-encoding connection user-agent webhook-id webhook-timestamp"
    " webhook-signature upgrade expect te trailer keep-alive".split()
)
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class EndpointState(Enum):
    """Whether an endpoint is told."""

    ACTIVE = "active"
    PAUSED = "paused"
    """By a person."""
    DISABLED = "disabled"
    """By the hub: too many failures, or the receiver said it is gone."""


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
    """An address that receives signed events.

    events: patterns (`*`, `invoice.*`, `invoice.paid`). secrets: newest first. headers: sent along, sealed, because they
    often carry a token. timeout_s: seconds for one attempt. failures: deliveries in a row that failed for good.
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
    failures: int = 0
    version: int = 1

    def __attrs_post_init__(self) -> None:
        check_patterns(self.events)
        if not 1 <= self.timeout_s <= 30:
            raise Invalid.field("timeout_s", "An attempt may take from 1 to 30 seconds.")
        if len(self.name) > 200:
            raise Invalid.field("name", "A name has at most 200 characters.")

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

    def delivered(self) -> "Endpoint":
        """A delivery arrived: the count of failures starts again."""
        return attrs.evolve(self, failures=0) if self.failures else self

    def failed_for_good(self, now: datetime) -> tuple["Endpoint", bool]:
        """A delivery was given up. Returns the endpoint and whether this was one too many and switched it off."""
        failures = self.failures + 1
        if failures < FAILURES_UNTIL_DISABLED or not self.active:
            return attrs.evolve(self, failures=failures), False
        return self.disable(f"{failures} deliveries in a row failed for good", now, failures), True

    def disable(self, reason: str, now: datetime, failures: int | None = None) -> "Endpoint":
        """Switch off by the hub's own decision."""
        return attrs.evolve(
            self,
            state=EndpointState.DISABLED,
            reason=reason,
            failures=self.failures if failures is None else failures,
            updated_at=now,
        )

    def enable(self, now: datetime) -> "Endpoint":
        """Switch on again by a person's decision; the count of failures starts again."""
        return attrs.evolve(self, state=EndpointState.ACTIVE, reason=None, failures=0, updated_at=now)

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
