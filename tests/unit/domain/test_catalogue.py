"""The catalogue is a promise to every receiver: these names, these schemas, these samples."""

import re

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from domain.catalogue import CATALOGUE, EventType
from domain.events import check_event_type
from domain.work.kinds import KINDS

PROMISED = """
invoice.created sent paid overdue payment_failed refunded voided reminded credited uncollectible ·
payment.received failed refunded refund_failed conflicted disputed · payout.created paid failed ·
subscription.created updated canceled trial_ending past_due · reconciliation.finished ·
project.created started completed status_changed · milestone.completed ·
task.created assigned due_soon completed overdue · contract.created sent signed · proposal.created sent accepted rejected ·
client.created · contact.created updated · lead.created status_changed converted · deal.created won lost ·
registration.created confirmed cancelled · event.created published reminder · meeting.started ended updated deleted ·
transcript.ready · summary.ready · action_items.ready · bot.joined left error · approval.required · budget.alert ·
incident.reported · integration.connected disconnected failing webhooks_missed · webhook.disabled
"""
"""The product's list of events, as it is written there."""

MONEY = {"amount", "currency", "decimal"}

each_type = pytest.mark.parametrize("type_", CATALOGUE.values(), ids=lambda type_: type_.name)


def test_the_catalogue_holds_every_event_that_was_promised_and_no_other() -> None:
    """A type that is told but not listed cannot be subscribed to by name; one that is listed but never told misleads."""
    families = [family.split(".") for family in PROMISED.replace("\n", " ").split(" · ")]
    names = {f"{family.strip()}.{name}" for family, names in families for name in names.split()}
    assert set(CATALOGUE) == names
    assert len(names) == 75


@each_type
def test_an_entry_is_complete(type_: EventType) -> None:
    """The console shows the sentence, the group and the sample to people who choose."""
    check_event_type(type_.name)
    assert re.fullmatch(r"[A-Z][^\n]{10,120}\.", type_.description)
    assert type_.group[0].isupper()
    assert type_.schema["title"] == type_.name


@each_type
def test_a_sample_is_what_its_schema_describes(type_: EventType) -> None:
    """The test send delivers samples: a receiver that checks them must be content."""
    Draft202012Validator.check_schema(type_.schema)
    Draft202012Validator(type_.schema, format_checker=FormatChecker()).validate(type_.sample)


@each_type
def test_a_receiver_may_meet_fields_of_tomorrow_and_must_miss_none_of_today(type_: EventType) -> None:
    """Adding a field is not a breaking change; leaving one out is."""
    validator = Draft202012Validator(type_.schema)
    subject = type_.schema["required"][0]
    thing = type_.sample[subject]
    validator.validate({**type_.sample, "more": 1, subject: {**thing, "more": 1}})
    assert not validator.is_valid({name: value for name, value in type_.sample.items() if name != subject})
    for name in type_.schema["properties"][subject]["required"]:
        assert not validator.is_valid({**type_.sample, subject: {n: v for n, v in thing.items() if n != name}})


def test_the_groups_stand_together() -> None:
    """A list of 64 boxes to tick is read group by group."""
    groups = [type_.group for type_ in CATALOGUE.values()]
    assert [group for index, group in enumerate(groups) if groups[index - 1] != group or not index] == list(
        dict.fromkeys(groups)
    )


def test_every_event_a_record_can_cause_is_in_the_catalogue_with_its_body() -> None:
    """The declarations of the kinds are the only source."""
    for kind in KINDS:
        for cause in kind.causes:
            entry = CATALOGUE[cause.type]
            assert entry.schema["properties"][kind.name] == kind.schema
            assert set(entry.sample[kind.name]) == set(kind.schema["properties"])
            for name, value in cause.shows.items():
                assert entry.sample[kind.name][name] == value


def test_invoices_and_payments_have_the_shape_that_was_agreed() -> None:
    """Host applications book from these."""
    invoice = CATALOGUE["invoice.paid"].sample["invoice"]
    sums = "subtotal discount tax total credited amount_due amount_paid"
    assert list(invoice) == f"id number status client currency {sums} due_on url".split()
    assert list(invoice["client"]) == ["id", "name", "email"]
    assert (invoice["amount_due"]["amount"], invoice["amount_paid"]["decimal"]) == (0, "125.00")
    payment = CATALOGUE["payment.received"].sample
    assert list(payment) == ["payment", "invoice"]
    told = "id provider reference status amount refunded invoice_id subscription_id conflict"
    assert list(payment["payment"]) == told.split()
    assert set(payment["payment"]["amount"]) == MONEY
    assert list(CATALOGUE["payment.refunded"].sample["refund"]) == ["id", "amount", "status"]


def test_a_payment_need_not_be_of_an_invoice() -> None:
    """Money may come for nothing that was billed here."""
    validator = Draft202012Validator(CATALOGUE["payment.received"].schema)
    validator.validate({**CATALOGUE["payment.received"].sample, "invoice": None})


def test_of_the_host_applications_own_events_little_is_asked() -> None:
    """It publishes them by hand; an id and a name are enough."""
    Draft202012Validator(CATALOGUE["event.published"].schema).validate({"event": {"id": "7", "name": "Open day"}})
    Draft202012Validator(CATALOGUE["bot.joined"].schema).validate({"bot": {"id": "7"}})
