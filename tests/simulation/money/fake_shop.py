"""The fake as a shop."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, final

from application.ports.payments import IntentState, RefundState
from domain.money import Money
from tests.fakes.clock import FrozenClock
from tests.fakes.payments import FakePayments
from tests.fakes.providers import FAKE
from tests.simulation.money.shops import NotNow, Shop, Taken, nth
from tests.simulation.money.wire import OverTheWire, Wire


@final
class FakeShop(Shop):
    """The fake."""

    manifest = FAKE
    currencies = ("USD", "JPY", "KWD")
    takes_any_amount = True
    secret = "fake_secret"

    def __init__(self, clock: FrozenClock, wire: Wire) -> None:
        self.fake = FakePayments(clock)
        self.provider: Any = OverTheWire(self.fake, wire)
        self.access = {"secret_key": "key"}
        self._methods: dict[str, tuple[str, str]] = {}
        self._given_back: set[str] = set()

    async def close(self) -> None:
        """Nothing is open."""

    def pay(self, reference: str, amount: Money) -> None:
        """At once; every payment has a fee."""
        page = self.fake.checkouts[reference]
        over = page.expires_at is not None and page.expires_at <= self.fake.clock.now()
        if over or page.state.value not in ("open", "approved"):
            raise NotNow(page.state.value)
        done = self.fake.pay(reference, amount)
        assert done.intent_reference
        self.fake.charge_fee(done.intent_reference, Money(amount.amount // 50, amount.currency))

    def decline(self, reference: str) -> None:
        """The page stays open."""
        page = self.fake.checkouts[reference]
        if page.state.value != "open":
            raise NotNow(page.state.value)
        self.fake.decline(reference)

    def fail_refund(self, which: int) -> None:
        """One that succeeded."""
        done = [one for one in self.fake.refunds.values() if one.state is RefundState.SUCCEEDED]
        self.fake.settle_refund(nth(done, which).reference, RefundState.FAILED)

    def dispute(self, which: int) -> None:
        """What is left of it; what is disputed is given back, and not disputed again."""
        kept = [
            one
            for one in self.fake.intents.values()
            if one.received and one.refunded < one.received and one.reference not in self._given_back
        ]
        intent = nth(kept, which)
        if intent.disputed:
            self._given_back.add(intent.reference)
        self.fake.dispute(intent.reference, None if intent.disputed else intent.received - intent.refunded)

    def method(self, client: str) -> tuple[str, str | None]:
        """A card."""
        if client not in self._methods:
            self._methods[client] = (self.fake.give_method(f"payer of {client}"), f"payer of {client}")
        return self._methods[client]

    def bodies(self) -> list[bytes]:
        """It keeps them."""
        return self.fake.events

    def sign(self, body: bytes, now: datetime) -> Mapping[str, str]:
        """Its own way."""
        return self.fake.sign(body, self.secret, now)

    def truth(self) -> dict[str, Taken]:
        """Of every payment that succeeded."""
        return {
            one.reference: Taken(
                one.amount.currency.code,
                one.received.amount,
                sum(
                    r.amount.amount
                    for r in self.fake.refunds.values()
                    if r.intent_reference == one.reference and r.state is not RefundState.FAILED
                ),
                one.fee.amount if one.fee else 0,
                one.disputed.amount if one.disputed else 0,
            )
            for one in self.fake.intents.values()
            if one.state is IntentState.SUCCEEDED
        }
