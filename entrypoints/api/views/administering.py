"""What the API shows of API keys and of the audit trail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from application.organisations.keys import IssuedKey
from domain.audit import AuditEntry
from domain.organisations import ApiKey


class KeyView(msgspec.Struct, frozen=True):
    """An API key. `key` is there only when it was just made."""

    id: str
    name: str
    hint: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    key: str | None = None

    @classmethod
    def of(cls, key: ApiKey, text: str | None = None) -> "KeyView":
        return cls(
            key.id,
            key.name,
            f"…{key.hint}",
            sorted(scope.value for scope in key.scopes),
            key.created_at,
            key.expires_at,
            key.last_used_at,
            key.revoked_at,
            text,
        )

    @classmethod
    def of_issued(cls, issued: IssuedKey) -> "KeyView":
        return cls.of(issued.key, issued.text)


class AuditView(msgspec.Struct, frozen=True):
    """Who did what, when."""

    id: str
    actor: str
    action: str
    subject: str
    at: datetime
    detail: Mapping[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditView":
        return cls(entry.id, entry.actor, entry.action, entry.subject, entry.at, dict(entry.detail))
