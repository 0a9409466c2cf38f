"""The lanes in memory, over the shelves of a MemoryStore."""

import asyncio
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, final

import attrs

from adapters.persistence.tables import keepable
from application.ports.dispatch import Chunk, Dispatch, Lane, Ready, Tried, Waiting, Want
from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.payload import Payload
from domain.notifications.statistics import STEPS, Count, Counted, bucket_of, start_of
from tests.fakes.shelves import HeldBy, Shelves

_LAST_ID = "\U0010ffff"
_MOST_PAYLOADS = 10_000


@final
class MemoryDispatch(Dispatch):
    """Each call is one step; `reads` counts what was asked of `read`."""

    def __init__(self, shelves: Shelves, source_url: str = "") -> None:
        self._shelves = shelves
        self._source_url = source_url
        self._payloads: dict[str, Payload] = {}
        self.reads = 0

    async def enlist(self, name: str, now: datetime, until: datetime) -> int:
        async with self._shelves.writing():
            generation = next(self._shelves.generations)
            self._shelves.apply({"workers": {generation: until}})
        return generation

    async def renew(self, generation: int, now: datetime, until: datetime) -> bool:
        async with self._shelves.writing():
            alive = self._alive(generation, now)
            if alive:
                self._shelves.apply({"workers": {generation: until}})
        return alive

    async def retire(self, generation: int) -> None:
        async with self._shelves.writing() as tables:
            held = {id_: HeldBy(one.lane) for id_, one in tables["lanes"].items() if one.generation == generation}
            tables["workers"].pop(generation, None)
            self._shelves.apply({"lanes": held})

    async def survey(self, generation: int, now: datetime) -> tuple[Waiting, ...]:
        await asyncio.sleep(0)
        deliveries, lanes = self._shelves.tables["deliveries"], self._shelves.tables["lanes"]
        found = []
        for id_, pending in self._shelves.pending.items():
            held: HeldBy | None = lanes.get(id_)
            if held is not None and held.generation != generation and self._alive(held.generation, now):
                continue
            first: Delivery = deliveries[pending[0][1]]
            found.append(Waiting(id_, first.organisation_id, first.kind, _served(pending, held)))
        return tuple(sorted(found, key=lambda one: (one.due_at, one.destination_id)))

    async def take(self, generation: int, lanes: Sequence[Waiting], now: datetime) -> tuple[Lane, ...]:
        taken: dict[str, HeldBy] = {}
        inherited = set[str]()
        async with self._shelves.writing() as tables:
            if not self._alive(generation, now):
                return ()
            for one in lanes:
                held: HeldBy | None = tables["lanes"].get(one.destination_id)
                if held is None:
                    lane = Lane(one.destination_id, one.organisation_id, one.kind)
                elif held.generation != generation and self._alive(held.generation, now):
                    continue
                else:
                    lane = held.lane
                    if held.generation not in (0, generation):
                        inherited.add(one.destination_id)
                taken[one.destination_id] = HeldBy(lane, generation)
            self._shelves.apply({"lanes": taken})
        return tuple(attrs.evolve(taken[id_].lane, inherited=id_ in inherited) for id_ in sorted(taken))

    async def read(self, wants: Sequence[Want], now: datetime) -> Mapping[str, Chunk]:
        await asyncio.sleep(0)
        self.reads += len(wants)
        return {want.destination_id: self._chunk(want, now) for want in wants}

    async def record(
        self, generation: int, tried: Sequence[Tried], lanes: Sequence[Lane], now: datetime
    ) -> frozenset[str]:
        async with self._shelves.writing() as tables:
            concerned = {one.delivery.destination_id for one in tried} | {lane.destination_id for lane in lanes}
            held = {id_ for id_ in concerned if self._held(id_, generation)}
            mine = [one for one in tried if one.delivery.destination_id in held]
            after: dict[str, Delivery] = {}
            attempts: dict[str, Attempt] = {}
            for one in mine:
                before: Delivery | None = after.get(one.delivery.id) or tables["deliveries"].get(one.delivery.id)
                if before is not None and before.state is DeliveryState.PENDING:
                    after[before.id] = _after(before, one.delivery)
                if one.attempt is not None:
                    attempts[one.attempt.id] = _keepable(one.attempt)
            self._shelves.apply(
                {
                    "deliveries": after,
                    "attempts": attempts,
                    "statistics": self._counts(mine, now),
                    "lanes": self._faring(lanes, generation, generation),
                }
            )
        return frozenset(concerned - held)

    async def release(self, generation: int, lanes: Sequence[Lane]) -> None:
        async with self._shelves.writing():
            self._shelves.apply({"lanes": self._faring(lanes, generation, 0)})

    async def revisions(self, generation: int) -> Mapping[str, int]:
        await asyncio.sleep(0)
        lanes: Mapping[str, HeldBy] = self._shelves.tables["lanes"]
        return {id_: one.lane.revision for id_, one in lanes.items() if one.generation == generation}

    async def lanes(self, organisation_id: str, destinations: Collection[str]) -> Mapping[str, Lane]:
        await asyncio.sleep(0)
        kept: Mapping[str, HeldBy] = self._shelves.tables["lanes"]
        found = {id_: kept[id_].lane for id_ in destinations if id_ in kept}
        return {id_: lane for id_, lane in found.items() if lane.organisation_id == organisation_id}

    async def next_due(self) -> datetime | None:
        await asyncio.sleep(0)
        lanes = self._shelves.tables["lanes"]
        return min((_served(pending, lanes.get(id_)) for id_, pending in self._shelves.pending.items()), default=None)

    # What the calls are made of. None of it waits.

    def _alive(self, generation: int, now: datetime) -> bool:
        until: datetime | None = self._shelves.tables["workers"].get(generation)
        return until is not None and until > now

    def _held(self, id_: str, generation: int) -> bool:
        held: HeldBy | None = self._shelves.tables["lanes"].get(id_)
        return held is not None and held.generation == generation

    def _chunk(self, want: Want, now: datetime) -> Chunk:
        pending = self._shelves.pending.get(want.destination_id, [])
        due = bisect_right(pending, (now, _LAST_ID))
        start = 0 if want.after is None else bisect_right(pending, want.after)
        end = min(due, start + want.limit)
        ready = tuple(self._ready(id_) for _, id_ in pending[start:end])
        short = len(ready) < want.limit
        return Chunk(ready, pending[due][0] if short and due < len(pending) else None)

    def _ready(self, id_: str) -> Ready:
        delivery: Delivery = self._shelves.tables["deliveries"][id_]
        payload = self._payloads.get(delivery.event_id)
        if payload is None:
            if len(self._payloads) >= _MOST_PAYLOADS:
                self._payloads.clear()
            event = self._shelves.tables["events"][delivery.event_id]
            payload = self._payloads[delivery.event_id] = Payload.of(event, self._source_url)
        return Ready(delivery, payload)

    def _faring(self, lanes: Sequence[Lane], generation: int, then: int) -> dict[str, HeldBy]:
        """Those of the lanes that are held, with how they fare; `then` holds them."""
        kept: Mapping[str, HeldBy] = self._shelves.tables["lanes"]
        return {
            lane.destination_id: HeldBy(
                attrs.evolve(kept[lane.destination_id].lane, health=lane.health, sent_at=lane.sent_at), then
            )
            for lane in lanes
            if self._held(lane.destination_id, generation)
        }

    def _counts(self, tried: Sequence[Tried], now: datetime) -> dict[Any, Count]:
        at, changed = start_of(now, STEPS[0]), dict[Any, Count]()
        for one in tried:
            to = one.delivery
            counted: list[tuple[Counted, int]] = []
            if one.attempt is not None:
                arrived = to.state is DeliveryState.DELIVERED
                bucket = bucket_of(one.attempt.outcome.duration)
                counted.append((Counted.ARRIVED if arrived else Counted.MISSED, bucket))
            if to.finished_at is not None:
                counted.append((Counted(to.state.value), bucket_of(to.finished_at - to.created_at)))
            for outcome, bucket in counted:
                key = (to.destination_id, at, outcome, bucket)
                fresh = Count(to.destination_id, to.organisation_id, STEPS[0], at, outcome, bucket, 0)
                before = changed.get(key) or self._shelves.tables["statistics"].get(key, fresh)
                changed[key] = attrs.evolve(before, count=before.count + 1)
        return changed


def _served(pending: Sequence[tuple[datetime, str]], held: HeldBy | None) -> datetime:
    """When the first of a lane may be tried."""
    due = pending[0][0]
    paused = None if held is None else held.lane.health.paused_until
    return due if paused is None else max(due, paused)


def _after(before: Delivery, to: Delivery) -> Delivery:
    """What the databases write of it, and nothing else."""
    return attrs.evolve(
        before,
        state=to.state,
        due_at=to.due_at if to.state is DeliveryState.PENDING else before.due_at,
        attempts=to.attempts,
        last_error=keepable(to.last_error),
        last_status=to.last_status,
        finished_at=to.finished_at,
    )


def _keepable(attempt: Attempt) -> Attempt:
    outcome = attempt.outcome
    return attrs.evolve(
        attempt,
        outcome=attrs.evolve(
            outcome,
            error=keepable(outcome.error),
            body=keepable(outcome.body) or "",
            request_body=keepable(outcome.request_body) or "",
            request_headers={name: keepable(value) or "" for name, value in outcome.request_headers.items()},
            headers={name: keepable(value) or "" for name, value in outcome.headers.items()},
            timed_out=False,
        ),
    )
