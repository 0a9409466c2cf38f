"""Lines of Stripe's books, and ours. Pure.

A line is in the currency that money settles in, which may be another than was paid. What it is of (`source`, expanded)
has the amount that was paid, and that is what our records have; the line's fee is told only if it is in that currency.
"""

from typing import Any

import msgspec

from adapters.providers.stripe.amounts import from_stripe
from adapters.providers.stripe.mapping import fee_of, moment, reference_of, texts
from application.ports.settlements import Movement, Settled


class Source(msgspec.Struct):
    """What a line is of, as far as it is read here: a charge, refund, payout or dispute, or something else."""

    id: str | None = None
    object: str | None = None
    amount: Any = None
    amount_captured: Any = None
    currency: Any = None
    status: Any = None
    payment_intent: Any = None
    metadata: Any = None


class BookLine(msgspec.Struct):
    """A balance transaction, as far as it is read here. amount: below zero when it went out."""

    id: str
    type: str
    amount: int
    fee: int
    currency: str
    created: int
    source: Source | str | None = None


_PAYMENTS = ("charge", "payment")
_REFUNDS = ("refund", "payment_refund")
_REFUNDS_BACK = ("refund_failure", "payment_failure_refund")
_PAYOUTS_BACK = ("payout_cancel", "payout_failure")
_FEES = frozenset(("stripe_fee", "stripe_fx_fee", "network_cost", "tax_fee", "application_fee"))
_FAILED = ("failed", "canceled")


def settled_of(line: BookLine) -> Settled | None:
    """A line of ours; None for one that moved nothing."""
    source = line.source if isinstance(line.source, Source) else Source(line.source)
    if line.type in _PAYMENTS:
        return _of(line, source, Movement.PAYMENT, source.status in (None, "succeeded"), source.amount_captured)
    if line.type in _REFUNDS:
        return _of(line, source, Movement.REFUND, source.status not in _FAILED, source.amount)
    if line.type in _REFUNDS_BACK:
        return _of(line, source, Movement.REFUND, False, source.amount)
    if line.type == "payout":
        return _of(line, source, Movement.PAYOUT, source.status == "paid", source.amount)
    if line.type in _PAYOUTS_BACK:
        return _of(line, source, Movement.PAYOUT, False, source.amount)
    if source.object == "dispute":
        return _of(line, source, Movement.DISPUTE, line.amount < 0, source.amount)
    movement = Movement.FEE if line.type in _FEES else Movement.OTHER
    return _of(line, Source(source.id), movement, True, None)


def _of(line: BookLine, source: Source, movement: Movement, done: bool, paid: int | None) -> Settled | None:
    """paid: in the source's currency; without it, the line's own amount. A charge is known here by its payment."""
    currency = source.currency or line.currency
    gross = from_stripe(abs(paid or source.amount or line.amount), currency)
    if not gross:
        return None
    intent = reference_of(source.payment_intent)
    own = intent if movement is Movement.PAYMENT else None
    return Settled(
        movement=movement,
        reference=own or source.id or line.id,
        amount=gross,
        fee=fee_of({"currency": line.currency, "fee": line.fee}, currency),
        at=moment(line.created),
        done=done,
        intent_reference=intent,
        metadata=texts(source.metadata),
    )
