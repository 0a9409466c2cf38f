"""What needs a record keeps it; what can be without it lets go of it."""

from typing import Any

import attrs
import pytest

from application.work.pointers import ways_to
from application.work.remove_record import MOST_LET_GO
from domain.billing.invoices import Billed, Invoice, InvoiceState, Line
from domain.money import Currency, Money
from domain.refusals import Conflict, NotFound, Stale
from domain.work.kinds import KINDS
from domain.work.kinds.jottings import NOTE
from domain.work.kinds.people import CLIENT, COMPANY, CONTACT, REGISTRATION
from domain.work.kinds.projects import MEETING, MILESTONE, PROJECT, TASK
from domain.work.kinds.sales import CONTRACT, DEAL, LEAD
from domain.work.records import Kind
from tests.unit.application.work.conftest import GRACE, Office

USD = Currency("USD")


@pytest.mark.parametrize(
    ("kind", "given", "needing", "with_", "field"),
    [
        (CLIENT, {"name": "Acme"}, CONTRACT, {"title": "Agreement"}, "client_id"),
        (PROJECT, {"name": "Site"}, MILESTONE, {"title": "Design"}, "project_id"),
        (CONTACT, {"email": "ada@acme.example"}, REGISTRATION, {"event_name": "Open day"}, "contact_id"),
    ],
)
async def test_what_needs_a_record_keeps_it(
    office: Office, kind: Kind, given: dict[str, Any], needing: Kind, with_: dict[str, Any], field: str
) -> None:
    """The refusal says what stands in the way; once that is gone, so may the record be."""
    record = await office.new(kind, **given)
    other = await office.new(needing, **with_, **{field: record.id})
    with pytest.raises(Conflict, match=f"{other.id}.*{field}"):
        await office.remove(GRACE, kind, record.id)
    assert await office.find(record) == record
    await office.remove(GRACE, needing, other.id)
    await office.remove(GRACE, kind, record.id)
    assert await office.find(record) is None


async def test_a_rule_between_fields_is_a_need_too(office: Office) -> None:
    """A task with a milestone needs its project; the refusal undoes what had let go already."""
    project = await office.new(PROJECT, name="Site")
    free = await office.new(TASK, title="Free", project_id=project.id)
    milestone = await office.new(MILESTONE, title="Design", project_id=project.id)
    task = await office.new(TASK, title="Draw", project_id=project.id, milestone_id=milestone.id)
    with pytest.raises(Conflict):
        await office.remove(GRACE, PROJECT, project.id)
    await office.remove(GRACE, MILESTONE, milestone.id)
    assert await office.find(free) == free
    await office.remove(GRACE, PROJECT, project.id)
    for one in (free, task):
        left = await office.find(one)
        assert left is not None
        assert "project_id" not in left.fields


async def test_what_can_be_without_it_lets_go_and_says_so(office: Office) -> None:
    """As a change of its own: version, event, audit."""
    company = await office.new(COMPANY, name="Acme Holdings")
    contact = await office.new(CONTACT, email="ada@acme.example", company_id=company.id)
    note = await office.new(NOTE, text="Called", subject={"kind": "company", "id": company.id})
    await office.remove(GRACE, COMPANY, company.id)
    left, remark = await office.find(contact), await office.find(note)
    assert left is not None
    assert remark is not None
    assert (left.version, left.fields) == (2, {"email": "ada@acme.example", "subscribed": False})
    assert "subject" not in remark.fields
    event = (await office.told())[-1]
    assert (event.type, event.data) == (
        "contact.updated",
        {"contact": left.body, "previous": {"company_id": company.id}},
    )
    changed = next(entry for entry in await office.noted() if entry.action == "contact.changed")
    assert changed.detail == {"fields": ["company_id"], "because": company.id}


async def test_two_that_name_each_other_can_both_be_removed(office: Office) -> None:
    """A lead and the deal it became."""
    lead = await office.new(LEAD, name="Ada")
    deal = await office.new(DEAL, title="Site", lead_id=lead.id)
    await office.change(GRACE, LEAD, lead.id, {"deal_id": deal.id})
    await office.remove(GRACE, LEAD, lead.id)
    await office.remove(GRACE, DEAL, deal.id)
    assert (await office.find(lead), await office.find(deal)) == (None, None)


async def test_a_participant_keeps_the_id(office: Office) -> None:
    """The minutes stay as they were written."""
    ada = await office.new(CONTACT, first_name="Ada")
    people = [{"name": "Ada", "contact_id": ada.id}]
    meeting = await office.new(MEETING, title="Kick-off", starts_at="2026-03-03T10:00Z", participants=people)
    await office.remove(GRACE, CONTACT, ada.id)
    assert await office.find(meeting) == meeting


@pytest.mark.parametrize("state", InvoiceState)
async def test_a_client_stays_while_an_invoice_is_not_settled(office: Office, state: InvoiceState) -> None:
    """Paid and void ones, and those that were given up, keep the name they were written to."""
    client = await office.new(CLIENT, name="Acme")
    line, at = Line("Design", 1, Money(1000, USD)), office.clock.now()
    billed = Billed(client.id, "Acme", None)
    draft = Invoice("inv_1", GRACE.organisation_id, "INV-0001", billed, USD, (line,), at, at)
    async with office.store.of(GRACE.organisation_id) as work:
        await work.invoices.add(attrs.evolve(draft, state=state))
        await work.commit()
    if state in (InvoiceState.PAID, InvoiceState.VOID, InvoiceState.UNCOLLECTIBLE):
        await office.remove(GRACE, CLIENT, client.id)
        assert await office.find(client) is None
    else:
        with pytest.raises(Conflict, match="INV-0001"):
            await office.remove(GRACE, CLIENT, client.id)


async def test_deletion_is_told_where_the_kind_declares_it(office: Office) -> None:
    """With the record as it was."""
    meeting = await office.new(MEETING, title="Kick-off", starts_at="2026-03-03T10:00Z")
    await office.remove(GRACE, MEETING, meeting.id, version=1)
    event = (await office.told())[-1]
    assert (event.type, event.data) == ("meeting.deleted", {"meeting": meeting.body})
    assert (await office.noted())[-1].action == "meeting.removed"
    with pytest.raises(NotFound):
        await office.remove(GRACE, MEETING, meeting.id)


async def test_what_was_changed_meanwhile_is_not_removed(office: Office) -> None:
    """If-Match names the version that was read."""
    client = await office.new(CLIENT, name="Acme")
    await office.change(GRACE, CLIENT, client.id, {"name": "Acme Ltd"})
    with pytest.raises(Stale):
        await office.remove(GRACE, CLIENT, client.id, version=1)


async def test_one_removal_does_not_change_the_whole_organisation(office: Office) -> None:
    """It is one transaction, and everyone waits for it."""
    company = await office.new(COMPANY, name="Acme")
    at, given = office.clock.now(), {"first_name": "Ada", "company_id": company.id}
    async with office.store.of(GRACE.organisation_id) as work:
        for number in range(MOST_LET_GO + 1):
            contact = CONTACT.create(given, id_=f"contact_{number:04}", organisation_id=GRACE.organisation_id, now=at)
            await work.records.add(contact)
        await work.commit()
    with pytest.raises(Conflict, match=f"More than {MOST_LET_GO}"):
        await office.remove(GRACE, COMPANY, company.id)


def test_every_way_to_a_record_is_known() -> None:
    """A new field that names records joins in by itself."""
    assert {(way.kind.name, way.path) for way in ways_to(MILESTONE)} == {
        ("task", "milestone_id"),
        ("note", "subject.id"),
    }
    assert all(ways_to(kind) for kind in KINDS if kind.name not in ("note", "tag"))
