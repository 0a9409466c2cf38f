"""One reconciliation on its way: what the provider lists, a batch at a time, and then what it did not list."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

import attrs

from application.billing.ask_provider import AskProvider
from application.billing.compare import Finding, Ours, Tally, compare, kept_refunds
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.settlements import Movement, Settled
from application.ports.store import After, Store, Work
from domain.billing.payments import FactKind, Payment
from domain.billing.payouts import Payout, PayoutState
from domain.billing.reconciliation import Difference, Fix, Reconciliation
from domain.money import Money

BATCH = 500
"""Movements that are compared at once."""

TOLD_EVERY = 5_000
"""After so many movements a person who looks sees that it goes on."""


@attrs.define
class Comparison:
    """One run on its way. accounts: the ids of the connections that lead to the same account at the provider."""

    store: Store
    clock: Clock
    ids: Ids
    ask: AskProvider
    accounts: frozenset[str]
    run: Reconciliation
    tally: Tally = attrs.field(factory=Tally)

    async def compare(self, listed: AsyncIterator[Settled]) -> None:
        """Theirs against ours, and then what of ours they did not list. Raises as PaymentProvider's methods do."""
        async for batch in _batches(listed):
            await self._theirs(batch)
        after: After | None = None
        while True:
            async with self.store.reading(self.run.organisation_id) as work:
                moved = await work.payments.moved(
                    self.run.provider, self.run.since, self.run.until, limit=BATCH, after=after
                )
                left = tuple(one.id for one in moved if self.tally.unchecked(one.id))
                payments = await work.payments.all(id=left) if left else ()
            found = [one for payment in payments for one in await self._unlisted(payment)]
            await self._keep(found)
            if len(moved) < BATCH:
                break
            after = moved[-1]
        async with self.store.reading(self.run.organisation_id) as work:
            payouts = await work.payouts.all(provider=self.run.provider, state=_OUT)
        await self._keep([one for payout in payouts for one in await self._unlisted_payout(payout)])

    async def _theirs(self, batch: Sequence[Settled]) -> None:
        org = self.run.organisation_id
        batch = await self._as_kept(batch)
        new = [
            one
            for one in batch
            if one.metadata.get("patchbay_organisation", org) == org
            and not _undecided(one)
            and self.tally.see(one.movement, one.reference)
        ]
        async with self.store.reading(org) as work:
            ours = await _ours(work, self.run.provider, new)
        await self._keep([finding for one in new for finding in compare(one, ours, self.tally)])

    async def _as_kept(self, batch: Sequence[Settled]) -> Sequence[Settled]:
        """A payout that its provider lists under another id than it gave us (PayPal), by the number that we gave it."""
        numbers = {one.metadata["patchbay_payout"] for one in batch if one.metadata.get("patchbay_payout")}
        if not numbers:
            return batch
        async with self.store.reading(self.run.organisation_id) as work:
            found = [await work.payouts.find(number) for number in sorted(numbers)]
        names = {p.id: p.reference for p in found if p and p.provider == self.run.provider and p.reference}
        return [attrs.evolve(s, reference=names.get(s.metadata.get("patchbay_payout", ""), s.reference)) for s in batch]

    async def _unlisted(self, payment: Payment) -> tuple[Finding, ...]:
        """What moved of a payment in this time, as the hub heard, and is not in the provider's list: is it there at all?

        The hub hears of a movement after it happened, so it may be listed under the day before.
        """
        if payment.connection_id not in self.accounts:
            return ()
        findings: list[Finding] = []
        moved = [f for f in payment.facts if f.kind is FactKind.CAPTURED and self._within(f.at)]
        if moved and not self.tally.saw(Movement.PAYMENT, payment.reference):
            findings += await self._judge(
                Movement.PAYMENT, payment.captured, await self.ask.payment(payment, moved[0].at)
            )
        for fact in kept_refunds(payment):
            if self._within(fact.at) and not self.tally.saw(Movement.REFUND, fact.reference):
                amount = Money(fact.amount, payment.currency)
                findings += await self._judge(Movement.REFUND, amount, await self.ask.refund(payment, fact))
        return tuple(findings)

    async def _unlisted_payout(self, payout: Payout) -> Iterable[Finding]:
        reference = payout.reference
        if payout.connection_id not in self.accounts or reference is None or not self._within(payout.created_at):
            return ()
        if self.tally.saw(Movement.PAYOUT, reference):
            return ()
        amount = Money(abs(payout.amount.amount), payout.amount.currency)
        return await self._judge(Movement.PAYOUT, amount, await self.ask.payout(payout, reference))

    async def _judge(self, movement: Movement, amount: Money, finding: Finding | None) -> Iterable[Finding]:
        if finding is None:
            return ()
        self.tally.compared += 1
        self.tally.add("ours", movement, amount)
        return (finding,)

    def _within(self, at: datetime) -> bool:
        return self.run.since <= at < self.run.until

    async def _keep(self, findings: Sequence[Finding]) -> None:
        """Write down what a person has not accepted before, and now and then how far it is."""
        if not findings and self.tally.compared - self.run.compared < TOLD_EVERY:
            return
        async with self.store.of(self.run.organisation_id) as work:
            references = tuple({one.reference for one in findings})
            known = await work.differences.all(reference=references, fix=Fix.ACCEPTED) if references else ()
            accepted = {one.said for one in known}
            made = [
                Difference(
                    self.ids.new("difference"),
                    self.run.organisation_id,
                    self.run.id,
                    one.kind,
                    one.movement.value,
                    one.reference,
                    one.ours,
                    one.theirs,
                    one.amount,
                    one.at,
                    one.payment_id,
                    intent_reference=one.intent_reference,
                )
                for one in findings
            ]
            new = [one for one in made if one.said not in accepted]
            for one in new:
                await work.differences.add(one)
            self.run = await work.reconciliations.save(
                attrs.evolve(
                    self.run,
                    compared=self.tally.compared,
                    differences=self.run.differences + len(new),
                    updated_at=self.clock.now(),
                )
            )
            await work.commit()


_OUT = (PayoutState.PENDING, PayoutState.IN_TRANSIT, PayoutState.PAID)


def _undecided(settled: Settled) -> bool:
    """A refund that is under way there, or came back. Where the hub counts it, the provider is asked which (`_unlisted`)."""
    return settled.movement is Movement.REFUND and not settled.done


async def _batches(listed: AsyncIterator[Settled]) -> AsyncIterator[list[Settled]]:
    batch: list[Settled] = []
    async for one in listed:
        batch.append(one)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _ours(work: Work, provider: str, batch: Sequence[Settled]) -> Ours:
    """What the hub has of a batch."""
    wanted = {one.reference for one in batch if one.movement is Movement.PAYMENT}
    wanted |= {one.intent_reference for one in batch if one.intent_reference is not None}
    alone = {one.reference for one in batch if one.movement is Movement.REFUND and one.intent_reference is None}
    payouts = {one.reference for one in batch if one.movement is Movement.PAYOUT}
    payments = await work.payments.all(provider=provider, reference=tuple(wanted)) if wanted else ()
    refunded: dict[str, Payment] = {}
    for refund in await work.refunds.all(reference=tuple(alone)) if alone else ():
        payment = await work.payments.get(refund.payment_id)
        if payment.provider == provider and refund.reference is not None:
            refunded[refund.reference] = payment
    sent = await work.payouts.all(provider=provider, reference=tuple(payouts)) if payouts else ()
    return Ours({p.reference: p for p in payments}, refunded, {p.reference: p for p in sent if p.reference is not None})
