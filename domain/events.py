"""An event: something that happened, told to whoever asked to be told."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from domain.refusals import Invalid

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
MAX_NAME = 100


def check_event_type(type_: str, *, field: str = "type") -> str:
    """The type, if it is dotted lower-case words (`invoice.paid`), at most 100 characters. Raises Invalid.

    The form is that of Standard Webhooks (standard-webhooks.md, "event types"), with at least two words.
    """
    if len(type_) > MAX_NAME or not _NAME.fullmatch(type_):
        raise Invalid.field(
            field, f"'{type_[:120]}' is not an event type: dotted lower-case words such as invoice.paid."
        )
    return type_


@attrs.frozen
class Event:
    """Something that happened in one organisation. `data` is what a receiver gets; it never holds a secret.

    occurred_at: when it happened. created_at: when the hub learned of it.
    """

    id: str
    organisation_id: str
    type: str = attrs.field(validator=lambda _, __, value: check_event_type(value) and None)
    data: Mapping[str, Any]
    occurred_at: datetime
    created_at: datetime

    @property
    def body(self) -> dict[str, Any]:
        """What is signed and sent: `type`, `timestamp` and `data` as Standard Webhooks recommends, and our id."""
        return {
            "id": self.id,
            "type": self.type,
            "timestamp": self.occurred_at.isoformat().replace("+00:00", "Z"),
            "data": dict(self.data),
        }


def wanted(patterns: tuple[str, ...], type_: str) -> bool:
    """Whether a list of subscriptions covers the type: `*` is everything, `invoice.*` a family, else the very name."""
    return any(p == "*" or p == type_ or (p.endswith(".*") and type_.startswith(p[:-1])) for p in patterns)


def check_patterns(patterns: tuple[str, ...], *, field: str = "events") -> tuple[str, ...]:
    """The patterns, if each is `*`, a family such as `invoice.*`, or an event type. Raises Invalid."""
    if not patterns:
        raise Invalid.field(field, "Name at least one event type, or * for all.")
    for index, pattern in enumerate(patterns):
        if pattern != "*":
            check_event_type(
                pattern.removesuffix(".*") + ".x" if pattern.endswith(".*") else pattern, field=f"{field}.{index}"
            )
    return patterns
