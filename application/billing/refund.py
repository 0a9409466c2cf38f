"""Send part or all of a payment back."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from application.billing.settle import Settle
from application.caller import Caller
from application.connections.access import opened, standing_in
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, refuse_later, remember, remember_later
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held, Leases
from application.ports.payments import (
    Action,
    PaymentProvider,
    ProviderRefund,
    ProviderRefused,
    ReconnectNeeded,
    RetryLater,
)
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store
from application.ports.vault import Vault
from domain.billing.payments import Payment, Refund, RefundState
from domain.connections.connection import Connection, ConnectionState
from domain.money import Money
from domain.refusals import Conflict

_TO_SPARE = timedelta(hours=1)


class RefundDeclined(Conflict):
    """The provider refused the refund."""


@attrs.define
class RefundPayment:
    """The refund is written down and counted before the provider is asked, so that two at once cannot exceed what came in.

    Its id is the key at the provider: asking again after a cut-off answer refunds once.
    """

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _settle: Settle

    async def __call__(
        self, caller: Caller, payment_id: str, *, amount: str | None, reason: str = "", once: Once | None = None
    ) -> Refund:
        """`amount`: a decimal in the payment's currency; None refunds all that is left.

        Raises NotFound, DoesNotFit, Invalid, MoreThanCaptured, Disputed, RefundDeclined, ProviderUnavailable (the refund
        is kept and tried again by the scheduler).
        """
        async with self._leases.hold(f"refund:{payment_id}", for_=timedelta(minutes=2), wait=timedelta(seconds=30)):
            refund, payment, connection = await self._request(caller, payment_id, amount, reason, once)
        return await self.carry_out(refund, payment, connection, once)

    async def _request(
        self, caller: Caller, payment_id: str, amount: str | None, reason: str, once: Once | None
    ) -> tuple[Refund, Payment, Connection]:
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            payment = await work.payments.get(payment_id)
            # What was asked for counts, and what was made but is not among the payment's facts yet.
            known = {fact.reference for fact in payment.facts}
            refunds = await work.refunds.all(
                payment_id=payment_id, state=(RefundState.REQUESTED, RefundState.UNKNOWN, RefundState.SUCCEEDED)
            )
            promised = sum((r.amount for r in refunds if r.reference not in known), Money.zero(payment.currency))
            left = payment.refundable - promised
            money = left if amount is None else Money.of(amount, payment.currency)
            payment.check_refund(money, promised)
            connection = await standing_in(work, payment.connection_id)
            if connection.state is ConnectionState.DISCONNECTED:
                raise Conflict(f"The connection to {connection.provider} that took the payment was disconnected.")
            refund = Refund(
                self._ids.new("refund"), caller.organisation_id, payment_id, money, now, now, reason=reason[:500]
            )
            await work.refunds.add(refund)
            await self._tell.note(work, caller, "refund.requested", refund.id, payment=payment_id)
            await remember(work, once, refund, now)
            await work.commit()
        return refund, payment, connection

    async def carry_out(
        self, refund: Refund, payment: Payment, connection: Connection, once: Once | None = None
    ) -> Refund:
        """Ask the provider; safe to repeat. The refund's id is its key there: while the provider knows it, asking again is
        the same question. Where it knows no keys, or not for so long, the refund is looked up before it is sent again.

        Raises RefundDeclined, ProviderUnavailable.
        """
        if connection.state is ConnectionState.DISCONNECTED:
            raise ProviderUnavailable(f"The connection to {connection.provider} was disconnected.")
        async with self._leases.hold(f"sending:{refund.id}", for_=timedelta(minutes=2)):
            made = await self._sent(refund, payment, connection, once)
        ended = await self._end(refund, once, lambda fresh, now: fresh.done(made.reference, now))
        # The money is on its way: no trouble with looking at it again may tell the caller otherwise. Until the fact is
        # known (ResumeRefunds sees to it, should no webhook come) the refund counts by its own row.
        with suppress(ReconnectNeeded, ProviderRefused, RetryLater, Held, StaleWrite):
            await self.learn(payment, connection)
        return ended

    async def learn(self, payment: Payment, connection: Connection) -> None:
        """Have the payment know what went back of it. Raises what Settle.intent raises."""
        await self._settle.intent(payment.organisation_id, connection.id, payment.reference)

    async def _sent(
        self, refund: Refund, payment: Payment, connection: Connection, once: Once | None
    ) -> ProviderRefund:
        payments = self._providers.payments(connection.provider)
        access = opened(self._vault, connection)
        refund, earlier = await self._noted(refund)
        sure = False
        try:
            if earlier is not None and not self._key_lives(payments, earlier):
                found = await payments.find_refund(access, payment.reference, refund.id)
                if found is not None:
                    return found
                refund, _ = await self._noted(refund, again=True)
            sure = earlier is None
            return await payments.refund(access, payment.reference, refund.amount, key=refund.id, reason=refund.reason)
        except ProviderRefused as refused:
            why = refused.reason if not refused.missing else _elsewhere(connection, refused.reason)
            declined = RefundDeclined(f"{connection.provider} refused the refund: {why}")
            await self._end(refund, once, lambda fresh, now: fresh.failed(why, now), declined)
            raise declined from refused
        except (ReconnectNeeded, RetryLater) as problem:
            maybe = isinstance(problem, RetryLater) and problem.may_have_happened
            await self._unanswered(refund, payments, surely_not=sure and not maybe)
            raise ProviderUnavailable(
                f"{connection.provider} could not be asked; the refund {refund.id} is kept and will be tried again."
            ) from problem

    def _key_lives(self, payments: PaymentProvider, asked_at: datetime) -> bool:
        """Whether the provider surely still knows the key of a question asked then; with an hour to spare."""
        life = payments.keeps_keys(Action.REFUND)
        return life is not None and self._clock.now() - asked_at < life - min(_TO_SPARE, life / 4)

    async def _noted(self, refund: Refund, *, again: bool = False) -> tuple[Refund, datetime | None]:
        """Write down that the provider is being asked. Returns the refund, and when it was asked before, if it was."""
        async with self._store.of(refund.organisation_id) as work:
            fresh = await work.refunds.get(refund.id)
            if not fresh.waiting:
                raise Conflict(f"The refund is {fresh.state.value} already.")
            earlier = fresh.asked_at
            if earlier is None or again:
                fresh = await work.refunds.save(fresh.asking(self._clock.now()))
                await work.commit()
        return fresh, earlier

    async def _unanswered(self, refund: Refund, payments: PaymentProvider, *, surely_not: bool) -> None:
        now = self._clock.now()
        async with self._store.of(refund.organisation_id) as work:
            fresh = await work.refunds.get(refund.id)
            if not fresh.waiting:
                return
            if surely_not:
                fresh = fresh.not_asked(now)
            elif fresh.asked_at is None or not self._key_lives(payments, fresh.asked_at):
                fresh = fresh.unanswered(now)
            else:
                fresh = attrs.evolve(fresh, checks=fresh.checks + 1, updated_at=now)
            await work.refunds.save(fresh)
            await work.commit()

    async def _end(
        self,
        refund: Refund,
        once: Once | None,
        change: Callable[[Refund, datetime], Refund],
        declined: RefundDeclined | None = None,
    ) -> Refund:
        """Note the provider's answer, unless it is noted already: a webhook or the scheduler may have been quicker."""
        now = self._clock.now()
        async with self._store.of(refund.organisation_id) as work:
            fresh = await work.refunds.get(refund.id)
            if fresh.waiting:
                fresh = await work.refunds.save(change(fresh, now))
                if declined is not None:
                    await refuse_later(work, once, declined, fresh, now)
                else:
                    await remember_later(work, once, fresh, now)
                await work.commit()
        return fresh


def _elsewhere(connection: Connection, reason: str) -> str:
    """Why a provider does not know a payment that was made there."""
    account = connection.account_reference or connection.account or "unknown"
    return (
        f"the account that the connection leads to now ({account}) does not know the payment. Was it made in another account,"
        f" or in the other mode? Connect that one again to refund it. ({reason})"
    )
