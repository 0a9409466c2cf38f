"""Lines of Stripe's books in our words."""

from typing import Any

import msgspec
import pytest

from adapters.providers.stripe.mapping_settled import BookLine, settled_of
from application.ports.settlements import Movement
from domain.money import Money

AT = 1_793_534_400


def _line(kind: str, amount: int, source: Any, *, fee: int = 0, currency: str = "usd") -> BookLine:
    row = {"id": "txn_1", "type": kind, "amount": amount, "fee": fee, "currency": currency, "created": AT}
    return msgspec.convert({**row, "source": source, "net": amount - fee}, BookLine)


def _source(kind: str, id_: str, amount: int, currency: str = "usd", **more: Any) -> dict[str, Any]:
    return {"object": kind, "id": id_, "amount": amount, "currency": currency, **more}


CHARGE = _source(
    "charge", "ch_1", 5000, amount_captured=5000, status="succeeded", payment_intent="pi_1", metadata={"a": "b"}
)
REFUND = _source("refund", "re_1", 700, status="succeeded", payment_intent="pi_1")
PAYOUT = _source("payout", "po_1", 900, status="paid")
DISPUTE = _source("dispute", "dp_1", 5000, payment_intent="pi_1")


@pytest.mark.parametrize(
    ("line", "movement", "reference", "amount", "done"),
    [
        (_line("charge", 5000, CHARGE), Movement.PAYMENT, "pi_1", 5000, True),
        (_line("payment", 5000, {**CHARGE, "status": "pending"}), Movement.PAYMENT, "pi_1", 5000, False),
        (_line("charge", 5000, {**CHARGE, "payment_intent": None}), Movement.PAYMENT, "ch_1", 5000, True),
        (_line("charge", 3000, {**CHARGE, "amount_captured": 3000}), Movement.PAYMENT, "pi_1", 3000, True),
        (_line("refund", -700, REFUND), Movement.REFUND, "re_1", 700, True),
        (_line("payment_refund", -700, {**REFUND, "status": "failed"}), Movement.REFUND, "re_1", 700, False),
        (_line("refund_failure", 700, REFUND), Movement.REFUND, "re_1", 700, False),
        (_line("payout", -900, PAYOUT), Movement.PAYOUT, "po_1", 900, True),
        (_line("payout", -900, {**PAYOUT, "status": "in_transit"}), Movement.PAYOUT, "po_1", 900, False),
        (_line("payout_failure", 900, PAYOUT), Movement.PAYOUT, "po_1", 900, False),
        (_line("adjustment", -5000, DISPUTE), Movement.DISPUTE, "dp_1", 5000, True),
        (_line("adjustment", 5000, DISPUTE), Movement.DISPUTE, "dp_1", 5000, False),
        (_line("stripe_fee", -300, None), Movement.FEE, "txn_1", 300, True),
        (_line("topup", 300, "tu_1"), Movement.OTHER, "tu_1", 300, True),
        (_line("something_new", -300, _source("novelty", "no_1", 1)), Movement.OTHER, "no_1", 300, True),
    ],
)
def test_each_line_says_what_moved(line: BookLine, movement: Movement, reference: str, amount: int, done: bool) -> None:
    """By the references that our records have: a payment's, not its charge's."""
    settled = settled_of(line)
    assert settled is not None
    assert (settled.movement, settled.reference, settled.amount.amount, settled.done) == (
        movement,
        reference,
        amount,
        done,
    )
    assert settled.at.timestamp() == AT


def test_a_fee_is_told_with_its_payment() -> None:
    """And what was written on the payment comes with it."""
    settled = settled_of(_line("charge", 5000, CHARGE, fee=175))
    assert settled is not None
    assert (settled.fee, settled.metadata, settled.intent_reference) == (
        Money(175, settled.amount.currency),
        {"a": "b"},
        "pi_1",
    )


def test_money_that_stripe_converted_is_told_as_it_was_paid() -> None:
    """Our record is in yen; a line in dollars would differ from it every night. The fee, in dollars, is left out."""
    yen = {**CHARGE, "currency": "jpy", "amount": 5000, "amount_captured": 5000}
    settled = settled_of(_line("charge", 3312, yen, fee=126))
    assert settled is not None
    assert (settled.amount, settled.fee) == (Money.of("5000", "JPY"), None)


def test_a_line_of_nothing_is_left_out() -> None:
    """An amount is always above zero."""
    assert settled_of(_line("adjustment", 0, None)) is None
