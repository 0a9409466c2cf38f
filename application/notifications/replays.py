"""Ask for a replay: count what it would send, start it, stop it. run_replays.py carries it out."""

from datetime import datetime, timedelta

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import StaleWrite, Store, Work
from application.upkeep.jobs import Retention
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import Endpoint
from domain.notifications.fanout import Subscribers
from domain.notifications.payload import Payload
from domain.notifications.replays import AT_ONCE, ENDED, MOST_REPLAYED, USUALLY, Replay, ReplayKind
from domain.notifications.selection import Selection
from domain.refusals import Conflict, Fault, Invalid

MOST_FILTERED = 100_000
"""Events of one replay of what was missed, if the endpoint has a filter: it is asked of each."""

_PAGE = 500


@attrs.frozen
class Plan:
    """What a replay would do. wanted: the filter with everything said. destinations: the ids of those that are told."""

    kind: ReplayKind
    wanted: Selection
    destinations: tuple[str, ...]
    total: int


@attrs.define
class StartReplay:
    """Sends deliveries of a time again, or what an endpoint missed, in the background."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _retention: Retention

    async def count(self, caller: Caller, kind: ReplayKind, asked: Selection) -> Plan:
        """What it would send, and to whom. Does nothing.

        Raises Invalid for a filter without `since`, a state that cannot be sent again, a destination that there is not, a
        time before what is kept; Conflict for a destination that is switched off, and for more than a million.
        """
        now = self._clock.now()
        wanted = self._complete(kind, asked, now)
        async with self._store.reading(caller.organisation_id) as work:
            destinations = await _destinations(work, kind, wanted)
            total = 0
            for destination in destinations:
                most = MOST_REPLAYED - total
                if kind is ReplayKind.MISSED:
                    found = await _count_missed(work, wanted, await work.endpoints.get(destination), most)
                else:
                    found = await work.deliveries.count_to_replay(wanted, destination, most)
                if found is None:
                    raise Conflict(
                        f"This is more than {MOST_REPLAYED:,} deliveries, or too long a time to look through. {_LESS}"
                    )
                total += found
        return Plan(kind, wanted, destinations, total)

    async def __call__(self, caller: Caller, kind: ReplayKind, asked: Selection, once: Once | None = None) -> Replay:
        """Start it. Raises as `count` does, and Conflict while three are under way."""
        plan = await self.count(caller, kind, asked)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            await work.counters.next("replays")  # two that are asked for at once wait for each other
            if len(await work.replays.all(state="running")) >= AT_ONCE:
                raise Conflict(f"{AT_ONCE} replays are under way. Wait for one to end, or cancel one.")
            replay = Replay.of(
                kind,
                plan.wanted,
                plan.destinations,
                id=self._ids.new("replay"),
                organisation_id=caller.organisation_id,
                asked_by=caller.actor,
                total=plan.total,
                now=now,
            )
            await work.replays.add(replay)
            await self._tell.note(work, caller, "replay.started", replay.id, kind=kind.value, total=plan.total)
            await remember(work, once, replay, now)
            await work.commit()
        return replay

    def _complete(self, kind: ReplayKind, asked: Selection, now: datetime) -> Selection:
        """The filter with everything said that was left open."""
        missed = kind is ReplayKind.MISSED
        faults = []
        if asked.since is None:
            faults.append(Fault("since", "Say from when on."))
        elif asked.since >= now:
            faults.append(Fault("since", "This is not in the past."))
        elif missed and asked.since < now - self._retention.keep:
            days = self._retention.keep // timedelta(days=1)
            faults.append(Fault("since", f"Deliveries are kept for {days} days; what was missed before is not known."))
        if missed and asked.destination_id is None:
            faults.append(Fault("destination_id", "Name the endpoint that missed something."))
        if missed and asked.states:
            faults.append(Fault("status", "What was missed has no status."))
        if missed and asked.troubles:
            faults.append(Fault("error", "What was missed has no error."))
        if not set(asked.states) <= set(ENDED):
            faults.append(Fault("status", f"What has ended can be sent again: {', '.join(s.value for s in ENDED)}."))
        if faults:
            raise Invalid(*faults)
        states = () if missed else asked.states or USUALLY
        # What is made by this replay, or by another, is not sent once more.
        return attrs.evolve(asked, states=states, until=now if asked.until is None else min(asked.until, now))


@attrs.define
class CancelReplay:
    """Stops a replay. What it has made so far is delivered."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, caller: Caller, id: str) -> Replay:
        """Raises NotFound, or Conflict when it has ended."""
        while True:
            try:
                return await self._cancel(caller, id)
            except StaleWrite:
                continue  # it took a step at this moment; one of the two always gets through, so this ends

    async def _cancel(self, caller: Caller, id: str) -> Replay:
        async with self._store.of(caller.organisation_id) as work:
            replay = await work.replays.save((await work.replays.get(id)).cancel(self._clock.now()))
            await self._tell.note(work, caller, "replay.cancelled", id, done=replay.done, total=replay.total)
            await work.commit()
        return replay


def missed_delivery(endpoint: Endpoint, payload: Payload, id: str, now: datetime) -> Delivery | None:
    """The delivery of an event from before, if the endpoint wants it as it is today."""
    made = Subscribers([endpoint], []).deliveries(payload, lambda: id, now)
    return made[0] if made else None


_LESS = "Ask for a shorter time, one endpoint or fewer types."


async def _destinations(work: Work, kind: ReplayKind, wanted: Selection) -> tuple[str, ...]:
    """Who is told: those that are switched on. Mails to clients are sent again one by one only."""
    if wanted.destination_id is None:
        endpoints = [one.id for one in await work.endpoints.all(state="active")]
        return (*endpoints, *(one.id for one in await work.notifications.all(is_active=True)))
    endpoint = await work.endpoints.find(wanted.destination_id)
    if endpoint is not None:
        endpoint.require_active()
    elif kind is ReplayKind.MISSED:
        raise Invalid.field("destination_id", "There is no such endpoint.")
    else:
        notification = await work.notifications.find(wanted.destination_id)
        if notification is None:
            raise Invalid.field("destination_id", "There is no such endpoint or notification.")
        if not notification.is_active:
            raise Conflict("The notification is switched off. Switch it on first.")
    return (wanted.destination_id,)


async def _count_missed(work: Work, wanted: Selection, endpoint: Endpoint, most: int) -> int | None:
    if endpoint.options.filter is None:
        return await work.deliveries.count_missed(wanted, endpoint.events, endpoint.id, most)
    now = wanted.until
    assert now is not None, "a replay's time has an end"
    after: str | None = ""
    total = looked_at = 0
    while after is not None:
        stretch = await work.deliveries.missed(wanted, endpoint.events, endpoint.id, after, _PAGE)
        for event in stretch.found:
            total += missed_delivery(endpoint, Payload.of(event, ""), "", now) is not None
        looked_at += len(stretch.found)
        if looked_at > MOST_FILTERED:
            raise Conflict(
                f"The endpoint's filter would have to be asked of more than {MOST_FILTERED:,} events. {_LESS}"
            )
        after = stretch.up_to
    return total
