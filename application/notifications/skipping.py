"""Give up one delivery by a person's decision: the first of a lane that is served in order, or any other."""

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.store import Store
from domain.notifications.deliveries import Delivery
from domain.refusals import Conflict

_WHY = "skipped by a person"


@attrs.define
class SkipDelivery:
    """It is not tried any more, and what waits behind it goes on at once."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, caller: Caller, id: str) -> Delivery:
        """Raises NotFound, or Conflict when it has ended. An attempt that is under way is kept, and changes nothing."""
        async with self._store.of(caller.organisation_id) as work:
            delivery = await work.deliveries.get(id)
            if not await work.deliveries.skip(id, _WHY, self._clock.now()):
                raise Conflict(
                    f"This delivery is {(await work.deliveries.get(id)).state.value}: there is nothing to skip."
                )
            await work.deliveries.stir(delivery.destination_id)
            await self._tell.note(work, caller, "delivery.skipped", id, destination=delivery.destination_id)
            skipped = await work.deliveries.get(id)
            await work.commit()
        return skipped
