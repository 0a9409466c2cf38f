"""PayPal's sandbox as a shop."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, final

import httpx

from adapters.providers.paypal import sandbox_orders as paypal_orders
from adapters.providers.paypal import sandbox_refunds as paypal_refunds
from adapters.providers.paypal.payments import PayPalPayments
from adapters.providers.paypal.provider import PROVIDER as PAYPAL
from adapters.providers.paypal.sandbox import PayPalSandbox
from adapters.providers.paypal.sandbox import sandbox_router as paypal_router
from adapters.providers.paypal.sandbox_books import PayPalFault
from domain.money import Money
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.simulation.money.shops import ENOUGH, URL, Json, NotNow, Shop, Taken, minor, nth, served
from tests.simulation.money.wire import InProcess, Wire


@final
class PayPalShop(Shop):
    """PayPal's sandbox."""

    manifest = PAYPAL
    currencies = ("USD", "JPY", "HUF")
    takes_any_amount = False
    secret = "WEBHOOK-SIMULATION"

    def __init__(self, clock: FrozenClock, wire: Wire) -> None:
        self.sandbox = PayPalSandbox(clock, CountingIds(), URL, per_second=ENOUGH)
        self.access = {"client_id": "client", "client_secret": "secret", "mode": "sandbox"}
        self.books = self.sandbox.books_of("client")
        app: Any = served("paypal", self.sandbox, paypal_router)
        self._out = InProcess(app, wire)
        self.provider = adapter = PayPalPayments(clock, f"{URL}/paypal")
        adapter._client._http._outgoing = self._out  # type: ignore[assignment]
        self._certificates = adapter._certificates._http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app))

    async def close(self) -> None:
        """Let go."""
        await self.sandbox.aclose()
        await self._certificates.aclose()

    def pay(self, reference: str, amount: Money) -> None:
        """The payer agrees."""
        self._agree(reference, paypal_orders.GOOD)

    def decline(self, reference: str) -> None:
        """The payer agrees to pay with what is then declined."""
        self._agree(reference, paypal_orders.DECLINED)

    def _agree(self, reference: str, funding: str) -> None:
        try:
            order = paypal_orders.order_in(self.books, reference)
            paypal_orders.approve(self.books, order, funding)
        except PayPalFault as fault:
            raise NotNow(str(fault)) from fault
        finally:
            self.sandbox.flush(self.books)

    def fail_refund(self, which: int) -> None:
        """One that was completed."""
        done = [id_ for id_, one in self.books.refunds.items() if one["status"] == "COMPLETED"]
        paypal_refunds.settle_refund(self.books, nth(done, which), "FAILED")
        self.sandbox.flush(self.books)

    def dispute(self, which: int) -> None:
        """A chargeback of a payment of which nothing went back; it stays."""
        kept = [
            id_ for id_, one in self.books.captures.items() if one["status"] == "COMPLETED" and not _charged_back(one)
        ]
        paypal_refunds.take_back(self.books, nth(kept, which))
        self.sandbox.flush(self.books)

    def method(self, client: str) -> tuple[str, str | None]:
        """PayPal keeps none for the hub."""
        raise NotNow("nobody is charged while they are away")

    def bodies(self) -> list[bytes]:
        """Its events."""
        return [json.dumps(event, separators=(",", ":")).encode() for event in self.books.events]

    def sign(self, body: bytes, now: datetime) -> Mapping[str, str]:
        """By its certificate."""
        return self.sandbox.seal(body, self.secret, now)

    def truth(self) -> dict[str, Taken]:
        """By its captures and refunds."""
        found: dict[str, Taken] = {}
        for id_, one in self.books.captures.items():
            if one["status"] not in ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"):
                continue
            code, whole = one["amount"]["currency_code"], minor(one["amount"]["value"], one["amount"]["currency_code"])
            back = [
                minor(refund["amount"]["value"], code)
                for refund in self.books.refunds.values()
                if refund["_of"] == id_ and refund["status"] in ("COMPLETED", "PENDING")
            ]
            fee = minor(one["seller_receivable_breakdown"]["paypal_fee"]["value"], code)
            found[id_] = Taken(code, whole, sum(back), fee, whole if _charged_back(one) else 0)
        return found


def _charged_back(capture: Json) -> bool:
    return (capture.get("status_details") or {}).get("reason") == "CHARGEBACK"
