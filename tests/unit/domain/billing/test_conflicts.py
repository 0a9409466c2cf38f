"""Money that came in another way than it was asked for has a name, and a person settles it."""

from datetime import UTC, datetime

import attrs
import pytest

from domain.billing.conflicts import COUNT, ConflictKind, judged
from domain.billing.invoices import Invoice
from domain.billing.payments import Fact, FactKind, Payment, PaymentState
from domain.money import Currency, Money
from tests.contract.examples import Examples

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USD = Currency("USD")


def usd(cents: int) -> Money:
    """Dollars, in cents."""
    return Money(cents, USD)


def invoice(paid: int = 0) -> Invoice:
    """Over 100.00 USD, with so much paid of it."""
    made: Invoice = Examples().invoice("org_1")
    line = attrs.evolve(made.lines[0], unit_price=usd(100_00), quantity=1, tax=None, discount=None)
    opened = attrs.evolve(made, lines=(line,), currency=USD).open(NOW)
    return opened.settle(usd(paid), usd(0), NOW)[0]


@pytest.mark.parametrize(
    ("captured", "asked", "before", "kind"),
    [
        (100_00, 100_00, 0, None),
        (40_00, 40_00, 0, None),  # a part, asked for as a part
        (60_00, 60_00, 40_00, None),
        (150_00, 150_00, 0, ConflictKind.OVERPAID),
        (100_00, 100_00, 40_00, ConflictKind.OVERPAID),
        (100_01, 100_00, 0, ConflictKind.OVERPAID),
        (50_00, 40_00, 0, ConflictKind.OVERPAID),
        (99_99, 100_00, 0, ConflictKind.UNDERPAID),
        (1, 100_00, 0, ConflictKind.UNDERPAID),
        (100_00, 100_00, 100_00, ConflictKind.PAID_TWICE),
        (1, 100_00, 100_00, ConflictKind.PAID_TWICE),
    ],
)
def test_what_came_is_compared_with_what_was_asked_for_and_what_is_due(
    captured: int, asked: int, before: int, kind: ConflictKind | None
) -> None:
    """A bank transfer may be of any amount; two people may pay at once."""
    found = judged(usd(captured), usd(asked), invoice(before))
    assert (found.kind if found else None) is kind
    assert found is None or found.why.endswith(".")


def test_another_currency_is_named_whatever_the_number() -> None:
    """100 yen are not 100 cents; both numbers are the same."""
    yen = Money(100_00, Currency("JPY"))
    for asked, bill in ((usd(100_00), None), (yen, invoice()), (usd(100_00), invoice())):
        found = judged(yen, asked, bill)
        assert found is not None
        assert (found.kind, "JPY" in found.why) == (ConflictKind.WRONG_CURRENCY, True)


def test_money_for_a_void_invoice_is_named() -> None:
    """It was withdrawn: nobody owes it."""
    found = judged(usd(100_00), usd(100_00), invoice().void(NOW))
    assert found is not None
    assert found.kind is ConflictKind.AFTER_VOID


def test_money_without_an_invoice_is_compared_with_what_was_asked_for() -> None:
    """The host application's own payments have none."""
    assert judged(usd(5_00), usd(5_00), None) is None
    found = judged(usd(4_00), usd(5_00), None)
    assert found is not None
    assert found.kind is ConflictKind.UNDERPAID


@pytest.mark.parametrize("kind", ConflictKind)
def test_whose_money_it_is_until_a_person_decided(kind: ConflictKind) -> None:
    """Too much or too little is still the invoice's; what nobody can explain is not."""
    found = judged(usd(1), usd(2), None)
    assert found is not None
    payment = Payment("pay_1", "org_1", "con_1", "acme", "pi_1", usd(100_00), NOW, NOW, "inv_1")
    odd = payment.learn(Fact(FactKind.CAPTURED, "ch_1", 100_00, NOW), now=NOW)[0].set_aside(
        attrs.evolve(found, kind=kind), NOW
    )
    assert (odd.state, odd.counts) == (PaymentState.CONFLICTED, kind in COUNT)
    settled = odd.resolved("Accepted", NOW, invoice_id="inv_2")
    assert (settled.state, settled.counts, settled.invoice_id) == (PaymentState.SUCCEEDED, True, "inv_2")
    assert settled.resolution == f"Accepted: {found.why}"
