"""What a change in the middle of a period costs."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.billing.proration import begin_anew, prorate, rest_of
from domain.money import Currency, Money

START = datetime(2026, 2, 1, tzinfo=UTC)
END = datetime(2026, 3, 1, tzinfo=UTC)
WHOLE = int((END - START).total_seconds())

amounts = st.integers(0, 10**12)
seconds = st.integers(0, WHOLE)


def usd(amount: int) -> Money:
    """Cents."""
    return Money(amount, Currency("USD"))


def test_half_of_a_month_is_half_of_its_price() -> None:
    """An odd cent is rounded half up on each side."""
    middle = START + (END - START) / 2
    cost = prorate(usd(9001), usd(18_000), start=START, end=END, at=middle, worth=usd(9001))
    assert (cost.credit, cost.charge, cost.due) == (usd(4501), usd(9000), usd(4499))


def test_a_change_to_another_length_pays_a_whole_new_period() -> None:
    """Less the unused rest."""
    middle = START + (END - START) / 2
    cost = begin_anew(usd(9000), usd(90_000), start=START, end=END, at=middle, worth=usd(9000))
    assert cost.due == usd(85_500)


def test_a_period_without_length_has_no_rest() -> None:
    """Whatever a provider sends, nothing is divided by zero."""
    assert rest_of(usd(9000), START, START, START) == usd(0)


@given(amounts, amounts, amounts, seconds)
def test_the_credit_is_never_above_what_was_paid(old: int, new: int, worth: int, passed: int) -> None:
    """Nor below zero; and both are whole minor units of the exact share, within a half."""
    at = START + timedelta(seconds=passed)
    cost = prorate(usd(old), usd(new), start=START, end=END, at=at, worth=usd(worth))
    assert 0 <= cost.credit.amount <= min(worth, old)
    assert abs(2 * (cost.charge.amount * WHOLE - new * (WHOLE - passed))) <= WHOLE


@given(amounts, seconds)
def test_a_change_to_the_same_price_costs_nothing(price: int, passed: int) -> None:
    """Where the period was paid for."""
    at = START + timedelta(seconds=passed)
    assert prorate(usd(price), usd(price), start=START, end=END, at=at, worth=usd(price)).due == usd(0)


@given(amounts, seconds, seconds)
def test_later_costs_no_more(price: int, one: int, other: int) -> None:
    """The rest gets smaller as time goes by."""
    early, late = sorted((one, other))
    first = rest_of(usd(price), START, END, START + timedelta(seconds=early))
    assert rest_of(usd(price), START, END, START + timedelta(seconds=late)) <= first
