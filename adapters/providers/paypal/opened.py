"""What the parts of PayPal's adapter share: the client, the clock, and reading an order."""

from collections.abc import Mapping
from typing import Any

from adapters.providers.paypal.certificates import Certificates
from adapters.providers.paypal.client import PayPalClient
from application.ports.clock import Clock
from application.ports.payments import ProviderRefused


class Opened:
    """Has a client."""

    _client: PayPalClient
    _clock: Clock
    _certificates: Certificates

    async def _order(self, access: Mapping[str, str], reference: str) -> Mapping[str, Any]:
        answer = await self._client.call(access, "GET", f"/v2/checkout/orders/{reference}", writes=False)
        if not isinstance(answer.body, dict) or not answer.body.get("id"):
            raise ProviderRefused("PayPal answered without an order.", code="answer_unreadable")
        return answer.body
