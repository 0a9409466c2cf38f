"""Find what never came: read the providers' own lists of events, and take in what no webhook brought.

A provider gives up sending after a while, an endpoint may have been switched off at its side, and a hub may have been
away for a weekend. What the list has and the inbox has not is kept under the same key as its webhook would have been, so
that nothing is doubled when that comes after all.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from application.connections.access import opened
from application.inbox.receive import received
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.inbox import WebhookInbox
from application.ports.payments import EventList, ListedEvent, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import Store
from application.ports.vault import Vault, WrongKey
from application.upkeep.jobs import Job
from domain.connections.connection import Connection
from domain.inbox import EVENT_LIST, FOUND_BY
from domain.refusals import NotFound

OVERLAP = timedelta(hours=1)
"""How far each reading goes back behind the end of the one before: a list may learn of an event late."""

FIRST = timedelta(hours=24)
"""How far the first reading of a connection goes back, but not behind the moment it was connected."""

STILL_COMING = timedelta(minutes=5)
"""How old an event is before its webhook counts as missed; one that is younger may be on its way."""

_AT_ONCE = 100


@attrs.frozen
class Reading:
    """How far a connection's event list has been read.

    until: what was made before is known. at: when it was read. missed: how many webhooks never came, so far.
    trouble: why it could not be read the last time.
    """

    until: datetime | None = None
    at: datetime | None = None
    missed: int = 0
    trouble: str | None = None


@attrs.define
class SweepMissed(Job):
    """Takes in webhooks that never came."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _providers: Providers
    _inbox: WebhookInbox
    _tell: Tell
    name = "missed-webhooks"
    every = timedelta(minutes=15)
    what = "Reads the providers' lists of events and takes in what no webhook brought."

    async def __call__(self) -> Mapping[str, int]:
        read = missed = unread = 0
        errors: list[Exception] = []
        for organisation in await self._store.organisations():
            async with self._store.reading(organisation.id) as work:
                connections = await work.connections.all()
            for connection in connections:
                listing = self._listing(connection)
                if listing is None:
                    continue
                try:
                    missed += await self._sweep(connection, listing)
                    read += 1
                except (ReconnectNeeded, RetryLater, ProviderRefused, WrongKey) as trouble:
                    await self._note(connection, trouble)
                    unread += 1
                except Exception as error:  # noqa: BLE001  # one connection's trouble is not another's
                    errors.append(error)
        if errors:
            raise ExceptionGroup("some event lists could not be read", errors)
        return {"lists": read, "missed": missed, "unread": unread}

    def _listing(self, connection: Connection) -> EventList | None:
        """The provider's list, where it has one and the connection awaits webhooks."""
        if not connection.connected or "webhook_secret" not in connection.sealed:
            return None
        try:
            payments = self._providers.payments(connection.provider)
        except NotFound:
            return None
        return payments if isinstance(payments, EventList) else None

    async def _sweep(self, connection: Connection, listing: EventList) -> int:
        """Returns how many had not come."""
        now = self._clock.now()
        before = await reading_of(self._store, connection.id)
        first = max(connection.created_at, now - FIRST)
        since = max(first if before.until is None else before.until - OVERLAP, now - listing.events_kept)
        until = (now - STILL_COMING).replace(microsecond=0)
        if since >= until:
            return 0
        missed, some = 0, list[ListedEvent]()
        async for listed in listing.events_between(opened(self._vault, connection), since, until):
            some.append(listed)
            if len(some) == _AT_ONCE:
                missed += await self._take_in(connection, some)
                some = []
        missed += await self._take_in(connection, some)
        await self._store.mark(_mark(connection.id), _text(Reading(until, now, before.missed + missed)))
        if missed:
            async with self._store.of(connection.organisation_id) as work:
                data = {"connection": connection.body, "missed": missed, "since": _said(since), "until": _said(until)}
                await self._tell(work, "integration.webhooks_missed", data)
                await work.commit()
        return missed

    async def _take_in(self, connection: Connection, some: Sequence[ListedEvent]) -> int:
        now = self._clock.now()
        where = (connection.organisation_id, connection.id, connection.provider)
        headers = {FOUND_BY: EVENT_LIST}
        listed = [received(self._ids.new("inbox"), *where, one.event, one.body, headers, now) for one in some]
        known = await self._inbox.known(connection.id, [one.external_id for one in listed])
        return sum(await self._inbox.take_in([one for one in listed if one.external_id not in known]))

    async def _note(self, connection: Connection, trouble: Exception) -> None:
        """The position stays: the next reading begins where this one did."""
        before = await reading_of(self._store, connection.id)
        told = attrs.evolve(before, trouble=f"{type(trouble).__name__}: {trouble}", at=self._clock.now())
        await self._store.mark(_mark(connection.id), _text(told))


async def reading_of(store: Store, connection_id: str) -> Reading:
    """How far a connection's event list has been read."""
    kept = await store.marked(_mark(connection_id))
    if kept is None:
        return Reading()
    told = json.loads(kept)
    until, at = (None if told[name] is None else datetime.fromisoformat(told[name]) for name in ("until", "at"))
    return Reading(until, at, told["missed"], told["trouble"])


def _text(reading: Reading) -> str:
    return json.dumps({name: _said(v) if isinstance(v, datetime) else v for name, v in attrs.asdict(reading).items()})


def _said(moment: datetime) -> str:
    return moment.isoformat()


def _mark(connection_id: str) -> str:
    return f"event-list:{connection_id}"
