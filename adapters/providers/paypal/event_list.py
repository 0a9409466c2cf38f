"""PayPal's list of the events that it sent, or should have."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from adapters.providers.paypal import mapping, webhook
from adapters.providers.paypal.opened import Opened
from application.ports.payments import EventList, ListedEvent

_WINDOW = timedelta(hours=2)
"""Listed at a time: PayPal lists the newest first, and they are wanted oldest first."""
_PAGE = 300


class PayPalEventList(Opened, EventList):
    """The part of the adapter that lists events."""

    @property
    def events_kept(self) -> timedelta:
        """A week is relied on; PayPal does not say how long it keeps them."""
        return timedelta(days=7)

    async def events_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[ListedEvent]:
        """Of the types that the hub asks to be sent."""
        begin = since
        while begin < until:
            end = min(begin + _WINDOW, until)
            found = []
            for event in await self._listed(access, begin, end):
                at = mapping.moment(event.get("create_time"))
                if at is not None and begin <= at < end and event.get("event_type") in webhook.EVENTS:
                    found.append((at, event))
            for _, event in sorted(found, key=lambda pair: pair[0]):
                body = json.dumps(event, separators=(",", ":")).encode()
                yield ListedEvent(webhook.read(body), body)
            begin = end

    async def _listed(self, access: Mapping[str, str], begin: datetime, end: datetime) -> list[Mapping[str, Any]]:
        """To the last page, which has no link to a next one."""
        query: dict[str, str | int] = {
            "page_size": _PAGE, "start_time": mapping.stamp(begin), "end_time": mapping.stamp(end)
        }  # fmt: skip
        events: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        while True:
            answer = await self._client.call(
                access, "GET", "/v1/notifications/webhooks-events", query=query, writes=False
            )
            page = [one for one in answer.field("events") or () if isinstance(one, dict) and one.get("id") not in seen]
            events += page
            seen.update(str(one.get("id")) for one in page)
            onward = mapping.link(answer.body if isinstance(answer.body, dict) else {}, "next")
            if onward is None or not page:
                return events
            # Only what it asks for is taken from the link: where PayPal is, the hub knows by itself.
            query = dict(parse_qsl(urlsplit(onward).query))
