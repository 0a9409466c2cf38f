"""Say that something happened: the event and a delivery for everyone who wants it, in the caller's own transaction.

This is the transactional outbox: what is told and what happened become true together, or not at all (ADR 0006).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from application.caller import Caller
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Work
from domain.audit import AuditEntry
from domain.events import Event
from domain.notifications.deliveries import Delivery, DestinationKind
from domain.notifications.fanout import Subscribers
from domain.notifications.payload import Payload


@attrs.define
class Tell:
    """Writes events, their deliveries and audit entries into an open unit of work."""

    _clock: Clock
    _ids: Ids

    async def __call__(
        self, work: Work, type: str, data: Mapping[str, Any], *, occurred_at: datetime | None = None
    ) -> Event:
        """Tell everyone in the organisation who wants events of this type."""
        now = self._clock.now()
        event = Event(self._ids.new("event"), work.organisation_id, type, data, occurred_at or now, now)
        await work.events.add(event)
        subscribers = Subscribers(
            await work.endpoints.all(state="active"), await work.notifications.all(is_active=True)
        )
        if not subscribers.count(type):
            return event
        payload = Payload.of(event, "")
        deliveries = subscribers.deliveries(payload, lambda: self._ids.new("delivery"), now)
        await work.deliveries.add_all(deliveries)
        return event

    async def mail(self, work: Work, event: Event, connection_id: str, mail: Mapping[str, Any]) -> Delivery:
        """Send one mail because of an event. `mail`: `to` (addresses) and `message` (a domain Message, unstructured)."""
        now = self._clock.now()
        delivery = attrs.evolve(self._delivery(event, DestinationKind.MAIL, connection_id, now), mail=mail)
        await work.deliveries.add(delivery)
        return delivery

    async def note(self, work: Work, caller: Caller, action: str, subject: str, **detail: Any) -> None:
        """Write down who did what."""
        entry = AuditEntry(
            self._ids.new("audit"), work.organisation_id, caller.actor, action, subject, self._clock.now(), detail
        )
        await work.audit.add(entry)

    def _delivery(self, event: Event, kind: DestinationKind, destination_id: str, now: datetime) -> Delivery:
        return Delivery.of(event, kind, destination_id, id=self._ids.new("delivery"), now=now)
