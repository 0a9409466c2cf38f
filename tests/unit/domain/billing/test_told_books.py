"""What is told of payouts and reconciliations is what the catalogue promises."""

from datetime import UTC, date, datetime

import attrs
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from domain.billing.bodies import payout_body, reconciliation_body
from domain.billing.payouts import Payout, PayoutState
from domain.billing.reconciliation import Reconciliation, RunState
from domain.catalogue import CATALOGUE
from domain.money import Currency, Money

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAYOUT = Payout(
    "po_00000000000000000000000000",
    "org_1",
    "con_1",
    "acme",
    Money(5_000, Currency("NGN")),
    NOW,
    NOW,
    receiver="044 ·· 0031",
    sealed_destination="sealed",
    state=PayoutState.PENDING,
    reference="tr_1",
)
RUN = Reconciliation(
    "rec_00000000000000000000000000",
    "org_1",
    "con_00000000000000000000000000",
    "acme",
    NOW,
    NOW,
    "hub",
    NOW,
    NOW,
    state=RunState.DONE,
    compared=3,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": PayoutState.PAID, "arrives_on": date(2026, 3, 3)},
        {"state": PayoutState.FAILED, "failure": "The account is closed."},
    ],
)
@pytest.mark.parametrize("name", ["payout.created", "payout.paid", "payout.failed"])
def test_a_payout_is_told_as_promised(name: str, changes: dict[str, object]) -> None:
    """And nothing of where it goes: receivers need not know, and logs keep what they are sent."""
    body = payout_body(attrs.evolve(PAYOUT, **changes))  # type: ignore[arg-type]
    Draft202012Validator(CATALOGUE[name].schema, format_checker=FormatChecker()).validate({"payout": body})
    assert "0031" not in str(body)
    assert "sealed" not in str(body)


@pytest.mark.parametrize("url", [None, "https://hub.example/console/reconciliations/rec_1"])
def test_a_reconciliation_is_told_as_promised(url: str | None) -> None:
    """With a link to its report, where there is a console."""
    body = reconciliation_body(RUN, url)
    schema = CATALOGUE["reconciliation.finished"].schema
    Draft202012Validator(schema, format_checker=FormatChecker()).validate({"reconciliation": body})
