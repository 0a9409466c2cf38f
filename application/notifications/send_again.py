"""Send one delivery again, or now, by a person's decision."""

from datetime import timedelta

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store, Work
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.endpoints import Endpoint, EndpointMode
from domain.notifications.options import LONGEST_LIFE_S
from domain.refusals import Conflict, NotFound

MOST_HASTENED = 10_000
"""Deliveries of one lane that a person's "retry now" makes due: the soonest due."""


@attrs.define
class SendAgain:
    """What waits for its next attempt is tried now; of what has ended, a new delivery is made, with the same message id."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids

    async def __call__(self, caller: Caller, id: str) -> Delivery:
        """The delivery that is to be tried now: the same one or a new one.

        Raises NotFound, or Conflict while it is about to go anyway, waits to be fetched, or its destination is gone or
        switched off.
        """
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            delivery = await work.deliveries.get(id)
            endpoint = await _destination(work, delivery)
            if delivery.state is DeliveryState.WAITING:
                raise Conflict("This delivery waits for its receiver to fetch it.")
            if delivery.state is DeliveryState.PENDING and (delivery.attempts or delivery.due_at > now):
                if not await work.deliveries.hasten(id, now):
                    raise Conflict("This delivery has just ended.")
                await work.deliveries.stir(delivery.destination_id)
                again = attrs.evolve(delivery, due_at=min(delivery.due_at, now))
                await self._tell.note(work, caller, "delivery.retried", id)
            else:
                again = told_today(delivery.send_again(id=self._ids.new("delivery"), now=now), endpoint)
                if not await work.deliveries.add_replayed([again]):
                    kept = await work.events.find(delivery.event_id)
                    raise Conflict("It is being sent again already." if kept else "Its event is no longer kept.")
                await self._tell.note(work, caller, "delivery.sent_again", id, new=again.id)
            await work.commit()
        return again


@attrs.define
class RetryLane:
    """Try a destination now: end its pause, and have due what waits for a further attempt."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, caller: Caller, destination_id: str) -> int:
        """How many deliveries were made due, at most MOST_HASTENED. In order, the first of the lane is tried first.

        Raises NotFound, or Conflict when the destination is switched off.
        """
        async with self._store.of(caller.organisation_id) as work:
            endpoint = await active_destination(work, destination_id)
            count = await work.deliveries.hasten_retries(destination_id, self._clock.now(), MOST_HASTENED)
            if not count and endpoint is not None and endpoint.options.fifo:  # its head is due; the lane waits
                count = int(await work.deliveries.head(destination_id) is not None)
            await work.deliveries.stir(destination_id)
            await self._tell.note(work, caller, "lane.retried", destination_id, deliveries=count)
            await work.commit()
        return count


def told_today(again: Delivery, endpoint: Endpoint | None) -> Delivery:
    """A new delivery as its destination is told today: an endpoint that is polled fetches it."""
    if endpoint is not None and endpoint.mode is EndpointMode.POLL:
        life = timedelta(seconds=endpoint.options.expires_after_s or LONGEST_LIFE_S)
        return attrs.evolve(again, state=DeliveryState.WAITING, expires_at=again.created_at + life)
    return again


async def active_destination(work: Work, destination_id: str) -> Endpoint | None:
    """The endpoint, or None for a notification. Raises NotFound, or Conflict when it is switched off."""
    endpoint = await work.endpoints.find(destination_id)
    if endpoint is not None:
        endpoint.require_active()
        return endpoint
    notification = await work.notifications.find(destination_id)
    if notification is None:
        raise NotFound("webhook endpoint or notification", destination_id)
    if not notification.is_active:
        raise Conflict(
            f"The notification is switched off ({notification.reason or 'by a person'}). Switch it on first."
        )
    return None


async def _destination(work: Work, delivery: Delivery) -> Endpoint | None:
    """The endpoint, if it is one. Mails go through a connection, which says itself what is wrong with it."""
    if delivery.kind is DestinationKind.MAIL:
        return None
    return await active_destination(work, delivery.destination_id)
