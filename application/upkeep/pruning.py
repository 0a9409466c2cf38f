"""The job that empties and deletes what is kept for its own time: payloads, events, the audit trail."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import attrs

from application.ports.clock import Clock
from application.ports.pruning import Pruned, Pruning
from application.upkeep.jobs import Job, Retention


@attrs.define
class Prune(Job):
    """What was sent and answered goes first, then events that no delivery needs, and last what was done by whom."""

    _pruning: Pruning
    _clock: Clock
    _retention: Retention
    name = "pruning"
    every = timedelta(hours=6)
    what = "Empties old attempts' headers and bodies, and deletes old events without deliveries and old audit entries."

    async def __call__(self) -> Mapping[str, int]:
        now, keep = self._clock.now(), self._retention
        payloads = 0
        while True:
            blanked = await self._pruning.blank_payloads(now - keep.payloads)
            payloads += blanked.count
            if blanked.position is None:
                break
        return {
            "payloads": payloads,
            "events": await _walk(self._pruning.forget_events, now - keep.keep),
            "audit": await _walk(self._pruning.forget_audit, now - keep.audit),
        }


async def _walk(forget: Callable[[datetime, str | None], Awaitable[Pruned]], before: datetime) -> int:
    count, position = 0, None
    while True:
        pruned = await forget(before, position)
        count, position = count + pruned.count, pruned.position
        if position is None:
            return count
