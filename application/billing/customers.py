"""Who a client is at a provider: found again rather than made twice."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta

import attrs

from application.connections.access import opened
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Leases
from application.ports.payers import Customers
from application.ports.payments import Intent, PaidWith, ProviderCustomer, ProviderEvent, ProviderRefused
from application.ports.providers import Providers
from application.ports.store import Store, Work
from application.ports.vault import Vault
from domain.billing.customers import CustomerAtProvider, SavedMethod
from domain.billing.invoices import Billed
from domain.connections.connection import Connection

_LOCK = timedelta(minutes=2)
_WAIT = timedelta(seconds=30)


@attrs.define
class EnsureCustomer:
    """The client's id at a connection's provider.

    A client has one customer in each account of a provider, and a customer belongs to one client: a live key and a test
    key are two accounts, and never see each other's customers.
    """

    _store: Store
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers

    async def __call__(self, organisation_id: str, connection: Connection, client: Billed) -> str | None:
        """Known, found there, or made there; None where the provider keeps no customers. Raises as the port does."""
        payments = self._providers.payments(connection.provider)
        if not isinstance(payments, Customers):
            return None
        access = opened(self._vault, connection)
        account = account_of(connection)
        lock = f"customer:{organisation_id}:{connection.provider}:{account}:{client.id}"
        async with self._leases.hold(lock, for_=_LOCK, wait=_WAIT):
            async with self._store.reading(organisation_id) as work:
                row = await known(work, connection.provider, account, client.id)
            if row is not None and row.gone_at is None and await self._is_there(payments, access, row):
                return row.reference
            there = await self._found(organisation_id, connection.provider, account, payments, access, client)
            if there is None:
                there = await payments.ensure_customer(
                    access,
                    our_reference=client.id,
                    email=client.email,
                    name=client.name,
                    key=_key(account, client, row),
                )
            return await self._keep(organisation_id, connection.provider, account, client, there)

    async def _is_there(self, payments: Customers, access: Mapping[str, str], row: CustomerAtProvider) -> bool:
        """Whether the customer we know still exists; someone may have deleted it in the provider's dashboard."""
        try:
            await payments.fetch_customer(access, row.reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return False
        return True

    async def _found(
        self,
        organisation_id: str,
        provider: str,
        account: str,
        payments: Customers,
        access: Mapping[str, str],
        client: Billed,
    ) -> ProviderCustomer | None:
        """One who is there already, unless it is another client's: two clients may share an address."""
        found = await payments.find_customer(access, our_reference=client.id, email=client.email)
        if found is None:
            return None
        async with self._store.reading(organisation_id) as work:
            taken = await work.customers_at_providers.all(provider=provider, account=account, reference=found.reference)
        return None if any(one.client_id != client.id for one in taken) else found

    async def _keep(
        self, organisation_id: str, provider: str, account: str, client: Billed, there: ProviderCustomer
    ) -> str:
        now = self._clock.now()
        async with self._store.of(organisation_id) as work:
            row = await known(work, provider, account, client.id)
            if row is not None:
                again = attrs.evolve(row, reference=there.reference, email=there.email, gone_at=None, updated_at=now)
                await work.customers_at_providers.save(again)
            else:
                id_ = self._ids.new("customer_at_provider")
                made = CustomerAtProvider(
                    id_, organisation_id, client.id, provider, account, there.reference, there.email, now, now
                )
                await work.customers_at_providers.add(made)
            await work.commit()
        return there.reference


def account_of(connection: Connection) -> str:
    """What customers and methods belong to: the account at the provider, which is another in its test mode. A connection
    made before accounts were kept stands for itself."""
    return connection.account_reference or connection.id


async def known(work: Work, provider: str, account: str, client_id: str) -> CustomerAtProvider | None:
    """What is kept of a client at one account of a provider, also when it was found to be gone there."""
    found = await work.customers_at_providers.all(provider=provider, account=account, client_id=client_id)
    return found[0] if found else None


def _key(account: str, client: Billed, gone: CustomerAtProvider | None) -> str:
    """The same for a repetition after a cut-off answer, another for other words or after the customer was deleted."""
    words = f"{account}|{client.id}|{client.email}|{client.name}|{gone.version if gone else 0}"
    return f"customer-{hashlib.sha256(words.encode()).hexdigest()}"


@attrs.define
class SyncCustomer:
    """A customer was changed or deleted at the provider."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _providers: Providers

    async def __call__(
        self, organisation_id: str, connection_id: str, reference: str, event: ProviderEvent
    ) -> bool | None:
        """Whether it is one of ours; None when nothing is to be done. Raises as the port does."""
        async with self._store.reading(organisation_id) as work:
            connection = await work.connections.get(connection_id)
            row = await _at(work, connection, reference)
        payments = self._providers.payments(connection.provider)
        if not isinstance(payments, Customers):
            return None
        if row is None:
            return False
        try:
            there = await payments.fetch_customer(opened(self._vault, connection), reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            there = None
        now = self._clock.now()
        async with self._store.of(organisation_id) as work:
            fresh = await _at(work, connection, reference)
            if fresh is None:
                return False  # a new one took its place meanwhile
            if there is None:
                changed = fresh if fresh.gone_at else attrs.evolve(fresh, gone_at=now, updated_at=now)
            else:
                changed = (
                    fresh if fresh.email == there.email else attrs.evolve(fresh, email=there.email, updated_at=now)
                )
            if changed is not fresh:
                await work.customers_at_providers.save(changed)
                await work.commit()
        return True


async def _at(work: Work, connection: Connection, reference: str) -> CustomerAtProvider | None:
    found = await work.customers_at_providers.all(provider=connection.provider, reference=reference)
    return next((one for one in found if one.account == account_of(connection)), None)


@attrs.define
class KeepMethod:
    """Keep the token by which a payer can be charged again, where the provider only hands it out once."""

    _clock: Clock
    _ids: Ids
    _vault: Vault

    async def __call__(self, work: Work, connection: Connection, client_id: str, intent: Intent, email: str) -> None:
        """Does nothing for an intent without `method_reference`, or with one that is kept already. The first that is kept
        for a client at an account becomes the one that is charged."""
        if intent.method_reference is None:
            return
        account = account_of(connection)
        mine = await work.saved_methods.all(client_id=client_id, provider=connection.provider, account=account)
        fingerprint = hashlib.sha256(intent.method_reference.encode()).hexdigest()
        if any(one.fingerprint == fingerprint for one in mine):
            return
        shown = intent.paid_with or PaidWith("", "")
        now = self._clock.now()
        id_ = self._ids.new("saved_method")
        await work.saved_methods.add(
            SavedMethod(
                id_,
                connection.organisation_id,
                client_id,
                connection.id,
                connection.provider,
                account,
                self._vault.seal(intent.method_reference, about=about_method(id_)),
                fingerprint,
                "card",
                shown.brand,
                shown.last4,
                email,
                now,
                now,
                shown.expires_on,
                is_default=not mine,
            )
        )


def about_method(id: str) -> str:
    """What a kept method's token is sealed about."""
    return f"method/{id}"
