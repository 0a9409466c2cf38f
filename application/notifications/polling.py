"""Endpoints whose receivers fetch what waits for them, because they are behind a firewall.

What was fetched waits on until it is acknowledged. So the position is kept with the deliveries themselves: a receiver that
forgot everything asks again and gets the oldest that it has not acknowledged.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from application.caller import Caller
from application.connections.connect import PublicUrl
from application.notifications.carry import Carry, ToEndpoint
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Slice, Store, Work
from application.ports.vault import WrongKey
from domain.events import Event
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import Endpoint
from domain.notifications.options import LONGEST_LIFE_S
from domain.notifications.payload import Payload
from domain.refusals import Conflict, Invalid, Refusal

MOST_FETCHED = 100
MOST_BYTES = 4 * 1024 * 1024
"""Bodies of one answer; one delivery comes in any case."""

LONGEST_WAIT = timedelta(seconds=30)
LOOK_EVERY_S = 1.0
MOST_WAITING = 50
"""Polls of one organisation that wait in this process at once; further ones are answered at once."""

MOST_ACKNOWLEDGED = 1_000
MOST_SOUGHT = 10_000


@attrs.frozen
class Fetched:
    """A delivery as it would have been sent."""

    delivery: Delivery
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class Polled:
    """more: something else waits already."""

    items: tuple[Fetched, ...]
    more: bool


@attrs.define
class PollEndpoint:
    """Gives a receiver the oldest deliveries that it has not acknowledged."""

    _store: Store
    _carry: Carry
    _clock: Clock
    _public_url: PublicUrl
    _waiting: Counter[str] = attrs.field(factory=Counter, init=False, repr=False)

    async def __call__(
        self, caller: Caller, id: str, *, limit: int = 20, after: str | None = None, wait: timedelta = timedelta()
    ) -> Polled:
        """Up to `limit` deliveries, after the one with the id `after`; with nothing there, wait for it up to `wait`.

        Raises NotFound, Invalid, or Conflict for an endpoint that is not polled or is switched off.
        """
        if not 1 <= limit <= MOST_FETCHED:
            raise Invalid.field("limit", f"From 1 to {MOST_FETCHED}.")
        if not timedelta() <= wait <= LONGEST_WAIT:
            raise Invalid.field("wait_s", "From 0 to 30 seconds.")
        organisation = caller.organisation_id
        found = await self._fetch(organisation, id, limit, after)
        if found.items or not wait or self._waiting[organisation] >= MOST_WAITING:
            return found
        loop = asyncio.get_running_loop()
        until = loop.time() + wait.total_seconds()
        self._waiting[organisation] += 1
        try:
            while not found.items and (left := until - loop.time()) > 0:
                await asyncio.sleep(min(LOOK_EVERY_S, left))
                found = await self._fetch(organisation, id, limit, after)
        finally:
            self._waiting[organisation] -= 1
            if not self._waiting[organisation]:
                del self._waiting[organisation]
        return found

    async def _fetch(self, organisation: str, id: str, limit: int, after: str | None) -> Polled:
        now = self._clock.now()
        async with self._store.reading(organisation) as work:
            endpoint = await _polled(work, id)
            found = await work.deliveries.waiting(id, now, limit + 1, after)
            if not found:
                return Polled((), False)
            told = {event.id: event for event in await work.events.all(id=tuple({d.event_id for d in found[:limit]}))}
        payloads = [(d, self._payload(told.get(d.event_id))) for d in found[:limit]]
        try:
            carrier = self._carry.to_endpoint(endpoint)
            items, spoilt = await _composed(carrier, payloads, now)
        except WrongKey as error:
            raise Conflict(str(error)) from error
        async with self._store.of(organisation) as work:
            await work.deliveries.hand_out([one.delivery.id for one in items])
            for delivery in spoilt:
                await work.deliveries.save(delivery)
            await work.commit()
        return Polled(tuple(items), len(items) + len(spoilt) < len(found))

    def _payload(self, event: Event | None) -> Payload | None:
        return None if event is None else Payload.of(event, self._public_url.url)


async def _composed(
    carrier: ToEndpoint, payloads: Sequence[tuple[Delivery, Payload | None]], now: datetime
) -> tuple[list[Fetched], list[Delivery]]:
    """What can be given, and what failed because the endpoint's shape cannot be made of it."""
    items, spoilt, size = list[Fetched](), list[Delivery](), 0
    for delivery, payload in payloads:
        try:
            if payload is None:
                raise Conflict("Its event is no longer kept.")
            composed = carrier.options.shape.compose(payload)
            headers = await carrier.headers(delivery.message_id, now, composed)
        except Refusal as refused:
            why = refused.reason
            failed = DeliveryState.FAILED
            spoilt.append(attrs.evolve(delivery, state=failed, last_error=why, finished_at=now))
            continue
        size += len(composed.body)
        if items and size > MOST_BYTES:
            break
        handed = attrs.evolve(delivery, attempts=delivery.attempts + 1)
        items.append(Fetched(handed, headers, composed.body))
    return items, spoilt


@attrs.define
class AcknowledgePolled:
    """A receiver has handled what it fetched."""

    _store: Store
    _clock: Clock

    async def __call__(
        self, caller: Caller, id: str, *, up_to: str | None = None, ids: Sequence[str] | None = None
    ) -> int:
        """Mark as delivered: these, or whatever was fetched up to this delivery. Returns how many were still waiting.

        Raises NotFound, Conflict, or Invalid naming what is no delivery of this endpoint.
        """
        if (up_to is None) == (ids is None):
            raise Invalid.field("up_to", "Give either up_to or delivery_ids.")
        if ids is not None and not 1 <= len(ids) <= MOST_ACKNOWLEDGED:
            raise Invalid.field("delivery_ids", f"From 1 to {MOST_ACKNOWLEDGED} deliveries.")
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            await _polled(work, id)
            named = (up_to,) if up_to is not None else tuple(ids or ())
            known = {delivery.id for delivery in await work.deliveries.all(id=named, destination_id=id)}
            for index, one in enumerate(named):
                if one not in known:
                    field = "up_to" if up_to is not None else f"delivery_ids.{index}"
                    raise Invalid.field(field, "There is no such delivery of this endpoint.")
            count = await work.deliveries.collect(id, now, ids=() if up_to else named, up_to=up_to)
            await work.deliveries.expire_waiting(id, now)
            await work.commit()
        return count


@attrs.define
class SeekPolled:
    """A receiver goes back: what it acknowledged after some point waits for it again, as new deliveries."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids

    async def __call__(self, caller: Caller, id: str, to: str | datetime, *, once: Once | None = None) -> int:
        """Everything after a delivery, by its id, or after a moment (aware). Returns how many wait again.

        Each event once, oldest first, unless it waits again already. Raises NotFound, Conflict, or Invalid for a
        delivery that is not this endpoint's and for more than 10,000 deliveries.
        """
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            endpoint = await _polled(work, id)
            life = timedelta(seconds=endpoint.options.expires_after_s or LONGEST_LIFE_S)
            again = [
                attrs.evolve(
                    one.send_again(id=self._ids.new("delivery"), now=now),
                    state=DeliveryState.WAITING,
                    expires_at=now + life,
                )
                for one in await self._acknowledged(work, id, to)
            ]
            await work.deliveries.add_all(again)
            text = to if isinstance(to, str) else to.isoformat()
            await self._tell.note(work, caller, "webhook.sought", id, to=text, deliveries=len(again))
            await remember(work, once, len(again), now)
            await work.commit()
        return len(again)

    async def _acknowledged(self, work: Work, id: str, to: str | datetime) -> list[Delivery]:
        if isinstance(to, str) and not await work.deliveries.all(id=to, destination_id=id):
            raise Invalid.field("to", "There is no such delivery of this endpoint.")
        by_message: dict[str, Delivery] = {}
        slice_ = Slice(200)
        seen = 0
        while True:
            page = await work.deliveries.page(slice_, destination_id=id, state=DeliveryState.DELIVERED)
            later = [one for one in page.items if (one.id > to if isinstance(to, str) else one.created_at >= to)]
            by_message |= {one.message_id: one for one in later}  # the oldest of an event is seen last, and stays
            seen += len(later)
            if seen > MOST_SOUGHT:
                raise Invalid.field("to", f"More than {MOST_SOUGHT} deliveries came after this. Go back less far.")
            if page.next is None or len(later) < len(page.items):
                break
            slice_ = Slice(200, page.next)
        messages = tuple(by_message)
        for start in range(0, len(messages), 500):
            some = messages[start : start + 500]
            for one in await work.deliveries.all(destination_id=id, state=DeliveryState.WAITING, message_id=some):
                by_message.pop(one.message_id, None)
        return sorted(by_message.values(), key=lambda one: one.id)


async def _polled(work: Work, id: str) -> Endpoint:
    """Raises NotFound, or Conflict unless it is polled and switched on."""
    endpoint = await work.endpoints.get(id)
    if not endpoint.polled:
        raise Conflict("The hub calls this endpoint: there is nothing to fetch. Its mode would have to be poll.")
    endpoint.require_active()
    return endpoint
