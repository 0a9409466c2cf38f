"""Flutterwave's sandbox as a shop."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, final

from adapters.providers.flutterwave import sandbox_pay as flutterwave_pays
from adapters.providers.flutterwave.payments import FlutterwavePayments
from adapters.providers.flutterwave.provider import PROVIDER as FLUTTERWAVE
from adapters.providers.flutterwave.sandbox import FlutterwaveSandbox
from adapters.providers.flutterwave.sandbox import sandbox_router as flutterwave_router
from adapters.providers.flutterwave.sandbox_cards import card_of as flutterwave_card
from adapters.providers.flutterwave.sandbox_shop import Refused
from domain.money import Money
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.simulation.money.shops import ENOUGH, URL, NotNow, Shop, Taken, minor, nth, served
from tests.simulation.money.wire import InProcess, Wire


@final
class FlutterwaveShop(Shop):
    """Flutterwave's sandbox."""

    manifest = FLUTTERWAVE
    currencies = ("NGN", "UGX", "USD")
    takes_any_amount = True
    secret = "hash_of_the_simulation"

    def __init__(self, clock: FrozenClock, wire: Wire) -> None:
        self.sandbox = FlutterwaveSandbox(clock, CountingIds(), URL, per_second=ENOUGH)
        self.access = {"secret_key": "FLWSECK_TEST-simulation-X"}
        self.account = self.sandbox.account_of(self.access["secret_key"])
        self._out = InProcess(served("flutterwave", self.sandbox, flutterwave_router), wire)
        self.provider = adapter = FlutterwavePayments(f"{URL}/flutterwave", clock)
        adapter._api._http._outgoing = self._out  # type: ignore[assignment]

    async def close(self) -> None:
        """Let go."""
        await self.sandbox.aclose()

    def pay(self, reference: str, amount: Money) -> None:
        """By bank transfer: whatever arrives counts. What the page asks for is paid by card, whose token is kept."""
        page = self._page(reference)
        card = flutterwave_card("5531886652142950")
        assert card is not None
        sent, code = Decimal(amount.decimal), amount.currency.code
        exact = sent == page.amount and code == page.currency
        self._tried(
            (lambda: flutterwave_pays.by_card(self.account, page, card))
            if exact
            else (lambda: flutterwave_pays.by_bank_transfer(self.account, page, sent, code))
        )

    def decline(self, reference: str) -> None:
        """By a bad card."""
        page, card = self._page(reference), flutterwave_card("5143010522339965")
        assert card is not None
        self._tried(lambda: flutterwave_pays.by_card(self.account, page, card), 402)

    def _page(self, reference: str) -> Any:
        return [one for one in self.account.pages.values() if one.tx_ref == reference][-1]

    def _tried(self, do: Any, *harmless: int) -> None:
        try:
            do()
        except Refused as refused:
            if refused.status not in harmless:
                raise NotNow(str(refused)) from refused
        finally:
            self.sandbox.flush(self.account)

    def fail_refund(self, which: int) -> None:
        """One that was completed."""
        refund = nth([one for one in self.account.refunds.values() if one["status"] == "completed"], which)
        self.account.refund_over(refund, "failed")
        self.sandbox.flush(self.account)

    def dispute(self, which: int) -> None:
        """The sandbox knows none."""
        raise NotNow("no disputes")

    def method(self, client: str) -> tuple[str, str | None]:
        """The newest token."""
        return nth(list(self.account.tokens), -1), None

    def bodies(self) -> list[bytes]:
        """What it sent, or would have."""
        return [json.dumps(event).encode() for event in self.account.sent]

    def sign(self, body: bytes, now: datetime) -> Mapping[str, str]:
        """The hash itself (v3)."""
        return {"verif-hash": self.secret}

    def truth(self) -> dict[str, Taken]:
        """By its transactions and refunds."""
        found: dict[str, Taken] = {}
        for id_, one in self.account.transactions.items():
            if one["status"] != "successful":
                continue
            code = one["currency"]
            back = [
                minor(refund["amount_refunded"], code)
                for refund in self.account.refunds.values()
                if refund["transaction_id"] == id_ and refund["status"] != "failed"
            ]
            found[str(id_)] = Taken(code, minor(one["amount"], code), sum(back), minor(one["app_fee"], code), 0)
        return found
