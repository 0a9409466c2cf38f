"""How a client can be charged again: what providers keep for them, and the tokens that the hub keeps itself, side by side."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import attrs

from application.billing.customers import about_method, account_of, known
from application.caller import Caller
from application.connections.access import opened
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.payers import PaymentMethods
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import Store, Work
from application.ports.vault import Vault
from domain.billing.customers import CustomerAtProvider, SavedMethod
from domain.connections.abilities import By
from domain.connections.connection import Connection
from domain.refusals import Conflict, NotFound

_T = TypeVar("_T")


@attrs.frozen
class KeptMethod:
    """One way to charge a client. id: of a method that the provider keeps, `<connection>.<its id there>`.

    by: who keeps it. expires_on: `2027-09`, of a card.
    """

    id: str
    client_id: str
    connection_id: str
    provider: str
    kind: str
    brand: str
    last4: str
    expires_on: str | None
    is_default: bool
    by: By


@attrs.frozen
class NotAsked:
    """A provider that could not say which methods it keeps."""

    connection_id: str
    provider: str
    reason: str


@attrs.frozen
class Methods:
    """What is kept of a client, and who could not be asked."""

    methods: tuple[KeptMethod, ...]
    not_asked: tuple[NotAsked, ...] = ()


@attrs.frozen
class Chargeable:
    """What charges a client without them. reference: a secret. email: the one that the method was kept with."""

    reference: str = attrs.field(repr=False)
    customer_reference: str | None
    email: str | None
    label: str


@attrs.frozen
class _Place:
    """A provider's own list of one client's methods."""

    connection: Connection
    payments: PaymentMethods
    access: Mapping[str, str] = attrs.field(repr=False)
    customer: CustomerAtProvider

    async def methods(self) -> tuple[KeptMethod, ...]:
        """As port PaymentMethods has them. Raises as it does."""
        return tuple(
            KeptMethod(
                f"{self.connection.id}.{one.reference}",
                self.customer.client_id,
                self.connection.id,
                self.connection.provider,
                one.kind.value,
                one.brand,
                one.last4,
                f"{one.expires[0]:04d}-{one.expires[1]:02d}" if one.expires else None,
                one.is_default,
                By.PROVIDER,
            )
            for one in await self.payments.methods_of(self.access, self.customer.reference)
        )


@attrs.define
class ClientMethods:
    """List a client's methods, choose the one that is charged, and forget one."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _providers: Providers
    _tell: Tell

    async def all(self, caller: Caller, client_id: str) -> Methods:
        """Every method, of every connection. Raises NotFound for a client that is none."""
        async with self._store.reading(caller.organisation_id) as work:
            await _require_client(work, client_id)
            kept = [_ours(one) for one in await self._saved(work, client_id)]
            places = await self._places(work, client_id)
        not_asked: list[NotAsked] = []
        for place in places:
            try:
                kept.extend(await place.methods())
            except (ReconnectNeeded, RetryLater, ProviderRefused) as problem:
                if isinstance(problem, ProviderRefused) and problem.missing:
                    await self._gone(place)
                    continue
                why = str(problem) or "The provider no longer accepts the key: connect again."
                not_asked.append(NotAsked(place.connection.id, place.connection.provider, why))
        return Methods(tuple(kept), tuple(not_asked))

    async def chargeable(self, organisation_id: str, connection: Connection, client_id: str) -> Chargeable | None:
        """What to charge at this connection: the default, else the only one; None when there is none. Raises as the port
        does."""
        async with self._store.reading(organisation_id) as work:
            saved = [one for one in await self._saved(work, client_id) if one.account == account_of(connection)]
            place = await self._place(work, connection, client_id)
        chosen = next((one for one in saved if one.is_default), saved[0] if len(saved) == 1 else None)
        if chosen is not None:
            token = self._vault.open(chosen.sealed, about=about_method(chosen.id))
            customer = place.customer.reference if place is not None else None
            return Chargeable(token, customer, chosen.email, _label(chosen.kind, chosen.brand, chosen.last4))
        if place is None:
            return None
        there = await place.payments.methods_of(place.access, place.customer.reference)
        method = next((one for one in there if one.is_default), there[0] if len(there) == 1 else None)
        if method is None:
            return None
        label = _label(method.kind.value, method.brand, method.last4)
        return Chargeable(method.reference, place.customer.reference, place.customer.email, label)

    async def make_default(
        self, caller: Caller, client_id: str, method_id: str, *, once: Once | None = None
    ) -> KeptMethod:
        """Have what is charged without the client be charged to this one. Raises NotFound, Conflict, ProviderUnavailable."""
        found = await self._find(caller, client_id, method_id)
        if isinstance(found, SavedMethod):
            return await self._default_here(caller, found, once)
        place, method = found
        reference = method_id.partition(".")[2]
        await self._ask(
            place,
            lambda: place.payments.set_default_method(place.access, place.customer.reference, reference),
        )
        chosen = attrs.evolve(method, is_default=True)
        async with self._store.of(caller.organisation_id) as work:
            await self._tell.note(work, caller, "payment_method.made_default", client_id, method=method_id)
            await remember(work, once, chosen, self._clock.now())
            await work.commit()
        return chosen

    async def detach(self, caller: Caller, client_id: str, method_id: str) -> None:
        """Forget a method: it cannot be charged any more. Raises NotFound, Conflict, ProviderUnavailable."""
        found = await self._find(caller, client_id, method_id)
        if not isinstance(found, SavedMethod):
            place, _ = found
            reference = method_id.partition(".")[2]
            await self._ask(
                place,
                lambda: place.payments.detach_method(place.access, place.customer.reference, reference),
            )
        async with self._store.of(caller.organisation_id) as work:
            if isinstance(found, SavedMethod):
                await work.saved_methods.remove(found.id)
            await self._tell.note(work, caller, "payment_method.detached", client_id, method=method_id)
            await work.commit()

    async def _find(self, caller: Caller, client_id: str, method_id: str) -> SavedMethod | tuple[_Place, KeptMethod]:
        connection_id, dot, _ = method_id.partition(".")
        async with self._store.reading(caller.organisation_id) as work:
            await _require_client(work, client_id)
            mine = {one.id: one for one in await self._saved(work, client_id)}
            places = {} if not dot else {one.connection.id: one for one in await self._places(work, client_id)}
        if method_id in mine:
            return mine[method_id]
        place = places.get(connection_id)
        if place is None:
            raise NotFound("payment method", method_id)
        methods: tuple[KeptMethod, ...] = await self._ask(place, place.methods)
        method = next((one for one in methods if one.id == method_id), None)
        if method is None:
            raise NotFound("payment method", method_id)
        return place, method

    async def _default_here(self, caller: Caller, chosen: SavedMethod, once: Once | None) -> KeptMethod:
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            for one in await self._saved(work, chosen.client_id):
                wanted = one.id == chosen.id
                if one.account == chosen.account and one.is_default is not wanted:
                    await work.saved_methods.save(attrs.evolve(one, is_default=wanted, updated_at=now))
            made = _ours(attrs.evolve(chosen, is_default=True))
            await self._tell.note(work, caller, "payment_method.made_default", chosen.client_id, method=chosen.id)
            await remember(work, once, made, now)
            await work.commit()
        return made

    async def _saved(self, work: Work, client_id: str) -> list[SavedMethod]:
        """Of accounts that are connected: the token of a test account means nothing to the live one."""
        accounts = {(c.provider, account_of(c)) for c in await work.connections.all() if c.connected}
        saved = await work.saved_methods.all(client_id=client_id)
        return [one for one in saved if (one.provider, one.account) in accounts]

    async def _places(self, work: Work, client_id: str) -> list[_Place]:
        places = [await self._place(work, c, client_id) for c in await work.connections.all() if c.connected]
        found: dict[tuple[str, str], _Place] = {}
        for place in places:
            if place is not None:  # two connections to one account keep the same methods
                found.setdefault((place.customer.provider, place.customer.account), place)
        return list(found.values())

    async def _place(self, work: Work, connection: Connection, client_id: str) -> _Place | None:
        try:
            payments = self._providers.payments(connection.provider)
        except NotFound:  # it takes no payments
            return None
        if not isinstance(payments, PaymentMethods):
            return None
        customer = await known(work, connection.provider, account_of(connection), client_id)
        if customer is None or customer.gone_at is not None:
            return None
        return _Place(connection, payments, opened(self._vault, connection), customer)

    async def _ask(self, place: _Place, call: Callable[[], Awaitable[_T]]) -> _T:
        with _told(place.connection.provider):
            try:
                return await call()
            except ProviderRefused as refused:
                if refused.missing:
                    await self._gone(place)
                raise

    async def _gone(self, place: _Place) -> None:
        """The provider knows the customer no more: the next payment makes a new one."""
        now = self._clock.now()
        async with self._store.of(place.customer.organisation_id) as work:
            fresh = await work.customers_at_providers.get(place.customer.id)
            if fresh.gone_at is None and fresh.reference == place.customer.reference:
                await work.customers_at_providers.save(attrs.evolve(fresh, gone_at=now, updated_at=now))
                await work.commit()


async def _require_client(work: Work, client_id: str) -> None:
    client = await work.records.find(client_id)
    if client is None or client.kind.name != "client":
        raise NotFound("client", client_id)


@contextmanager
def _told(provider: str) -> Iterator[None]:
    """Inside, what the provider says becomes a refusal that says what to do."""
    try:
        yield
    except ProviderRefused as refused:
        if refused.missing:
            raise Conflict(
                f"{provider} no longer knows this client or method; a new one is made with the next payment."
            ) from refused
        raise Conflict(f"{provider} refused: {refused.reason}") from refused
    except (ReconnectNeeded, RetryLater) as problem:
        raise ProviderUnavailable(f"{provider} could not be asked; try again.") from problem


def _ours(one: SavedMethod) -> KeptMethod:
    return KeptMethod(
        one.id,
        one.client_id,
        one.connection_id,
        one.provider,
        one.kind,
        one.brand,
        one.last4,
        one.expires_on,
        one.is_default,
        By.HUB,
    )


def _label(kind: str, brand: str, last4: str) -> str:
    """For people: `visa 4242`."""
    return " ".join(word for word in (brand or kind.replace("_", " "), last4) if word)
