"""A change is merged, counted once and told with what was there before; a change of nothing is none."""

from datetime import timedelta

import pytest

from application.caller import Caller
from domain.refusals import Invalid, NotFound, Stale
from domain.work.kinds.people import CLIENT, CONTACT
from domain.work.kinds.projects import PROJECT, TASK
from domain.work.kinds.sales import DEAL
from tests.unit.application.work.conftest import GRACE, Office


async def test_a_change_is_told_with_what_was_there_before(office: Office) -> None:
    """Receivers see the difference without having kept the record."""
    deal = await office.new(DEAL, title="Site", status="open")
    now = office.clock.advance(timedelta(hours=1))
    won = await office.change(GRACE, DEAL, deal.id, {"status": "won", "stage": "Done"})
    assert (won.version, won.updated_at, won.created_at) == (2, now, deal.created_at)
    assert await office.find(deal) == won
    event = (await office.told())[-1]
    assert (event.type, event.data) == (
        "deal.won",
        {"deal": won.body, "previous": {"status": "open", "stage": None}},
    )
    entry = (await office.noted())[-1]
    assert (entry.action, entry.subject, entry.detail["fields"]) == ("deal.changed", deal.id, ["stage", "status"])


async def test_a_change_of_nothing_writes_nothing_and_tells_nothing(office: Office) -> None:
    """A synchronisation that sends everything every hour makes no noise."""
    contact = await office.new(CONTACT, email="ada@acme.example", tags=["vip"])
    office.clock.advance(timedelta(hours=1))
    said = (await office.told(), await office.noted())
    for patch in ({}, {"email": "  ada@ACME.example"}, {"tags": ["vip", "VIP"]}, {"phone": None}):
        assert await office.change(GRACE, CONTACT, contact.id, patch) == contact
    assert await office.find(contact) == contact
    assert (await office.told(), await office.noted()) == said


async def test_a_change_of_what_one_has_not_seen_is_refused(office: Office) -> None:
    """If-Match names the version that was read."""
    client = await office.new(CLIENT, name="Acme")
    await office.change(GRACE, CLIENT, client.id, {"name": "Acme Ltd"}, version=1)
    with pytest.raises(Stale):
        await office.change(GRACE, CLIENT, client.id, {"name": "Acme Inc"}, version=1)


async def test_only_what_is_newly_named_must_be_there(office: Office) -> None:
    """A record stays changeable whatever became of its neighbours."""
    client = await office.new(CLIENT, name="Acme")
    task = await office.new(TASK, title="Draw", client_id=client.id)
    async with office.store.of(GRACE.organisation_id) as work:
        await work.records.remove(client.id)
        await work.commit()
    assert (await office.change(GRACE, TASK, task.id, {"title": "Paint"})).fields["client_id"] == client.id
    with pytest.raises(Invalid) as refused:
        await office.change(GRACE, TASK, task.id, {"client_id": "client_0", "project_id": "project_0"})
    assert [fault.field for fault in refused.value.faults] == ["project_id", "client_id"]


async def test_an_id_of_another_kind_or_organisation_is_not_found(office: Office) -> None:
    """Also when something is there under it."""
    client = await office.new(CLIENT, name="Acme")
    with pytest.raises(NotFound):
        await office.change(GRACE, PROJECT, client.id, {"name": "Site"})
    with pytest.raises(NotFound):
        await office.change(Caller("org_2", "key:other"), CLIENT, client.id, {"name": "Mine"})
