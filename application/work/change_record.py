"""Change a work record by a JSON merge patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.store import Store, Work
from application.versions import require_version
from application.work.pointers import check_pointers, record_of
from domain.work.records import Kind, Record


@attrs.define
class ChangeRecord:
    """Change what the patch names; null clears. A patch that changes nothing writes nothing and tells nothing."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(
        self, caller: Caller, kind: Kind, id: str, patch: Mapping[str, Any], *, version: int | None = None
    ) -> Record:
        """Raises NotFound, Stale, StaleWrite, Invalid naming every field that is wrong."""
        async with self._store.of(caller.organisation_id) as work:
            before = await record_of(work, kind, id)
            require_version(before.version, version)
            after, types = before.change(patch, self._clock.now())
            if after is before:
                return before
            await check_pointers(work, after, before)
            saved = await keep_change(work, self._tell, caller, before, after, types)
            await work.commit()
        return saved


async def keep_change(
    work: Work, tell: Tell, caller: Caller, before: Record, after: Record, types: tuple[str, ...], **detail: Any
) -> Record:
    """Save the changed record, tell the events of these types, write down who did it and which fields changed."""
    saved = await work.records.save(after)
    data = saved.data(before)
    for event_type in types:
        await tell(work, event_type, data)
    fields = sorted(data["previous"])
    await tell.note(work, caller, f"{saved.kind.name}.changed", saved.id, fields=fields, **detail)
    return saved
