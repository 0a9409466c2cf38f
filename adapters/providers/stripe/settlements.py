"""Stripe's own books: its balance transactions, each with what it is of."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

import msgspec
import stripe

from adapters.providers.stripe import mapping_settled
from adapters.providers.stripe.calls import PAGE, StripeCalls
from adapters.providers.stripe.client import API_VERSION, plain_errors
from adapters.providers.stripe.mapping_settled import BookLine
from application.ports.settlements import Settled, Settlements

_LIST = "/v1/balance_transactions"


class _Page(msgspec.Struct):
    """A page of the list; what is not read is skipped, which takes a fifth of the time."""

    data: list[BookLine]
    has_more: bool


_READ = msgspec.json.Decoder(_Page)


class StripeSettlements(StripeCalls, Settlements):
    """What moved at Stripe."""

    @property
    def settled_after(self) -> timedelta:
        """An hour. Stripe writes most lines at once; a card payment's may come minutes after its payer saw that it
        succeeded, for it is captured by itself."""
        return timedelta(hours=1)

    async def settled_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[Settled]:
        """Newest first, 100 a page. The pages are read without the SDK, which would take longer over its objects and logs
        of a hundred thousand lines than they take to arrive; whatever is no page is asked for again through it, for its
        errors."""
        client = self._open(access)
        asked = [
            ("created[gte]", str(int(since.timestamp()))),
            ("created[lt]", str(int(until.timestamp()))),
            ("limit", str(PAGE)),
            ("expand[]", "data.source"),
        ]
        more = int(since.timestamp()) < int(until.timestamp())
        cursor: list[tuple[str, str]] = []
        while more:
            page = await self._page(client, access, f"{_LIST}?{urlencode(asked + cursor)}")
            for line in page.data:
                if (settled := mapping_settled.settled_of(line)) is not None:
                    yield settled
            more = page.has_more and bool(page.data)
            cursor = [("starting_after", page.data[-1].id)] if more else []

    async def _page(self, client: stripe.StripeClient, access: Mapping[str, str], path: str) -> _Page:
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {access['secret_key']}",
            "Stripe-Version": API_VERSION,
        }
        with plain_errors(writes=False):
            body, status, _ = await self._transport.request_async("get", f"{self._base_url.rstrip('/')}{path}", headers)
            if status == 200:
                try:
                    return _READ.decode(body)
                except msgspec.DecodeError as error:
                    raise stripe.APIError(f"Stripe's list cannot be read: {error}") from error
            answer = await client.raw_request_async("get", path)
            return msgspec.convert(answer.data, _Page)
