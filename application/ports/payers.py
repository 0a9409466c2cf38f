"""Payers at a provider: who they are there, how they pay, and charging them again without them."""

from abc import abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import Protocol, runtime_checkable

import attrs

from application.ports.payments import Intent, ProviderCustomer
from domain.money import Money


class MethodKind(Enum):
    """What a payer pays with."""

    CARD = "card"
    BANK_ACCOUNT = "bank_account"
    MOBILE_MONEY = "mobile_money"
    WALLET = "wallet"
    OTHER = "other"


@attrs.frozen
class ProviderMethod:
    """A way to pay that the provider keeps for a payer. reference: its id there, or the token that charges it.

    brand: such as `visa` or `MTN`. last4: the end of its number. expires: `(year, month)`, of a card.
    """

    reference: str = attrs.field(repr=False)
    kind: MethodKind
    brand: str
    last4: str
    expires: tuple[int, int] | None
    is_default: bool


@runtime_checkable
class Customers(Protocol):
    """A provider that keeps its payers. All methods raise as PaymentProvider's do."""

    @abstractmethod
    async def find_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None
    ) -> ProviderCustomer | None:
        """The payer that carries our reference, else the only one with this address; None when there is none, or several."""

    @abstractmethod
    async def fetch_customer(self, access: Mapping[str, str], reference: str) -> ProviderCustomer:
        """The payer. Raises ProviderRefused with `missing` for one that is not there or was deleted."""

    @abstractmethod
    async def ensure_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None, name: str | None, key: str
    ) -> ProviderCustomer:
        """Create the payer, carrying our reference."""


@runtime_checkable
class PaymentMethods(Protocol):
    """A provider that lists how a payer can pay. All methods raise as PaymentProvider's do."""

    @abstractmethod
    async def methods_of(self, access: Mapping[str, str], customer_reference: str) -> tuple[ProviderMethod, ...]:
        """Every kept method of the payer, to the last page."""

    @abstractmethod
    async def set_default_method(self, access: Mapping[str, str], customer_reference: str, reference: str) -> None:
        """Have what is charged without the payer be charged to this method."""

    @abstractmethod
    async def detach_method(self, access: Mapping[str, str], customer_reference: str, reference: str) -> None:
        """Forget the method. Nothing happens when it is not there."""


@runtime_checkable
class OffSession(Protocol):
    """A provider that charges a kept method while its payer is away."""

    @abstractmethod
    async def charge(
        self,
        access: Mapping[str, str],
        amount: Money,
        *,
        method: str,
        customer_reference: str | None,
        customer_email: str | None,
        key: str,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> Intent:
        """Charge. A decline is an Intent that FAILED (with its `failure`) or ProviderRefused; no answer is RetryLater with
        `may_have_happened`, and `find_payment(key)` then tells. Raises as PaymentProvider's methods do."""
