"""An invoice at a provider: asked for once, and for no other sum than what is due here."""

import attrs

from application.billing.provider_invoices import lines_of
from domain.billing.invoices import Line
from domain.billing.lines import Discount, Tax
from domain.money import Currency, Money
from tests.contract.examples import Examples

USD = Currency("USD")
WORK = Line("Work", 2, Money(5_000, USD))


def due(*lines: Line, paid: int = 0) -> tuple[Line, ...]:
    """What the provider is to ask for."""
    invoice = attrs.evolve(Examples().invoice("org_1"), lines=lines, paid=paid)
    return lines_of(invoice)


def test_plain_lines_are_shown_as_they_are() -> None:
    """The client should recognise what they ordered."""
    assert due(WORK, Line("Travel", 1, Money(100, USD))) == (WORK, Line("Travel", 1, Money(100, USD)))


def test_what_does_not_add_up_without_our_rules_is_one_line_over_what_is_due() -> None:
    """Taxes, discounts and part payments are reckoned here; a provider that reckoned anew could ask for a cent more."""
    taxed = attrs.evolve(WORK, tax=Tax("VAT", 1950))
    (line,) = due(taxed)
    assert (line.quantity, line.unit_price) == (1, Money(11_950, USD))
    (line,) = due(attrs.evolve(WORK, discount=Discount(percent=1000)))
    assert line.unit_price == Money(9_000, USD)
    (line,) = due(WORK, paid=4_000)
    assert line.unit_price == Money(6_000, USD)
