"""Choosing many deliveries by a filter, in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

import attrs

from application.ports.replayable import Replayable, Stretch
from domain.events import Event, wanted
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.selection import Selection
from tests.fakes.shelves import Transaction

_ON_ITS_WAY = (DeliveryState.PENDING, DeliveryState.WAITING)


class MemoryReplayable(Replayable):
    """The part of MemoryDeliveries that is about many at once."""

    _transaction: Transaction
    _organisation_id: str

    async def to_replay(self, wanted: Selection, destination_id: str, after: str, limit: int) -> Stretch[Delivery]:
        found = [one for one in await self._to_replay(wanted, destination_id) if one.id > after][:limit]
        return Stretch(tuple(found), found[-1].id if len(found) == limit else None)

    async def count_to_replay(self, wanted: Selection, destination_id: str, most: int) -> int | None:
        found = len(await self._to_replay(wanted, destination_id))
        return found if found <= most else None

    async def missed(
        self, wanted: Selection, patterns: tuple[str, ...], destination_id: str, after: str, limit: int
    ) -> Stretch[Event]:
        found = [one for one in await self._missed(wanted, patterns, destination_id) if one.id > after][:limit]
        return Stretch(tuple(found), found[-1].id if len(found) == limit else None)

    async def count_missed(
        self, wanted: Selection, patterns: tuple[str, ...], destination_id: str, most: int
    ) -> int | None:
        found = len(await self._missed(wanted, patterns, destination_id))
        return found if found <= most else None

    async def add_replayed(self, deliveries: Sequence[Delivery]) -> int:
        events = await self._mine("events")
        await self._transaction.change("deliveries")  # from here on nobody else writes
        others = (await self._mine("deliveries")).values()
        found = [
            one
            for one in deliveries
            if one.event_id in events
            and not any(
                (other.event_id, other.destination_id) == (one.event_id, one.destination_id)
                and (one.replay_of is None or other.state in _ON_ITS_WAY)
                for other in others
            )
        ]
        await cast("Any", self).add_all(found)
        return len(found)

    async def count_due(self, destination_id: str, now: datetime, most: int) -> int:
        waiting = await self._pending(lambda one: one.destination_id == destination_id and one.due_at <= now)
        return min(most, len(waiting))

    async def hasten(self, id: str, now: datetime) -> bool:
        found = await self._pending(lambda one: one.id == id)
        return await self._write([attrs.evolve(one, due_at=min(one.due_at, now)) for one in found]) == 1

    async def hasten_retries(self, destination_id: str, now: datetime, most: int) -> int:
        def waits(one: Delivery) -> bool:
            return one.destination_id == destination_id and one.due_at > now and one.attempts > 0

        found = sorted(await self._pending(waits), key=lambda one: (one.due_at, one.id))[:most]
        return await self._write([attrs.evolve(one, due_at=now) for one in found])

    async def skip(self, id: str, reason: str, now: datetime) -> bool:
        found = (await self._mine("deliveries")).get(id)
        if found is None or found.state not in _ON_ITS_WAY:
            return False
        return await self._write([found.cancel(reason, now)]) == 1

    async def _pending(self, accepts: Callable[[Delivery], bool]) -> list[Delivery]:
        mine = (await self._mine("deliveries")).values()
        return [one for one in mine if one.state is DeliveryState.PENDING and accepts(one)]

    async def _to_replay(self, wanted: Selection, destination_id: str) -> list[Delivery]:
        events, deliveries = await self._mine("events"), await self._mine("deliveries")
        until = wanted.until
        assert until is not None, "a replay's time has an end"
        arrived = None if DeliveryState.DELIVERED in wanted.states else DeliveryState.DELIVERED

        def superseded(one: Delivery) -> bool:
            return any(
                (other.event_id, other.destination_id) == (one.event_id, destination_id)
                and (
                    other.state in _ON_ITS_WAY
                    or (other.id > one.id and (other.state is arrived or other.created_at < until))
                )
                for other in deliveries.values()
            )

        chosen = (one for _, one in sorted(deliveries.items()) if one.destination_id == destination_id)
        return [one for one in chosen if wanted.accepts(one) and one.event_id in events and not superseded(one)]

    async def _missed(self, selection: Selection, patterns: tuple[str, ...], destination_id: str) -> list[Event]:
        deliveries = (await self._mine("deliveries")).values()
        known = {one.event_id for one in deliveries if one.destination_id == destination_id}
        return [
            event
            for _, event in sorted((await self._mine("events")).items())
            if event.id not in known
            and selection.in_time(event.created_at)
            and selection.wants_type(event.type)
            and wanted(patterns, event.type)
        ]

    async def _mine(self, table: str) -> dict[str, Any]:
        kept = await self._transaction.table(table)
        return {id_: one for id_, one in kept.items() if one.organisation_id == self._organisation_id}

    async def _write(self, changed: Sequence[Delivery]) -> int:
        table = await self._transaction.change("deliveries")
        for one in changed:
            table[one.id] = one
        return len(changed)
