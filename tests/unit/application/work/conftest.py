"""The use cases of work records over the store in memory."""

from typing import Any

import attrs
import pytest

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.store import Slice
from application.work.change_record import ChangeRecord
from application.work.create_record import CreateRecord
from application.work.remove_record import RemoveRecord
from domain.audit import AuditEntry
from domain.events import Event
from domain.work.records import Kind, Record
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.fakes.store import MemoryStore

GRACE = Caller("org_1", "user:grace@studio.example")


@attrs.define
class Office:
    """One organisation's records, and what was said about them."""

    clock: FrozenClock
    store: MemoryStore
    create: CreateRecord
    change: ChangeRecord
    remove: RemoveRecord

    async def new(self, kind: Kind, **given: Any) -> Record:
        """A new record."""
        return await self.create(GRACE, kind, given)

    async def find(self, record: Record) -> Record | None:
        """The record as it is kept now."""
        async with self.store.reading(GRACE.organisation_id) as work:
            return await work.records.find(record.id)

    async def told(self) -> list[Event]:
        """Every event, oldest first."""
        async with self.store.reading(GRACE.organisation_id) as work:
            return list((await work.events.page(Slice(200, newest_first=False))).items)

    async def noted(self) -> list[AuditEntry]:
        """Every audit entry, oldest first."""
        async with self.store.reading(GRACE.organisation_id) as work:
            return list((await work.audit.page(Slice(200, newest_first=False))).items)


@pytest.fixture
def office() -> Office:
    """An empty one."""
    clock, ids = FrozenClock(), CountingIds()
    store = MemoryStore(clock)
    tell = Tell(clock, ids)
    return Office(
        clock,
        store,
        CreateRecord(store, tell, clock, ids),
        ChangeRecord(store, tell, clock),
        RemoveRecord(store, tell, clock),
    )
