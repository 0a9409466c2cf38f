"""Publish an event of the host application's."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.store import Store
from domain.events import Event, check_event_type
from domain.refusals import Invalid

_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
"""A zone can carry a moment in the year 1 out of the calendar."""

MAX_DATA = 256 * 1024
"""How many bytes an event's data may have as JSON."""


@attrs.define
class PublishEvent:
    """Keep the event and tell everyone who wants it, durably, before answering."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(
        self,
        caller: Caller,
        *,
        type: str,
        data: Mapping[str, Any],
        occurred_at: datetime | None = None,
        once: Once | None = None,
    ) -> Event:
        """Raises Invalid for a wrong type name, data over 256 KiB, or a moment more than a day ahead."""
        check_event_type(type)
        try:
            size = len(json.dumps(data, separators=(",", ":"), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise Invalid.field("data", f"An event's data is JSON: {error}.") from error
        if size > MAX_DATA:
            raise Invalid.field("data", f"An event's data has at most {MAX_DATA // 1024} KiB.")
        if occurred_at is not None and occurred_at > self._clock.now() + timedelta(days=1):
            raise Invalid.field("occurred_at", "This moment is more than a day ahead.")
        if occurred_at is not None and occurred_at < _EARLIEST:
            raise Invalid.field("occurred_at", "This moment is before 1900.")
        async with self._store.of(caller.organisation_id) as work:
            event = await self._tell(work, type, data, occurred_at=occurred_at)
            await remember(work, once, event, self._clock.now())
            await work.commit()
        return event
