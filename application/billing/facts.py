"""What a provider's answer about a payment makes known, as facts: pure.

A provider tells sums (so much is disputed, so much is its fee); facts are only ever added. So a sum that differs from what
the facts known so far add up to becomes one more fact over the difference.
"""

from collections.abc import Sequence
from datetime import datetime

import attrs

from application.ports.payments import Intent, IntentState, ProviderRefund, RefundState
from domain.billing.attempts import AttemptState
from domain.billing.payments import Fact, FactKind, Payment

REFUND_COUNTS = (RefundState.SUCCEEDED, RefundState.PENDING)
REFUND_CAME_BACK = (RefundState.FAILED, RefundState.CANCELED)


def facts_of(
    payment: Payment, intent: Intent, refunds: Sequence[ProviderRefund], failure: str | None, now: datetime
) -> tuple[Fact, ...]:
    """What the payment may not know yet. failure: the id of a failure that the provider reported."""
    facts = [*_made(payment, intent, failure, now)]
    captured = bool(payment.captured) or any(fact.kind is FactKind.CAPTURED for fact in facts)
    if captured:
        facts += _kept(payment, intent, now)
        facts += _disputed(payment, intent, now)
        facts += _went_back(payment, refunds, now)
    return tuple(facts)


def attempted(payment: Payment, intent: Intent, now: datetime) -> Payment:
    """The payment with what became of the attempt that waited for its answer. A failure that was told ends it too: nobody
    confirms again what the hub charged by itself."""
    failed = {fact.reference for fact in payment.facts if fact.kind is FactKind.FAILED}
    if intent.state is IntentState.SUCCEEDED:
        return payment.answered(AttemptState.SUCCEEDED, now)
    told = any(attempt.waiting and attempt.key in failed for attempt in payment.attempts)
    if told or intent.state in (IntentState.FAILED, IntentState.CANCELED):
        return payment.answered(AttemptState.FAILED, now, intent.failure or intent.raw_status)
    return payment


def in_its_currency(payment: Payment, intent: Intent) -> Payment:
    """A payment whose first fact is in another currency than was asked for counts in that one."""
    if intent.received and not payment.facts and payment.currency != intent.received.currency:
        return attrs.evolve(payment, asked=intent.amount)
    return payment


def _made(payment: Payment, intent: Intent, failure: str | None, now: datetime) -> list[Fact]:
    if intent.state is IntentState.SUCCEEDED and intent.received:
        return [Fact(FactKind.CAPTURED, intent.reference, intent.received.amount, now)]
    asked = intent.amount.amount
    if intent.state is IntentState.CANCELED:
        return [Fact(FactKind.CANCELED, intent.reference, asked, now)]
    if intent.state is IntentState.FAILED or failure is not None:
        # What the hub charges fails once an attempt, whichever webhook tells of it.
        final = intent.reference if intent.state is IntentState.FAILED else failure
        told = payment.attempts[-1].key if payment.attempts else final
        return [Fact(FactKind.FAILED, told or intent.reference, asked, now)]
    return []


def _kept(payment: Payment, intent: Intent, now: datetime) -> list[Fact]:
    if intent.fee is None or intent.fee.currency != intent.amount.currency:
        return []  # a fee in the currency of the provider's balance is told by its list of settlements
    change = intent.fee.amount - payment.fee.amount
    number = sum(fact.kind is FactKind.FEE for fact in payment.facts)
    reference = intent.reference if not number else f"{intent.reference}:{number + 1}"
    return [Fact(FactKind.FEE, reference, change, now)] if change else []


def _disputed(payment: Payment, intent: Intent, now: datetime) -> list[Fact]:
    if intent.disputed is None or intent.disputed.currency != intent.amount.currency:
        return []
    change = intent.disputed.amount - payment.disputed.amount
    kind = FactKind.DISPUTED if change > 0 else FactKind.DISPUTE_WON
    number = sum(fact.kind is kind for fact in payment.facts)
    return [Fact(kind, f"{intent.reference}:{number + 1}", abs(change), now)] if change else []


def _went_back(payment: Payment, refunds: Sequence[ProviderRefund], now: datetime) -> list[Fact]:
    known = {fact.reference for fact in payment.facts if fact.kind is FactKind.REFUNDED}
    facts: list[Fact] = []
    for refund in refunds:
        if refund.state in REFUND_COUNTS:
            facts.append(Fact(FactKind.REFUNDED, refund.reference, refund.amount.amount, now))
        # Any other state may still turn out well; what was counted stays counted until it is known to be back.
        elif refund.state in REFUND_CAME_BACK and refund.reference in known:
            facts.append(Fact(FactKind.REFUND_FAILED, refund.reference, refund.amount.amount, now))
    return facts
