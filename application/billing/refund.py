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
from application.once import Once, remember, remember_later
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held, Leases
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store
from application.ports.vault import Vault
from domain.billing.payments import Payment, Refund, RefundState
from domain.connections.connection import Connection, ConnectionState
from domain.money import Money
from domain.refusals import Conflict


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

        Raises NotFound, DoesNotFit, Invalid, MoreThanCaptured, RefundDeclined, ProviderUnavailable (the refund stays
        requested and is tried again by the scheduler).
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
                payment_id=payment_id, state=(RefundState.REQUESTED, RefundState.SUCCEEDED)
            )
            promised = sum((r.amount for r in refunds if r.reference not in known), Money.zero(payment.currency))
            left = payment.refundable - promised
            money = left if amount is None else Money.of(amount, payment.currency)
            payment.check_refund(money + promised if money.amount > 0 else money)
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
        """Ask the provider; safe to repeat, because the refund's id is its key there."""
        if connection.state is ConnectionState.DISCONNECTED:
            raise ProviderUnavailable(f"The connection to {connection.provider} was disconnected.")
        payments = self._providers.payments(connection.provider)
        try:
            made = await payments.refund(
                opened(self._vault, connection), payment.reference, refund.amount, key=refund.id, reason=refund.reason
            )
        except ProviderRefused as refused:
            why = refused.reason
            await self._end(refund, once, lambda fresh, now: fresh.failed(why, now))
            raise RefundDeclined(f"{connection.provider} refused the refund: {why}") from refused
        except (ReconnectNeeded, RetryLater) as problem:
            raise ProviderUnavailable(
                f"{connection.provider} could not be asked; the refund {refund.id} is kept and will be tried again."
            ) from problem
        ended = await self._end(refund, once, lambda fresh, now: fresh.done(made.reference, now))
        # The money is on its way: no trouble with looking at it again may tell the caller otherwise. Until the
        # provider's webhook brings the fact, the refund counts by its own row.
        with suppress(ReconnectNeeded, ProviderRefused, RetryLater, Held, StaleWrite):
            await self._settle.intent(refund.organisation_id, connection.id, payment.reference)
        return ended

    async def _end(self, refund: Refund, once: Once | None, change: Callable[[Refund, datetime], Refund]) -> Refund:
        """Note the provider's answer, unless it is noted already: a webhook or the scheduler may have been quicker."""
        now = self._clock.now()
        async with self._store.of(refund.organisation_id) as work:
            fresh = await work.refunds.get(refund.id)
            if fresh.state is RefundState.REQUESTED:
                fresh = await work.refunds.save(change(fresh, now))
                await remember_later(work, once, fresh, now)
                await work.commit()
        return fresh
