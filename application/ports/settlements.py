"""What a provider says moved in its books: the other side of a reconciliation."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol, runtime_checkable

import attrs

from domain.money import Money


class Movement(Enum):
    """What moved."""

    PAYMENT = "payment"
    REFUND = "refund"
    PAYOUT = "payout"
    DISPUTE = "dispute"
    FEE = "fee"
    OTHER = "other"


@attrs.frozen
class Settled:
    """One line of the provider's books. reference: the payment's, refund's or payout's id there, as in our records.

    amount: gross, above zero whichever way it went. fee: what the provider kept of it. intent_reference: the payment that
    a refund or dispute is of. metadata: ours, where the list carries it.
    """

    movement: Movement
    reference: str
    amount: Money
    fee: Money | None
    at: datetime
    done: bool
    """False while it is pending there, or when it failed."""
    intent_reference: str | None = None
    unreadable: str | None = None
    """The amount in the provider's words, where the hub cannot keep it exactly (1000.5 UGX); `amount` is then near it."""
    metadata: Mapping[str, str] = attrs.field(factory=dict)


@runtime_checkable
class Settlements(Protocol):
    """A provider that lists what moved."""

    @property
    @abstractmethod
    def settled_after(self) -> timedelta:
        """How long something may take to be listed (PayPal: 3 hours)."""

    @abstractmethod
    def settled_between(self, access: Mapping[str, str], since: datetime, until: datetime) -> AsyncIterator[Settled]:
        """What moved at or after `since` and before `until`, to the last page, in any order; a page at a time, so that a
        hundred thousand take little memory. Raises as PaymentProvider's methods do."""
