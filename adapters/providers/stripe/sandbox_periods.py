"""Periods and prorations in the sandbox. Pure but for what they are told."""

import calendar
from datetime import UTC, datetime
from fractions import Fraction

from adapters.providers.stripe.sandbox_balance import step
from adapters.providers.stripe.sandbox_objects import Json

_SECONDS = {"day": 86_400, "week": 7 * 86_400}


def after(start: int, recurring: Json, anchor: int) -> int:
    """The end of a period. A month that has no such day ends on its last one, and the next is on the anchor's day again."""
    interval, count = recurring["interval"], recurring["interval_count"]
    if interval in _SECONDS:
        return int(start + _SECONDS[interval] * count)
    at = datetime.fromtimestamp(start, UTC)
    months = at.year * 12 + at.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(datetime.fromtimestamp(anchor, UTC).day, calendar.monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())


def line(price: Json, name: str, quantity: int, period: tuple[int, int], item: Json, amount: int | None = None) -> Json:
    """A line of a bill for a period. amount: of a proration; the price otherwise."""
    details = {
        "invoice_item": None,
        "proration": amount is not None,
        "proration_details": None,
        "subscription": item["subscription"],
        "subscription_item": item["id"],
    }
    return {
        "amount": price["unit_amount"] * quantity if amount is None else amount,
        "currency": price["currency"],
        "description": name,
        "quantity": quantity,
        "period": {"start": period[0], "end": period[1]},
        "price": price,
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        },
    }


def changed(
    item: Json, name: str, price: Json, new_name: str, quantity: int, at: int
) -> tuple[list[Json], tuple[int, int]]:
    """What a change of price or quantity costs, and the period that follows: the unused rest goes back and the new rest is
    charged, to the second. Another interval begins a new period, which is charged whole."""
    old = item["price"]
    period = (item["current_period_start"], item["current_period_end"])
    rest = Fraction(max(period[1] - at, 0), period[1] - period[0])
    left = (at, period[1])
    credit = line(old, f"Unused time on {name}", item["quantity"], left, item, -_share(old, item["quantity"], rest))
    if (old["recurring"]["interval"], old["recurring"]["interval_count"]) == (
        price["recurring"]["interval"],
        price["recurring"]["interval_count"],
    ):
        charge = line(price, f"Remaining time on {new_name}", quantity, left, item, _share(price, quantity, rest))
        return [credit, charge], period
    period = (at, after(at, price["recurring"], at))
    return [credit, line(price, new_name, quantity, period, item)], period


def _share(price: Json, quantity: int, rest: Fraction) -> int:
    """Rounded half up, to what can be charged in the currency."""
    unit = step(price["currency"])
    return int((price["unit_amount"] * quantity * rest / unit + Fraction(1, 2)) // 1 * unit)
