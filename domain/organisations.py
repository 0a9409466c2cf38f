"""Who owns things: organisations, the keys their applications use, the people who sign in."""

import hashlib
import hmac
from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.refusals import Forbidden, Invalid, Refusal

KEY_PREFIX = "pb_"


class Scope(Enum):
    """What an API key may do. `write` does not include `read`."""

    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    INTEGRATIONS_READ = "integrations:read"
    INTEGRATIONS_WRITE = "integrations:write"
    BILLING_READ = "billing:read"
    BILLING_WRITE = "billing:write"
    RECORDS_READ = "records:read"
    RECORDS_WRITE = "records:write"
    ADMIN_READ = "admin:read"
    ADMIN_WRITE = "admin:write"


ALL_SCOPES = frozenset(Scope)


class Unauthenticated(Refusal):
    """No key, an unknown key, an expired or revoked key."""


@attrs.frozen
class Organisation:
    """A tenant: everything else belongs to exactly one."""

    id: str
    name: str
    created_at: datetime
    notices_to: str | None = None
    """Where the hub mails its own notices (a disabled endpoint), if anywhere."""


@attrs.frozen
class ApiKey:
    """A key of an application's. Only its hash is kept: SHA-256 suffices for a secret of 256 random bits.

    `name` tells people which application it is; `hint` shows its last four characters.
    """

    id: str
    organisation_id: str
    name: str
    hash: str
    hint: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    version: int = 1

    @classmethod
    def issue(
        cls,
        *,
        id: str,
        secret: str,
        organisation_id: str,
        name: str,
        scopes: frozenset[Scope],
        now: datetime,
        expires_at: datetime | None = None,
    ) -> tuple["ApiKey", str]:
        """A new key and the text to show once: `pb_` + the id without its prefix + `_` + the secret."""
        if not name.strip() or len(name) > 200:
            raise Invalid.field(
                "name", "Give the key a name of 1 to 200 characters that tells which application uses it."
            )
        if not scopes:
            raise Invalid.field("scopes", "Give the key at least one scope.")
        if expires_at is not None and expires_at <= now:
            raise Invalid.field("expires_at", "The key would already have expired.")
        text = f"{KEY_PREFIX}{id.partition('_')[2]}_{secret}"
        key = cls(id, organisation_id, name.strip(), cls.hash_of(text), text[-4:], scopes, now, expires_at)
        return key, text

    @staticmethod
    def hash_of(text: str) -> str:
        """What is kept of a key's text."""
        return hashlib.sha256(text.encode()).hexdigest()

    def admit(self, text: str, now: datetime) -> None:
        """Raise Unauthenticated unless this text is the key and the key is still good."""
        if not hmac.compare_digest(self.hash, self.hash_of(text)):
            raise Unauthenticated("This API key is not known.")
        if self.revoked_at is not None:
            raise Unauthenticated("This API key was revoked.")
        if self.expires_at is not None and self.expires_at <= now:
            raise Unauthenticated(f"This API key expired on {self.expires_at:%Y-%m-%d %H:%M} UTC.")

    def require(self, scope: Scope) -> None:
        """Raise Forbidden unless the key has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"This API key lacks the scope '{scope.value}'.")

    def used(self, now: datetime) -> "ApiKey | None":
        """The key with its last use noted; None while the last note is younger than a minute, which is precise enough."""
        if self.last_used_at is not None and now - self.last_used_at < timedelta(minutes=1):
            return None
        return attrs.evolve(self, last_used_at=now)

    def revoke(self, now: datetime) -> "ApiKey":
        """The key, no longer good."""
        return self if self.revoked_at else attrs.evolve(self, revoked_at=now)


class Role(Enum):
    """What a person may do in the console."""

    OWNER = "owner"
    VIEWER = "viewer"


@attrs.frozen
class User:
    """A person who signs in to the console. `password_hash` is Argon2id's own text form."""

    id: str
    organisation_id: str
    email: str
    password_hash: str
    role: Role
    created_at: datetime
    version: int = 1


SESSION_LIFE = timedelta(hours=12)


@attrs.frozen
class Session:
    """A signed-in browser. `id` is the SHA-256 of the cookie's token; `csrf` is expected in every form."""

    id: str
    organisation_id: str
    user_id: str
    csrf: str
    created_at: datetime
    expires_at: datetime

    @staticmethod
    def id_of(token: str) -> str:
        """What is kept of a cookie's token."""
        return hashlib.sha256(token.encode()).hexdigest()

    def live(self, now: datetime) -> bool:
        """Whether the browser is still signed in."""
        return now < self.expires_at
