"""What the lines of an invoice come to: subtotal, discount, tax by rate, total.

How it is rounded: each line is exact, except that a percentage off it is rounded half up. The invoice's own discount is
spread over the tax rates in proportion (the largest remainders get the odd minor units, so nothing is lost). Tax is worked
out once for each rate on the sum of its lines, and rounded half up once; never line by line, which adds up to something else.
"""

from collections.abc import Sequence
from functools import lru_cache

import attrs

from domain.billing.lines import WHOLE, Discount, Line, Tax, half_up
from domain.money import Currency, Money


@attrs.frozen
class TaxTotal:
    """One tax rate of an invoice. net: what it is worked out on, without the tax. amount: the tax."""

    tax: Tax
    net: Money
    amount: Money


@attrs.frozen
class Totals:
    """subtotal: the lines, less their own discounts. discount: off the whole invoice. taxes: by rate, in the order of lines.

    total: what is asked for: subtotal, less discount, with the taxes that the prices do not include.
    """

    subtotal: Money
    discount: Money
    taxes: tuple[TaxTotal, ...]
    total: Money

    @property
    def tax(self) -> Money:
        """All taxes in the total, whether added or included."""
        return sum((one.amount for one in self.taxes), Money.zero(self.total.currency))


def reckon(lines: Sequence[Line], discount: Discount | None, currency: Currency) -> Totals:
    """Add up. Raises DoesNotFit when a sum is more than can be kept."""
    return _reckoned(tuple(lines), discount, currency)


@lru_cache(maxsize=512)
def _reckoned(lines: tuple[Line, ...], discount: Discount | None, currency: Currency) -> Totals:
    """An invoice is asked for its sums a dozen times while it is being paid."""
    groups: dict[Tax | None, int] = {}
    for line in lines:
        groups[line.tax] = groups.get(line.tax, 0) + line.total.amount
    subtotal = Money(sum(groups.values()), currency)
    off = discount.of(subtotal.amount) if discount is not None else 0
    shares = spread(off, list(groups.values()))
    taxes: list[TaxTotal] = []
    total = subtotal.amount - off
    for (tax, sum_), share in zip(groups.items(), shares, strict=True):
        if tax is None:
            continue
        base = sum_ - share
        amount = half_up(base * tax.rate, WHOLE + tax.rate if tax.included else WHOLE)
        net = base - amount if tax.included else base
        taxes.append(TaxTotal(tax, Money(net, currency), Money(amount, currency)))
        total += 0 if tax.included else amount
    return Totals(subtotal, Money(off, currency), tuple(taxes), Money(total, currency))


def spread(amount: int, over: Sequence[int]) -> list[int]:
    """Share an amount out in proportion, to the last minor unit: the largest remainders get one more, the first of equals.

    Nothing is shared out over a sum of nothing or less.
    """
    whole = sum(over)
    if amount == 0 or whole <= 0:
        return [0] * len(over)
    parts = [divmod(amount * weight, whole) for weight in over]
    shares = [share for share, _ in parts]
    left = amount - sum(shares)
    for index in sorted(range(len(over)), key=lambda index: -parts[index][1])[:left]:
        shares[index] += 1
    return shares
