"""Compare what a provider lists with what the hub has: a batch at a time, in memory that does not grow with the amounts.

Nothing here asks or writes anything; application/billing/reconcile.py does.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b

import attrs

from application.ports.settlements import Movement, Settled
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.payouts import Payout, PayoutState
from domain.billing.reconciliation import DifferenceKind
from domain.money import Money

NOTHING = "nothing"
"""What the side says that lacks a movement."""


@attrs.frozen
class Finding:
    """Something that does not agree; what a Difference is made of."""

    kind: DifferenceKind
    movement: Movement
    reference: str
    ours: str
    theirs: str
    amount: Money
    at: datetime
    payment_id: str | None = None
    intent_reference: str | None = None


@attrs.frozen
class Ours:
    """What the hub has of a batch: payments by their id at the provider, and by the refunds among them; payouts."""

    payments: Mapping[str, Payment] = attrs.field(factory=dict)
    refunded: Mapping[str, Payment] = attrs.field(factory=dict)
    payouts: Mapping[str, Payout] = attrs.field(factory=dict)

    def payment_of(self, settled: Settled) -> Payment | None:
        """The payment that a line of the provider's books belongs to."""
        if settled.movement is Movement.PAYMENT:
            return self.payments.get(settled.reference)
        return self.payments.get(settled.intent_reference or "") or self.refunded.get(settled.reference)


@attrs.define
class Tally:
    """How far a comparison is: what was counted on each side, and which movements the provider has listed.

    Movements and payments are remembered by 8 bytes of a digest, so that a hundred thousand take some megabytes.
    """

    compared: int = 0
    totals: dict[str, dict[str, int]] = attrs.field(factory=dict)
    listed: set[int] = attrs.field(factory=set, repr=False)
    checked: set[int] = attrs.field(factory=set, repr=False)
    """Payments of which nothing moved but what was listed and compared, by a digest of their id."""

    def see(self, movement: Movement, reference: str) -> bool:
        """The provider lists it. Returns whether it does so for the first time."""
        before = len(self.listed)
        self.listed.add(_digest(movement, reference))
        return len(self.listed) > before

    def saw(self, movement: Movement, reference: str) -> bool:
        """Whether the provider has listed it."""
        return _digest(movement, reference) in self.listed

    def check_off(self, payment: Payment) -> None:
        """Its capture is compared; unless something else may have moved of it, it need not be looked at again."""
        if not any(fact.kind is FactKind.REFUNDED for fact in payment.facts):
            self.checked.add(_digest(Movement.PAYMENT, payment.id))

    def unchecked(self, payment_id: str) -> bool:
        """Whether something may have moved of a payment that was not listed."""
        return _digest(Movement.PAYMENT, payment_id) not in self.checked

    def add(self, side: str, movement: Movement, amount: Money) -> None:
        """Count an amount, gross. side: `ours` or `theirs`."""
        sums = self.totals.setdefault(amount.currency.code, {})
        name = f"{side}:{movement.value}"
        sums[name] = sums.get(name, 0) + amount.amount


def compare(settled: Settled, ours: Ours, tally: Tally) -> tuple[Finding, ...]:
    """One line of the provider's books with what the hub has of it."""
    tally.compared += 1
    if settled.unreadable is not None:
        return _unreadable(settled, ours, tally) if settled.done else ()
    if settled.done:
        tally.add("theirs", settled.movement, settled.amount)
    if settled.movement is Movement.PAYOUT:
        return _payout(settled, ours.payouts.get(settled.reference), tally)
    payment = ours.payment_of(settled)
    if settled.movement is Movement.PAYMENT:
        return _payment(settled, payment, tally)
    if settled.movement is Movement.REFUND:
        return _part(settled, payment, refund_of(payment, settled.reference), tally)
    if settled.movement is Movement.DISPUTE:
        return _part(settled, payment, _disputed(payment, settled.reference), tally)
    return (_missing_here(settled, None),) if settled.done and settled.amount else ()


def _unreadable(settled: Settled, ours: Ours, tally: Tally) -> tuple[Finding, ...]:
    """One whose amount cannot be kept here: a difference, whatever the hub has of it. Only our side of it is counted."""
    payment, here = ours.payment_of(settled), None
    if settled.movement is Movement.PAYMENT:
        here = payment.captured if payment is not None else None
    elif settled.movement is Movement.REFUND:
        here = refund_of(payment, settled.reference)
    elif settled.movement is Movement.PAYOUT and (payout := ours.payouts.get(settled.reference)) is not None:
        here = Money(abs(payout.amount.amount), payout.amount.currency)
    if here:
        tally.add("ours", settled.movement, here)
    kind = DifferenceKind.AMOUNT if here else DifferenceKind.MISSING_HERE
    theirs = f"{settled.unreadable}, which is no whole amount"
    return (_finding(kind, settled, payment, str(here) if here else NOTHING, theirs),)


def _payment(settled: Settled, payment: Payment | None, tally: Tally) -> tuple[Finding, ...]:
    if payment is None:
        return (_missing_here(settled, None),) if settled.done else ()
    captured = payment.captured
    tally.check_off(payment)
    if captured:
        tally.add("ours", Movement.PAYMENT, captured)
    if bool(captured) != settled.done:
        ours = f"{captured} captured" if captured else payment.state.value
        theirs = f"{settled.amount} captured" if settled.done else "not captured"
        return (_finding(DifferenceKind.STATE, settled, payment, ours, theirs),)
    if not settled.done:
        return ()
    if captured != settled.amount:
        return (_finding(DifferenceKind.AMOUNT, settled, payment, str(captured), str(settled.amount)),)
    return _fee(settled, payment)


def _fee(settled: Settled, payment: Payment) -> tuple[Finding, ...]:
    kept = payment.fee
    # One in another currency, that of the account's balance, is nothing that a payment's facts can hold.
    if settled.fee is None or settled.fee == kept or settled.fee.currency != kept.currency:
        return ()
    stake = attrs.evolve(settled, amount=settled.fee)
    return (_finding(DifferenceKind.FEE, stake, payment, str(kept), str(settled.fee)),)


def _part(settled: Settled, payment: Payment | None, ours: Money | None, tally: Tally) -> tuple[Finding, ...]:
    """A refund or a dispute: a part of a payment. One that is not done there may still become so."""
    if ours is not None:
        tally.add("ours", settled.movement, ours)
    if not settled.done:
        return ()
    if payment is None or ours is None:
        return (_missing_here(settled, payment),)
    if ours != settled.amount:
        return (_finding(DifferenceKind.AMOUNT, settled, payment, str(ours), str(settled.amount)),)
    return ()


def _payout(settled: Settled, payout: Payout | None, tally: Tally) -> tuple[Finding, ...]:
    if payout is None:
        return (_missing_here(settled, None),) if settled.done else ()
    amount = Money(abs(payout.amount.amount), payout.amount.currency)
    ended = payout.state in (PayoutState.FAILED, PayoutState.CANCELED)
    if not ended:
        tally.add("ours", Movement.PAYOUT, amount)
    if not settled.done:
        return ()
    if ended:
        return (_finding(DifferenceKind.STATE, settled, None, payout.state.value, f"{settled.amount} paid out"),)
    if amount != settled.amount:
        return (_finding(DifferenceKind.AMOUNT, settled, None, str(amount), str(settled.amount)),)
    kept = Money(payout.fee, amount.currency)
    if settled.fee is None or settled.fee == kept or settled.fee.currency != kept.currency:
        return ()
    stake = attrs.evolve(settled, amount=settled.fee)
    return (_finding(DifferenceKind.FEE, stake, None, str(kept), str(settled.fee)),)


def kept_refunds(payment: Payment) -> Iterable[Fact]:
    """The refunds of a payment that stayed back."""
    failed = {fact.reference for fact in payment.facts if fact.kind is FactKind.REFUND_FAILED}
    return (f for f in payment.facts if f.kind is FactKind.REFUNDED and f.reference not in failed)


def refund_of(payment: Payment | None, reference: str) -> Money | None:
    """What went back of a payment by one refund; None when the hub knows of no such refund that stayed back."""
    facts = kept_refunds(payment) if payment is not None else ()
    return next((Money(f.amount, payment.currency) for f in facts if payment and f.reference == reference), None)


def _disputed(payment: Payment | None, reference: str) -> Money | None:
    """What was disputed; by the dispute's own id where the fact has it, else all of it together."""
    facts = [fact for fact in payment.facts if fact.kind is FactKind.DISPUTED] if payment is not None else []
    if payment is None or not facts:
        return None
    own = [fact for fact in facts if fact.reference == reference] or facts
    return Money(sum(fact.amount for fact in own), payment.currency)


def _missing_here(settled: Settled, payment: Payment | None) -> Finding:
    return _finding(DifferenceKind.MISSING_HERE, settled, payment, NOTHING, str(settled.amount))


def _finding(kind: DifferenceKind, settled: Settled, payment: Payment | None, ours: str, theirs: str) -> Finding:
    return Finding(
        kind,
        settled.movement,
        settled.reference,
        ours,
        theirs,
        settled.amount,
        settled.at,
        payment.id if payment is not None else None,
        settled.intent_reference,
    )


def _digest(movement: Movement, reference: str) -> int:
    return int.from_bytes(blake2b(f"{movement.value}:{reference}".encode(), digest_size=8).digest(), "big")
