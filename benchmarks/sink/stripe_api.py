"""The few answers of Stripe's API that handling a webhook asks for, from memory: the same for every side.

`python -m benchmarks.sink.stripe_api PORT FILE`; FILE is JSON: {"organisation": …, "invoices": [ids]}. The payment
`pi_<n>` paid the invoice of that number in full.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

AMOUNT = 2000
CREATED = 1_760_000_000


def intent(number: int, organisation: str, invoice: str) -> dict[str, Any]:
    """A PaymentIntent that succeeded, with its charge."""
    metadata = {"patchbay_organisation": organisation, "patchbay_invoice": invoice}
    charge = {
        "id": f"ch_{number:06d}", "object": "charge", "amount": AMOUNT, "amount_captured": AMOUNT, "amount_refunded": 0,
        "captured": True, "created": CREATED, "currency": "usd", "disputed": False, "livemode": False,
        "metadata": metadata, "paid": True, "payment_intent": f"pi_{number:06d}", "refunded": False,
        "status": "succeeded", "description": "x" * 600,
        "balance_transaction": {
            "id": f"txn_{number:06d}", "object": "balance_transaction", "amount": AMOUNT, "fee": 88, "net": AMOUNT - 88,
            "currency": "usd", "exchange_rate": None, "status": "pending", "type": "charge", "created": CREATED,
        },
    }  # fmt: skip
    return {
        "id": f"pi_{number:06d}", "object": "payment_intent", "amount": AMOUNT, "amount_received": AMOUNT,
        "amount_capturable": 0, "currency": "usd", "created": CREATED, "livemode": False, "status": "succeeded",
        "metadata": metadata, "latest_charge": charge, "client_secret": f"pi_{number:06d}_secret", "customer": None,
        "last_payment_error": None, "payment_method": f"pm_{number:06d}", "description": "x" * 600,
    }  # fmt: skip


def product(reference: str) -> dict[str, Any]:
    """A Product."""
    return {
        "id": reference, "object": "product", "active": True, "created": CREATED, "updated": CREATED, "livemode": False,
        "name": "Care", "description": "x" * 600, "metadata": {}, "images": [], "type": "service", "attributes": [],
        "marketing_features": [], "package_dimensions": None, "shippable": None, "statement_descriptor": None,
        "tax_code": None, "unit_label": None, "url": None, "default_price": None,
    }  # fmt: skip


ACCOUNT = {
    "id": "acct_bench", "object": "account", "country": "US", "email": "bench@example.com", "type": "standard",
    "business_profile": {"name": "Bench"}, "settings": {"dashboard": {"display_name": "Bench"}}, "created": CREATED,
    "charges_enabled": True, "payouts_enabled": True, "details_submitted": True, "default_currency": "usd",
    "metadata": {}, "capabilities": {}, "requirements": {},
}  # fmt: skip


class Api(asyncio.Protocol):
    """One connection. Requests have no body worth reading: they are told apart by their first line."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            status, body = self._answer(head.split(b" ", 2)[1].decode())
            assert self._transport is not None
            self._transport.write(
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nRequest-Id: req_1\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )

    def _answer(self, target: str) -> tuple[int, bytes]:
        parts = target.partition("?")[0].removeprefix("/stripe").strip("/").split("/")
        found: object = None
        match parts:
            case ["v1", "payment_intents", reference]:
                number = int(reference.removeprefix("pi_"))
                found = intent(number, self._known["organisation"], self._known["invoices"][number])
            case ["v1", "refunds"] | ["v1", "disputes"]:
                found = {"object": "list", "data": [], "has_more": False, "url": "/v1/refunds"}
            case ["v1", "products", reference]:
                found = product(reference)
            case ["v1", "account"] | ["v1", "accounts", _]:
                found = ACCOUNT
        if found is None:
            error = {"message": f"There is no {target}.", "type": "invalid_request_error"}
            return 404, json.dumps({"error": error}).encode()
        return 200, json.dumps(found).encode()


async def serve(port: int, known: Mapping[str, Any]) -> None:
    """Until killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Api(known), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))
