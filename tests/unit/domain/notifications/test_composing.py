"""Every event is told in words a person understands, whatever its data lacks."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Event
from domain.notifications.composing import MAX_FACTS, compose
from domain.notifications.message import Action, Fact, Message, Tone
from domain.notifications.stories import STORIES

_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_MONEY = {"amount": 12500, "currency": "USD", "decimal": "125.00"}
_INVOICE = {
    "id": "inv_1",
    "number": "INV-42",
    "status": "partially_paid",
    "client": {"id": "client_1", "name": "Ada", "email": "ada@example.com"},
    "total": _MONEY,
    "amount_due": {"amount": 0, "currency": "USD", "decimal": "0.00"},
    "amount_paid": _MONEY,
    "due_on": "2026-12-01",
    "url": None,
}
_PAYMENT = {
    "id": "pay_1", "provider": "stripe", "reference": "pi_1", "status": "succeeded", "amount": _MONEY,
    "refunded": {"amount": 0, "currency": "USD", "decimal": "0.00"}, "invoice_id": "inv_1",
}  # fmt: skip

_NAMED = """
invoice.created invoice.sent invoice.paid invoice.overdue invoice.payment_failed invoice.refunded invoice.voided
invoice.reminded invoice.credited invoice.uncollectible payment.refund_failed payment.conflicted payment.disputed
payout.created subscription.trial_ending subscription.past_due
payment.received payment.failed payment.refunded payout.paid payout.failed
subscription.created subscription.updated subscription.canceled
project.created project.started project.completed project.status_changed milestone.completed
task.created task.assigned task.due_soon task.completed task.overdue contract.created contract.sent contract.signed
proposal.created proposal.sent proposal.accepted proposal.rejected client.created contact.created contact.updated
lead.created lead.status_changed lead.converted deal.created deal.won deal.lost
registration.created registration.confirmed registration.cancelled event.created event.published event.reminder
meeting.started meeting.ended meeting.updated meeting.deleted transcript.ready summary.ready action_items.ready
bot.joined bot.left bot.error approval.required budget.alert incident.reported
integration.connected integration.disconnected integration.failing integration.webhooks_missed webhook.disabled
""".split()


def _told(type_: str, data: dict[str, Any], console: str | None = "https://hub.example.com") -> Message:
    event = Event(id="evt_1", organisation_id="org_1", type=type_, data=data, occurred_at=_AT, created_at=_AT)
    return compose(event, organisation="Studio Nord", console_url=console)


def test_every_event_of_the_product_has_a_story() -> None:
    """An event without one would be told by its type alone."""
    assert set(STORIES) == set(_NAMED)


@pytest.mark.parametrize("type_", [*STORIES, "my_app.thing_happened"])
def test_an_event_without_data_is_still_a_sentence(type_: str) -> None:
    """Data of other versions and other applications lacks what we expect."""
    message = _told(type_, {})

    assert message.title
    assert re.fullmatch(r"[A-Z].*\.", message.text)
    assert not re.search(r"[{}\[\]|]|\bNone\b|  ", message.title + message.text)
    assert message.action == Action(
        message.action.label if message.action else "", "https://hub.example.com/events/evt_1"
    )


def test_a_paid_invoice_says_who_paid_how_much() -> None:
    """The one message everybody waits for."""
    assert _told("invoice.paid", {"invoice": _INVOICE}) == Message(
        title="Invoice INV-42 paid",
        text="The invoice was paid in full by Ada: 125.00 USD.",
        at=_AT,
        facts=(
            Fact("Client", "Ada"),
            Fact("Amount", "125.00 USD"),
            Fact("Status", "partially paid"),
            Fact("Due", "1 Dec 2026"),
        ),
        action=Action("Open invoice", "https://hub.example.com/invoices/inv_1"),
        tone=Tone.GOOD,
        source="Studio Nord",
    )


def test_a_refund_tells_its_own_amount() -> None:
    """A part of a payment may be sent back."""
    part = {"amount": 2500, "currency": "USD", "decimal": "25.00"}
    data = {"payment": _PAYMENT, "invoice": _INVOICE, "refund": {"id": "ref_1", "amount": part, "status": "pending"}}
    message = _told("payment.refunded", data)

    assert message.title == "Payment refunded: 25.00 USD"
    assert {Fact("Refunded", "25.00 USD"), Fact("Status", "pending"), Fact("Invoice", "INV-42")} <= set(message.facts)


def test_a_payment_without_an_invoice_is_told_too() -> None:
    """Payment links can be made without one."""
    message = _told("payment.received", {"payment": _PAYMENT, "invoice": None})

    assert (message.title, message.text) == ("Payment of 125.00 USD received", "A payment came in.")


@pytest.mark.parametrize(
    ("type_", "data", "title", "text"),
    [
        ("task.assigned", {"task": {"title": "Paint", "assignee": {"name": "Bo"}}}, "Task “Paint” assigned",
         "The task was given to Bo."),
        ("task.due_soon", {"task": {"title": "Paint", "due_on": "2026-12-01"}}, "Task “Paint” is due soon",
         "The task is due on 1 Dec 2026."),
        ("lead.status_changed", {"lead": {"name": "X", "status": "hot", "previous_status": "cold"}},
         "Lead changed status: X", "The lead went from cold to hot."),
        ("client.created", {"name": "Flat", "email": "f@example.com"}, "New client: Flat", "A client was added."),
        ("integration.failing", {"connection": {"name": "Books", "last_error": "expired"}}, "Books is failing",
         "The service no longer accepts the connection. Please connect it again."),
        ("webhook.disabled", {"endpoint": {"id": "wh_1", "url": "https://a.example", "reason": "it is gone"}},
         "Webhook disabled",
         "The hub stopped sending to this address because it is gone. Turn it on again when it is repaired."),
    ],
)  # fmt: skip
def test_a_story_uses_what_the_data_brings(type_: str, data: dict[str, Any], title: str, text: str) -> None:
    """Records may stand under their kind or flat, as a host application publishes them."""
    message = _told(type_, data)

    assert (message.title, message.text) == (title, text)


def test_an_unheard_of_event_is_told_by_its_flat_fields() -> None:
    """Host applications publish types of their own."""
    data = {"order_no": 7, "paid": True, "inner": {"x": 1}, "list": [1], "total": _MONEY, "at": "2026-01-02T03:04:00Z"}
    message = _told("shop.order_shipped", data, console=None)

    assert message.title == "Shop order shipped"
    assert message.text == "The event shop.order_shipped was published."
    assert message.facts == (
        Fact("Order no", "7"),
        Fact("Paid", "Yes"),
        Fact("Total", "125.00 USD"),
        Fact("At", "2 Jan 2026, 03:04 UTC"),
    )
    assert message.action is None


def test_an_unheard_of_event_tells_ten_facts_at_most() -> None:
    """More is a table, not a notice."""
    assert len(_told("a.b", {f"field_{number}": number for number in range(30)}).facts) == MAX_FACTS


def test_the_datas_own_link_goes_before_the_consoles() -> None:
    """The host application's page of a project says more than ours."""
    message = _told("project.created", {"project": {"name": "Site", "url": "https://app.example.com/projects/1"}})

    assert message.action == Action("Open project", "https://app.example.com/projects/1")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://", "http://[", 7, "https://a b"])
def test_only_a_web_address_becomes_a_link(url: Any) -> None:
    """Data comes from other systems."""
    message = _told("project.created", {"project": {"url": url}}, console=None)

    assert message.action is None


@given(
    st.sampled_from([*STORIES, "custom.type"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["client", "amount", "name"]), inner)
        ),
        max_leaves=8,
    ),
    st.data(),
)
def test_no_data_makes_it_raise(type_: str, value: Any, data: st.DataObject) -> None:
    """A notice that raises would block the queue."""
    key = data.draw(
        st.sampled_from([type_.split(".")[0], "invoice", "payment", "refund", "connection", "endpoint", "x"])
    )
    message = _told(type_, {key: value})

    assert message.title
    assert len(message.facts) <= MAX_FACTS
