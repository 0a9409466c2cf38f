"""Create a work record."""

from collections.abc import Mapping
from typing import Any

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from application.work.pointers import check_pointers
from domain.work.records import Kind, Record


@attrs.define
class CreateRecord:
    """Keep a new record and tell what its kind says of it: that it is there, and the status it begins with."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids

    async def __call__(
        self, caller: Caller, kind: Kind, given: Mapping[str, Any], *, once: Once | None = None
    ) -> Record:
        """Raises Invalid naming every field that is wrong, or that names a record which is not there."""
        now = self._clock.now()
        record = kind.create(given, id_=self._ids.new(kind.name), organisation_id=caller.organisation_id, now=now)
        async with self._store.of(caller.organisation_id) as work:
            await check_pointers(work, record)
            await work.records.add(record)
            for event_type in record.told_on_creation:
                await self._tell(work, event_type, record.data())
            await self._tell.note(work, caller, f"{kind.name}.created", record.id, title=record.title)
            await remember(work, once, record, now)
            await work.commit()
        return record
