"""A payout: its destination, when it is looked up, and what the provider says of it."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from domain.billing.payouts import Payout, PayoutState, read_destination, shortened
from domain.connections.provider import Field
from domain.money import Currency, Money
from domain.refusals import Invalid

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PAYOUT = Payout("po_1", "org_1", "con_1", "fake", Money(100, Currency("USD")), NOW, NOW)
FIELDS = (
    Field("bank", "Bank", choices=("044", "058")),
    Field("account", "Account number"),
    Field("name", "Name", required=False),
    Field("iban", "IBAN", required=False, prefixes=("DE", "NL")),
)


def test_a_destination_is_read_by_the_providers_fields() -> None:
    """Every mistake is named at once, by the field's place in the request."""
    assert read_destination(FIELDS, {"bank": "044", "account": " 12345 ", "name": ""}) == {
        "bank": "044",
        "account": "12345",
    }
    with pytest.raises(Invalid) as caught:
        read_destination(FIELDS, {"bank": "1", "other": "x", "iban": "FR1", "name": "a\nb"})
    assert sorted(fault.field for fault in caught.value.faults) == [
        "destination.account",
        "destination.bank",
        "destination.iban",
        "destination.name",
        "destination.other",
    ]
    with pytest.raises(Invalid, match="own bank account"):
        read_destination((), {"iban": "x"})


def test_people_see_the_end_of_a_destination_and_no_more() -> None:
    """A short value is not shown at all: its end would be all of it."""
    assert shortened(FIELDS, {"bank": "044", "account": "0690000031", "name": "Ada"}) == "044 ·· 0031 ··"
    assert shortened((), {}) == ""


def test_it_is_looked_up_after_five_minutes_an_hour_and_then_daily() -> None:
    """Providers take minutes to list what they did, and days are enough for what stays unknown."""
    waiting = PAYOUT.unknown(NOW)
    for wait in (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1), timedelta(days=1)):
        assert not waiting.due(waiting.updated_at + wait - timedelta(seconds=1))
        assert waiting.due(waiting.updated_at + wait)
        waiting = waiting.looked(waiting.updated_at + wait)
    assert not PAYOUT.refused("no", NOW).due(NOW + timedelta(days=9))


def test_a_status_that_nobody_knows_changes_nothing_that_is_known() -> None:
    """It is at the provider, at least; what it means, a later version may know."""
    given = {"reference": "tr_1", "fee": None, "failure": None, "arrives_on": None, "now": NOW}
    first = PAYOUT.told(state=None, **given)
    assert (first.state, first.reference) == (PayoutState.PENDING, "tr_1")
    paid = first.told(state=PayoutState.PAID, **given)
    assert paid.told(state=None, **given) is paid
    assert attrs.evolve(paid, fee=3).told(state=None, **given).fee == 3
