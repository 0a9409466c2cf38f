"""A payment at a provider, told as facts that are only ever added: its amounts are sums of them.

The same fact a second time changes nothing, in whatever order facts come: this is what makes a webhook that arrives
twice, late or out of order harmless.
"""

from datetime import datetime
from enum import Enum

import attrs

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
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    PARTLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    CONFLICTED = "conflicted"
    """Money came, but not what was asked for: another currency, or an amount the invoice cannot explain."""


class MoreThanCaptured(Conflict):
    """A refund would send back more than came in."""


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
    def refundable(self) -> Money:
        """What can still be sent back."""
        return self.captured - self.refunded

    @property
    def state(self) -> PaymentState:
        """What the facts add up to."""
        if self.conflict is not None:
            return PaymentState.CONFLICTED
        if self.captured:
            if not self.refunded:
                return PaymentState.SUCCEEDED
            return PaymentState.PARTLY_REFUNDED if self.refundable else PaymentState.REFUNDED
        kinds = {fact.kind for fact in self.facts}
        if FactKind.CANCELED in kinds:
            return PaymentState.CANCELED
        return PaymentState.FAILED if FactKind.FAILED in kinds else PaymentState.PENDING

    @property
    def payable(self) -> bool:
        """Whether the payer may still complete it."""
        return self.state in (PaymentState.PENDING, PaymentState.FAILED)

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

    def check_refund(self, amount: Money) -> None:
        """Raise unless this much can be sent back."""
        if amount.currency != self.currency:
            raise Invalid.field("currency", f"The payment is in {self.currency.code}.")
        if amount.amount <= 0:
            raise Invalid.field("amount", "A refund is more than nothing.")
        if amount > self.refundable:
            raise MoreThanCaptured(f"Only {self.refundable} of {self.captured} can still be refunded.", field="amount")

    def _sum(self, kind: FactKind) -> Money:
        return Money(sum(fact.amount for fact in self.facts if fact.kind is kind), self.currency)


class RefundState(Enum):
    """Where a refund of ours stands. It is written down before the provider is asked, and counts from then on."""

    REQUESTED = "requested"
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
    version: int = 1

    def done(self, reference: str, now: datetime) -> "Refund":
        """The provider has it."""
        return attrs.evolve(self, state=RefundState.SUCCEEDED, reference=reference, updated_at=now)

    def failed(self, why: str, now: datetime) -> "Refund":
        """The provider said no, or the money came back."""
        return attrs.evolve(self, state=RefundState.FAILED, failure=why, updated_at=now)
