"""Deliver what is due, one round by hand: for the command line, the demo and tests. Workers run a Dispatcher instead."""

import attrs

from application.delivery.consequences import Consequences
from application.delivery.dispatcher import Dispatcher
from application.delivery.handover import Handover
from application.notifications.carry import Carry
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch
from application.ports.ids import Ids
from application.ports.journal import Journal
from application.ports.work_queue import WorkQueue


@attrs.define
class DeliverDue:
    """Makes dispatchers; calling it is one round of one that lasts no longer."""

    _dispatch: Dispatch
    _carry: Carry
    _consequences: Consequences
    _clock: Clock
    _ids: Ids
    _journal: Journal
    _queue: WorkQueue
    _handover: Handover

    async def __call__(self, limit: int = 64) -> int:
        """Deliver up to `limit` due deliveries and wait for them. Returns how many were tried.

        What a live worker holds is left to it.
        """
        dispatcher = self.dispatcher()
        await dispatcher.begin()
        try:
            return await dispatcher.round(limit)
        finally:
            await dispatcher.end()

    def dispatcher(self) -> Dispatcher:
        """A new one, which holds nothing yet."""
        return Dispatcher(
            self._dispatch,
            self._carry,
            self._consequences,
            self._clock,
            self._ids,
            self._journal,
            self._queue,
            self._handover,
        )
