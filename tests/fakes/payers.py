"""The payers of FakePayments: its customers, the methods it keeps for them, and charging them while they are away."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from application.ports.payers import Customers, MethodKind, OffSession, PaymentMethods, ProviderMethod
from application.ports.payments import Intent, IntentState, ProviderCustomer, ProviderRefused
from domain.money import Money

_T = TypeVar("_T")


class FakePayers(Customers, PaymentMethods, OffSession):
    """A part of FakePayments.

    Tests use: `give_method` (a payer has a card), `forget_customer` (someone deletes a payer in the dashboard),
    `customers`, `methods` (by payer, oldest first).
    """

    intents: dict[str, Intent]

    def __init__(self) -> None:
        self.customers: dict[str, ProviderCustomer] = {}
        self.methods: dict[str, list[ProviderMethod]] = {}
        self._owners: dict[str, str] = {}
        self._declines: set[str] = set()
        self._reasons: dict[str, str] = {}

    # What a test tells it.

    def give_method(self, customer_reference: str, *, declines: bool = False, default: bool | None = None) -> str:
        """A payer has another card, the default one if it is the first. Returns its id; one that `declines` never pays."""
        mine = self.methods.setdefault(customer_reference, [])
        reference = self._id("method")
        is_default = not mine if default is None else default
        mine.append(ProviderMethod(reference, MethodKind.CARD, "visa", "4242", (2031, 9), is_default))
        if declines:
            self._declines.add(reference)
        return reference

    def refuse_method(self, reference: str, why: str = "The card was declined.") -> None:
        """A card, or the token of one, never pays again."""
        self._declines.add(reference)
        self._reasons[reference] = why

    def forget_customer(self, reference: str) -> None:
        """The payer is deleted at the provider, and all that is kept for them."""
        self.customers.pop(reference)
        self.methods.pop(reference, None)
        self._tell("customer.deleted", "customer", reference, None, {})

    # The port.

    async def find_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None
    ) -> ProviderCustomer | None:
        """By our reference, else the only one with the address."""

        def work() -> ProviderCustomer | None:
            owned = [one for one in self.customers.values() if self._owners.get(one.reference) == our_reference]
            if owned:
                return owned[0]
            alike = [one for one in self.customers.values() if email is not None and one.email == email]
            return alike[0] if len(alike) == 1 else None

        return self._do("find_customer", access, work)

    async def fetch_customer(self, access: Mapping[str, str], reference: str) -> ProviderCustomer:
        """As it is now."""
        return self._do("fetch_customer", access, lambda: self._customer(reference))

    async def ensure_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None, name: str | None, key: str
    ) -> ProviderCustomer:
        """A new payer."""

        def work() -> ProviderCustomer:
            customer = ProviderCustomer(self._id("payer"), email, name)
            self.customers[customer.reference] = customer
            self._owners[customer.reference] = our_reference
            return customer

        return self._do("ensure_customer", access, work, key, our_reference, email, name)

    async def methods_of(self, access: Mapping[str, str], customer_reference: str) -> tuple[ProviderMethod, ...]:
        """Oldest first."""

        def work() -> tuple[ProviderMethod, ...]:
            self._customer(customer_reference)
            return tuple(self.methods.get(customer_reference, ()))

        return self._do("methods_of", access, work)

    async def set_default_method(self, access: Mapping[str, str], customer_reference: str, reference: str) -> None:
        """One is the default, the others are not."""

        def work() -> None:
            self._method(customer_reference, reference)
            mine = self.methods[customer_reference]
            mine[:] = [attrs.evolve(one, is_default=one.reference == reference) for one in mine]

        self._do("set_default_method", access, work)

    async def detach_method(self, access: Mapping[str, str], customer_reference: str, reference: str) -> None:
        """It is gone."""

        def work() -> None:
            self._customer(customer_reference)
            mine = self.methods.get(customer_reference, [])
            mine[:] = [one for one in mine if one.reference != reference]

        self._do("detach_method", access, work)

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
        """Pays at once; a method that declines makes a payment that FAILED."""

        def work() -> Intent:
            self._chargeable(amount)
            handed_out = any(one.method_reference == method for one in self.intents.values())
            if customer_reference is not None and not handed_out:
                self._method(customer_reference, method)
            intent = self._begin(amount, metadata or {}, customer_reference)
            if method not in self._declines:
                return self._succeed(intent.reference)
            failed = self._change(
                intent.reference,
                state=IntentState.FAILED,
                raw_status="failed",
                failure=self._reasons.get(method, "The card was declined."),
            )
            self._tell("intent.failed", "intent", intent.reference, intent.reference, intent.metadata)
            return failed

        asked = (amount, method, customer_reference, description, tuple((metadata or {}).items()))
        return self._do("charge", access, work, key, *asked)

    def _customer(self, reference: str) -> ProviderCustomer:
        if reference not in self.customers:
            raise ProviderRefused(f"There is no {reference!r}.", code="missing", missing=True)
        return self.customers[reference]

    def _method(self, customer_reference: str, reference: str) -> ProviderMethod:
        self._customer(customer_reference)
        for one in self.methods.get(customer_reference, ()):
            if one.reference == reference:
                return one
        raise ProviderRefused(f"There is no method {reference!r}.", code="missing", missing=True)

    # What FakePayments does for all its parts.

    @abstractmethod
    def _do(
        self, name: str, access: Mapping[str, str], work: Callable[[], _T], key: str = "", *asked: object
    ) -> _T: ...

    @abstractmethod
    def _begin(self, amount: Money, metadata: Mapping[str, str], customer: str | None) -> Intent: ...

    @abstractmethod
    def _succeed(self, reference: str) -> Intent: ...

    @abstractmethod
    def _change(self, reference: str, **changes: Any) -> Intent: ...

    @abstractmethod
    def _chargeable(self, amount: Money) -> None: ...

    @abstractmethod
    def _tell(self, kind: str, about: str, reference: str, intent: str | None, metadata: Mapping[str, str]) -> None: ...

    @abstractmethod
    def _id(self, kind: str) -> str: ...
