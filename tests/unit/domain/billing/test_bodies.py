"""What events and answers say about money: one shape each, and the one the catalogue promises."""

from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
from jsonschema import Draft202012Validator

from domain.billing.bodies import invoice_body, money_body, payment_body
from domain.billing.invoices import Billed, Invoice, InvoiceState, Line
from domain.billing.payments import Fact, FactKind, Payment
from domain.catalogue import CATALOGUE
from domain.money import Currency, Money

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USD = Currency("USD")
INVOICE = Invoice(
    "inv_00000000000000000000000000",
    "org_1",
    "INV-1",
    Billed("client_00000000000000000000000000", "Ada", "ada@acme.example"),
    USD,
    (Line("Design", 2, Money(50_00, USD)),),
    NOW,
    NOW,
    due_on=date(2026, 3, 31),
    memo="A private word",
)
PAYMENT = Payment(
    "pay_00000000000000000000000000", "org_1", "con_1", "acme", "pi_1", Money(100_00, USD), NOW, NOW, INVOICE.id
)


def dollars(decimal: str) -> dict[str, Any]:
    """How an amount of dollars is told."""
    return {"amount": int(decimal.replace(".", "")), "currency": "USD", "decimal": decimal}


@pytest.mark.parametrize(
    ("minor", "code", "decimal"),
    [(1250, "USD", "12.50"), (5000, "JPY", "5000"), (125, "KWD", "0.125"), (0, "USD", "0.00")],
)
def test_money_is_told_in_minor_units_and_in_words_for_people(minor: int, code: str, decimal: str) -> None:
    """A receiver computes with the one and shows the other, and need not know the currency's places."""
    assert money_body(Money(minor, Currency(code))) == {"amount": minor, "currency": code, "decimal": decimal}


def test_an_invoice_is_told_with_its_client_its_sums_and_its_link() -> None:
    """The whole of it: what is added here is seen by every receiver."""
    partly, _ = INVOICE.settle(Money(30_00, USD), Money(0, USD), NOW)
    assert invoice_body(partly, "https://hub.example/pay/t") == {
        "id": INVOICE.id,
        "number": "INV-1",
        "status": "partly_paid",
        "client": {"id": INVOICE.client.id, "name": "Ada", "email": "ada@acme.example"},
        "currency": "USD",
        "subtotal": dollars("100.00"),
        "discount": dollars("0.00"),
        "tax": dollars("0.00"),
        "total": dollars("100.00"),
        "credited": dollars("0.00"),
        "amount_due": dollars("70.00"),
        "amount_paid": dollars("30.00"),
        "due_on": "2026-03-31",
        "url": "https://hub.example/pay/t",
    }


def test_what_an_invoice_lacks_is_told_as_null() -> None:
    """A receiver finds every field each time."""
    body = invoice_body(attrs.evolve(INVOICE, due_on=None), None)
    assert (body["due_on"], body["url"]) == (None, None)


def test_a_payment_is_told_with_what_came_in_and_what_went_back() -> None:
    """What came in may be less than what was asked for."""
    facts = (Fact(FactKind.CAPTURED, "ch_1", 90_00, NOW), Fact(FactKind.REFUNDED, "re_1", 25_00, NOW))
    assert payment_body(PAYMENT.learn(*facts, now=NOW)[0]) == {
        "id": PAYMENT.id,
        "provider": "acme",
        "reference": "pi_1",
        "status": "partially_refunded",
        "amount": dollars("90.00"),
        "refunded": dollars("25.00"),
        "invoice_id": INVOICE.id,
        "subscription_id": None,
        "conflict": None,
    }


def test_a_payment_that_brought_nothing_is_told_with_what_was_asked() -> None:
    """ "A payment of 0.00 failed" helps nobody."""
    tried, _ = PAYMENT.learn(Fact(FactKind.FAILED, "fail_1", 100_00, NOW), now=NOW)
    body = payment_body(tried)
    assert (body["status"], body["amount"], body["refunded"]) == ("failed", dollars("100.00"), dollars("0.00"))


def test_a_payment_without_an_invoice_says_so() -> None:
    """It may have been made at the provider."""
    assert payment_body(attrs.evolve(PAYMENT, invoice_id=None))["invoice_id"] is None


@pytest.mark.parametrize("state", InvoiceState)
@pytest.mark.parametrize("due_on", [None, INVOICE.due_on])
@pytest.mark.parametrize("email", [None, "ada@acme.example"])
def test_the_bodies_keep_the_catalogues_promise(state: InvoiceState, due_on: date | None, email: str | None) -> None:
    """Receivers check what we send against the schema we publish."""
    client = attrs.evolve(INVOICE.client, email=email)
    bill = invoice_body(attrs.evolve(INVOICE, state=state, due_on=due_on, client=client), None)
    Draft202012Validator(CATALOGUE["invoice.created"].schema).validate({"invoice": bill})
    data = {"invoice": bill, "payment": payment_body(PAYMENT)}
    Draft202012Validator(CATALOGUE["payment.received"].schema).validate(data)
