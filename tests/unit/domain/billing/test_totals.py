"""What the lines of an invoice come to: discounts, tax by rate, rounding, in every currency's own units."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.lines import Discount, Line, Tax, half_up, percent
from domain.billing.totals import reckon, spread
from domain.money import Currency, Money
from tests.unit.domain.work.strategies import patiently

EUR = Currency("EUR")
EXPONENTS = {"JPY": 0, "EUR": 2, "KWD": 3, "CLF": 4}
STANDARD, REDUCED, INCLUDED = Tax("VAT", 1900), Tax("VAT", 700), Tax("VAT", 1900, included=True)


def line(cents: int, quantity: int = 1, **more: Any) -> Line:
    """A line in euros."""
    return Line("Design", quantity, Money(cents, EUR), **more)


def sums(*lines: Line, discount: Discount | None = None) -> tuple[int, int, int, int]:
    """Subtotal, discount, tax and total, in cents."""
    totals = reckon(lines, discount, EUR)
    return totals.subtotal.amount, totals.discount.amount, totals.tax.amount, totals.total.amount


def test_tax_is_added_to_prices_without_it() -> None:
    """The usual invoice between companies."""
    assert sums(line(100_00, tax=STANDARD)) == (100_00, 0, 19_00, 119_00)


def test_tax_in_the_prices_is_shown_and_not_added() -> None:
    """The usual invoice to a consumer: 119.00 has 19.00 in it."""
    totals = reckon([line(119_00, tax=INCLUDED)], None, EUR)
    assert (totals.total.amount, totals.tax.amount, totals.taxes[0].net.amount) == (119_00, 19_00, 100_00)


def test_tax_is_rounded_once_for_each_rate_and_not_line_by_line() -> None:
    """Three lines of 0.03 at 19 %: 0.0171 is 0.02 of tax, and not three times 0.01."""
    assert sums(*[line(3, tax=STANDARD)] * 3) == (9, 0, 2, 11)


def test_a_half_goes_up() -> None:
    """As commercial rounding has it: 0.50 at 5 % is 0.025, which is 0.03; half to even would say 0.02."""
    assert sums(line(50, tax=Tax("GST", 500))) == (50, 0, 3, 53)
    assert [half_up(n, 2) for n in (1, 3, -1, -3, 4)] == [1, 2, -1, -2, 2]


def test_each_rate_has_a_line_of_its_own() -> None:
    """In the order in which they first come; the same rate added and included is two."""
    totals = reckon([line(1_00, tax=REDUCED), line(1_00, tax=STANDARD), line(1_00, tax=REDUCED), line(1_00)], None, EUR)
    assert [(one.tax, one.net.amount) for one in totals.taxes] == [(REDUCED, 2_00), (STANDARD, 1_00)]
    assert len(reckon([line(1_00, tax=STANDARD), line(1_00, tax=INCLUDED)], None, EUR).taxes) == 2


def test_a_discount_of_a_line_lowers_its_tax() -> None:
    """What is not paid is not taxed."""
    assert sums(line(50_00, 2, tax=STANDARD, discount=Discount(percent=1000))) == (90_00, 0, 17_10, 107_10)
    assert sums(line(50_00, 2, tax=STANDARD, discount=Discount(amount=10_00))) == (90_00, 0, 17_10, 107_10)


def test_a_discount_of_the_whole_is_spread_over_the_rates() -> None:
    """In proportion, or the client would pay the higher tax on what they did not buy."""
    totals = reckon([line(100_00, tax=STANDARD), line(50_00, tax=REDUCED)], Discount(amount=30_00), EUR)
    assert [one.net.amount for one in totals.taxes] == [80_00, 40_00]
    assert totals.total.amount == 120_00 + 15_20 + 2_80


def test_the_odd_cent_of_a_spread_discount_goes_where_the_remainder_is_largest() -> None:
    """0.10 over three equal rates is 0.04, 0.03 and 0.03: nothing is lost and nothing is made."""
    assert spread(10, [1, 1, 1]) == [4, 3, 3]
    assert spread(7, [50, 30, 20]) == [4, 2, 1]
    assert spread(5, [0, 0]) == [0, 0]


def test_a_discount_never_makes_less_than_nothing() -> None:
    """Whoever takes 100 off 30 pays nothing for it, and is refused an invoice over nothing elsewhere."""
    assert sums(line(30_00), discount=Discount(amount=100_00)) == (30_00, 30_00, 0, 0)


@pytest.mark.parametrize(("hundredths", "shown"), [(1900, "19"), (1950, "19.5"), (725, "7.25"), (5, "0.05"), (0, "0")])
def test_rates_are_shown_as_people_write_them(hundredths: int, shown: str) -> None:
    """`19.50 %` looks like a price."""
    assert percent(hundredths) == shown


taxes = st.none() | st.builds(Tax, st.sampled_from(("VAT", "Levy")), st.integers(0, 10_000), st.booleans())
percentages = st.builds(Discount, percent=st.integers(1, 10_000))


@st.composite
def bills(draw: st.DrawFn) -> tuple[list[Line], Discount | None, Currency]:
    """Lines with taxes and discounts in a currency of any exponent, and perhaps a discount of the whole."""
    currency = Currency(draw(st.sampled_from(sorted(EXPONENTS))))
    lines = []
    for _ in range(draw(st.integers(1, 8))):
        price, quantity = draw(st.integers(0, 10**7)), draw(st.integers(1, 999))
        off = draw(st.none() | percentages | st.builds(Discount, amount=st.integers(1, max(price * quantity, 1))))
        lines.append(Line("x", quantity, Money(price, currency), tax=draw(taxes), discount=off))
    return lines, draw(st.none() | percentages | st.builds(Discount, amount=st.integers(1, 10**9))), currency


@patiently
@given(bills())
def test_lines_less_discount_with_taxes_are_the_total_to_the_last_unit(
    bill: tuple[list[Line], Discount | None, Currency],
) -> None:
    """The sums that a bookkeeper adds up by hand, in currencies of none to four decimals."""
    lines, discount, currency = bill
    totals = reckon(lines, discount, currency)
    assert currency.exponent == EXPONENTS[currency.code]
    assert totals.subtotal.amount == sum(line.gross.amount - line.off.amount for line in lines)
    assert 0 <= totals.discount.amount <= max(totals.subtotal.amount, 0)
    added = sum(one.amount.amount for one in totals.taxes if not one.tax.included)
    assert totals.total.amount == totals.subtotal.amount - totals.discount.amount + added
    # And the other way round: what each rate is worked out on is what was asked for.
    untaxed = sum(line.total.amount for line in lines if line.tax is None)
    bases = sum(one.net.amount + (one.amount.amount if one.tax.included else 0) for one in totals.taxes)
    if any(line.tax is None for line in lines):
        assert bases <= totals.subtotal.amount - totals.discount.amount <= bases + untaxed
    else:
        assert bases == totals.subtotal.amount - totals.discount.amount


@patiently
@given(bills())
def test_tax_is_within_half_a_unit_of_the_rate(bill: tuple[list[Line], Discount | None, Currency]) -> None:
    """Rounded once: no rate strays further, however many lines it has."""
    for one in reckon(*bill).taxes:
        exact = one.net.amount * one.tax.rate
        assert abs(one.amount.amount * 10_000 - exact) <= (5_000 + one.tax.rate if one.tax.included else 5_000)


@patiently
@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=9))
def test_what_is_spread_adds_up(amount: int, over: list[int]) -> None:
    """Without losing a cent, and each share within one of its proportion."""
    shares = spread(amount, over)
    assert sum(shares) == (amount if sum(over) else 0)
    for share, weight in zip(shares, over, strict=True):
        assert sum(over) == 0 or abs(share * sum(over) - amount * weight) < sum(over)
