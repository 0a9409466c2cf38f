"""The providers as the payers and the banks see them: what can be done there, and what is true there.

What is true is read from the sandbox's own books, by other code than the adapter's.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import attrs
from litestar import Litestar, Router

from application.ports.payments import PaymentProvider
from domain.connections.provider import Provider
from domain.money import Currency, Money

URL = "http://sandbox.example"
ENOUGH = 10**9
"""Calls a second: they are not what is played here."""

Json = dict[str, Any]


class NotNow(Exception):
    """The page, the refund or the payment does not let anybody do that any more."""


@attrs.frozen
class Taken:
    """One payment as it is at the provider, in minor units as ISO 4217 has them."""

    currency: str
    captured: int
    refunded: int
    fee: int
    disputed: int


class Shop(Protocol):
    """A provider that is played."""

    provider: PaymentProvider
    manifest: Provider
    access: Mapping[str, str]
    secret: str
    currencies: tuple[str, ...]
    takes_any_amount: bool
    """Whether the payer can send another amount, or another currency, than the page asks for."""

    @abstractmethod
    def pay(self, reference: str, amount: Money) -> None:
        """The payer pays an open page, or agrees there. Raises NotNow."""

    @abstractmethod
    def decline(self, reference: str) -> None:
        """The payer tries in vain. Raises NotNow."""

    @abstractmethod
    def fail_refund(self, which: int) -> None:
        """The bank sends one of the refunds back. Raises NotNow."""

    @abstractmethod
    def dispute(self, which: int) -> None:
        """A payer's bank takes one of the payments back, or gives it up. Raises NotNow."""

    @abstractmethod
    def method(self, client: str) -> tuple[str, str | None]:
        """What charges a payer who is away, and their reference. Raises NotNow."""

    @abstractmethod
    def bodies(self) -> list[bytes]:
        """Every webhook so far, oldest first."""

    @abstractmethod
    def sign(self, body: bytes, now: datetime) -> Mapping[str, str]:
        """Its headers."""

    @abstractmethod
    def truth(self) -> dict[str, Taken]:
        """What was taken, by the payment's reference."""

    @abstractmethod
    async def close(self) -> None:
        """Let go."""


class _Standing:
    """Stands where a sandbox is served, so that one application serves the sandbox of each history."""

    def __init__(self) -> None:
        self.sandbox: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sandbox, name)


_SERVED: dict[str, tuple[_Standing, Litestar]] = {}


def served(slug: str, sandbox: Any, router: Callable[[Any], Router]) -> Litestar:
    """The application of a provider's sandbox, which serves this one from now on."""
    if slug not in _SERVED:
        standing = _Standing()
        _SERVED[slug] = standing, Litestar([router(standing)], openapi_config=None, logging_config=None)
    standing, app = _SERVED[slug]
    standing.sandbox = sandbox
    return app


def nth(things: list[Any], which: int) -> Any:
    """One of them. Raises NotNow if there are none."""
    if not things:
        raise NotNow("there is nothing")
    return things[which % len(things)]


def minor(value: object, code: str) -> int:
    """In minor units, half of one rounded up."""
    return int(Decimal(str(value)).scaleb(Currency(code).exponent) + Decimal("0.5"))
