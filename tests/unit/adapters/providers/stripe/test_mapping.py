"""Stripe's amounts and words, and ours."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.stripe import amounts, mapping
from application.ports.payments import CheckoutState, IntentState, ProviderRefused, RefundState
from application.ports.payouts import PayoutStanding
from domain.money import Currency, Money
from domain.refusals import Invalid

_CURRENCIES = st.sampled_from(sorted(amounts.CURRENCIES))


def test_every_currency_of_stripe_s_is_one_of_ours() -> None:
    """Otherwise a webhook in that currency could not be kept."""
    assert {Currency(code).code for code in amounts.CURRENCIES} == amounts.CURRENCIES
    assert len(amounts.CURRENCIES) > 130


@given(_CURRENCIES, st.integers(0, 10**9))
def test_what_stripe_counts_comes_back_the_same(code: str, amount: int) -> None:
    """Both ways, for every currency: the same amount, or a refusal; never another amount."""
    try:
        ours = amounts.from_stripe(amount, code.lower())
    except ProviderRefused:
        assert code in ("ISK", "UGX")
        assert amount % 100
        return
    assert Decimal(ours.decimal) == Decimal(amount).scaleb(-amounts.exponent(ours.currency))
    try:
        assert amounts.to_stripe(ours) == amount
    except Invalid:
        assert code in ("BHD", "JOD", "KWD", "OMR", "TND")
        assert amount % 10


@given(_CURRENCIES, st.integers(0, 10**9))
def test_what_we_count_comes_back_the_same(code: str, amount: int) -> None:
    """And what Stripe cannot charge exactly is refused, naming the field."""
    money = Money(amount, Currency(code))
    step = 100 if code == "MGA" else 10 if code in ("BHD", "JOD", "KWD", "OMR", "TND") else 1
    if amount % step == 0:
        assert amounts.from_stripe(amounts.to_stripe(money), code) == money
        return
    with pytest.raises(Invalid) as refused:
        amounts.to_stripe(money, field="price")
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
    assert amounts.to_stripe(Money.of(decimal, code)) == sent
    assert amounts.from_stripe(sent, code.lower()) == Money.of(decimal, code)


@pytest.mark.parametrize(("decimal", "code"), [("5.124", "KWD"), ("1.50", "MGA"), ("1.00", "CLF"), ("1", "UYI")])
def test_what_stripe_cannot_charge_is_refused_and_never_rounded(decimal: str, code: str) -> None:
    """Rounding would charge another amount than the invoice says."""
    with pytest.raises(Invalid):
        amounts.to_stripe(Money.of(decimal, code))
    with pytest.raises(Invalid) as refused:
        amounts.check_chargeable(Money.of(decimal, code), field="lines.0")
    assert [fault.field for fault in refused.value.faults] == ["lines.0"]


@pytest.mark.parametrize(
    ("smallest", "code", "largest"),
    [
        ("0.50", "USD", "999999.99"),
        ("0.30", "GBP", "999999.99"),
        ("50", "JPY", "9999999999"),
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
    amounts.check_chargeable(low)
    amounts.check_chargeable(high)
    step = Money(10 if code == "KWD" else 1, low.currency)
    for money in (low - step, high + step, Money.zero(low.currency), Money(-100, low.currency)):
        with pytest.raises(Invalid, match=code):
            amounts.check_chargeable(money)


def test_unheard_of_currencies_are_refused() -> None:
    """Stripe may add one; it must not be taken for another."""
    for code in ("xyz", "", "clf"):
        with pytest.raises(ProviderRefused) as refused:
            amounts.from_stripe(100, code)
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


def _charged(**more: object) -> dict[str, object]:
    charge = {"amount_refunded": 0, "balance_transaction": {"currency": "usd", "fee": 175}, **more}
    return {"id": "pi_1", "status": "succeeded", "amount": 5000, "currency": "usd", "latest_charge": charge}


def test_the_fee_is_told_once_it_is_known() -> None:
    """And only in the payment's own currency: it is taken off the payment in our books."""
    assert mapping.intent_of(_charged()).fee == Money.of("1.75", "USD")
    assert mapping.intent_of(_charged(balance_transaction=None)).fee is None
    assert mapping.intent_of(_charged(balance_transaction="txn_1")).fee is None
    assert mapping.intent_of(_charged(balance_transaction={"currency": "eur", "fee": 160})).fee is None
    assert mapping.fee_of({"currency": "isk", "fee": 150}, "isk") is None


def test_what_a_bank_holds_is_disputed_and_what_was_won_is_not() -> None:
    """An inquiry takes no money yet; where nothing was asked, nothing is said."""
    assert mapping.intent_of(_charged()).disputed is None
    disputes = [{"amount": 1000, "status": status} for status in ("needs_response", "under_review", "lost")]
    harmless = [{"amount": 1000, "status": status} for status in ("won", "prevented", "warning_closed")]
    assert mapping.intent_of(_charged(), [*disputes, *harmless]).disputed == Money.of("30.00", "USD")
    assert mapping.intent_of(_charged(), harmless).disputed == Money.of("0.00", "USD")


def test_a_charge_without_its_payer_that_was_declined_has_failed() -> None:
    """Nobody is there to try another card; on a page of one's own somebody is."""
    declined = {"id": "pi_1", "status": "requires_payment_method", "amount": 100, "currency": "usd"}
    declined["last_payment_error"] = {"message": "No."}
    assert mapping.intent_of(declined).state is IntentState.WAITING
    away = mapping.intent_of({**declined, "metadata": {mapping.UNATTENDED: "1", "a": "b"}})
    assert (away.state, away.failure, away.metadata) == (IntentState.FAILED, "No.", {"a": "b"})


@pytest.mark.parametrize(
    ("kind", "details", "expected"),
    [
        ("card", {"brand": "visa", "last4": "4242", "exp_year": 2034, "exp_month": 12}, "card visa 4242 (2034, 12)"),
        (
            "us_bank_account",
            {"bank_name": "STRIPE TEST BANK", "last4": "6789"},
            "bank_account STRIPE TEST BANK 6789 None",
        ),
        ("link", {"email": "pat@example.com"}, "wallet link  None"),
        ("carrier_pigeon", {}, "other carrier_pigeon  None"),
    ],
)
def test_each_method_is_told_for_people(kind: str, details: dict[str, object], expected: str) -> None:
    """Also one that Stripe has added since."""
    method = mapping.method_of({"id": "pm_1", "type": kind, kind: details}, "pm_1")
    assert f"{method.kind.value} {method.brand} {method.last4} {method.expires}" == expected
    assert method.is_default
    assert "pm_1" not in repr(method)


def test_a_payout_says_why_it_failed_and_when_it_arrives() -> None:
    """A status that is not known is a case of its own."""
    row = {"id": "po_1", "status": "failed", "amount": 900, "currency": "usd", "arrival_date": 1_793_534_400}
    failed = mapping.payout_of({**row, "failure_message": "Closed.", "metadata": {"patchbay_key": "k"}})
    assert (failed.standing, failed.failure, failed.key) == (PayoutStanding.FAILED, "Closed.", "k")
    assert str(failed.arrives_on) == "2026-11-01"
    assert mapping.payout_of({**row, "status": "levitating"}).standing is PayoutStanding.UNKNOWN
