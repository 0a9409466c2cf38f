"""What got no answer is looked up at the provider, until it is known what came of it; nothing is ever guessed."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from application.billing.learn import Belongs
from application.billing.news import TellOfPayment
from application.billing.refund import RefundDeclined, RefundPayment
from application.billing.settle import Settle
from application.connections.access import opened, standing_in
from application.connections.connect import ProviderUnavailable
from application.ports.clock import Clock
from application.ports.leases import Held
from application.ports.payments import EventList, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import MAX_PAGE, Slice, StaleWrite, Store
from application.ports.vault import Vault
from application.upkeep.jobs import Job, Troubles
from domain.billing.attempts import AttemptState
from domain.billing.links import Checkout, CheckoutState
from domain.billing.payments import Fact, FactKind, Payment, PaymentState, Refund, RefundState
from domain.connections.connection import Connection, ConnectionState
from domain.refusals import Conflict

_AWAY = (ReconnectNeeded, ProviderRefused, RetryLater, Held)

_LATE = timedelta(days=3)
"""How long after its page a payment may still arrive (a bank transfer over a weekend), and how long what went back is looked
for that its payment does not know of."""


@attrs.define
class UnknownPayments(Job):
    """Charges whose answer never came."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _providers: Providers
    _settle: Settle
    _tell: TellOfPayment
    name = "unknown-payments"
    every = timedelta(minutes=5)
    what = "Asks providers what came of charges that got no answer: after 5 minutes, an hour, then daily for 30 days."

    async def __call__(self) -> Mapping[str, int]:
        resolved = stuck = 0
        troubles, now = Troubles(), self._clock.now()
        for organisation in await self._store.organisations():
            waiting: list[Payment] = []
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    found = await work.payments.all(state=(PaymentState.PENDING, PaymentState.UNKNOWN))
                    waiting = [one for one in found if one.waits_for_answer]
            stuck += sum(one.attempts[-1].stuck(now) for one in waiting)
            for payment in waiting:
                if payment.attempts[-1].due(now):
                    with troubles.aside():
                        resolved += await self._look(payment)
        troubles.tell()
        return {"resolved": resolved, "stuck": stuck}

    async def _look(self, payment: Payment) -> bool:
        """Whether it is known now."""
        connection = await connection_for(self._store, payment)
        if connection.state is ConnectionState.DISCONNECTED:
            return await self._not_yet(payment)
        payments, access = self._providers.payments(connection.provider), opened(self._vault, connection)
        try:
            if payment.at_provider:
                intent = await payments.fetch_intent(access, payment.reference)
            else:
                found = await payments.find_payment(access, payment.attempts[-1].key)
                if found is None:
                    return await self._never_was(payment)
                intent = found
            belongs = Belongs(payment.invoice_id, payment.subscription_id, payment.client_id, payment.id)
            learned = await self._settle.answer(connection, intent, belongs)
        except _AWAY:
            return await self._not_yet(payment)
        if learned.payment is not None and not learned.payment.waits_for_answer:
            return True
        return await self._not_yet(payment)

    async def _not_yet(self, payment: Payment) -> bool:
        async with self._store.of(payment.organisation_id) as work:
            fresh = await work.payments.get(payment.id)
            if not fresh.waits_for_answer:
                return True
            await work.payments.save(fresh.looked_up(self._clock.now()))
            await work.commit()
        return False

    async def _never_was(self, payment: Payment) -> bool:
        """The provider is sure that it was never asked: the charge failed, and can be made anew."""
        now = self._clock.now()
        async with self._store.of(payment.organisation_id) as work:
            fresh = await work.payments.get(payment.id)
            if not fresh.waits_for_answer:
                return True
            fact = Fact(FactKind.FAILED, fresh.attempts[-1].key, fresh.asked.amount, now)
            why = "The provider was never asked: the call did not reach it."
            learned, new = fresh.answered(AttemptState.FAILED, now, why).learn(fact, now=now)
            learned = await work.payments.save(learned)
            invoice = None if learned.invoice_id is None else await work.invoices.find(learned.invoice_id)
            await self._tell(work, learned, new, invoice, became_paid=False)
            await work.commit()
        return True


@attrs.define
class ResumeRefunds(Job):
    """A refund whose provider could not be asked, or whose answer was cut off, is finished: asked for again while the
    provider knows its key, looked up otherwise (RefundPayment.carry_out)."""

    _store: Store
    _clock: Clock
    _refund: RefundPayment
    name = "hanging-refunds"
    every = timedelta(minutes=5)
    what = "Finishes refunds that got no answer: asks again with the same key, or looks them up, for 30 days."

    async def __call__(self) -> Mapping[str, int]:
        done = stuck = 0
        troubles, now = Troubles(), self._clock.now()
        for organisation in await self._store.organisations():
            waiting: tuple[Refund, ...] = ()
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    waiting = await work.refunds.all(state=(RefundState.REQUESTED, RefundState.UNKNOWN))
            stuck += sum(refund.stuck(now) for refund in waiting)
            for refund in waiting:
                if refund.due(now):
                    with troubles.aside(), suppress(ProviderUnavailable, RefundDeclined, Conflict, Held):
                        async with self._store.reading(organisation.id) as work:
                            payment = await work.payments.get(refund.payment_id)
                        await self._refund.carry_out(refund, payment, await connection_for(self._store, payment))
                        done += 1
            for payment in await self._unlearned(organisation.id):
                with troubles.aside(), suppress(*_AWAY, StaleWrite):
                    connection = await connection_for(self._store, payment)
                    if connection.state is not ConnectionState.DISCONNECTED:
                        await self._refund.learn(payment, connection)
        troubles.tell()
        return {"refunds": done, "stuck": stuck}

    async def _unlearned(self, organisation_id: str) -> tuple[Payment, ...]:
        """Payments of which something went back lately that they do not know: the hub died between the provider's answer
        and learning it, and no webhook has told."""
        unlearned: dict[str, Payment] = {}
        since, after = self._clock.now() - _LATE, None
        async with self._store.reading(organisation_id) as work:
            while True:
                page = await work.refunds.page(Slice(MAX_PAGE, after), state=RefundState.SUCCEEDED)
                fresh = [one for one in page.items if one.created_at > since]
                wanted = tuple({one.payment_id for one in fresh})
                known = {one.id: one for one in await work.payments.all(id=wanted)} if wanted else {}
                for refund in fresh:
                    payment = known[refund.payment_id]
                    if refund.reference not in {fact.reference for fact in payment.facts}:
                        unlearned[payment.id] = payment
                after = page.next
                if after is None or len(fresh) < len(page.items):
                    return tuple(unlearned.values())


_LONGEST_GAP = timedelta(hours=6)
_SHORTEST_GAP = timedelta(minutes=5)


@attrs.define
class PollPages(Job):
    """Hosted pages whose webhook may never come: at providers that list no events, and pages whose opening was cut off."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _providers: Providers
    _settle: Settle
    name = "open-pages"
    every = timedelta(minutes=5)
    what = "Asks about open payment pages and late payments where a webhook that was lost would not be found otherwise."

    async def __call__(self) -> Mapping[str, int]:
        looked = 0
        troubles, now = Troubles(), self._clock.now()
        for organisation in await self._store.organisations():
            pages: tuple[Checkout, ...] = ()
            late: list[Payment] = []
            connections: dict[str, Connection] = {}
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    pages = await work.checkouts.all(state=(CheckoutState.OPENING, CheckoutState.OPEN))
                    connections = {one.id: one for one in await work.connections.all()}
                    pending = await work.payments.all(state=PaymentState.PENDING)
                    late = [one for one in pending if not one.attempts and one.created_at + _LATE > now]
            for page in pages:
                connection = connections.get(page.connection_id)
                if connection is not None and connection.connected and self._due(page, connection, now):
                    with troubles.aside(), suppress(*_AWAY):
                        await self._look(page, connection)
                        looked += 1
            for payment in late:
                connection = connections.get(payment.connection_id)
                if connection is None or not connection.connected or not self._polled(connection):
                    continue
                if gap(payment.created_at, payment.updated_at, now):
                    with troubles.aside(), suppress(*_AWAY):
                        await self._settle.intent(organisation.id, connection.id, payment.reference)
                        await self._touched(payment)
                        looked += 1
        troubles.tell()
        return {"looked": looked}

    def _polled(self, connection: Connection) -> bool:
        return not isinstance(self._providers.payments(connection.provider), EventList)

    def _due(self, page: Checkout, connection: Connection, now: datetime) -> bool:
        unsure = page.state is CheckoutState.OPENING
        return (unsure or self._polled(connection)) and gap(page.created_at, page.updated_at, now)

    async def _look(self, page: Checkout, connection: Connection) -> None:
        over = page.expires_at + _LATE <= self._clock.now()
        if page.reference is not None:
            await self._settle.checkout(page.organisation_id, connection.id, page.reference)
        else:
            access = opened(self._vault, connection)
            payments = self._providers.payments(connection.provider)
            found = await payments.find_payment(access, page.id)
            if found is not None:
                belongs = Belongs(page.invoice_id)
                await self._settle.intent(page.organisation_id, connection.id, found.reference, belongs=belongs)
        async with self._store.of(page.organisation_id) as work:
            fresh = await work.checkouts.get(page.id)
            if fresh.state is page.state:
                moved = fresh.moved(CheckoutState.EXPIRED, self._clock.now()) if over else fresh
                await work.checkouts.save(attrs.evolve(moved, updated_at=self._clock.now()))
                await work.commit()

    async def _touched(self, payment: Payment) -> None:
        async with self._store.of(payment.organisation_id) as work:
            fresh = await work.payments.get(payment.id)
            if fresh.state is PaymentState.PENDING:
                await work.payments.save(attrs.evolve(fresh, updated_at=self._clock.now()))
                await work.commit()


def gap(begun: datetime, looked: datetime, now: datetime) -> bool:
    """Whether it is time to look again: every 5 minutes at first, then as often as a quarter of its age, at least every 6
    hours."""
    return now - looked >= min(max((now - begun) / 4, _SHORTEST_GAP), _LONGEST_GAP)


async def connection_for(store: Store, payment: Payment) -> Connection:
    """The connection that took a payment, or a later one to the same account."""
    async with store.reading(payment.organisation_id) as work:
        return await standing_in(work, payment.connection_id)
