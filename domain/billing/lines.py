"""What an invoice asks for, line by line: a quantity at a price, less a discount, with a tax."""

from collections.abc import Iterator

import attrs

from domain.money import Currency, Money
from domain.refusals import Fault

WHOLE = 10_000
"""Rates and percentages are kept in hundredths of a percent: this is all of it."""

MAX_NAME = 60


@attrs.frozen
class Tax:
    """A tax on a line. rate: in hundredths of a percent (1950 is 19.5 %). included: whether the price has it in it."""

    name: str
    rate: int
    included: bool = False

    @property
    def percent(self) -> str:
        """The rate for people: `19.5`."""
        return percent(self.rate)

    def faults(self, field: str) -> Iterator[Fault]:
        """What is wrong with it."""
        if not 1 <= len(self.name.strip()) <= MAX_NAME:
            yield Fault(f"{field}.name", f"A tax has a name of 1 to {MAX_NAME} characters, such as VAT.")
        if not 0 <= self.rate <= WHOLE:
            yield Fault(f"{field}.rate", "A tax rate is from 0 to 100 percent.")


@attrs.frozen
class Discount:
    """Off a line or an invoice: `percent` in hundredths of a percent, or an `amount` in minor units."""

    percent: int | None = None
    amount: int | None = None
    name: str = ""

    def of(self, sum: int) -> int:
        """What comes off a sum of minor units: never more than the sum. A percentage is rounded half up, once."""
        if sum <= 0:
            return 0
        off = half_up(sum * self.percent, WHOLE) if self.percent is not None else self.amount or 0
        return min(off, sum)

    def faults(self, field: str) -> Iterator[Fault]:
        """What is wrong with it by itself."""
        if (self.percent is None) == (self.amount is None):
            yield Fault(field, "A discount is either a percentage or an amount.")
        if self.percent is not None and not 1 <= self.percent <= WHOLE:
            yield Fault(f"{field}.percent", "A discount is more than 0 and at most 100 percent.")
        if self.amount is not None and self.amount < 1:
            yield Fault(f"{field}.amount", "A discount is more than nothing.")
        if len(self.name) > MAX_NAME:
            yield Fault(f"{field}.name", f"A discount's name has at most {MAX_NAME} characters.")


@attrs.frozen
class Line:
    """One line: quantity times unit price. The price is in the invoice's currency; below zero it takes off."""

    description: str
    quantity: int
    unit_price: Money
    tax: Tax | None = None
    discount: Discount | None = None

    @property
    def gross(self) -> Money:
        """Quantity times unit price."""
        return self.unit_price * self.quantity

    @property
    def off(self) -> Money:
        """What its discount takes off."""
        return Money(self.discount.of(self.gross.amount) if self.discount else 0, self.unit_price.currency)

    @property
    def total(self) -> Money:
        """Quantity times unit price, less its discount; a tax that is not included is not in it."""
        return self.gross - self.off

    def faults(self, field: str, currency: Currency) -> Iterator[Fault]:
        """What is wrong with it."""
        if not self.description.strip() or len(self.description) > 500:
            yield Fault(f"{field}.description", "A description has 1 to 500 characters.")
        if not 1 <= self.quantity <= 1_000_000:
            yield Fault(f"{field}.quantity", "A quantity is a whole number from 1 to 1000000.")
        if self.unit_price.currency != currency:
            yield Fault(f"{field}.unit_price", f"The price is not in {currency.code}.")
        if self.tax is not None:
            yield from self.tax.faults(f"{field}.tax")
        if self.discount is not None:
            yield from self.discount.faults(f"{field}.discount")
            if self.discount.amount is not None and self.discount.amount > self.unit_price.amount * self.quantity:
                yield Fault(f"{field}.discount.amount", "The discount is more than the line.")


def half_up(numerator: int, denominator: int) -> int:
    """The nearest whole number; a half goes away from zero, as commercial rounding has it. denominator: above zero."""
    whole = (2 * abs(numerator) + denominator) // (2 * denominator)
    return whole if numerator >= 0 else -whole


def percent(hundredths: int) -> str:
    """Hundredths of a percent for people: 1950 is `19.5`, 2000 is `20`."""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)
