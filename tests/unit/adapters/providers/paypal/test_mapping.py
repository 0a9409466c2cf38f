"""PayPal's amounts and words, and ours."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.paypal import mapping, notes
from application.ports.payments import CheckoutState, IntentState, ProviderRefund, ProviderRefused, RefundState
from domain.money import Currency, Money
from domain.refusals import Invalid

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_CURRENCIES = st.sampled_from(sorted(mapping.CURRENCIES))


def order(status: str = "CREATED", **unit: Any) -> dict[str, Any]:
    """An order of the hub's."""
    links = [{"rel": "payer-action", "href": "https://www.sandbox.paypal.com/checkoutnow?token=O1"}]
    amount = {"currency_code": "USD", "value": "10.00"}
    return {"id": "O1", "status": status, "links": links, "purchase_units": [{"amount": amount, **unit}]}


def capture(status: str = "COMPLETED", **more: Any) -> dict[str, Any]:
    """A capture of the hub's."""
    return {"id": "C1", "status": status, "amount": {"currency_code": "USD", "value": "10.00"}, **more}


def test_every_currency_of_paypal_s_is_one_of_ours() -> None:
    """Otherwise a webhook in that currency could not be kept."""
    assert {Currency(code).code for code in mapping.CURRENCIES} == mapping.CURRENCIES
    assert len(mapping.CURRENCIES) == 24


@given(_CURRENCIES, st.integers(0, 10**9))
def test_what_we_send_comes_back_the_same(code: str, amount: int) -> None:
    """Both ways, for every currency: the same amount, or a refusal; never another amount."""
    ours = Money(amount, Currency(code))
    try:
        sent = mapping.to_paypal(ours)
    except Invalid:
        assert code in ("HUF", "TWD")
        assert amount % 100
        return
    assert Decimal(sent) == Decimal(ours.decimal)
    assert mapping.from_paypal(sent, code) == ours


@given(_CURRENCIES, st.integers(0, 10**9))
def test_only_whole_units_have_no_point(code: str, amount: int) -> None:
    """PayPal answers HUF, JPY and TWD with a point by an error, and takes two decimals of all others."""
    whole = code in mapping.WHOLE_UNITS
    exponent = Currency(code).exponent
    ours = Money(amount * 10**exponent if whole else amount, Currency(code))
    sent = mapping.to_paypal(ours)
    assert ("." in sent) is not whole
    assert whole or len(sent.partition(".")[2]) == 2


@pytest.mark.parametrize(
    ("value", "currency", "code"),
    [
        ("1.005", "USD", "amount_does_not_fit"),
        ("1.5", "JPY", "amount_does_not_fit"),
        ("1e3", "USD", "amount_does_not_fit"),
        ("", "USD", "amount_does_not_fit"),
        ("-", "USD", "amount_does_not_fit"),
        (None, "USD", "amount_does_not_fit"),
        ("9" * 29, "USD", "amount_does_not_fit"),
        ("1", "XBT", "currency_unknown"),
        ("1", None, "currency_unknown"),
    ],
)
def test_an_amount_that_cannot_be_kept_exactly_is_refused(value: object, currency: object, code: str) -> None:
    """Rounding it would put our books and PayPal's apart."""
    with pytest.raises(ProviderRefused) as refused:
        mapping.from_paypal(value, currency)
    assert refused.value.code == code


@pytest.mark.parametrize(("value", "minor"), [("10", 1000), (".50", 50), ("-3.10", -310), ("10.5000", 1050)])
def test_amounts_are_read_as_paypal_may_write_them(value: str, minor: int) -> None:
    """Its description allows all of these."""
    assert mapping.from_paypal(value, "USD") == Money(minor, Currency("USD"))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Money.of("10000000", "USD"), "no more than"),
        (Money(0, Currency("USD")), "smallest"),
        (Money.of("1.50", "HUF"), "whole units"),
        (Money.of("5.125", "KWD"), "does not charge in KWD"),
        (Money.of("5000", "NGN"), "does not charge in NGN"),
    ],
)
def test_what_cannot_be_charged_names_the_field(amount: Money, text: str) -> None:
    """The person who writes the invoice sees which line is the trouble."""
    with pytest.raises(Invalid, match=text) as invalid:
        mapping.check_chargeable(amount, field="lines.0.unit_price")
    assert [fault.field for fault in invalid.value.faults] == ["lines.0.unit_price"]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATED", CheckoutState.OPEN),
        ("PAYER_ACTION_REQUIRED", CheckoutState.OPEN),
        ("APPROVED", CheckoutState.APPROVED),
        ("VOIDED", CheckoutState.EXPIRED),
        ("COMPLETED", CheckoutState.COMPLETE),
        ("LEVITATING", CheckoutState.UNKNOWN),
    ],
)
def test_an_order_s_states(status: str, state: CheckoutState) -> None:
    """A word that PayPal adds tomorrow must not close a page."""
    page = mapping.checkout_of(order(status), NOW)
    assert page.state is state
    assert (page.url is not None) is (state is CheckoutState.OPEN)


def test_an_order_that_the_hub_closed_is_expired_whoever_agrees_to_it() -> None:
    """PayPal lets a payer agree to it still; the hub no longer takes the money."""
    closed = notes.Note({"a": "b"}, closed=True).text
    assert mapping.checkout_of(order("APPROVED", custom_id=closed), NOW).state is CheckoutState.EXPIRED
    assert mapping.checkout_of(order("COMPLETED", custom_id=closed), NOW).state is CheckoutState.COMPLETE


def test_an_order_whose_time_is_over_is_expired_unless_its_payer_agreed() -> None:
    """They agreed in time; what remains is the hub's to do."""
    late = notes.Note({}, NOW).text
    assert mapping.checkout_of(order(custom_id=late), NOW).state is CheckoutState.EXPIRED
    assert mapping.checkout_of(order(custom_id=late), NOW - timedelta(seconds=1)).state is CheckoutState.OPEN
    assert mapping.checkout_of(order("APPROVED", custom_id=late), NOW).state is CheckoutState.APPROVED


@pytest.mark.parametrize(
    ("status", "state", "received"),
    [
        ("COMPLETED", IntentState.SUCCEEDED, 1000),
        ("PARTIALLY_REFUNDED", IntentState.SUCCEEDED, 1000),
        ("REFUNDED", IntentState.SUCCEEDED, 1000),
        ("PENDING", IntentState.PROCESSING, 0),
        ("DECLINED", IntentState.FAILED, 0),
        ("FAILED", IntentState.FAILED, 0),
        ("LEVITATING", IntentState.UNKNOWN, 0),
    ],
)
def test_a_capture_s_states(status: str, state: IntentState, received: int) -> None:
    """A bank's transfer is pending for days and must not count as money."""
    intent = mapping.intent_of(capture(status), ())
    assert (intent.state, intent.received.amount, intent.raw_status) == (state, received, status)
    assert bool(intent.failure) is (state is IntentState.FAILED)


def test_refunds_that_failed_are_not_counted() -> None:
    """The money is ours again."""
    usd = Currency("USD")
    states = (RefundState.SUCCEEDED, RefundState.PENDING, RefundState.FAILED, RefundState.CANCELED)
    refunds = tuple(ProviderRefund(s.value, "C1", s, Money(100, usd)) for s in states)
    assert mapping.intent_of(capture("PARTIALLY_REFUNDED"), refunds).refunded == Money(200, usd)


def test_a_capture_tells_its_fee_and_what_the_payer_s_bank_took_back() -> None:
    """Both go into the books. A fee in another currency than the payment's is left to the list of transactions."""
    fee = {
        "gross_amount": {"currency_code": "USD", "value": "10.00"},
        "paypal_fee": {"currency_code": "USD", "value": "0.80"},
    }
    intent = mapping.intent_of(capture(seller_receivable_breakdown=fee, status_details={"reason": "CHARGEBACK"}), ())
    assert (intent.fee, intent.disputed) == (Money.of("0.80", "USD"), Money.of("10.00", "USD"))
    fee["paypal_fee"]["currency_code"] = "EUR"
    assert mapping.intent_of(capture(seller_receivable_breakdown=fee), ()).fee is None


def test_a_payment_on_the_host_s_page_goes_by_its_order() -> None:
    """It began as one, and a payment has one name."""
    note = notes.Note({"a": "b"}, own_page=True).text
    related = {"related_ids": {"order_id": "O1"}}
    assert mapping.intent_of(capture(custom_id=note, supplementary_data=related), ()).reference == "O1"
    assert mapping.intent_of(capture(supplementary_data=related), ()).reference == "C1"


def test_of_several_captures_the_one_that_went_well_counts() -> None:
    """A payer may be declined and pay then."""
    tried = [capture("DECLINED", id="C0"), capture(id="C1"), capture("DECLINED", id="C2")]
    assert mapping.checkout_of(order("COMPLETED", payments={"captures": tried}), NOW).intent_reference == "C1"
    assert mapping.checkout_of(order("COMPLETED", payments={"captures": tried[:1]}), NOW).paid is False


_NAMES = st.sampled_from(
    ["patchbay_organisation", "patchbay_invoice", "patchbay_checkout", "patchbay_payment", "patchbay_subscription"]
)
_IDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26)


@given(
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
    st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_noted_comes_back(
    metadata: dict[str, str], ends_at: datetime | None, own_page: bool, closed: bool
) -> None:
    """And in characters that PayPal's list of transactions gives back."""
    at = ends_at.replace(tzinfo=UTC, microsecond=0) if ends_at else None
    note = notes.Note(metadata, at, own_page, closed)
    try:
        text = note.text
    except Invalid:
        return
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_'-.,:;!?")
    assert notes.read(text) == note


@given(st.dictionaries(_NAMES, _IDS | st.sampled_from(["inv_", "org_", "x_"]).flatmap(lambda p: _IDS.map(p.__add__))))
def test_ids_of_the_hub_come_back_whatever_they_are_ids_of(metadata: dict[str, str]) -> None:
    """They are shortened by what their name tells, and only then."""
    try:
        text = notes.Note(metadata).text
    except Invalid:
        return
    assert notes.read(text).metadata == metadata


def test_four_ids_and_an_end_fit() -> None:
    """The most that the hub ever notes on one payment."""
    some = "01KDZ5W8Z8000000000000000A"
    metadata = {
        "patchbay_organisation": f"org_{some}",
        "patchbay_invoice": f"inv_{some}",
        "patchbay_payment": f"pay_{some}",
        "patchbay_subscription": f"sub_{some}",
    }
    assert len(notes.Note(metadata).text) <= notes.LONGEST
    del metadata["patchbay_payment"]
    assert len(notes.Note(metadata, NOW).text) <= notes.LONGEST
    with pytest.raises(Invalid):
        _ = notes.Note({**metadata, "more": "x" * 60}).text


def test_a_note_of_somebody_else_s_is_nobody_s_trouble() -> None:
    """Orders that another program made under the same account."""
    for text in (None, "", "order 17", "a,b,c", "'ZZ:'GG", "!?"):
        assert notes.read(text).metadata.get("patchbay_organisation") is None


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("pat@example.com", True),
        ("pat.o'neill+x@mail.example.co.uk", True),
        ("päter@example.com", False),
        ("pat@exämple.com", False),
        ("pat@localhost", False),
        ("pat..p@example.com", False),
        ("pat", False),
        ("", False),
        (None, False),
        ("x" * 250 + "@example.com", False),
    ],
)
def test_an_address_that_paypal_would_refuse_is_left_out(text: str | None, good: bool) -> None:
    """It only fills in a field for the payer: better an empty one than no page."""
    assert mapping.is_email(text) is good
