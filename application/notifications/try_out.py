"""Try a destination out: one attempt now, its outcome shown, nothing retried."""

from typing import Any

import attrs

from application.caller import Caller
from application.connections.connect import PublicUrl
from application.notifications.carry import Carry
from application.ports.clock import Clock
from application.ports.dispatch import Ready
from application.ports.ids import Ids
from application.ports.store import Store, Work
from domain.catalogue import CATALOGUE
from domain.events import Event, check_event_type
from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.payload import Payload
from domain.notifications.schedule import RetrySchedule
from domain.refusals import Conflict

_ONCE = RetrySchedule(delays=())


@attrs.frozen
class TriedOut:
    """The test delivery as it ended, and its one attempt."""

    delivery: Delivery
    attempt: Attempt


@attrs.define
class TryOut:
    """Sends a sample event to one endpoint or one notification. It is kept and shown like any other delivery."""

    _store: Store
    _carry: Carry
    _clock: Clock
    _ids: Ids
    _public_url: PublicUrl

    async def endpoint(self, caller: Caller, id: str, type: str | None = None) -> TriedOut:
        """Raises NotFound, or Conflict when the endpoint is switched off or polled."""
        async with self._store.reading(caller.organisation_id) as work:
            endpoint = await work.endpoints.get(id)
        endpoint.require_active()
        if endpoint.polled:
            raise Conflict("Nothing is sent to a polled endpoint. Publish an event and fetch it.")
        return await self._try(caller, DestinationKind.ENDPOINT, id, type or first_of(endpoint.events))

    async def notification(self, caller: Caller, id: str, type: str | None = None) -> TriedOut:
        """Raises NotFound."""
        async with self._store.reading(caller.organisation_id) as work:
            notification = await work.notifications.get(id)
        return await self._try(caller, DestinationKind.NOTIFICATION, id, type or first_of(notification.events))

    async def _try(self, caller: Caller, kind: DestinationKind, id: str, type: str) -> TriedOut:
        now = self._clock.now()
        event = Event(self._ids.new("event"), caller.organisation_id, check_event_type(type), sample_of(type), now, now)
        delivery = Delivery.of(event, kind, id, id=self._ids.new("delivery"), now=now)
        carrier = await self._carry.opened(kind, caller.organisation_id, id)
        outcome = await carrier.carry(Ready(delivery, Payload.of(event, self._public_url.url)), now)
        ended = delivery.after(outcome, self._clock.now(), _ONCE, 0)
        assert ended.state is not DeliveryState.PENDING, "an empty schedule gives up after the first attempt"
        attempt = Attempt(self._ids.new("attempt"), caller.organisation_id, delivery.id, 1, now, outcome)
        async with self._store.of(caller.organisation_id) as work:
            await self._keep(work, event, ended, attempt)
            await work.commit()
        return TriedOut(ended, attempt)

    async def _keep(self, work: Work, event: Event, delivery: Delivery, attempt: Attempt) -> None:
        await work.events.add(event)
        await work.deliveries.add(delivery)
        await work.attempts.add(attempt)


def sample_of(type: str) -> dict[str, Any]:
    """Sample data of a known type, marked as a test; a type of the caller's own gets only the mark."""
    known = CATALOGUE.get(type)
    return {**(known.sample if known else {}), "test": True}


def first_of(patterns: tuple[str, ...]) -> str:
    """A concrete type that the patterns cover."""
    pattern = patterns[0]
    if pattern == "*":
        return "invoice.paid"
    if pattern.endswith(".*"):
        return next((name for name in CATALOGUE if name.startswith(pattern[:-1])), f"{pattern[:-1]}test")
    return pattern
