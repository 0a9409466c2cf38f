"""Stripe's amounts and words, and ours."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.stripe import mapping
from application.ports.payments import CheckoutState, IntentState, ProviderRefused, RefundState
from domain.money import Currency, Money
from domain.refusals import Invalid

_CURRENCIES = st.sampled_from(sorted(mapping.CURRENCIES))


def test_every_currency_of_stripe_s_is_one_of_ours() -> None:
    """Otherwise a webhook in that currency could not be kept."""
    assert {Currency(code).code for code in mapping.CURRENCIES} == mapping.CURRENCIES
    assert len(mapping.CURRENCIES) > 130


@given(_CURRENCIES, st.integers(0, 10**9))
def test_what_stripe_counts_comes_back_the_same(code: str, amount: int) -> None:
    """Both ways, for every currency: the same amount, or a refusal; never another amount."""
    try:
        ours = mapping.from_stripe(amount, code.lower())
    except ProviderRefused:
        assert code in ("ISK", "UGX")
        assert amount % 100
        return
    assert Decimal(ours.decimal) == Decimal(amount).scaleb(-mapping.exponent(ours.currency))
    try:
        assert mapping.to_stripe(ours) == amount
    except Invalid:
        assert code in ("BHD", "JOD", "KWD", "OMR", "TND")
        assert amount % 10


@given(_CURRENCIES, st.integers(0, 10**9))
def test_what_we_count_comes_back_the_same(code: str, amount: int) -> None:
    """And what Stripe cannot charge exactly is refused, naming the field."""
    money = Money(amount, Currency(code))
    step = 100 if code == "MGA" else 10 if code in ("BHD", "JOD", "KWD", "OMR", "TND") else 1
    if amount % step == 0:
        assert mapping.from_stripe(mapping.to_stripe(money), code) == money
        return
    with pytest.raises(Invalid) as refused:
        mapping.to_stripe(money, field="price")
    assert [fault.field for fault in refused.value.faults] == ["price"]


@pytest.mark.parametrize(
    ("decimal", "code", "sent"),
    [
        ("12.50", "USD", 1250),
        ("500", "JPY", 500),
        ("5000", "UGX", 500_000),
        ("5", "ISK", 500),
        ("10.45", "HUF", 1045),
        ("800.45", "TWD", 80_045),
        ("5.120", "KWD", 5120),
        ("3.00", "MGA", 3),
        ("1", "XAF", 1),
    ],
)
def test_the_special_currencies_are_sent_as_stripe_wants_them(decimal: str, code: str, sent: int) -> None:
    """Wrong by a factor of a hundred is the classic mistake, in either direction."""
    assert mapping.to_stripe(Money.of(decimal, code)) == sent
    assert mapping.from_stripe(sent, code.lower()) == Money.of(decimal, code)


@pytest.mark.parametrize(("decimal", "code"), [("5.124", "KWD"), ("1.50", "MGA"), ("1.00", "CLF"), ("1", "UYI")])
def test_what_stripe_cannot_charge_is_refused_and_never_rounded(decimal: str, code: str) -> None:
    """Rounding would charge another amount than the invoice says."""
    with pytest.raises(Invalid):
        mapping.to_stripe(Money.of(decimal, code))
    with pytest.raises(Invalid) as refused:
        mapping.check_chargeable(Money.of(decimal, code), field="lines.0")
    assert [fault.field for fault in refused.value.faults] == ["lines.0"]


@pytest.mark.parametrize(
    ("smallest", "code", "largest"),
    [
        ("0.50", "USD", "999999.99"),
        ("0.30", "GBP", "999999.99"),
        ("50", "JPY", "99999999"),
        ("175.00", "HUF", "99999999.99"),
        ("1", "UGX", "999999"),
        ("0.010", "KWD", "99999.990"),
        ("0.01", "IDR", "9999999999.99"),
        ("0.01", "PHP", "999999.99"),
    ],
)
def test_the_limits_of_a_charge(smallest: str, code: str, largest: str) -> None:
    """A payer should not be led to a page that cannot take the money."""
    low, high = Money.of(smallest, code), Money.of(largest, code)
    mapping.check_chargeable(low)
    mapping.check_chargeable(high)
    step = Money(10 if code == "KWD" else 1, low.currency)
    for money in (low - step, high + step, Money.zero(low.currency), Money(-100, low.currency)):
        with pytest.raises(Invalid, match=code):
            mapping.check_chargeable(money)


def test_unheard_of_currencies_are_refused() -> None:
    """Stripe may add one; it must not be taken for another."""
    for code in ("xyz", "", "clf"):
        with pytest.raises(ProviderRefused) as refused:
            mapping.from_stripe(100, code)
        assert refused.value.code == "currency_unknown"


def _intent(**more: object) -> dict[str, object]:
    return {"id": "pi_1", "status": "succeeded", "amount": 500, "currency": "usd", "amount_received": 500, **more}


def test_unheard_of_statuses_become_unknown() -> None:
    """A new status must neither crash nor pass for a failure."""
    assert mapping.intent_of(_intent(status="requires_magic")).state is IntentState.UNKNOWN
    assert mapping.intent_of(_intent(status="requires_magic")).raw_status == "requires_magic"
    refund = {"id": "re_1", "amount": 1, "currency": "usd"}
    assert mapping.refund_of({**refund, "status": "odd"}).state is RefundState.UNKNOWN
    assert mapping.refund_of({**refund, "status": "requires_action"}).state is RefundState.PENDING
    assert mapping.refund_of({**refund, "status": None}).state is RefundState.SUCCEEDED
    session = {"id": "cs_1", "status": "new", "amount_total": 1, "currency": "usd", "expires_at": 0}
    assert mapping.checkout_of(session).state is CheckoutState.UNKNOWN
    assert not mapping.checkout_of(session).paid


def test_an_intent_reads_what_went_back_from_its_charge() -> None:
    """Whether it is expanded or only named."""
    expanded = mapping.intent_of(_intent(latest_charge={"id": "ch_1", "amount_refunded": 200}))
    assert (expanded.refunded.decimal, expanded.received.decimal) == ("2.00", "5.00")
    assert mapping.intent_of(_intent(latest_charge="ch_1")).refunded.amount == 0
    failed = mapping.intent_of(_intent(last_payment_error={"code": "card_declined"}, customer={"id": "cus_1"}))
    assert (failed.failure, failed.customer_reference) == ("card_declined", "cus_1")
