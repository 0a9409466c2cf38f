"""Read what was typed for an invoice's lines: decimals in major units, percentages as people write them."""

from collections.abc import Sequence
from decimal import Decimal

import attrs

from application.billing.typed import faults_of_words
from domain.billing.lines import Discount, Line, Tax
from domain.money import Currency, DoesNotFit, Money
from domain.refusals import Fault, Invalid, Refusal

_HUNDREDTHS = 2


@attrs.frozen
class TaxAsked:
    """A tax as it was typed: `rate` in percent, such as "19" or "7.7"."""

    name: str
    rate: str
    included: bool = False


@attrs.frozen
class DiscountAsked:
    """A discount as it was typed: `percent` such as "12.5", or `amount` in major units."""

    percent: str | None = None
    amount: str | None = None
    name: str = ""


@attrs.frozen
class LineAsked:
    """A line as it was typed: the price is a decimal in major units, such as "12.50"."""

    description: str
    quantity: int
    unit_price: str
    tax: TaxAsked | None = None
    discount: DiscountAsked | None = None


def read_lines(asked: Sequence[LineAsked | Line], currency: Currency) -> tuple[Line, ...]:
    """The lines in minor units; a Line is taken as it is. Raises Invalid naming everything that does not fit."""
    lines: list[Line] = []
    faults: list[Fault] = []
    for index, line in enumerate(asked):
        if isinstance(line, Line):
            lines.append(line)
            continue
        field = f"lines.{index}"
        faults.extend(faults_of_words(line.description, f"{field}.description"))
        price = _money(line.unit_price, currency, f"{field}.unit_price", faults)
        if price is not None and price.amount < 0:
            faults.append(Fault(f"{field}.unit_price", "A price is not negative."))
        tax = _tax(line.tax, f"{field}.tax", faults)
        discount = _discount(line.discount, currency, f"{field}.discount", faults)
        lines.append(
            Line(line.description.strip(), line.quantity, price or Money.zero(currency), tax=tax, discount=discount)
        )
    if faults:
        raise Invalid(*faults)
    return tuple(lines)


def read_discount(asked: DiscountAsked | None, currency: Currency) -> Discount | None:
    """The discount off the whole invoice. Raises Invalid naming what does not fit."""
    faults: list[Fault] = []
    discount = _discount(asked, currency, "discount", faults)
    if faults:
        raise Invalid(*faults)
    return discount


def read_percent(text: str, field: str) -> int:
    """Hundredths of a percent. Raises Invalid naming the field, also for more than two decimals."""
    # Not money, and yet the same rules: plain digits, two places, nothing rounded.
    faults: list[Fault] = []
    known = _percent(text, field, faults)
    if known is None:
        raise Invalid(*faults)
    return known


def _percent(text: str, field: str, faults: list[Fault]) -> int | None:
    plain = text.strip().removesuffix("%").strip()
    whole, point, places = plain.partition(".")
    digits = whole.isascii() and whole.isdigit() and len(whole) <= 3
    if not digits or (point and not (places.isascii() and places.isdigit())) or len(places.rstrip("0")) > _HUNDREDTHS:
        faults.append(Fault(field, f"'{text[:40]}' is not a percentage such as 19 or 7.7, with at most two decimals."))
        return None
    return int(Decimal(plain).scaleb(_HUNDREDTHS))


def _money(text: str, currency: Currency, field: str, faults: list[Fault]) -> Money | None:
    try:
        return Money.of(text, currency, field=field)
    except DoesNotFit as refusal:
        faults.extend(refusal.faults)
    except Refusal as refusal:
        faults.extend(Fault(field, fault.reason) for fault in refusal.faults)
    return None


def _tax(asked: TaxAsked | None, field: str, faults: list[Fault]) -> Tax | None:
    if asked is None:
        return None
    faults.extend(faults_of_words(asked.name, f"{field}.name"))
    rate = _percent(asked.rate, f"{field}.rate", faults)
    return None if rate is None else Tax(asked.name.strip(), rate, asked.included)


def _discount(asked: DiscountAsked | None, currency: Currency, field: str, faults: list[Fault]) -> Discount | None:
    if asked is None:
        return None
    faults.extend(faults_of_words(asked.name, f"{field}.name"))
    percent = None if asked.percent is None else _percent(asked.percent, f"{field}.percent", faults)
    amount = None if asked.amount is None else _money(asked.amount, currency, f"{field}.amount", faults)
    return Discount(percent, None if amount is None else amount.amount, asked.name.strip())
