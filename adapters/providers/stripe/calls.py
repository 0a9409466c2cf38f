"""What every part of Stripe's adapter has: the connections, and the SDK opened with one connection's key."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import stripe

from adapters.providers.stripe.client import BASE_URL, TIMEOUT, Transport, open_client

PAGE = 100
"""The most that Stripe lists at a time."""
WITH_CHARGE = ["latest_charge.balance_transaction"]
"""What a payment is answered with: its last charge, which knows what went back, and what Stripe keeps of it."""


class StripeCalls:
    """Stripe's API. base_url: where it is. timeout: how long one call may take."""

    def __init__(self, base_url: str = BASE_URL, *, timeout: timedelta = TIMEOUT) -> None:
        self._base_url = base_url
        self._transport = Transport(timeout)

    async def aclose(self) -> None:
        """Close the connections to Stripe."""
        await self._transport.close_async()

    def _open(self, access: Mapping[str, str]) -> stripe.StripeClient:
        return open_client(access, self._transport, self._base_url)


def plain(answer: stripe.StripeObject) -> dict[str, Any]:
    """The SDK's object as the JSON it was. The SDK reads `…_decimal` fields as Decimal; here they are texts again."""
    return answer.to_dict(for_json=True)


def by_metadata(name: str, value: str) -> str:
    """A search for what carries this text in its metadata (docs.stripe.com/search, query language)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'metadata["{name}"]:"{escaped}"'
