"""Reach the provider of a plan or a subscription, and put its refusals into words for whoever asked."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeVar

import attrs

from application.connections.access import opened, standing_in
from application.connections.connect import ProviderUnavailable
from application.ports.payments import PaymentProvider, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.recurring import Plans, Subscriptions
from application.ports.store import StaleWrite, Store
from application.ports.vault import Vault
from domain.billing.subscriptions import RenewedBy, Subscription
from domain.connections.abilities import NOT_SUPPORTED, Ability, By, NotOffered, require
from domain.connections.connection import Connection, ConnectionState
from domain.connections.provider import Provider
from domain.money import Money
from domain.refusals import Conflict, Invalid

T = TypeVar("T")

_TRIES = 5


class OtherAccount(Conflict):
    """The connection leads to another account of the provider's, or from live to test, than the subscription is in."""


@attrs.frozen
class AtProvider:
    """One account at a payment provider, ready to be asked."""

    connection: Connection
    account: str
    access: Mapping[str, str] = attrs.field(repr=False)
    payments: PaymentProvider
    manifest: Provider

    def who(self, ability: Ability, *, field: str | None = None) -> By:
        """Who does it here. Raises NotOffered, saying why, when nobody does."""
        return require(self.manifest.name, self.manifest.abilities, ability, field=field)

    def support(self, ability: Ability) -> By:
        """Who does it here, NOBODY included."""
        return self.manifest.abilities.get(ability, NOT_SUPPORTED).by

    def by_provider(self, ability: Ability) -> bool:
        """Whether the provider does it by itself."""
        return self.support(ability) is By.PROVIDER

    @property
    def plans(self) -> Plans:
        """Raises NotOffered."""
        if not isinstance(self.payments, Plans):
            raise NotOffered(f"{self.manifest.name} keeps no plans.")
        return self.payments

    @property
    def subscriptions(self) -> Subscriptions:
        """Raises NotOffered."""
        if not isinstance(self.payments, Subscriptions):
            raise NotOffered(f"{self.manifest.name} renews no subscriptions.")
        return self.payments


@attrs.define
class Reach:
    """Opens a connection's account."""

    _store: Store
    _vault: Vault
    _providers: Providers

    async def __call__(self, connection: Connection) -> AtProvider:
        """Raises NotFound for a provider that takes no payments, and ProviderUnavailable."""
        payments = self._providers.payments(connection.provider)
        access = opened(self._vault, connection)
        manifest = self._providers.manifest(connection.provider)
        account = connection.account_reference
        if account is None:
            with asking(manifest.name):
                account = (await payments.account(access)).reference
        return AtProvider(connection, account, access, payments, manifest)

    async def of(self, subscription: Subscription) -> AtProvider:
        """The account that the subscription is in. Raises Conflict when no connection leads there any more, OtherAccount."""
        async with self._store.reading(subscription.organisation_id) as work:
            connection = await standing_in(work, subscription.connection_id)
        if connection.state is ConnectionState.DISCONNECTED:
            raise Conflict(f"The connection to {connection.provider} was disconnected; connect the same account again.")
        if not connection.connected:
            raise Conflict(f"The connection to {connection.provider} is switched off.")
        at = await self(connection)
        if at.account != subscription.account:
            raise OtherAccount(
                f"The connection now leads to another account of {at.manifest.name}, or from its live to its test mode;"
                " the subscription is in the one before. Connect that one again."
            )
        return at


@contextmanager
def asking(name: str, what: str = "it") -> Iterator[None]:
    """Around a call: a refusal becomes Conflict, no answer ProviderUnavailable. `what`: that may be missing there."""
    try:
        yield
    except ProviderRefused as refused:
        if refused.missing:
            raise Conflict(
                f"{name} does not know {what} any more: it was deleted there. ({refused.reason})"
            ) from refused
        raise Conflict(f"{name} refused: {refused.reason}") from refused
    except ReconnectNeeded as problem:
        raise ProviderUnavailable(f"{name} no longer accepts the key: connect again.") from problem
    except RetryLater as problem:
        raise ProviderUnavailable(f"{name} could not be asked; try again.") from problem


def usable_credit(at: AtProvider, credit: int, due: Money) -> int:
    """How much of a credit is taken off what is due, in its minor units: as much as leaves either nothing or what the
    provider can charge; the rest waits for the bill after."""
    credit = min(credit, max(due.amount, 0))
    if credit == due.amount:
        return credit
    while credit:
        try:
            at.payments.check_amount(Money(due.amount - credit, due.currency))
        except Invalid:
            credit //= 2
        else:
            break
    return credit


def lock_of(subscription: Subscription) -> str:
    """The lease under which a subscription is changed or brought in line."""
    if subscription.renewed_by is RenewedBy.HUB or subscription.reference is None:
        return f"subscription:{subscription.id}"
    return lock_at(subscription.organisation_id, subscription.provider, subscription.reference)


def lock_at(organisation_id: str, provider: str, reference: str) -> str:
    """The same for one that a provider has."""
    return f"subscription:{organisation_id}:{provider}:{reference}"


async def afresh(do: Callable[[], Awaitable[T]]) -> T:
    """Do it, and again from reading on where somebody else wrote at this moment. Raises StaleWrite when that goes on."""
    for _ in range(_TRIES - 1):
        with suppress(StaleWrite):
            return await do()
    return await do()
