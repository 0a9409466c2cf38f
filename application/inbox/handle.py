"""Handle what was taken in: for each webhook, bring our books in line with the provider."""

import asyncio
import traceback
from datetime import timedelta

import attrs

from application.billing.settle import Settle
from application.caller import Caller
from application.ports.clock import Clock
from application.ports.journal import Journal
from application.ports.leases import Held
from application.ports.payments import ProviderEvent, ProviderRefused
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store
from domain.inbox import InboxState, Received
from domain.refusals import Conflict

LEASE = timedelta(minutes=3)
"""Longer than handling takes with every time-out; a dead worker's webhooks are taken over after this."""


@attrs.define
class HandleInbox:
    """A worker's webhooks. A worker begins some whenever it has a place free; calling this is one round by hand."""

    _store: Store
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
        """Claim up to `limit` due webhooks; `handle` each before the lease is over."""
        return await self._store.claim_inbox(self._clock.now(), LEASE, limit)

    async def handle(self, received: Received) -> None:
        """Handle one claimed webhook and record what came of it."""
        try:
            ended = await self._apply(received)
        except (Held, StaleWrite) as busy:
            ended = received.failed(f"busy, tried again soon: {busy}", self._clock.now())
        except Exception:  # noqa: BLE001  # whatever it is, it is kept with its traceback, shown, and tried again
            ended = received.failed(traceback.format_exc(limit=-6), self._clock.now())
        try:
            async with self._store.of(received.organisation_id) as work:
                await work.inbox.save(ended)
                await work.commit()
        except StaleWrite:
            return  # another worker took it over when the lease was over; its word counts
        self._journal.handled(ended)

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


@attrs.define
class HandleAgain:
    """Have a failed or ignored webhook handled again, by a person's decision."""

    _store: Store
    _clock: Clock

    async def __call__(self, caller: Caller, id: str) -> Received:
        """Raises NotFound, or Conflict when it was handled or waits already."""
        async with self._store.of(caller.organisation_id) as work:
            received = await work.inbox.get(id)
            if received.state not in (InboxState.FAILED, InboxState.IGNORED):
                raise Conflict(f"This webhook is {received.state.value}.")
            again = attrs.evolve(received, state=InboxState.PENDING, tries=0, due_at=self._clock.now())
            again = await work.inbox.save(again)
            await work.commit()
        return again
