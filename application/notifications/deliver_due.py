"""Deliver what is due: claim some, carry each, record each."""

import asyncio
import traceback
from collections.abc import Mapping
from datetime import timedelta

import attrs

from application.notifications.carry import Carry
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.journal import Journal
from application.ports.store import SHARE, Claimed, StaleWrite, Store, Tried
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.schedule import RetrySchedule

LEASE = timedelta(seconds=90)
"""Longer than the longest attempt (30 s); a dead worker's deliveries are taken over after this."""


@attrs.define
class DeliverDue:
    """A worker's deliveries. A worker begins some whenever it has a place free; calling this is one round by hand."""

    _store: Store
    _carry: Carry
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _schedule: RetrySchedule
    _journal: Journal

    async def __call__(self, limit: int = 64) -> int:
        """Deliver up to `limit` due deliveries, all at once, and wait for them. Returns how many were tried."""
        claimed = await self.begin(limit)
        async with asyncio.TaskGroup() as group:
            for one in claimed:
                group.create_task(self.deliver(one))
        return len(claimed)

    async def begin(self, limit: int, under_way: Mapping[str, int] | None = None) -> tuple[Claimed, ...]:
        """Claim up to `limit` due deliveries; `deliver` each before the lease is over.

        under_way: how many the worker has under way, by destination. With those claimed now none gets more than its share.
        """
        now, busy = self._clock.now(), under_way or {}
        claimed = await self._store.claim_deliveries(now, LEASE, limit, avoid=frozenset(busy))
        part = [count for count in busy.values() if count < SHARE]
        if not part or len(claimed) == limit:
            return claimed
        # Then those that have a part of their share under way: no more at a time than the fullest of them may still take.
        full = {destination for destination, count in busy.items() if count >= SHARE}
        room = min(limit - len(claimed), SHARE - max(part))
        avoid = frozenset(full | {one.delivery.destination_id for one in claimed})
        return claimed + await self._store.claim_deliveries(now, LEASE, room, avoid=avoid)

    async def deliver(self, claimed: Claimed) -> None:
        """Try one claimed delivery and record what came of it."""
        at = self._clock.now()
        try:
            outcome = await self._carry(claimed.delivery, claimed.event)
        except Exception:  # noqa: BLE001  # a fault of ours, which must not take other deliveries along
            outcome = Outcome(Verdict.RETRY, self._clock.now() - at, error=traceback.format_exc(limit=-4))
        after = claimed.delivery.after(outcome, self._clock.now(), self._schedule, self._ids.jitter())
        attempt = Attempt(self._ids.new("attempt"), after.organisation_id, after.id, after.attempts, at, outcome)
        # Someone else may have taken the delivery over meanwhile; then their record counts.
        if await self._store.record_attempts([Tried(after, attempt, claimed.generation)]):
            self._journal.tried(after, attempt)
            await self._consequences(after, outcome)

    async def _consequences(self, delivery: Delivery, outcome: Outcome) -> None:
        """What a delivery's end means for its destination: a count of failures, or switching it off."""
        if delivery.state is DeliveryState.PENDING or delivery.kind is DestinationKind.MAIL:
            return
        consequence = self._endpoint if delivery.kind is DestinationKind.ENDPOINT else self._notification
        while True:
            try:
                await consequence(delivery, outcome)
                return
            except StaleWrite:
                # Several deliveries to one destination end at the same moment. One of them always gets through, so this
                # ends; giving up instead would lose a count.
                continue

    async def _endpoint(self, delivery: Delivery, outcome: Outcome) -> None:
        now = self._clock.now()
        async with self._store.of(delivery.organisation_id) as work:
            endpoint = await work.endpoints.find(delivery.destination_id)
            if endpoint is None:
                return
            if outcome.verdict is Verdict.DELIVERED:
                changed, disabled = endpoint.delivered(), False
            elif outcome.verdict is Verdict.GONE:
                changed, disabled = endpoint.disable(outcome.error or "gone", now), endpoint.active
            else:
                changed, disabled = endpoint.failed_for_good(now)
            if changed == endpoint:
                return
            await work.endpoints.save(changed)
            if disabled:
                await work.deliveries.cancel_pending(endpoint.id, "the endpoint was switched off", now)
                data = {"endpoint": {"id": endpoint.id, "url": endpoint.url, "reason": changed.reason}}
                await self._tell(work, "webhook.disabled", data)
            await work.commit()

    async def _notification(self, delivery: Delivery, outcome: Outcome) -> None:
        if outcome.verdict is not Verdict.GONE:
            return
        now = self._clock.now()
        async with self._store.of(delivery.organisation_id) as work:
            notification = await work.notifications.find(delivery.destination_id)
            if notification is None or not notification.is_active:
                return
            await work.notifications.save(notification.disable(outcome.error or "gone", now))
            await work.deliveries.cancel_pending(notification.id, "the notification was switched off", now)
            connection = await work.connections.find(notification.connection_id)
            if connection is not None:
                failing = await work.connections.save(connection.failed(outcome.error or "gone", now))
                await self._tell(work, "integration.failing", {"connection": failing.body})
            await work.commit()
