"""The payouts of FakePayments."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from application.ports.payments import ProviderRefused
from application.ports.payouts import PayoutOrder, Payouts, PayoutStanding, ProviderPayout
from domain.connections.provider import Field
from domain.money import Money
from domain.refusals import Fault, Invalid

_T = TypeVar("_T")

BANKS = ("044", "058")


class FakePayouts(Payouts):
    """A part of FakePayments: pays out to a bank and an account number; an account of `0000` is refused.

    Tests use: `payouts`, `move_payout` (the bank's word), `pay_out_by_itself` (nobody asked for it), `payout_fee`,
    `tells_keys` (whether a payout says which key it was made with).
    """

    def __init__(self) -> None:
        self.payouts: dict[str, ProviderPayout] = {}
        self.payout_fee: int | None = None
        self.tells_keys = True
        self._payout_keys: dict[str, str] = {}

    # What a test tells it.

    def move_payout(self, reference: str, standing: PayoutStanding, failure: str | None = None) -> None:
        """A payout moves on."""
        changed = attrs.evolve(self.payouts[reference], standing=standing, raw_status=standing.value, failure=failure)
        self.payouts[reference] = changed
        self._tell(f"payout.{standing.value}", "payout", reference, None, {})

    def pay_out_by_itself(self, amount: Money) -> str:
        """The provider pays out on its own schedule."""
        made = self._pay_out(amount, None)
        self._tell("payout.created", "payout", made.reference, None, {})
        return made.reference

    # The port.

    @property
    def destination_fields(self) -> tuple[Field, ...]:
        """A bank and an account."""
        return (Field("bank", "Bank", choices=BANKS), Field("account", "Account number"))

    def check_payout(self, order: PayoutOrder) -> None:
        """Account numbers are digits, amounts 1 to 9,999,999 minor units."""
        faults = []
        if not order.destination.get("account", "").isdigit():
            faults.append(Fault("destination.account", "An account number has digits only."))
        if order.amount.amount <= 0:
            faults.append(Fault("amount", "A payout is more than nothing."))
        if order.amount.amount > 9_999_999:
            faults.append(Fault("amount", f"{order.amount} is more than can be paid out."))
        if faults:
            raise Invalid(*faults)

    async def create_payout(self, access: Mapping[str, str], order: PayoutOrder, *, key: str) -> ProviderPayout:
        """Sent, and not there yet."""

        def work() -> ProviderPayout:
            if order.destination["account"] == "0000":
                raise ProviderRefused("There is no such account.", code="account")
            return self._pay_out(order.amount, key)

        asked = (order.amount, tuple(order.destination.items()), order.description)
        return self._do("create_payout", access, work, key, *asked)

    async def fetch_payout(self, access: Mapping[str, str], reference: str) -> ProviderPayout:
        """As it is now."""
        return self._do("fetch_payout", access, lambda: self._payout(reference))

    async def find_payout(self, access: Mapping[str, str], key: str) -> ProviderPayout | None:
        """By our key."""

        def work() -> ProviderPayout | None:
            reference = self._payout_keys.get(key)
            return self.payouts[reference] if reference is not None else None

        return self._do("find_payout", access, work)

    def _pay_out(self, amount: Money, key: str | None) -> ProviderPayout:
        reference = self._id("payout")
        fee = None if self.payout_fee is None else Money(self.payout_fee, amount.currency)
        kept = key if self.tells_keys else None
        made = ProviderPayout(reference, PayoutStanding.PENDING, "pending", amount, fee, None, None, kept)
        self.payouts[reference] = made
        if key is not None:
            self._payout_keys[key] = reference
        return made

    def _payout(self, reference: str) -> ProviderPayout:
        if reference not in self.payouts:
            raise ProviderRefused(f"There is no {reference!r}.", code="missing", missing=True) from KeyError(reference)
        return self.payouts[reference]

    # What FakePayments gives.

    @abstractmethod
    def _do(self, name: str, access: Mapping[str, str], work: Callable[[], _T], key: str = "", *asked: object) -> _T:
        """Do it, once for a key."""

    @abstractmethod
    def _id(self, kind: str) -> str:
        """A new id."""

    @abstractmethod
    def _tell(self, kind: str, about: str, reference: str, intent: str | None, metadata: Mapping[str, Any]) -> None:
        """A webhook."""
