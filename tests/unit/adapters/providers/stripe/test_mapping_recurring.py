"""Stripe's subscriptions and bills in our words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.providers.stripe import mapping_recurring as mapping
from application.ports.recurring import SubscriptionStanding
from domain.money import Money

START, END = 1_793_534_400, 1_796_126_400


def _subscription(**more: Any) -> dict[str, Any]:
    item = {
        "id": "si_1",
        "price": {"id": "price_1"},
        "quantity": 3,
        "current_period_start": START,
        "current_period_end": END,
    }
    return {
        "id": "sub_1",
        "status": "active",
        "customer": "cus_1",
        "items": {"data": [item]},
        "metadata": {"patchbay_key": "k", "a": "b"},
        **more,
    }


def _line(
    amount: int, *, proration: bool = False, start: int = START, end: int = END, text: str = "Care"
) -> dict[str, Any]:
    return {
        "amount": amount,
        "description": text,
        "period": {"start": start, "end": end},
        "parent": {"subscription_item_details": {"proration": proration}},
    }


def _invoice(id_: str = "in_1", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "status": "paid",
        "currency": "usd",
        "amount_due": 1200,
        "created": START,
        "period_start": START - 1,
        "period_end": START,
        "attempt_count": 1,
        "total_taxes": [{"amount": 150}, {"amount": 50}],
        "lines": {"data": [_line(1000)]},
        "payments": {"data": []},
        **more,
    }


def _paid(intent: str, status: str = "paid", default: bool = True) -> dict[str, Any]:
    return {"status": status, "is_default": default, "payment": {"payment_intent": intent}}


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("incomplete", SubscriptionStanding.INCOMPLETE),
        ("incomplete_expired", SubscriptionStanding.EXPIRED),
        ("trialing", SubscriptionStanding.TRIALING),
        ("active", SubscriptionStanding.ACTIVE),
        ("past_due", SubscriptionStanding.PAST_DUE),
        ("unpaid", SubscriptionStanding.PAST_DUE),
        ("paused", SubscriptionStanding.PAUSED),
        ("canceled", SubscriptionStanding.CANCELED),
        ("levitating", SubscriptionStanding.UNKNOWN),
    ],
)
def test_each_status_has_a_standing(status: str, standing: SubscriptionStanding) -> None:
    """One that nobody has heard of is told as such, and never taken for an end."""
    read = mapping.subscription_of(_subscription(status=status))
    assert (read.standing, read.raw_status) == (standing, status)


def test_the_period_is_read_where_it_is_now_and_where_it_was() -> None:
    """An account may still be sent events of the time before 2025."""
    now = mapping.subscription_of(_subscription())
    assert (now.period_start, now.period_end) == (datetime.fromtimestamp(START, UTC), datetime.fromtimestamp(END, UTC))
    assert (now.plan_reference, now.quantity, now.metadata) == ("price_1", 3, {"a": "b"})
    old = _subscription(items={"data": [{"id": "si_1", "price": "price_1"}]}, current_period_end=END)
    then = mapping.subscription_of(old)
    assert (then.period_end, then.quantity) == (datetime.fromtimestamp(END, UTC), 1)


def test_collection_that_is_paused_is_a_pause_of_what_goes_on_only() -> None:
    """Stripe leaves the status alone; a client who owes is still one who owes."""
    pause = {"behavior": "void"}
    standings = [
        mapping.subscription_of(_subscription(status=status, pause_collection=pause)).standing
        for status in ("active", "trialing", "past_due", "canceled")
    ]
    paused = SubscriptionStanding.PAUSED
    assert standings == [paused, paused, SubscriptionStanding.PAST_DUE, SubscriptionStanding.CANCELED]


@pytest.mark.parametrize(
    ("more", "at_end", "at"),
    [
        ({}, False, None),
        ({"cancel_at_period_end": True}, True, END),
        ({"cancel_at": END}, True, END),
        ({"cancel_at": END - 1}, False, END - 1),
    ],
)
def test_an_end_that_is_settled_is_told(more: dict[str, Any], at_end: bool, at: int | None) -> None:
    """As a flag or as a moment alone, which is how Stripe tells it of newer subscriptions."""
    read = mapping.subscription_of(_subscription(**more))
    assert (read.cancel_at_period_end, read.cancel_at) == (at_end, at and datetime.fromtimestamp(at, UTC))


def test_bills_come_oldest_first_without_those_that_ask_for_nothing() -> None:
    """A trial's bill and a draft would each become an invoice of ours that nobody pays."""
    rows = [
        _invoice("in_5", status="open", next_payment_attempt=END),
        _invoice("in_4", status="draft"),
        _invoice("in_3", status="void"),
        _invoice("in_2", amount_due=0),
        _invoice("in_1", payments={"data": [_paid("pi_1")]}),
    ]
    first, last = mapping.renewals_in(rows)
    assert (first.reference, first.paid, first.intent_reference, first.next_try_at) == ("in_1", True, "pi_1", None)
    assert (last.reference, last.paid, last.next_try_at) == ("in_5", False, datetime.fromtimestamp(END, UTC))
    assert (first.total, first.tax, first.tries) == (Money.of("12.00", "USD"), Money.of("2.00", "USD"), 1)


def test_the_total_is_what_is_asked_for_after_credit() -> None:
    """Else our invoice would ask for what the payer's credit at Stripe has covered, and stay partly paid for ever."""
    (bill,) = mapping.renewals_in([_invoice(amount_due=120, total=1200)])
    assert (bill.total, bill.tax) == (Money.of("1.20", "USD"), Money.of("1.20", "USD"))


def test_a_bill_is_for_the_period_of_its_whole_line() -> None:
    """Stripe's own `period` of a bill is the one before; and a change of plan adds lines for parts of one."""
    lines = {"data": [_line(-100, proration=True, end=END - 5, text="Unused"), _line(1000)]}
    (bill,) = mapping.renewals_in([_invoice(lines=lines)])
    assert (bill.period_start, bill.period_end) == (
        datetime.fromtimestamp(START, UTC),
        datetime.fromtimestamp(END, UTC),
    )
    assert bill.description == "Care"
    (change,) = mapping.renewals_in([_invoice(lines={"data": lines["data"][:1]})])
    assert (change.description, change.period_end) == ("Unused", datetime.fromtimestamp(END - 5, UTC))
    (empty,) = mapping.renewals_in([_invoice(lines={"data": []})])
    assert (empty.description, empty.period_end) == ("Subscription", datetime.fromtimestamp(START, UTC))


def test_the_payment_of_a_bill_is_the_one_that_paid_it() -> None:
    """Of several tries, one paid; before that, it is the one that is to."""
    tries = [_paid("pi_1", "canceled", False), _paid("pi_2", "open", True), _paid("pi_3", "paid", False)]
    assert mapping.paid_by({"payments": {"data": tries}}) == "pi_3"
    assert mapping.paid_by({"payments": {"data": tries[:2]}}) == "pi_2"
    outside = {"status": "paid", "is_default": True, "payment": {"payment_record": "pr_1"}}
    assert mapping.paid_by({"payments": {"data": [outside]}}) is None
    assert mapping.paid_by({}) is None


def test_a_preview_adds_up() -> None:
    """What goes back and what is charged, each by itself; and the next bill."""
    now = {"currency": "usd", "amount_due": 500, "lines": {"data": [_line(-500), _line(1000)]}}
    preview = mapping.preview_of(now, {"total": 2000, "period_end": END, "next_payment_attempt": None})
    usd = [preview.credit, preview.charge, preview.due_now, preview.next_total]
    assert [each.decimal for each in usd] == ["-5.00", "10.00", "5.00", "20.00"]
    assert preview.next_at == datetime.fromtimestamp(END, UTC)


def test_a_preview_in_a_currency_without_decimals_is_shown_as_it_will_be_billed() -> None:
    """Stripe prorates UGX to hundredths that do not exist, and bills them rounded."""
    now = {"currency": "ugx", "amount_due": 500_00, "lines": {"data": [_line(-499_51), _line(999_49)]}}
    preview = mapping.preview_of(now, {"total": 999_00, "period_end": END})
    assert (preview.credit, preview.charge) == (Money.of("-500", "UGX"), Money.of("999", "UGX"))
