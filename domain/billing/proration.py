"""What a change in the middle of a period costs, where the hub computes it.

Whole seconds and whole minor units: the rest of a price is `price x seconds left / seconds of the period`, half a unit
rounded up. What is given back is never more than what was paid for the period.
"""

from datetime import datetime, timedelta

import attrs

from domain.money import Money

_SECOND = timedelta(seconds=1)


@attrs.frozen
class Proration:
    """credit: for the unused rest of what was paid for. charge: for the rest at the new price. Neither is below zero."""

    credit: Money
    charge: Money

    @property
    def due(self) -> Money:
        """Both together: to be paid now, or when below zero, to be given on the next bill."""
        return self.charge - self.credit


def rest_of(price: Money, start: datetime, end: datetime, at: datetime) -> Money:
    """The part of a period's price that falls after `at`; all of it before the start, nothing after the end."""
    whole = (end - start) // _SECOND
    left = min(max((end - at) // _SECOND, 0), whole)
    if whole <= 0:
        return Money.zero(price.currency)
    return Money((2 * price.amount * left + whole) // (2 * whole), price.currency)


def prorate(old: Money, new: Money, *, start: datetime, end: datetime, at: datetime, worth: Money) -> Proration:
    """Change from one price of the period to another at this moment.

    worth: what was paid for the period, earlier credits counted; the credit is at most the unused rest of it.
    """
    unused = rest_of(old, start, end, at)
    return Proration(min(unused, worth), rest_of(new, start, end, at))


def begin_anew(old: Money, new: Money, *, start: datetime, end: datetime, at: datetime, worth: Money) -> Proration:
    """Change to a price for periods of another length: the old rest is given back and a whole new period begins."""
    return Proration(min(rest_of(old, start, end, at), worth), new)
