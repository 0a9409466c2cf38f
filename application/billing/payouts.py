"""Pay out, and learn what became of it. Never twice: it is written down before the provider is asked, and its id is the key."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import attrs

from application.billing.books import Books
from application.caller import Caller
from application.connections.access import opened, standing_in, usable
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, remember, remember_later
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held, Leases
from application.ports.payments import ProviderEvent, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.payouts import PayoutOrder, Payouts, PayoutStanding, ProviderPayout
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store, Work
from application.ports.vault import Vault
from domain.billing.bodies import payout_body
from domain.billing.payouts import (
    MAX_DESCRIPTION,
    Payout,
    PayoutDeclined,
    PayoutState,
    read_destination,
    shortened,
)
from domain.connections.abilities import Ability, NotOffered, require
from domain.connections.connection import Connection, ConnectionState
from domain.money import Money
from domain.refusals import Invalid

_LOCK = timedelta(minutes=2)
_WAIT = timedelta(seconds=30)

_STATES: Mapping[PayoutStanding, PayoutState] = {
    PayoutStanding.PENDING: PayoutState.PENDING,
    PayoutStanding.IN_TRANSIT: PayoutState.IN_TRANSIT,
    PayoutStanding.PAID: PayoutState.PAID,
    PayoutStanding.FAILED: PayoutState.FAILED,
    PayoutStanding.CANCELED: PayoutState.CANCELED,
}
"""What is not here is a status that this version of the hub does not know."""


def payouts_of(providers: Providers, slug: str) -> Payouts:
    """What pays out at a provider. Raises NotOffered."""
    manifest = providers.manifest(slug)
    require(manifest.name, manifest.abilities, Ability.PAYOUTS, field="provider")
    payments = providers.payments(slug)
    if not isinstance(payments, Payouts):
        raise NotOffered(f"{manifest.name} does not pay out.", field="provider")
    return payments


def about_payout(payout_id: str) -> str:
    """What a destination is sealed about."""
    return f"payout/{payout_id}"


@attrs.define
class NotePayout:
    """Write down how a payout is at the provider, in an open unit of work: its row, the ledger, the events."""

    _tell: Tell
    _clock: Clock
    _books: Books

    async def __call__(self, work: Work, payout: Payout, made: ProviderPayout, *, new: bool = False) -> Payout:
        """The payout as it is from now on. new: it was made at the provider, and has no row yet."""
        now = self._clock.now()
        first = payout.reference is None or new
        fee = made.fee.amount if made.fee is not None and made.fee.currency == payout.amount.currency else None
        told = payout.told(
            reference=made.reference,
            state=_STATES.get(made.standing),
            fee=fee,
            failure=made.failure,
            arrives_on=made.arrives_on,
            now=now,
        )
        if new:
            await work.payouts.add(told)
        elif told is not payout:
            told = await work.payouts.save(told)
        await self._books.payout_moved(work, told)
        body = {"payout": payout_body(told)}
        if first:
            await self._tell(work, "payout.created", body)
        if told.state is not payout.state or new:
            if told.state is PayoutState.PAID:
                await self._tell(work, "payout.paid", body)
            elif told.state in (PayoutState.FAILED, PayoutState.CANCELED):
                await self._tell(work, "payout.failed", body)
        return told


@attrs.define
class CreatePayout:
    """Asked for by a person or the host application."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _note: NotePayout

    async def __call__(
        self,
        caller: Caller,
        *,
        provider: str,
        amount: str,
        currency: str,
        destination: Mapping[str, str] | None = None,
        description: str = "",
        once: Once | None = None,
    ) -> Payout:
        """`provider`: its slug, or a connection's id. `amount`: a decimal, what the receiver gets. `destination`: the
        provider's fields (GET /api/integrations/catalog); none where it pays to the account's own bank account.

        Raises NotFound, Conflict, NotOffered, DoesNotFit, Invalid, PayoutDeclined, ProviderUnavailable (the payout is kept
        and looked up by the scheduler).
        """
        money = Money.of(amount, currency)
        if money.amount <= 0:
            raise Invalid.field("amount", "A payout is more than nothing.")
        if len(description) > MAX_DESCRIPTION:
            raise Invalid.field("description", f"A description has at most {MAX_DESCRIPTION} characters.")
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            connection = await usable(work, provider)
            payouts = payouts_of(self._providers, connection.provider)
            read = read_destination(payouts.destination_fields, destination or {})
            id_ = self._ids.new("payout")
            order = PayoutOrder(money, read, description, id_)
            payouts.check_payout(order)
            payout = Payout(
                id_,
                caller.organisation_id,
                connection.id,
                connection.provider,
                money,
                now,
                now,
                receiver=shortened(payouts.destination_fields, read),
                sealed_destination=self._seal(id_, read),
                description=description,
            ).asked(now)
            await work.payouts.add(payout)
            await self._tell.note(work, caller, "payout.requested", payout.id, amount=str(money), to=payout.receiver)
            await remember(work, once, payout, now)
            await work.commit()
        return await self.carry_out(payout, connection, order, once)

    async def carry_out(
        self, payout: Payout, connection: Connection, order: PayoutOrder, once: Once | None = None
    ) -> Payout:
        """Ask the provider, with the payout's id as the key. Raises PayoutDeclined, ProviderUnavailable."""
        payouts = payouts_of(self._providers, connection.provider)
        async with self._leases.hold(f"payout:{payout.id}", for_=_LOCK, wait=_WAIT):
            try:
                made = await payouts.create_payout(opened(self._vault, connection), order, key=payout.id)
            except ProviderRefused as refused:
                await self._end(payout, once, refused=refused.reason)
                raise PayoutDeclined(f"{connection.provider} refused the payout: {refused.reason}") from refused
            except (ReconnectNeeded, RetryLater) as problem:
                if isinstance(problem, RetryLater) and problem.may_have_happened:
                    await self._end(payout, once)
                raise ProviderUnavailable(
                    f"{connection.provider} did not answer; the payout {payout.id} is kept, and is looked up before"
                    " anything is sent again."
                ) from problem
            return await self._end(payout, once, made)

    async def _end(
        self, payout: Payout, once: Once | None, made: ProviderPayout | None = None, refused: str | None = None
    ) -> Payout:
        """Note the answer, or that there was none. A webhook may have been quicker."""
        with suppress(StaleWrite):
            return await self._noted(payout, once, made, refused)
        return await self._noted(payout, once, made, refused)

    async def _noted(
        self, payout: Payout, once: Once | None, made: ProviderPayout | None, refused: str | None
    ) -> Payout:
        now = self._clock.now()
        async with self._store.of(payout.organisation_id) as work:
            fresh = await work.payouts.get(payout.id)
            if made is not None:
                fresh = await self._note(work, fresh, made)
            elif fresh.waits:
                fresh = await work.payouts.save(fresh.unknown(now) if refused is None else fresh.refused(refused, now))
            await remember_later(work, once, fresh, now)
            await work.commit()
        return fresh

    def _seal(self, payout_id: str, destination: Mapping[str, str]) -> str | None:
        if not destination:
            return None
        text = "\n".join(f"{name}={value}" for name, value in destination.items())
        return self._vault.seal(text, about=about_payout(payout_id))


@attrs.define
class SyncPayout:
    """A payout moved at the provider."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _note: NotePayout

    async def __call__(
        self, organisation_id: str, connection_id: str, reference: str, event: ProviderEvent
    ) -> bool | None:
        """Fetch it and note how it stands; also one that was made at the provider itself. Whether it is of this account;
        None where the provider pays out in ways that the hub does not follow."""
        return await self.learn(organisation_id, connection_id, reference)

    async def learn(self, organisation_id: str, connection_id: str, reference: str) -> bool | None:
        """The same, without an event. Raises as PaymentProvider's methods do."""
        async with self._store.reading(organisation_id) as work:
            connection = await standing_in(work, connection_id)
        try:
            payouts = payouts_of(self._providers, connection.provider)
        except NotOffered:
            return None
        if connection.state is ConnectionState.DISCONNECTED:
            return False
        lock = f"payout:{organisation_id}:{connection.provider}:{reference}"
        async with self._leases.hold(lock, for_=_LOCK, wait=_WAIT):
            made = await payouts.fetch_payout(opened(self._vault, connection), reference)
            async with self._store.of(organisation_id) as work:
                found = await self._known(work, connection, made)
                if found is not None:
                    await self._note(work, found, made)
                elif _ours(made):
                    return False  # another organisation's, which shares the account
                elif made.key is None and await self._may_be_waiting(work, connection, made):
                    raise Held(f"A payout of {made.amount} waits for its answer, and may be this one.")
                else:
                    await self._note(work, self._made_there(connection, made), made, new=True)
                await work.commit()
        return True

    async def _known(self, work: Work, connection: Connection, made: ProviderPayout) -> Payout | None:
        """By its reference, or by our key where its answer has not come yet."""
        known = await work.payouts.all(provider=connection.provider, reference=made.reference)
        if known:
            return known[0]
        found = await work.payouts.find(made.key) if made.key else None
        return found if found is not None and found.provider == connection.provider else None

    async def _may_be_waiting(self, work: Work, connection: Connection, made: ProviderPayout) -> bool:
        """Whether it may be one of ours whose answer has not come yet: the provider does not say which key it was made with."""
        states = (PayoutState.REQUESTED, PayoutState.UNKNOWN)
        waiting = await work.payouts.all(provider=connection.provider, state=states)
        return any(one.amount == made.amount for one in waiting)

    def _made_there(self, connection: Connection, made: ProviderPayout) -> Payout:
        now = self._clock.now()
        return Payout(
            self._ids.new("payout"),
            connection.organisation_id,
            connection.id,
            connection.provider,
            made.amount,
            now,
            now,
            description="Made at the provider.",
            state=PayoutState.PENDING,
            asked_at=now,
        )


def _ours(made: ProviderPayout) -> bool:
    return made.key is not None and made.key.startswith("po_")
