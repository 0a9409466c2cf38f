"""Why the hub says no: every rule that refuses a caller raises one of these, or a subclass declared beside the rule.

The HTTP layer maps each class to one status (entrypoints/api/errors.py); nothing else needs to know HTTP.
"""

import attrs


@attrs.frozen
class Fault:
    """One thing wrong with what was sent: where (a dotted path such as `lines.0.unit_price`) and why, for a person."""

    field: str
    reason: str


class Refusal(Exception):
    """The caller asked for something that cannot be; nothing was written and nothing was sent."""

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.faults: tuple[Fault, ...] = (Fault(field, reason),) if field else ()


class Invalid(Refusal):
    """What was sent breaks a rule; `faults` names each field."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.reason}" for fault in faults))
        self.faults = faults

    @classmethod
    def field(cls, field: str, reason: str) -> "Invalid":
        """Raised for a single field."""
        return cls(Fault(field, reason))


class NotFound(Refusal):
    """There is no such thing, or it belongs to someone else: the two look the same from outside."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"There is no {kind} '{key}' here.")
        self.kind = kind
        self.key = key


class Conflict(Refusal):
    """It exists, but its present state does not allow this."""


class Stale(Refusal):
    """Someone else changed it since it was read (If-Match named another version)."""


class Forbidden(Refusal):
    """The key or the person may not do this."""
