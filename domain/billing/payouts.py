"""Money sent out of a provider's balance."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum

import attrs

from domain.connections.provider import Field
from domain.money import Money
from domain.refusals import Conflict, Fault, Invalid

MAX_DESCRIPTION = 500
_MAX_VALUE = 255
"""Characters of one field of a destination."""

_SHOWN = 4
"""Of a destination's field, so many characters at its end are shown; the field's other characters are not kept in clear."""

_LOOKS = (timedelta(minutes=5), timedelta(hours=1))
"""After which time a payout without an answer is looked up for the first and the second time; from then on daily."""


class PayoutDeclined(Conflict):
    """The provider refused to pay out; nothing was sent."""


class PayoutState(Enum):
    """Where a payout stands."""

    REQUESTED = "requested"
    """Written down, and the provider is being asked."""
    UNKNOWN = "unknown"
    """Asked, without an answer: it may have happened. It is looked up, never asked again without its key."""
    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"


@attrs.frozen
class Payout:
    """Money on its way out. Its id is the idempotency key at the provider; `reference` its id there, once known.

    receiver: who gets it, shortened for people (`Access Bank ·· 0031`). sealed_destination: all of it, sealed about
    `payout/<id>`; None where it is the account's own bank account, or was made at the provider.
    """

    id: str
    organisation_id: str
    connection_id: str
    provider: str
    amount: Money
    created_at: datetime
    updated_at: datetime
    receiver: str = ""
    sealed_destination: str | None = attrs.field(default=None, repr=False)
    description: str = ""
    state: PayoutState = PayoutState.REQUESTED
    reference: str | None = None
    fee: int = 0
    failure: str | None = None
    arrives_on: date | None = None
    asked_at: datetime | None = None
    checks: int = 0
    version: int = 1

    @property
    def waits(self) -> bool:
        """Whether it is not known yet what the provider made of it."""
        return self.state in (PayoutState.REQUESTED, PayoutState.UNKNOWN)

    def asked(self, now: datetime) -> "Payout":
        """The provider is about to be asked."""
        return attrs.evolve(self, asked_at=now, updated_at=now)

    def unknown(self, now: datetime) -> "Payout":
        """No answer came, or none was understood."""
        return attrs.evolve(self, state=PayoutState.UNKNOWN, updated_at=now)

    def looked(self, now: datetime) -> "Payout":
        """It was looked up, without a result."""
        return attrs.evolve(self, checks=self.checks + 1, updated_at=now)

    def due(self, now: datetime) -> bool:
        """Whether it is time to look it up: 5 minutes after it was asked for, an hour after that, then daily."""
        wait = _LOOKS[self.checks] if self.checks < len(_LOOKS) else timedelta(days=1)
        return self.waits and self.updated_at + wait <= now

    def refused(self, why: str, now: datetime) -> "Payout":
        """The provider did not take it."""
        return attrs.evolve(self, state=PayoutState.FAILED, failure=why[:500], updated_at=now)

    def told(
        self,
        *,
        reference: str,
        state: PayoutState | None,
        fee: int | None,
        failure: str | None,
        arrives_on: date | None,
        now: datetime,
    ) -> "Payout":
        """As it is at the provider now. state: None for one that this hub does not know; it stays what it was, or is on its
        way. The same again changes nothing."""
        known = PayoutState.PENDING if self.waits else self.state
        changed = attrs.evolve(
            self,
            reference=reference,
            state=state or known,
            fee=self.fee if fee is None else fee,
            failure=failure,
            arrives_on=arrives_on,
        )
        return self if changed == self else attrs.evolve(changed, updated_at=now)


def read_destination(fields: Sequence[Field], given: Mapping[str, str]) -> dict[str, str]:
    """A destination as the provider's fields ask for it. Raises Invalid naming every `destination.…` that is wrong."""
    known = {field.name for field in fields}
    none = "This provider pays out to the account's own bank account; a destination cannot be chosen."
    faults = [
        Fault(f"destination.{name}", "A destination has no such field." if known else none)
        for name in given
        if name not in known
    ]
    read: dict[str, str] = {}
    for field in fields:
        value = (given.get(field.name) or field.default or "").strip()
        why = _fault(field, value)
        if why is not None:
            faults.append(Fault(f"destination.{field.name}", why))
        elif value:
            read[field.name] = value
    if faults:
        raise Invalid(*faults)
    return read


def _fault(field: Field, value: str) -> str | None:
    if not value:
        return f"{field.label} is needed." if field.required else None
    if len(value) > _MAX_VALUE or not value.isprintable():
        return f"{field.label} has at most {_MAX_VALUE} printable characters."
    if field.choices and value not in field.choices:
        return f"{field.label} is one of {', '.join(field.choices)}."
    if field.prefixes and not value.startswith(field.prefixes):
        return f"{field.label} begins with {' or '.join(field.prefixes)}."
    return None


def shortened(fields: Sequence[Field], destination: Mapping[str, str]) -> str:
    """Who gets it, for people: what is secret or long is only its end (`044 ·· 0031`)."""
    shown = []
    for field in fields:
        value = destination.get(field.name, "")
        if value:
            shown.append(value if field.choices else f"·· {value[-_SHOWN:]}" if len(value) > _SHOWN else "··")
    return " ".join(shown)
