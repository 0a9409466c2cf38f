"""Sending money out of a provider's balance: to one's own bank account, or to somebody else."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Protocol, runtime_checkable

import attrs

from domain.connections.provider import Field
from domain.money import Money


class PayoutStanding(Enum):
    """Where a payout stands at the provider."""

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"
    """A status this version of the hub has not heard of; `raw_status` has it."""


@attrs.frozen
class PayoutOrder:
    """amount: what the receiver gets. destination: the provider's `destination_fields`, filled in."""

    amount: Money
    destination: Mapping[str, str] = attrs.field(repr=False)
    description: str
    our_reference: str


@attrs.frozen
class ProviderPayout:
    """A payout at the provider. key: the idempotency key of ours that it was made with, where the provider kept it."""

    reference: str
    standing: PayoutStanding
    raw_status: str
    amount: Money
    fee: Money | None
    failure: str | None
    arrives_on: date | None
    key: str | None = None


@runtime_checkable
class Payouts(Protocol):
    """A provider that pays out. All methods raise as PaymentProvider's do."""

    @property
    @abstractmethod
    def destination_fields(self) -> tuple[Field, ...]:
        """What a destination consists of; none where it is always the account's own bank account."""

    @abstractmethod
    def check_payout(self, order: PayoutOrder) -> None:
        """Raise domain.refusals.Invalid naming every field that is wrong (`amount`, `destination.account_number`)."""

    @abstractmethod
    async def create_payout(self, access: Mapping[str, str], order: PayoutOrder, *, key: str) -> ProviderPayout:
        """Send it."""

    @abstractmethod
    async def fetch_payout(self, access: Mapping[str, str], reference: str) -> ProviderPayout:
        """The payout as it is now."""

    @abstractmethod
    async def find_payout(self, access: Mapping[str, str], key: str) -> ProviderPayout | None:
        """The payout that was asked for with this key of ours; None when the provider is sure that there is none. Raises
        RetryLater when it cannot tell yet."""
