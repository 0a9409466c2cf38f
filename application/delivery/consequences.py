"""What it means for a destination that it fails: people are warned, and at last it is switched off."""

import attrs

from application.notifications.carry import message_to
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.dispatch import Lane
from application.ports.store import StaleWrite, Store, Work
from domain.connections.connection import Connection
from domain.events import Event
from domain.notifications.attempts import Outcome
from domain.notifications.deliveries import DestinationKind
from domain.notifications.endpoints import Endpoint
from domain.notifications.health import WELL, Health
from domain.notifications.message import Fact, Message, Tone


@attrs.define
class Consequences:
    """Called by the worker that holds the lane, when its health says so or its receiver is gone."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, lane: Lane, gone: Outcome | None) -> Health:
        """Warn or switch off. Returns the destination's health after that."""
        consequence = self._endpoint if lane.kind is DestinationKind.ENDPOINT else self._notification
        while True:
            try:
                return await consequence(lane, gone)
            except StaleWrite:
                # A person changes the destination at this moment. One of the two always gets through, so this ends.
                continue

    async def _endpoint(self, lane: Lane, gone: Outcome | None) -> Health:
        now, health = self._clock.now(), lane.health
        async with self._store.of(lane.organisation_id) as work:
            endpoint = await work.endpoints.find(lane.destination_id)
            if endpoint is None or not endpoint.active:
                return WELL
            reason = (gone.error or "gone") if gone is not None else health.exhausted(now)
            level = health.due_warning(now)
            if reason is not None:
                await work.endpoints.save(endpoint.disable(reason, now))
                await work.deliveries.cancel_pending(endpoint.id, "the endpoint was switched off", now)
                event = await self._tell(work, "webhook.disabled", _data(endpoint, health, reason=reason))
                await self._mail(work, event, endpoint, f"{_name(endpoint)} was switched off", f"Because {reason}.")
                health = WELL
            elif level is not None:
                event = await self._tell(work, "webhook.failing", _data(endpoint, health, level=level))
                text = (
                    "Deliveries keep failing. When ten in a row have failed for good, or all attempts for five days, the hub"
                    " switches the endpoint off."
                )
                await self._mail(work, event, endpoint, f"{_name(endpoint)} is failing ({level} %)", text)
                health = attrs.evolve(health, warned=level)
            await work.commit()
        return health

    async def _mail(self, work: Work, event: Event, endpoint: Endpoint, title: str, text: str) -> None:
        """To the organisation's people, if it has a mail connection and says where its notices go."""
        to = (await work.organisation.get(work.organisation_id)).notices_to
        connection = await _mail_connection(work)
        if not to or connection is None:
            return
        facts = (Fact("Endpoint", endpoint.name or endpoint.id), Fact("Address", endpoint.url))
        message = Message(title=title, text=text, at=self._clock.now(), facts=facts, tone=Tone.BAD)
        await self._tell.mail(work, event, connection.id, {"to": [to], "message": message_to(message)})

    async def _notification(self, lane: Lane, gone: Outcome | None) -> Health:
        if gone is None:
            return lane.health
        now = self._clock.now()
        async with self._store.of(lane.organisation_id) as work:
            notification = await work.notifications.find(lane.destination_id)
            if notification is None or not notification.is_active:
                return WELL
            await work.notifications.save(notification.disable(gone.error or "gone", now))
            await work.deliveries.cancel_pending(notification.id, "the notification was switched off", now)
            connection = await work.connections.find(notification.connection_id)
            if connection is not None:
                failing = await work.connections.save(connection.failed(gone.error or "gone", now))
                await self._tell(work, "integration.failing", {"connection": failing.body})
            await work.commit()
        return WELL


async def _mail_connection(work: Work) -> Connection | None:
    return next((one for one in await work.connections.all(provider="smtp") if one.connected), None)


def _name(endpoint: Endpoint) -> str:
    return f"The webhook endpoint {endpoint.name or endpoint.id}"


def _data(endpoint: Endpoint, health: Health, **more: object) -> dict[str, object]:
    since = health.failing_since
    return {
        "endpoint": {
            "id": endpoint.id,
            "url": endpoint.url,
            "failures": health.failures,
            "failing_since": None if since is None else since.isoformat().replace("+00:00", "Z"),
            **more,
        }
    }
