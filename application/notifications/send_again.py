"""Send one delivery again, by a person's decision."""

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from domain.notifications.deliveries import Delivery, DestinationKind


@attrs.define
class SendAgain:
    """A replay is a new delivery of the same event to the same destination, with the same message id."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids

    async def __call__(self, caller: Caller, id: str) -> Delivery:
        """Raises NotFound, or Conflict while the delivery is on its way or its endpoint is switched off."""
        async with self._store.of(caller.organisation_id) as work:
            delivery = await work.deliveries.get(id)
            if delivery.kind is DestinationKind.ENDPOINT:
                (await work.endpoints.get(delivery.destination_id)).require_active()
            again = delivery.send_again(id=self._ids.new("delivery"), now=self._clock.now())
            await work.deliveries.add(again)
            await self._tell.note(work, caller, "delivery.sent_again", id, new=again.id)
            await work.commit()
        return again
