"""Handle what was taken in: for each webhook, bring our books in line with the provider."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import attrs

from application.billing.customers import SyncCustomer
from application.billing.payouts import SyncPayout
from application.billing.settle import Settle
from application.billing.subscriptions.sync import SyncSubscription
from application.ports.clock import Clock
from application.ports.inbox import WebhookInbox
from application.ports.journal import Journal
from application.ports.leases import Held
from application.ports.payments import ProviderEvent, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import StaleWrite
from application.ports.vault import WrongKey
from domain.inbox import Received
from domain.refusals import NotFound

LEASE = timedelta(seconds=20)
"""A dead worker's webhooks are taken over after this, and the second in which the next worker looks."""

RENEWED_EVERY = timedelta(seconds=5)
"""While one is handled; a provider's time-outs alone may take longer than LEASE."""

AT_ONCE_AGAIN = 2
"""How often a webhook that met somebody else's write is decided anew before it waits for its next try."""

_PAYMENTS = ("intent", "charge")


@attrs.define
class HandleInbox:
    """A worker's webhooks. A worker begins some whenever it has a place free; calling this is one round by hand."""

    _inbox: WebhookInbox
    _clock: Clock
    _providers: Providers
    _settle: Settle
    _subscriptions: SyncSubscription
    _payouts: SyncPayout
    _customers: SyncCustomer
    _journal: Journal

    async def __call__(self, limit: int = 16) -> int:
        """Handle up to `limit` due webhooks and wait for them. Returns how many were tried."""
        claimed = await self.begin(limit)
        async with asyncio.TaskGroup() as group:
            for together in self.groups(claimed):
                group.create_task(self.handle_together(together))
        return len(claimed)

    async def begin(self, limit: int) -> tuple[Received, ...]:
        """Claim up to `limit` due webhooks; begin to `handle` each before LEASE is over."""
        return await self._inbox.claim(self._clock.now(), LEASE, limit)

    def groups(self, claimed: Sequence[Received]) -> tuple[tuple[Received, ...], ...]:
        """The same, sorted into what is handled together: what tells of payments of one connection. Everything else is
        handled alone."""
        payments: dict[str, list[Received]] = {}
        alone: list[tuple[Received, ...]] = []
        for received in claimed:
            if self._of_payment(received) is None:
                alone.append((received,))
            else:
                payments.setdefault(received.connection_id, []).append(received)
        return (*alone, *map(tuple, payments.values()))

    async def handle_together(self, group: Sequence[Received]) -> None:
        """Handle a group that `groups` made. What cannot be decided together is handled alone."""
        if len(group) == 1:
            return await self.handle(group[0])
        events = {event.intent_reference or "": event for one in group if (event := self._of_payment(one)) is not None}
        wanted = {reference: event.external_id if event.failed else None for reference, event in events.items()}
        async with AsyncExitStack() as stack:
            for received in group:
                await stack.enter_async_context(held(self._inbox, self._clock, received))
            ours: Mapping[str, bool] = {}
            with suppress(Exception):  # whatever it is, it shows again for the one that it is of
                ours = await self._settle.intents(group[0].organisation_id, group[0].connection_id, wanted)
            async with asyncio.TaskGroup() as tasks:
                for received in group:
                    event = self._of_payment(received)
                    known = ours.get(event.intent_reference or "") if event is not None else None
                    if event is None or known is None:
                        tasks.create_task(self.handle(received))
                    else:
                        tasks.create_task(self._record(self._ended(received, event, ours=known)))
        return None

    def _of_payment(self, received: Received) -> ProviderEvent | None:
        """The event, if it is about a payment and nothing else."""
        try:
            event = self._providers.payments(received.provider).parse_webhook(received.body)
        except (ValueError, NotFound):
            return None
        about = event.object_kind in _PAYMENTS and event.intent_reference and not event.subscription_reference
        return event if about else None

    async def handle(self, received: Received) -> None:
        """Handle one claimed webhook and record what came of it."""
        async with held(self._inbox, self._clock, received):
            try:
                ended = await self._decided(received)
            except (Held, StaleWrite) as busy:
                ended = received.failed(f"busy, tried again soon: {busy}", self._clock.now())
            except ProviderRefused as refused:
                ended = received.refused(f"{self._name(received)} refused: {refused.reason}", self._clock.now())
            except RetryLater as later:
                why = f"{self._name(received)} could not answer, and is asked again: {later.reason}"
                ended = received.failed(why, self._clock.now())
            except ReconnectNeeded:
                why = f"{self._name(received)} no longer accepts the connection's credentials: connect it again."
                ended = received.failed(why, self._clock.now())
            except WrongKey:
                why = "The connection's credentials cannot be opened with this hub's keys."
                ended = received.failed(why, self._clock.now())
            except Exception:  # noqa: BLE001  # whatever it is, it is kept with its traceback, shown, and tried again
                ended = received.failed(traceback.format_exc(limit=-6), self._clock.now())
        await self._record(ended)

    def _name(self, received: Received) -> str:
        """The provider's, as people know it."""
        return self._providers.manifest(received.provider).name

    async def _record(self, ended: Received) -> None:
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
            return received.missing(event.object_reference, self._clock.now())
        return self._ended(received, event, ours=ours)

    def _ended(self, received: Received, event: ProviderEvent, *, ours: bool | None) -> Received:
        if ours is None:
            return received.ignored(f"Nothing is to be done for {event.type}.", self._clock.now())
        if not ours:
            return received.ignored(f"{event.object_reference} was not made through this hub.", self._clock.now())
        return received.handled(self._clock.now())

    async def _dispatch(self, received: Received, event: ProviderEvent) -> bool | None:
        """Whether the object is ours; None when the event is about something the hub does not follow."""
        where = (received.organisation_id, received.connection_id)
        if event.subscription_reference is not None:
            known = await self._subscriptions(*where, event.subscription_reference, event)
            if known is not None or event.intent_reference is None:
                return known
        if event.object_kind == "payout":
            return await self._payouts(*where, event.object_reference, event)
        if event.object_kind == "customer":
            return await self._customers(*where, event.object_reference, event)
        if event.object_kind == "checkout":
            return await self._settle.checkout(*where, event.object_reference)
        if event.intent_reference is not None:
            failure = event.external_id if event.failed else None
            return await self._settle.intent(*where, event.intent_reference, failure=failure)
        if event.object_kind == "refund":
            return await self._settle.refund(*where, event.object_reference)
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
