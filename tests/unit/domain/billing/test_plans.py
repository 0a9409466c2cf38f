"""What a plan may be."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from domain.billing.plans import Interval, Plan, PlanState
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USD, JPY = Currency("USD"), Currency("JPY")
PLAN = Plan(
    "plan_1", "org_1", "studio", "Studio", "", Interval.MONTH, 1, (Money(9000, USD), Money(12_000, JPY)), NOW, NOW
)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "Studio Monthly"}, "code"),
        ({"code": ""}, "code"),
        ({"name": " "}, "name"),
        ({"description": "x" * 251}, "description"),
        ({"count": 0}, "count"),
        ({"count": 13}, "count"),
        ({"interval": Interval.YEAR, "count": 2}, "count"),
        ({"trial_days": -1}, "trial_days"),
        ({"trial_days": 366}, "trial_days"),
        ({"prices": ()}, "prices"),
        ({"prices": (Money(0, USD),)}, "prices.0.amount"),
        ({"prices": (Money(1, USD), Money(2, USD))}, "prices.1.currency"),
        ({"features": ("api", "api")}, "features.1"),
        ({"features": ("",)}, "features.0"),
        ({"limits": {"": 1}}, "limits"),
        ({"limits": {"seats": -2}}, "limits.seats"),
        ({"limits": {"seats": 2**53}}, "limits.seats"),
    ],
)
def test_what_cannot_be_names_its_field(changes: dict[str, Any], field: str) -> None:
    """So that a form or a program can point at it."""
    with pytest.raises(Invalid) as refused:
        attrs.evolve(PLAN, **changes)
    assert [fault.field for fault in refused.value.faults] == [field]


def test_a_price_is_found_by_its_currency() -> None:
    """A plan without one in the currency says which it has."""
    assert PLAN.price_in(JPY) == Money(12_000, JPY)
    with pytest.raises(Invalid, match="USD, JPY"):
        PLAN.price_in(Currency("EUR"))


def test_an_archived_plan_takes_nobody_new() -> None:
    """A change that changes nothing is none."""
    archived = PLAN.revise(NOW, state=PlanState.ARCHIVED)
    with pytest.raises(Conflict, match="archived"):
        archived.require_offered()
    assert archived.revise(NOW, state=PlanState.ARCHIVED) is archived
    PLAN.require_offered()
