"""What a person does about something that does not agree. Who did it, and why, is written down."""

import attrs

from application.billing.payouts import SyncPayout
from application.billing.settle import Belongs, Settle
from application.caller import Caller
from application.connections.access import standing_in
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.settlements import Movement
from application.ports.store import Store, Work
from domain.billing.reconciliation import Difference, DifferenceKind, Fix, Reconciliation
from domain.refusals import Conflict, Invalid, NotFound

_FOLLOWED = (Movement.PAYMENT, Movement.REFUND, Movement.PAYOUT, Movement.DISPUTE)
"""What the hub keeps records of; a fee that belongs to no payment, and anything else, can only be accepted."""


class NotOurs(Conflict):
    """The provider has the payment, and nothing of it says that it was asked for through this hub."""


@attrs.define
class FixDifference:
    """Adopts what is missing here, asks the provider again, or accepts the difference with a note."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _settle: Settle
    _payouts: SyncPayout

    async def __call__(
        self,
        caller: Caller,
        run_id: str,
        difference_id: str,
        fix: Fix,
        *,
        note: str = "",
        invoice_id: str | None = None,
        once: Once | None = None,
    ) -> Difference:
        """`invoice_id`: for a payment that was not made through this hub, the invoice that it pays.

        Raises NotFound, Conflict, Invalid naming `fix`, `note` or `invoice_id`, NotOurs, ProviderUnavailable. Whether it
        agrees afterwards, the next reconciliation says.
        """
        async with self._store.reading(caller.organisation_id) as work:
            run = await work.reconciliations.get(run_id)
            difference = await _of(work, run, difference_id)
            difference.fixed(fix, caller.actor, self._clock.now(), note)  # refused before the provider is asked
            if invoice_id is not None and await work.invoices.find(invoice_id) is None:
                raise Invalid.field("invoice_id", f"There is no invoice '{invoice_id}' here.")
            connection = await standing_in(work, run.connection_id)
        if fix is not Fix.ACCEPTED:
            await self._learn(run, difference, fix, connection.id, invoice_id)
        return await self._note(caller, run, difference_id, fix, note, once)

    async def _learn(
        self, run: Reconciliation, difference: Difference, fix: Fix, connection_id: str, invoice_id: str | None
    ) -> None:
        movement = Movement(difference.movement)
        if movement not in _FOLLOWED:
            raise Invalid.field("fix", "The hub keeps no record of such a movement; it can only be accepted.")
        if (difference.kind is DifferenceKind.MISSING_HERE) is not (fix is Fix.ADOPTED):
            raise Invalid.field("fix", "What is missing here can be adopted; anything else can be settled.")
        reference = difference.reference
        if movement in (Movement.REFUND, Movement.DISPUTE):
            if difference.intent_reference is None:
                raise Invalid.field(
                    "fix", "The provider does not say which payment it belongs to; it can only be accepted."
                )
            reference = difference.intent_reference
        org = run.organisation_id
        belongs = None if invoice_id is None else Belongs(invoice_id=invoice_id)
        try:
            if movement is Movement.PAYOUT:
                ours = await self._payouts.learn(org, connection_id, reference)
            else:
                ours = await self._settle.intent(org, connection_id, reference, belongs=belongs)
        except ProviderRefused as refused:
            raise Conflict(f"{run.provider} refused: {refused.reason}") from refused
        except (ReconnectNeeded, RetryLater) as problem:
            raise ProviderUnavailable(f"{run.provider} could not be asked: {problem}") from problem
        if not ours:
            raise NotOurs("It was not made through this hub. Name the invoice that it pays.", field="invoice_id")

    async def _note(
        self, caller: Caller, run: Reconciliation, difference_id: str, fix: Fix, note: str, once: Once | None
    ) -> Difference:
        """The same in other runs is fixed with it."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            difference = await _of(work, run, difference_id)
            fixed = await work.differences.save(difference.fixed(fix, caller.actor, now, note))
            for other in await work.differences.all(reference=difference.reference, fixed_at=None):
                if other.said == difference.said:
                    await work.differences.save(other.fixed(fix, caller.actor, now, note))
            await self._tell.note(
                work, caller, f"difference.{fix.value}", fixed.id, reference=fixed.reference, note=fixed.note
            )
            await remember(work, once, fixed, now)
            await work.commit()
        return fixed


async def _of(work: Work, run: Reconciliation, difference_id: str) -> Difference:
    difference = await work.differences.get(difference_id)
    if difference.run_id != run.id:
        raise NotFound("difference", difference_id)
    return difference
