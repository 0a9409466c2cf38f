"""What happens to records, in the words of those who work with them."""

from typing import Any

import pytest

from domain.refusals import Invalid
from domain.work.kinds import kind_named
from domain.work.records import Kind, Record
from domain.work.shapes import Pointer
from tests.unit.domain.work.strategies import LATER, NOW, record

CLIENT, CONTACT, DEAL, LEAD = map(kind_named, ("client", "contact", "deal", "lead"))
PROJECT, TASK, MEETING, CONTRACT = map(kind_named, ("project", "task", "meeting", "contract"))
PROPOSAL, REGISTRATION, MILESTONE, NOTE = map(kind_named, ("proposal", "registration", "milestone", "note"))

MEETING_BODY = {"title": "Kick-off", "starts_at": "2026-03-03T10:00:00Z"}
CONTRACT_BODY = {"title": "Agreement", "client_id": "client_1"}


def wrong(kind: Kind, given: dict[str, Any]) -> list[str]:
    """The paths that are wrong in a new record."""
    with pytest.raises(Invalid) as refused:
        record(kind, given)
    return [fault.field for fault in refused.value.faults]


def wrong_change(before: Record, patch: dict[str, Any]) -> list[str]:
    """The paths that are wrong in a patch."""
    with pytest.raises(Invalid) as refused:
        before.change(patch, LATER)
    return [fault.field for fault in refused.value.faults]


def told(before: Record, **patch: Any) -> tuple[str, ...]:
    """The events of a change."""
    return before.change(patch, LATER)[1]


def test_a_new_record_shows_every_field_and_when_it_was_made() -> None:
    """The same keys in every answer, whether filled or not: receivers need no `if`."""
    client = record(CLIENT, name="Acme", country="gb", tags=["vip"])
    assert client.version == 1
    assert client.body["id"] == "client_1"
    assert client.body["created_at"] == client.body["updated_at"] == "2026-03-01T12:00:00Z"
    assert (client.body["country"], client.body["tags"], client.body["email"]) == ("GB", ["vip"], None)
    assert client.fields == {"name": "Acme", "country": "GB", "tags": ["vip"]}


def test_a_change_moves_the_time_and_leaves_the_earlier_record_as_it_was() -> None:
    """The use case compares the two, and the store counts the version up when it saves."""
    before = record(CLIENT, name="Acme")
    after, _ = before.change({"name": "Acme Ltd", "email": "a@acme.example"}, LATER)
    assert (after.created_at, after.updated_at, before.updated_at) == (NOW, LATER, NOW)
    assert before.fields == {"name": "Acme"}
    assert after.data(before)["previous"] == {"name": "Acme", "email": None}


def test_a_change_to_the_same_is_no_change() -> None:
    """The very same record comes back, so that nothing is saved and nobody is told."""
    before = record(CLIENT, name="Acme", country="GB")
    after, types = before.change({"name": " Acme ", "country": "gb", "email": None}, LATER)
    assert after is before
    assert types == ()


def test_what_the_hub_sets_itself_cannot_be_sent() -> None:
    """A caller that sends `version` thinks it does something; it would be wrong."""
    assert wrong_change(record(CLIENT, name="Acme"), {"id": "client_2", "version": 7}) == ["id", "version"]


def test_field_faults_and_rules_between_fields_are_told_together() -> None:
    """Except a rule about a field that is wrong in itself: its fault would only confuse."""
    body = {
        "title": "x",
        "status": "ready",
        "starts_on": "2026-03-09",
        "due_on": "2026-03-08",
        "milestone_id": "milestone_1",
    }
    assert wrong(TASK, body) == ["status", "due_on", "project_id"]
    assert wrong(TASK, {**body, "due_on": "soon"}) == ["status", "due_on", "project_id"]


def test_creation_is_told_and_so_is_the_status_it_begins_with() -> None:
    """Whoever waits for won deals does not care whether it was once open here."""
    assert record(DEAL, title="x").told_on_creation == ("deal.created",)
    assert record(DEAL, title="x", status="won").told_on_creation == ("deal.created", "deal.won")
    assert record(TASK, title="x", assignee="a@b.example").told_on_creation == ("task.created", "task.assigned")
    assert record(PROJECT, name="x", status="active").told_on_creation == ("project.created", "project.started")


def test_a_project_starts_once_and_resumes_silently_but_for_its_status() -> None:
    """`project.started` greets the client; a project taken up again after a pause must not."""
    planned = record(PROJECT, name="x")
    assert told(planned, status="active") == ("project.status_changed", "project.started")
    assert told(record(PROJECT, name="x", status="on_hold"), status="active") == ("project.status_changed",)
    assert told(planned, status="completed") == ("project.status_changed", "project.completed")
    assert told(planned, budget={"amount": "1", "currency": "USD"}) == ()


def test_a_deal_is_won_or_lost_and_can_be_reopened() -> None:
    """Clients change their minds."""
    won, types = record(DEAL, title="x").change({"status": "won"}, LATER)
    assert types == ("deal.won",)
    assert wrong_change(won, {"status": "lost"}) == ["status"]
    reopened, types = won.change({"status": "open"}, LATER)
    assert types == ()
    assert told(reopened, status="lost", lost_reason="Budget") == ("deal.lost",)


def test_a_lead_becomes_a_client_once() -> None:
    """A converted lead is history."""
    lead = record(LEAD, name="Ada")
    assert told(lead, status="contacted") == ("lead.status_changed",)
    converted, types = lead.change({"status": "converted", "client_id": "client_1"}, LATER)
    assert types == ("lead.status_changed", "lead.converted")
    assert wrong_change(converted, {"status": "new"}) == ["status"]


def test_a_signed_contract_stays_signed() -> None:
    """It binds two parties; the hub is not where it is undone."""
    signed, types = record(CONTRACT, CONTRACT_BODY).change({"status": "signed"}, LATER)
    assert types == ("contract.signed",)
    assert wrong_change(signed, {"status": "draft"}) == ["status"]
    assert told(signed, file_url="https://files.example/1.pdf") == ()
    assert told(record(CONTRACT, CONTRACT_BODY), status="sent") == ("contract.sent",)


def test_a_proposal_is_answered_after_it_was_sent_again() -> None:
    """A rejected offer may be improved; an accepted one is closed."""
    rejected, types = record(PROPOSAL, title="x", status="sent").change({"status": "rejected"}, LATER)
    assert types == ("proposal.rejected",)
    sent, types = rejected.change({"status": "sent"}, LATER)
    assert types == ("proposal.sent",)
    accepted, types = sent.change({"status": "accepted"}, LATER)
    assert types == ("proposal.accepted",)
    assert wrong_change(accepted, {"status": "rejected"}) == ["status"]


def test_a_proposal_is_in_one_currency() -> None:
    """Its lines are added up."""
    dollars, yen = {"amount": "1", "currency": "USD"}, {"amount": "1", "currency": "JPY"}
    lines = [{"description": "a", "unit_price": dollars}, {"description": "b", "unit_price": yen}]
    assert wrong(PROPOSAL, {"title": "x", "lines": lines}) == ["lines.1.unit_price.currency"]
    assert wrong(PROPOSAL, {"title": "x", "lines": lines[:1], "total": yen}) == ["lines.0.unit_price.currency"]
    assert wrong(PROPOSAL, {"title": "x", "total": yen, "currency": "USD"}) == ["total.currency"]
    assert record(PROPOSAL, title="x", lines=lines[:1], total=dollars, currency="USD").version == 1


def test_a_task_given_to_someone_else_is_told_again() -> None:
    """The new person has to know; taking a task away is no news to nobody."""
    task = record(TASK, title="x", assignee="ada@b.example")
    assert told(task, assignee="bob@b.example") == ("task.assigned",)
    assert told(task, assignee=None) == ()
    assert told(task, assignee="ada@B.example") == ()
    assert told(task, status="completed") == ("task.completed",)


def test_a_milestone_is_reached() -> None:
    """Other changes of a milestone are not told."""
    milestone = record(MILESTONE, title="x", project_id="project_1")
    assert milestone.told_on_creation == ()
    assert told(milestone, status="in_progress") == ()
    assert told(milestone, status="completed") == ("milestone.completed",)


def test_a_meeting_is_told_step_by_step() -> None:
    """A change that has an event of its own is not also an update; one with another change beside it is."""
    meeting = record(MEETING, MEETING_BODY)
    assert meeting.told_on_creation == ()
    assert told(meeting, location="Room 2") == ("meeting.updated",)
    assert told(meeting, status="started") == ("meeting.started",)
    assert told(meeting, status="started", location="Room 2") == ("meeting.started", "meeting.updated")
    assert told(meeting, status="cancelled") == ("meeting.updated",)
    assert meeting.told_on_deletion == ("meeting.deleted",)


def test_what_comes_out_of_a_meeting_is_ready_once() -> None:
    """A corrected summary is an update, not a second summary."""
    meeting = record(MEETING, MEETING_BODY, status="ended")
    ready, types = meeting.change({"summary": "We agreed.", "action_items": [{"text": "Send it"}]}, LATER)
    assert types == ("summary.ready", "action_items.ready")
    assert told(ready, summary="We all agreed.") == ("meeting.updated",)
    assert told(ready, transcript_url="https://files.example/1.txt") == ("transcript.ready",)


def test_a_meeting_ends_after_it_starts() -> None:
    """Also when the two were written in different zones, and to the fraction of a second."""
    assert wrong(MEETING, {**MEETING_BODY, "ends_at": "2026-03-03T11:00:00+02:00"}) == ["ends_at"]
    assert wrong(MEETING, {**MEETING_BODY, "ends_at": "2026-03-03T10:00:00Z"}) == ["ends_at"]
    meeting = record(MEETING, MEETING_BODY, ends_at="2026-03-03T10:00:00.5Z")
    assert wrong_change(meeting, {"starts_at": "2026-03-03T10:30:00Z"}) == ["ends_at"]


def test_a_contact_is_reachable_or_at_least_has_a_name() -> None:
    """An empty contact helps nobody."""
    assert wrong(CONTACT, {"job_title": "Head of Finance"}) == ["email"]
    contact = record(CONTACT, first_name="Ada", email="ada@b.example")
    assert told(contact, email=None) == ("contact.updated",)
    assert wrong_change(contact, {"email": None, "first_name": None}) == ["email"]


def test_a_registration_is_confirmed_or_cancelled() -> None:
    """And a cancelled one may be taken up again."""
    registration = record(REGISTRATION, event_name="Open day", email="ada@b.example")
    confirmed, types = registration.change({"status": "confirmed"}, LATER)
    assert types == ("registration.confirmed",)
    assert wrong_change(confirmed, {"status": "pending"}) == ["status"]
    assert told(confirmed, status="cancelled") == ("registration.cancelled",)


def test_a_record_says_which_others_it_names() -> None:
    """The use case finds out whether they exist, and whether in this organisation."""
    note = record(NOTE, text="x", subject={"kind": "deal", "id": "deal_1"})
    assert note.pointers == (Pointer("subject.id", "deal", "deal_1"),)
    meeting = record(MEETING, MEETING_BODY, participants=[{"name": "Ada"}, {"contact_id": "contact_1"}])
    assert meeting.pointers == (Pointer("participants.1.contact_id", "contact", "contact_1"),)


def test_a_record_is_known_by_its_name_or_else_by_its_id() -> None:
    """Lists and messages need one line."""
    assert record(CONTACT, first_name="Ada", last_name="Lovelace").title == "Ada Lovelace"
    assert record(CONTACT, email="ada@b.example").title == "contact_1"
    assert len(record(NOTE, text="long " * 100).title) == 120
