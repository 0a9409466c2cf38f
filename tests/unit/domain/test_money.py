"""Money is whole minor units: what goes in comes out, and nothing is ever rounded."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import money as module
from domain.money import MAX_MINOR_UNITS, Currency, CurrencyMismatch, DoesNotFit, Money, UnknownCurrency
from domain.refusals import Refusal
from tests.unit.domain.work.strategies import patiently

CODES = sorted(module._NO_DECIMALS | module._TWO_DECIMALS | module._THREE_DECIMALS | module._FOUR_DECIMALS)
USD, JPY, KWD = Currency("USD"), Currency("JPY"), Currency("KWD")
minor_units = st.integers(-MAX_MINOR_UNITS, MAX_MINOR_UNITS)


@pytest.mark.parametrize(
    ("decimal", "code", "minor"),
    [
        ("12.50", "USD", 1250),
        ("12.5", "USD", 1250),
        (" 12.50 ", "usd", 1250),
        ("5000", "JPY", 5000),
        ("5000.0", "JPY", 5000),
        ("0.125", "KWD", 125),
        ("1.2345", "CLF", 12345),
        ("-3.10", "EUR", -310),
        (7, "USD", 700),
        (Decimal("0.01"), "USD", 1),
        ("9999999999999.99", "USD", MAX_MINOR_UNITS),
    ],
)
def test_a_decimal_becomes_minor_units_by_its_currencys_places(
    decimal: str | int | Decimal, code: str, minor: int
) -> None:
    """Two for dollars, none for yen, three for dinars (ISO 4217)."""
    assert Money.of(decimal, code) == Money(minor, Currency(code))


@pytest.mark.parametrize(
    ("decimal", "code"),
    [
        ("10.005", "USD"),
        ("1.5", "JPY"),
        ("0.0001", "KWD"),
        ("1e-1000000", "USD"),
        ("ten", "USD"),
        ("", "USD"),
        ("12,50", "USD"),
        ("NaN", "USD"),
        ("sNaN", "USD"),
        ("Infinity", "USD"),
        ("1e30", "USD"),
        (True, "USD"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_field_it_came_in(decimal: str, code: str) -> None:
    """Rounding would take or give money that nobody agreed to."""
    with pytest.raises(DoesNotFit) as refused:
        Money.of(decimal, code, field="lines.0.unit_price")
    assert [fault.field for fault in refused.value.faults] == ["lines.0.unit_price"]


@pytest.mark.parametrize("decimal", ["1." + "0" * 36 + "1", "12.50" + "0" * 30 + "9", "1e-999999999999999999"])
def test_a_decimal_with_very_many_places_is_refused_too(decimal: str) -> None:
    """Decimal arithmetic rounds silently beyond 28 digits."""
    with pytest.raises(DoesNotFit):
        Money.of(decimal, "USD")


def test_an_amount_just_too_large_is_refused_by_the_field_it_came_in() -> None:
    """The caller looks for the mistake where the fault points."""
    with pytest.raises(DoesNotFit) as refused:
        Money.of("10000000000000.00", "USD", field="lines.0.unit_price")
    assert [fault.field for fault in refused.value.faults] == ["lines.0.unit_price"]


def test_a_decimal_with_a_monstrous_exponent_is_refused_too() -> None:
    """Nine characters must not make an answer of 500."""
    with pytest.raises(DoesNotFit):
        Money.of("1E+999999999", "USD")


@pytest.mark.parametrize("decimal", ["1_000", "１２", "1e3", "٣"])
def test_a_number_as_only_python_writes_it_is_refused(decimal: str) -> None:
    """1_000 and full-width digits are more likely a mistake than an amount."""
    with pytest.raises(DoesNotFit):
        Money.of(decimal, "USD")


@patiently
@given(code=st.sampled_from(CODES), minor=minor_units)
def test_an_amount_survives_writing_and_reading_in_every_currency(code: str, minor: int) -> None:
    """The decimal has all of the currency's places, and leads back to the same minor units."""
    money = Money(minor, Currency(code))
    assert Money.of(money.decimal, code) == money
    places = money.decimal.partition(".")[2]
    assert len(places) == money.currency.exponent
    assert str(money) == f"{money.decimal} {code}"


@pytest.mark.parametrize("code", CODES)
def test_every_currency_reads_its_smallest_unit_and_refuses_a_tenth_of_it(code: str) -> None:
    """One table, every row."""
    exponent = Currency(code).exponent
    assert Money.of(Decimal(1).scaleb(-exponent), code).amount == 1
    with pytest.raises(DoesNotFit):
        Money.of(Decimal(1).scaleb(-exponent - 1), code)


def test_no_currency_stands_in_two_rows_of_the_table() -> None:
    """Which exponent would it have?"""
    rows = (module._NO_DECIMALS, module._TWO_DECIMALS, module._THREE_DECIMALS, module._FOUR_DECIMALS)
    assert sum(map(len, rows)) == len(CODES) > 150
    assert all(len(code) == 3 and code.isupper() for code in CODES)


@patiently
@given(st.text())
def test_any_text_is_a_currency_or_a_refusal(code: str) -> None:
    """Never a crash."""
    try:
        currency = Currency(code)
    except UnknownCurrency:
        return
    assert currency.exponent in (0, 2, 3, 4)


@patiently
@given(a=st.integers(-(10**12), 10**12), b=st.integers(-(10**12), 10**12), n=st.integers(-100, 100))
def test_money_adds_up_like_the_integers_it_is(a: int, b: int, n: int) -> None:
    """Sums of lines, parts of refunds: exact in any order."""
    x, y = Money(a, USD), Money(b, USD)
    assert x + y == y + x == Money(a + b, USD)
    assert (x + y) - y == x
    assert x * n == Money(a * n, USD)
    assert (x < y) == (a < b)
    assert (x <= y) == (a <= b)
    assert bool(x) == (a != 0)
    assert x + Money.zero(USD) == x


def test_two_currencies_do_not_mix() -> None:
    """There is no rate of exchange here."""
    for operation in (Money.__add__, Money.__sub__, Money.__lt__, Money.__le__):
        with pytest.raises(CurrencyMismatch):
            operation(Money(1, USD), Money(1, JPY))
    assert Money(0, USD) != Money(0, JPY)


@pytest.mark.parametrize("amount", [1.0, True, "1", None, MAX_MINOR_UNITS + 1, -MAX_MINOR_UNITS - 1])
def test_minor_units_are_whole_and_can_be_kept(amount: object) -> None:
    """A float of cents is where it always goes wrong."""
    with pytest.raises(Refusal):
        Money(amount, USD)  # type: ignore[arg-type]


def test_a_sum_that_grows_too_large_is_refused() -> None:
    """Rather than kept wrong."""
    with pytest.raises(DoesNotFit):
        Money(MAX_MINOR_UNITS, KWD) + Money(1, KWD)
