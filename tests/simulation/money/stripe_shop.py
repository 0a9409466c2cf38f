"""Stripe's sandbox as a shop."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, final

from adapters.providers.stripe import sandbox_balance as stripe_balance
from adapters.providers.stripe import sandbox_checkout as stripe_checkout
from adapters.providers.stripe import sandbox_methods as stripe_methods
from adapters.providers.stripe import sandbox_payments as stripe_payments
from adapters.providers.stripe import webhook as stripe_webhook
from adapters.providers.stripe.payments import StripePayments
from adapters.providers.stripe.provider import PROVIDER as STRIPE
from adapters.providers.stripe.sandbox import StripeSandbox
from adapters.providers.stripe.sandbox import sandbox_router as stripe_router
from adapters.providers.stripe.sandbox_cards import card_of as stripe_card
from adapters.providers.stripe.sandbox_form import StripeFault
from domain.money import Money
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.simulation.money.shops import ENOUGH, URL, NotNow, Shop, Taken, nth, served
from tests.simulation.money.wire import InProcess, Wire


@final
class StripeShop(Shop):
    """Stripe's sandbox."""

    manifest = STRIPE
    currencies = ("USD", "JPY", "KWD", "UGX")
    takes_any_amount = False
    secret = "whsec_simulation"

    def __init__(self, clock: FrozenClock, wire: Wire) -> None:
        self._clock = clock
        self.sandbox = StripeSandbox(clock, CountingIds(), URL, per_second=ENOUGH)
        self.access = {"secret_key": "sk_test_simulation"}
        self.books = self.sandbox.books_of("sk_test_simulation")
        self._out = InProcess(served("stripe", self.sandbox, stripe_router), wire)
        adapter = StripePayments(f"{URL}/stripe")
        adapter._transport._http._outgoing = self._out  # type: ignore[assignment]
        self.provider = adapter
        self._methods: dict[str, tuple[str, str]] = {}

    async def close(self) -> None:
        """Stop its sweep."""
        await self.sandbox.aclose()

    def pay(self, reference: str, amount: Money) -> None:
        """By a good card."""
        self._type(reference, "4242424242424242")

    def decline(self, reference: str) -> None:
        """By a bad one."""
        self._type(reference, "4000000000000002")

    def _type(self, reference: str, number: str) -> None:
        session, card = self.books.sessions[reference], stripe_card(number)
        assert card is not None
        stripe_checkout.run_out(self.books)
        self._tried(lambda: stripe_checkout.pay(self.books, session, card, {"email": "pat@example.com"}), 402)

    def _tried(self, do: Any, *harmless: int) -> Any:
        try:
            return do()
        except StripeFault as fault:
            if fault.status not in harmless:
                raise NotNow(str(fault)) from fault
        finally:
            self.sandbox.flush(self.books)

    def fail_refund(self, which: int) -> None:
        """One that succeeded."""
        done = [one for one in self.books.refunds.values() if one["status"] == "succeeded"]
        refund = nth(done, which)
        self._tried(lambda: stripe_payments.settle_refund(self.books, refund, "failed"))

    def dispute(self, which: int) -> None:
        """Opened; a second time won."""
        charge = nth([one for one in self.books.charges.values() if one["paid"]], which)
        mine = [one for one in self.books.disputes.values() if one["charge"] == charge["id"]]
        if mine:
            self._tried(lambda: stripe_balance.close_dispute(self.books, mine[-1], won=True))
        else:
            self._tried(lambda: stripe_balance.open_dispute(self.books, charge))

    def method(self, client: str) -> tuple[str, str | None]:
        """A card of a customer's."""
        if client not in self._methods:
            made = stripe_card("4242424242424242")
            assert made is not None
            customer = {"id": f"cus_{len(self._methods)}", "object": "customer", "email": "pat@example.com"}
            self.books.customers[customer["id"]] = {
                **customer, "name": None, "metadata": {}, "livemode": False, "created": self.books.now(),
                "invoice_settings": {"default_payment_method": None},
            }  # fmt: skip
            kept = stripe_methods.attach(self.books, stripe_methods.typed(self.books, made, {}), customer["id"])
            self._methods[client] = (kept["id"], customer["id"])
        return self._methods[client]

    def bodies(self) -> list[bytes]:
        """Its events."""
        return [json.dumps(event).encode() for event in self.books.events.values()]

    def sign(self, body: bytes, now: datetime) -> Mapping[str, str]:
        """As Stripe does."""
        at = int(now.timestamp())
        return {stripe_webhook.HEADER: f"t={at},v1={stripe_webhook.signature(self.secret, at, body)}"}

    def truth(self) -> dict[str, Taken]:
        """By its charges, refunds, disputes and balance."""
        found: dict[str, Taken] = {}
        for charge in self.books.charges.values():
            if charge["status"] != "succeeded":
                continue
            back = [one for one in self.books.refunds.values() if one["charge"] == charge["id"]]
            held = [one for one in self.books.disputes.values() if one["charge"] == charge["id"]]
            # Stripe counts this one in hundredths, which ISO 4217 does not have.
            unit = 100 if charge["currency"] == "ugx" else 1
            sums = (
                charge["amount_captured"],
                sum(one["amount"] for one in back if one["status"] in ("succeeded", "pending")),
                self.books.transactions[charge["balance_transaction"]]["fee"],
                sum(one["amount"] for one in held if one["status"] != "won"),
            )
            found[charge["payment_intent"]] = Taken(charge["currency"].upper(), *(one // unit for one in sums))
        return found
