"""What people, keys and the hub itself did, kept for whoever asks later. Never a secret."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs


@attrs.frozen
class AuditEntry:
    """One thing done. actor: `key:<name>`, `user:<e-mail>` or `hub`. action: `invoice.sent`. subject: an id."""

    id: str
    organisation_id: str
    actor: str
    action: str
    subject: str
    at: datetime
    detail: Mapping[str, Any] = attrs.field(factory=dict)
