"""A payment at a provider, told as facts that are only ever added: its amounts are sums of them.

The same fact a second time changes nothing, in whatever order facts come: this is what makes a webhook that arrives
twice, late or out of order harmless.
"""

from collections.abc import Callable
from datetime import datetime
from enum import Enum

import attrs

from domain.billing.attempts import GIVEN_UP_AFTER, PATIENCE, THEN_EVERY, Attempt, AttemptState, next_check
from domain.billing.conflicts import COUNT, ConflictKind, Finding
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid


class FactKind(Enum):
    """What became known."""

    CAPTURED = "captured"
    FAILED = "failed"
    CANCELED = "canceled"
    """It was given up before it was made: nobody can pay it any more."""
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    """A refund that had been reported came back: it no longer counts."""
    FEE = "fee"
    """What the provider keeps of a capture."""
    DISPUTED = "disputed"
    """The payer's bank took it back, or holds it."""
    DISPUTE_WON = "dispute_won"
    """What was disputed, or a part of it, is ours again."""


@attrs.frozen
class Fact:
    """One thing known about a payment. `reference` is the provider's id of the capture, the failure or the refund."""

    kind: FactKind
    reference: str
    amount: int
    at: datetime


class PaymentState(Enum):
    """What the facts add up to."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    """The provider was asked to charge and did not answer: it may have happened."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    PARTLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    CONFLICTED = "conflicted"
    """Money came, but not what was asked for: another currency, or an amount the invoice cannot explain."""


class MoreThanCaptured(Conflict):
    """A refund would send back more than came in."""


class Disputed(Conflict):
    """A refund of what the payer's bank has taken back, or holds, would pay the payer twice."""


ASKED = "asked:"
"""How the reference of a charge begins that the provider has not given a reference of its own yet."""


@attrs.frozen
class Payment:
    """One payment at one provider. `reference` is its id there, unique in the organisation and provider:
    two connections may lead to the same account, and both hear of it. `connection_id` is the first that did."""

    id: str
    organisation_id: str
    connection_id: str
    provider: str
    reference: str
    asked: Money
    created_at: datetime
    updated_at: datetime
    invoice_id: str | None = None
    facts: tuple[Fact, ...] = ()
    conflict: str | None = None
    attempts: tuple[Attempt, ...] = ()
    client_id: str | None = None
    subscription_id: str | None = None
    resolution: str | None = None
    """What a person did about the conflict."""
    conflict_kind: ConflictKind | None = None
    """The conflict's name; `conflict` says it in a sentence."""
    version: int = 1

    @property
    def currency(self) -> Currency:
        """The currency it was made in."""
        return self.asked.currency

    @property
    def captured(self) -> Money:
        """What came in."""
        return self._sum(FactKind.CAPTURED)

    @property
    def refunded(self) -> Money:
        """What went back and stayed back."""
        failed = {fact.reference for fact in self.facts if fact.kind is FactKind.REFUND_FAILED}
        kept = (f.amount for f in self.facts if f.kind is FactKind.REFUNDED and f.reference not in failed)
        return Money(sum(kept), self.currency)

    @property
    def fee(self) -> Money:
        """What the provider keeps of it."""
        return self._sum(FactKind.FEE)

    @property
    def disputed(self) -> Money:
        """What the payer's bank has taken back, or holds."""
        return self._sum(FactKind.DISPUTED) - self._sum(FactKind.DISPUTE_WON)

    @property
    def refundable(self) -> Money:
        """What can still be sent back; what is disputed cannot."""
        left = self.captured - self.refunded - self.disputed
        return left if left.amount > 0 else Money.zero(self.currency)

    @property
    def counts(self) -> bool:
        """Whether its money is its invoice's. Money that nobody has explained yet is not."""
        return self.conflict is None or self.conflict_kind in COUNT

    @property
    def waits_for_answer(self) -> bool:
        """Whether the hub asked the provider to charge and does not know what came of it."""
        return not self.captured and any(attempt.waiting for attempt in self.attempts)

    @property
    def at_provider(self) -> bool:
        """Whether the provider has given it a reference."""
        return not self.reference.startswith(ASKED)

    @property
    def state(self) -> PaymentState:
        """What the facts add up to."""
        kinds = {fact.kind for fact in self.facts}
        gone = bool(self.captured) and self.captured == self.refunded
        if self.conflict is not None and not gone:
            return PaymentState.CONFLICTED
        if self.captured:
            if gone:
                return PaymentState.REFUNDED
            if self.disputed:
                return PaymentState.DISPUTED
            return PaymentState.PARTLY_REFUNDED if self.refunded else PaymentState.SUCCEEDED
        if FactKind.CANCELED in kinds:
            return PaymentState.CANCELED
        if any(attempt.state is AttemptState.UNKNOWN for attempt in self.attempts):
            return PaymentState.UNKNOWN
        return PaymentState.FAILED if FactKind.FAILED in kinds else PaymentState.PENDING

    @property
    def payable(self) -> bool:
        """Whether the payer may still complete it; what the hub charges by itself is not theirs to complete."""
        return not self.attempts and self.state in (PaymentState.PENDING, PaymentState.FAILED)

    def asked_with(self, key: str, method: str, now: datetime) -> "Payment":
        """The provider is about to be asked to charge, with this key."""
        return attrs.evolve(
            self, attempts=(*self.attempts, Attempt(key, now, AttemptState.ASKED, method)), updated_at=now
        )

    def answered(self, state: AttemptState, now: datetime, failure: str | None = None) -> "Payment":
        """What came of the attempt that waits for its answer, if one does."""
        return self._attempts(now, lambda one: attrs.evolve(one, state=state, failure=failure))

    def looked_up(self, now: datetime) -> "Payment":
        """The provider was asked about the attempt, and could not tell yet; one that it has a reference for is under way
        there, and any other may have happened."""

        def looked(one: Attempt) -> Attempt:
            state = one.state if self.at_provider else AttemptState.UNKNOWN
            return attrs.evolve(one, state=state, checks=one.checks + 1, checked_at=now)

        return self._attempts(now, looked)

    def _attempts(self, now: datetime, change: Callable[[Attempt], Attempt]) -> "Payment":
        attempts = tuple(change(one) if one.waiting else one for one in self.attempts)
        return self if attempts == self.attempts else attrs.evolve(self, attempts=attempts, updated_at=now)

    def set_aside(self, found: Finding, now: datetime) -> "Payment":
        """It is not what was asked for; a person is to settle that."""
        return attrs.evolve(self, conflict=found.why, conflict_kind=found.kind, resolution=None, updated_at=now)

    def resolved(self, how: str, now: datetime, *, invoice_id: str | None) -> "Payment":
        """A person settled its conflict: its money is the invoice's from now on; without one, the client's."""
        return attrs.evolve(
            self,
            conflict=None,
            conflict_kind=None,
            resolution=f"{how}: {self.conflict}"[:500],
            invoice_id=invoice_id,
            updated_at=now,
        )

    def learn(self, *facts: Fact, now: datetime) -> tuple["Payment", tuple[Fact, ...]]:
        """Add what is not known yet. Returns the payment and the facts that were new."""
        known = {(fact.kind, fact.reference) for fact in self.facts}
        new: list[Fact] = []
        for fact in facts:
            if (fact.kind, fact.reference) not in known:
                known.add((fact.kind, fact.reference))
                new.append(fact)
        if not new:
            return self, ()
        return attrs.evolve(self, facts=(*self.facts, *new), updated_at=now), tuple(new)

    def check_refund(self, amount: Money, promised: Money | None = None) -> None:
        """Raise unless this much can be sent back. `promised`: of refunds that are asked for and not among the facts."""
        if amount.currency != self.currency:
            raise Invalid.field("currency", f"The payment is in {self.currency.code}.")
        going = promised or Money.zero(self.currency)
        left = self.refundable - going
        if amount.amount < 0 or (not amount and (left or not going)):
            raise Invalid.field("amount", "A refund is more than nothing.")
        if self.disputed:
            raise Disputed(
                f"The payer's bank has taken back {self.disputed} of this payment, or holds it: a refund would pay twice."
                " Answer the dispute at the provider.",
                field="amount",
            )
        if amount > left or not amount:
            why = f"Only {left} of {self.captured} can still be refunded."
            raise MoreThanCaptured(why + (f" {going} is on its way back." if going else ""), field="amount")

    def _sum(self, kind: FactKind) -> Money:
        return Money(sum(fact.amount for fact in self.facts if fact.kind is kind), self.currency)


class RefundState(Enum):
    """Where a refund of ours stands. It is written down before the provider is asked, and counts from then on."""

    REQUESTED = "requested"
    UNKNOWN = "unknown"
    """Asked, without an answer, and the provider may have forgotten the key: it is looked up, never asked again."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@attrs.frozen
class Refund:
    """Money on its way back. Its id is the idempotency key at the provider; `reference` its id there, once known."""

    id: str
    organisation_id: str
    payment_id: str
    amount: Money
    created_at: datetime
    updated_at: datetime
    reason: str = ""
    state: RefundState = RefundState.REQUESTED
    reference: str | None = None
    failure: str | None = None
    asked_at: datetime | None = None
    checks: int = 0
    version: int = 1

    @property
    def waiting(self) -> bool:
        """Whether its answer is not known."""
        return self.state in (RefundState.REQUESTED, RefundState.UNKNOWN)

    def due(self, now: datetime) -> bool:
        """Whether it is to be looked up now."""
        if not self.waiting or self.stuck(now):
            return False
        if self.state is RefundState.UNKNOWN:
            return next_check(self.asked_at or self.created_at, self.checks, self.updated_at) <= now
        fresh = now - self.created_at < THEN_EVERY
        return self.updated_at + (PATIENCE if fresh else THEN_EVERY) <= now

    def stuck(self, now: datetime) -> bool:
        """Whether it has been without an answer for so long that a person has to look."""
        return self.waiting and self.created_at + GIVEN_UP_AFTER <= now

    def asking(self, now: datetime) -> "Refund":
        """The provider is about to be asked."""
        return attrs.evolve(self, state=RefundState.REQUESTED, asked_at=now, updated_at=now)

    def not_asked(self, now: datetime) -> "Refund":
        """The provider could not be asked: surely nothing was sent."""
        return attrs.evolve(self, asked_at=None, updated_at=now)

    def unanswered(self, now: datetime) -> "Refund":
        """Asked without an answer, and the provider would not know the key again: it is looked up from now on."""
        checks = self.checks + (self.state is RefundState.UNKNOWN)
        return attrs.evolve(self, state=RefundState.UNKNOWN, checks=checks, updated_at=now)

    def done(self, reference: str, now: datetime) -> "Refund":
        """The provider has it."""
        return attrs.evolve(self, state=RefundState.SUCCEEDED, reference=reference, updated_at=now)

    def failed(self, why: str, now: datetime) -> "Refund":
        """The provider said no, or the money came back."""
        return attrs.evolve(self, state=RefundState.FAILED, failure=why, updated_at=now)
