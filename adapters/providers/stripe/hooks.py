"""Stripe's webhooks: registered, read, and listed again for when one was lost."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from stripe.params import EventListParams, WebhookEndpointCreateParams

from adapters.providers.stripe import webhook
from adapters.providers.stripe.calls import PAGE, StripeCalls, plain
from adapters.providers.stripe.client import API_VERSION, plain_errors
from adapters.providers.stripe.events import EVENTS
from application.ports.payments import EventList, ListedEvent, ProviderEvent, ProviderRefused

_WINDOW = 2 * 60 * 60
"""Seconds of events that are listed at a time: Stripe lists the newest first, and they are wanted oldest first."""
_ASKED = frozenset(EVENTS)


class StripeHooks(StripeCalls, EventList):
    """What Stripe tells, and how to ask it again."""

    async def register_webhook(self, access: Mapping[str, str], url: str, *, key: str) -> tuple[str, str]:
        """A webhook endpoint for the events that the hub reads, in the version that it reads."""
        params: WebhookEndpointCreateParams = {
            "url": url,
            "enabled_events": cast(Any, list(EVENTS)),
            "api_version": API_VERSION,
            "description": "Patchbay",
        }
        with plain_errors(writes=True):
            endpoint = await self._open(access).v1.webhook_endpoints.create_async(params, {"idempotency_key": key})
        return endpoint.id, endpoint.secret or ""

    async def remove_webhook(self, access: Mapping[str, str], reference: str) -> None:
        """Delete the webhook endpoint."""
        try:
            with plain_errors(writes=True):
                await self._open(access).v1.webhook_endpoints.delete_async(reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise

    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """Verify the raw body and read it. Raises BadSignature, or ValueError."""
        return webhook.read_webhook(secrets, headers, body, now)

    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """Read a body that was verified when it came. Raises ValueError when it is not one of Stripe's events."""
        return webhook.read(body)

    @property
    def events_kept(self) -> timedelta:
        """30 days (docs.stripe.com/api/events)."""
        return timedelta(days=30)

    async def events_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[ListedEvent]:
        """Of the types that the hub asks to be sent. A key that may not read Events raises ReconnectNeeded.

        Stripe takes 20 types at most in such a question, so the others are left out here; and it lists the newest first.
        """
        client = self._open(access)
        begin, end = int(since.timestamp()), int(until.timestamp())
        while begin < end:
            edge = min(begin + _WINDOW, end)
            asked: EventListParams = {
                "created": {"gte": begin, "lt": edge},
                "limit": PAGE,
            }
            with plain_errors(writes=False):
                page = await client.v1.events.list_async(asked)
                newest_first = [plain(event) async for event in page.auto_paging_iter() if event.type in _ASKED]
            for event in reversed(newest_first):
                body = json.dumps(event, separators=(",", ":")).encode()
                yield ListedEvent(webhook.read(body), body)
            begin = edge
