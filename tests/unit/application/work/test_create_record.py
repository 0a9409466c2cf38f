"""A record is created with all that is true of it: what it names is there, and its events are told."""

from typing import Any

import pytest

from application.once import Once
from application.ports.store import AlreadyThere
from domain.refusals import Invalid
from domain.work.kinds import KINDS
from domain.work.kinds.jottings import NOTE
from domain.work.kinds.people import CLIENT, COMPANY, CONTACT
from domain.work.kinds.projects import MEETING, TASK
from domain.work.kinds.sales import DEAL
from domain.work.records import Kind
from tests.samples import whole
from tests.unit.application.work.conftest import GRACE, Office


def once(key: str) -> Once:
    """A call that carries an Idempotency-Key."""
    return Once(key, "hash", lambda record: (201, record.id.encode(), {}))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_every_kinds_sample_can_be_created(office: Office, kind: Kind) -> None:
    """With the events of its kind, and a line in the audit."""

    async def neighbour(other: Kind, given: dict[str, Any]) -> str:
        return (await office.create(GRACE, other, given)).id

    given = await whole(kind, neighbour)
    earlier = len(await office.told())
    record = await office.create(GRACE, kind, given)
    assert await office.find(record) == record
    assert [(e.type, e.data) for e in (await office.told())[earlier:]] == [
        (name, {kind.name: record.body}) for name in record.told_on_creation
    ]
    entry = (await office.noted())[-1]
    assert (entry.action, entry.subject, entry.actor) == (f"{kind.name}.created", record.id, GRACE.actor)


async def test_the_status_it_begins_with_is_told_too(office: Office) -> None:
    """A deal that is imported as won was won."""
    await office.new(DEAL, title="Site", status="won")
    assert [event.type for event in await office.told()] == ["deal.created", "deal.won"]


async def test_every_record_that_is_not_there_is_named_by_its_path(office: Office) -> None:
    """At once, also inside lists; those that are there are not."""
    contact = await office.new(CONTACT, email="ada@acme.example")
    with pytest.raises(Invalid) as refused:
        await office.new(
            MEETING,
            title="Kick-off",
            starts_at="2026-03-03T10:00Z",
            client_id="client_0",
            participants=[{"contact_id": contact.id}, {"contact_id": "contact_0"}],
        )
    assert {fault.field: fault.reason for fault in refused.value.faults} == {
        "client_id": "There is no client 'client_0'.",
        "participants.1.contact_id": "There is no contact 'contact_0'.",
    }
    assert [event.type for event in await office.told()] == ["contact.created"]


async def test_a_note_on_an_invoice_needs_the_invoice(office: Office) -> None:
    """Invoices are kept elsewhere and named alike."""
    with pytest.raises(Invalid) as refused:
        await office.new(NOTE, text="Called", subject={"kind": "invoice", "id": "inv_0"})
    assert [fault.field for fault in refused.value.faults] == ["subject.id"]


async def test_the_answer_is_kept_with_the_effect(office: Office) -> None:
    """So that a crash between the two cannot happen: a key that was used creates nothing."""
    record = await office.create(GRACE, CLIENT, {"name": "Acme"}, once=once("k"))
    async with office.store.reading(GRACE.organisation_id) as work:
        answer = await work.answers.find("k")
        assert answer is not None
        assert answer.body == record.id.encode()
    with pytest.raises(AlreadyThere):
        await office.create(GRACE, COMPANY, {"name": "Acme"}, once=once("k"))
    async with office.store.reading(GRACE.organisation_id) as work:
        assert len(await work.records.all()) == 1


async def test_what_is_wrong_is_refused_before_anything_is_kept(office: Office) -> None:
    """Nothing written, nothing told."""
    with pytest.raises(Invalid) as refused:
        await office.new(TASK, titel="Draw", status="done")
    assert {fault.field for fault in refused.value.faults} == {"titel", "title", "status"}
    assert (await office.told(), await office.noted()) == ([], [])
