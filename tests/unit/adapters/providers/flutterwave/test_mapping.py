"""Flutterwave's amounts and words, and ours."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.flutterwave import mapping
from application.ports.payments import CheckoutState, IntentState, PaidWith, ProviderRefused, RefundState
from application.ports.payouts import PayoutStanding
from domain.money import Currency, Money
from domain.refusals import Invalid

_CURRENCIES = st.sampled_from(sorted(mapping.CURRENCIES))

TRANSACTION: dict[str, Any] = {
    "id": 288200108,
    "tx_ref": "chk_1",
    "amount": 100,
    "currency": "NGN",
    "charged_amount": 100,
    "app_fee": 1.4,
    "processor_response": "Approved by Financial Institution",
    "status": "successful",
    "card": {"token": "flw-t1nf-secret-k3n"},
    "meta": {"patchbay_invoice": "inv_1", "__CheckoutInitAddress": "https://x.example", "count": 5, "odd": [1]},
}


@given(_CURRENCIES, st.integers(1, mapping.MOST * 100))
def test_what_we_count_comes_back_the_same(code: str, minor: int) -> None:
    """Over the wire and back, for every currency that Flutterwave takes: never another amount, never a double's noise."""
    money = Money(minor, Currency(code))
    text = json.dumps(mapping.to_wire(money))
    assert Decimal(text) == Decimal(money.decimal)
    assert "e" not in text.lower()
    assert mapping.from_wire(json.loads(text), code) == money
    assert mapping.from_wire(money.decimal, code.lower()) == money


@pytest.mark.parametrize(
    ("decimal", "code", "sent"),
    [
        ("125.50", "NGN", "125.5"),
        ("125.00", "NGN", "125"),
        ("5000", "UGX", "5000"),
        ("1", "RWF", "1"),
        ("500", "XOF", "500"),
        ("0.10", "GHS", "0.1"),
        ("49.99", "KES", "49.99"),
        ("999999999.99", "ZMW", "999999999.99"),
    ],
)
def test_amounts_are_major_units(decimal: str, code: str, sent: str) -> None:
    """UGX, RWF, XAF and XOF have no decimals; a hundredth or a hundredfold would be a customer's money."""
    assert json.dumps(mapping.to_wire(Money.of(decimal, code))) == sent


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (1.5, "UGX"),
        (1.005, "NGN"),
        ("many", "NGN"),
        (None, "NGN"),
        (True, "NGN"),
        (1, "XAU"),
        (1, None),
        ("NaN", "NGN"),
        ([], "NGN"),
        (1e300, "NGN"),
    ],
)
def test_an_amount_that_we_cannot_keep_is_refused(amount: object, code: object) -> None:
    """It is not rounded, and not taken for nothing."""
    with pytest.raises(ProviderRefused):
        mapping.from_wire(amount, code)


@pytest.mark.parametrize(
    ("fee", "kept"), [(26.875, 2688), (1.4, 140), ("0.004", 0), (0, 0), (None, None), ("N/A", None), (True, None)]
)
def test_a_fee_is_kept_to_the_smallest_unit(fee: object, kept: int | None) -> None:
    """Flutterwave counts fees finer than the currency; an unreadable fee must not lose the payment."""
    got = mapping.fee_of(fee, Currency("NGN"))
    assert (None if got is None else got.amount) == kept


@pytest.mark.parametrize(
    "money",
    [Money.of("1", "JPY"), Money.of("0", "NGN"), Money.of("-5", "NGN"), Money.of("1000000000", "NGN")],
)
def test_what_cannot_be_charged_is_found_out_beforehand(money: Money) -> None:
    """And the field that is wrong is named."""
    with pytest.raises(Invalid) as invalid:
        mapping.check_chargeable(money, field="lines.0")
    assert [fault.field for fault in invalid.value.faults] == ["lines.0"]
    mapping.check_chargeable(Money.of("999999999", "NGN"))


def test_every_currency_is_one_of_ours() -> None:
    """Otherwise a payment in it could not be kept."""
    assert {Currency(code).code for code in mapping.CURRENCIES} == mapping.CURRENCIES
    assert mapping.MOBILE_MONEY.keys() <= mapping.CURRENCIES


@pytest.mark.parametrize(
    ("status", "state", "received"),
    [
        ("successful", IntentState.SUCCEEDED, 10_000),
        ("pending", IntentState.PROCESSING, 0),
        ("failed", IntentState.FAILED, 0),
        ("cancelled", IntentState.CANCELED, 0),
        ("levitating", IntentState.UNKNOWN, 0),
        (None, IntentState.UNKNOWN, 0),
    ],
)
def test_a_status_becomes_a_state(status: str | None, state: IntentState, received: int) -> None:
    """Only a success is money; what is unheard of is neither money nor a failure."""
    intent = mapping.intent_of({**TRANSACTION, "status": status})
    assert (intent.state, intent.received.amount, intent.amount.amount) == (state, received, 10_000)
    assert bool(intent.failure) == (state is IntentState.FAILED)
    assert bool(intent.fee) == (state is IntentState.SUCCEEDED)


def test_a_transaction_is_told_in_our_words() -> None:
    """What Settle compares, and the token, which is a secret."""
    intent = mapping.intent_of(TRANSACTION)
    assert (intent.reference, intent.fee) == ("288200108", Money.of("1.40", "NGN"))
    assert intent.metadata == {"patchbay_invoice": "inv_1", "count": "5"}
    assert intent.method_reference == "flw-t1nf-secret-k3n"
    assert "flw-t1nf" not in repr(intent)


@pytest.mark.parametrize(
    ("status", "state", "paid"),
    [
        ("successful", CheckoutState.COMPLETE, True),
        ("pending", CheckoutState.OPEN, False),
        ("failed", CheckoutState.OPEN, False),
        ("levitating", CheckoutState.UNKNOWN, False),
    ],
)
def test_a_page_is_as_far_as_its_transaction(status: str, state: CheckoutState, paid: bool) -> None:
    """After a failure the payer may try again."""
    page = mapping.checkout_of("chk_1", {**TRANSACTION, "status": status})
    assert (page.reference, page.state, page.paid, page.intent_reference) == ("chk_1", state, paid, "288200108")
    empty = mapping.checkout_of("chk_1", None)
    assert (empty.state, empty.amount, empty.expires_at, empty.intent_reference) == (
        CheckoutState.OPEN,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("completed", RefundState.SUCCEEDED),
        ("completed-momo", RefundState.SUCCEEDED),
        ("Completed-Bank-Transfer", RefundState.SUCCEEDED),
        ("pending-momo", RefundState.PENDING),
        ("new", RefundState.PENDING),
        ("failed", RefundState.FAILED),
        ("levitating", RefundState.UNKNOWN),
        (None, RefundState.UNKNOWN),
    ],
)
def test_a_refund_s_status_says_the_way_it_went(status: str | None, state: RefundState) -> None:
    """The way is of no interest, the state is."""
    row = {"id": 1, "amount_refunded": 5, "status": status, "comment": "Late [ref_1]"}
    refund = mapping.refund_of(row, "7", Currency("NGN"))
    assert (refund.state, refund.key, refund.intent_reference) == (state, "ref_1", "7")


@given(st.text(max_size=300))
def test_our_key_is_read_back_from_any_reason(reason: str) -> None:
    """A refund whose key is not found would be made twice."""
    comment = mapping.comment_with("ref_01K0XYZ", reason)
    assert mapping.key_in(comment) == "ref_01K0XYZ"
    assert len(comment) < 200
    assert "\n" not in comment


@pytest.mark.parametrize("comment", [None, "", "Late", "[", "]", "Late [ref_1] indeed", "[]"])
def test_a_comment_of_somebody_else_s_has_no_key(comment: str | None) -> None:
    """Then nobody can say which refund of ours it is."""
    assert mapping.key_in(comment) is None


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("NEW", PayoutStanding.PENDING),
        ("PENDING", PayoutStanding.IN_TRANSIT),
        ("SUCCESSFUL", PayoutStanding.PAID),
        ("FAILED", PayoutStanding.FAILED),
        ("Failed", PayoutStanding.FAILED),
        ("LEVITATING", PayoutStanding.UNKNOWN),
    ],
)
def test_a_transfer_s_status_becomes_a_standing(status: str, standing: PayoutStanding) -> None:
    """Its fee is in the currency it was taken from, which may be another: that one is left out."""
    row = {
        "id": 5,
        "amount": 10,
        "currency": "NGN",
        "fee": 10.75,
        "debit_currency": "NGN",
        "status": status,
        "reference": "p",
    }
    payout = mapping.payout_of(row)
    assert (payout.standing, payout.fee, payout.key) == (standing, Money.of("10.75", "NGN"), "p")
    assert bool(payout.failure) == (standing is PayoutStanding.FAILED)
    assert mapping.payout_of({**row, "debit_currency": "USD"}).fee is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2020-07-15T14:31:16.000Z", datetime(2020, 7, 15, 14, 31, 16, tzinfo=UTC)),
        ("2020-07-15T14:31:16", datetime(2020, 7, 15, 14, 31, 16, tzinfo=UTC)),
        ("soon", mapping.NEVER),
        (None, mapping.NEVER),
    ],
)
def test_times_are_aware(text: str | None, at: datetime) -> None:
    """One that cannot be read is none, and no error."""
    assert mapping.moment(text) == at


@pytest.mark.parametrize(
    ("expiry", "kept"),
    [("09/32", "2032-09"), ("9/32", "2032-09"), ("", None), (None, None), ("soon", None), ("9/x2", None)],
)
def test_a_card_is_known_again_by_its_brand_and_its_end(expiry: str | None, kept: str | None) -> None:
    """Whoever chooses which card is charged sees these, and never the token."""
    card = {"token": "flw-t1nf-secret-k3n", "type": "VISA", "last_4digits": "2950", "expiry": expiry}
    shown = mapping.intent_of({**TRANSACTION, "card": card}).paid_with
    assert shown == PaidWith("VISA", "2950", kept)
    assert "k3n" not in repr(shown)
