"""Handle what was taken in: for each webhook, bring our books in line with the provider."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import attrs

from application.billing.settle import Settle
from application.ports.clock import Clock
from application.ports.inbox import WebhookInbox
from application.ports.journal import Journal
from application.ports.leases import Held
from application.ports.payments import ProviderEvent, ProviderRefused
from application.ports.providers import Providers
from application.ports.store import StaleWrite
from domain.inbox import Received

LEASE = timedelta(seconds=20)
"""A dead worker's webhooks are taken over after this, and the second in which the next worker looks."""

RENEWED_EVERY = timedelta(seconds=5)
"""While one is handled; a provider's time-outs alone may take longer than LEASE."""

AT_ONCE_AGAIN = 2
"""How often a webhook that met somebody else's write is decided anew before it waits for its next try."""


@attrs.define
class HandleInbox:
    """A worker's webhooks. A worker begins some whenever it has a place free; calling this is one round by hand."""

    _inbox: WebhookInbox
    _clock: Clock
    _providers: Providers
    _settle: Settle
    _journal: Journal

    async def __call__(self, limit: int = 16) -> int:
        """Handle up to `limit` due webhooks and wait for them. Returns how many were tried."""
        claimed = await self.begin(limit)
        async with asyncio.TaskGroup() as group:
            for received in claimed:
                group.create_task(self.handle(received))
        return len(claimed)

    async def begin(self, limit: int) -> tuple[Received, ...]:
        """Claim up to `limit` due webhooks; begin to `handle` each before LEASE is over."""
        return await self._inbox.claim(self._clock.now(), LEASE, limit)

    async def handle(self, received: Received) -> None:
        """Handle one claimed webhook and record what came of it."""
        async with held(self._inbox, self._clock, received):
            try:
                ended = await self._decided(received)
            except (Held, StaleWrite) as busy:
                ended = received.failed(f"busy, tried again soon: {busy}", self._clock.now())
            except Exception:  # noqa: BLE001  # whatever it is, it is kept with its traceback, shown, and tried again
                ended = received.failed(traceback.format_exc(limit=-6), self._clock.now())
        try:
            await self._inbox.record(ended)
        except StaleWrite:
            return  # another worker took it over when the lease was over, or a person decided; their word counts
        self._journal.handled(ended)

    async def _decided(self, received: Received) -> Received:
        """Two payments of one invoice may be settled at the same moment: who comes second reads again at once."""
        for _ in range(AT_ONCE_AGAIN):
            with suppress(StaleWrite):
                return await self._apply(received)
        return await self._apply(received)

    async def _apply(self, received: Received) -> Received:
        event = self._providers.payments(received.provider).parse_webhook(received.body)
        try:
            ours = await self._dispatch(received, event)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return received.ignored(f"{event.object_reference} is not known to the provider.", self._clock.now())
        if ours is None:
            return received.ignored(f"Nothing is to be done for {event.type}.", self._clock.now())
        if not ours:
            return received.ignored(f"{event.object_reference} was not made through this hub.", self._clock.now())
        return received.handled(self._clock.now())

    async def _dispatch(self, received: Received, event: ProviderEvent) -> bool | None:
        """Whether the object is ours; None when the event is about something the hub does not follow."""
        where = (received.organisation_id, received.connection_id)
        if event.object_kind == "checkout":
            return await self._settle.checkout(*where, event.object_reference)
        if event.intent_reference is not None:
            failure = event.external_id if event.failed else None
            return await self._settle.intent(*where, event.intent_reference, failure=failure)
        return None


@asynccontextmanager
async def held(
    inbox: WebhookInbox, clock: Clock, received: Received, *, every: timedelta = RENEWED_EVERY
) -> AsyncIterator[None]:
    """Inside, the claim is renewed. A claim that is lost is let go: what comes of the work can no longer be recorded."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            try:
                if not await inbox.renew(received, clock.now() + LEASE):
                    return
            except Exception:  # noqa: BLE001, S112  # the database is away for a moment; the lease lasts some renewals
                continue

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
