"""The contract of PaymentProvider, run on Stripe's adapter over its sandbox."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import stripe

from adapters.providers.stripe.payments import StripePayments
from adapters.providers.stripe.provider import PROVIDER
from application.ports.recurring import Begun
from tests.contract.payments.checkouts import CheckoutContract
from tests.contract.payments.intents import IntentContract, IntentRig
from tests.contract.payments.payers import CustomerContract, MethodContract, OffSessionContract
from tests.contract.payments.payouts import PayoutContract
from tests.contract.payments.recurring import PlanContract, SubscriptionContract
from tests.contract.payments.refunds import RefundContract
from tests.contract.payments.settlements import SettlementContract
from tests.contract.payments.settling import SettlingContract
from tests.contract.payments.troubles import TroubleContract
from tests.contract.payments.webhooks import WebhookContract
from tests.contract.stripe_sandbox import KEY, Stage, staged
from tests.fakes.payments import FakePayments


class StripeRig(IntentRig):
    """Stripe's adapter, with the sandbox at the other end of a real connection."""

    signs_twice = True

    good, declined, asking = "pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._patient = StripePayments(stage.base, timeout=timedelta(seconds=20))
        self._hasty = StripePayments(stage.base, timeout=timedelta(seconds=0.5))
        self.provider, self.impatient = self._patient, self._hasty
        self.access = {"secret_key": KEY}
        self.destination: dict[str, str] = {}
        self.abilities = PROVIDER.abilities
        self.now = stage.clock.now()

    async def close(self) -> None:
        """Close both."""
        await self._patient.aclose()
        await self._hasty.aclose()

    async def pay(self, reference: str) -> None:
        """On the hosted page, as a person would."""
        await self._type(reference, "4242 4242 4242 4242", 303)

    async def decline(self, reference: str) -> None:
        """On the hosted page, as a person would."""
        await self._type(reference, "4000 0000 0000 0002", 402)

    async def settle(self) -> None:
        """Payouts arrive; everything else is done at once."""
        for books in self._stage.sandbox.shops():
            for reference in list(books.payouts):
                await self._stage.control(f"payouts/{reference}/settle", status="paid")

    async def delete_customer(self, reference: str) -> None:
        """By the API, as the dashboard does."""
        await self._stage.api("DELETE", f"/v1/customers/{reference}")

    async def keep_method(self, customer_reference: str) -> None:
        """By the controls."""
        await self._stage.control(f"customers/{customer_reference}/methods")

    async def kept(self, *, declining: bool = False) -> tuple[str, str | None, str]:
        """Left there by the controls; the declining card can be kept, but not charged."""
        customer = await self._patient.ensure_customer(
            self.access, our_reference="client_kept", email="kept@example.com", name="Kay", key="kept"
        )
        card = "4000000000000341" if declining else "4242424242424242"
        method = await self._stage.control(f"customers/{customer.reference}/methods", card=card)
        return method["id"], customer.reference, "kept@example.com"

    async def agree(self, begun: Begun) -> None:
        """On the hosted page, as a person would."""
        assert begun.checkout_reference is not None
        await self.pay(begun.checkout_reference)

    async def renew(self, reference: str) -> None:
        """By the controls."""
        await self._stage.control(f"subscriptions/{reference}/renew")

    async def fail_payout(self, reference: str) -> None:
        """By the controls."""
        await self._stage.control(f"payouts/{reference}/settle", status="failed")

    async def fail_refund(self, reference: str) -> None:
        """By the controls."""
        await self._stage.control(f"refunds/{reference}/settle", status="failed")

    async def put_status(self, intent_reference: str, status: str) -> None:
        """In the sandbox's own books."""
        _, intent = self._stage.sandbox.holder("intents", intent_reference)
        intent["status"] = status

    def strange_event(self) -> bytes:
        """An ordinary envelope about something new."""
        about = {"id": "bal_1", "object": "balance_of_the_moon"}
        event = {
            "id": "evt_strange",
            "object": "event",
            "type": "moon.waxed",
            "created": int(self.now.timestamp()),
            "livemode": False,
            "data": {"object": about},
        }
        return json.dumps(event).encode()

    async def revoke(self) -> None:
        """By the controls."""
        await self._stage.control("keys/revoke", key=KEY)

    async def limit_rate(self, after: timedelta) -> None:
        """By the controls."""
        await self._stage.control("faults", status=429, retry_after=int(after.total_seconds()))

    async def break_down(self, *, after_work: bool) -> None:
        """By the controls."""
        await self._stage.control("faults", status=500, after_work=after_work)

    async def swallow_answer(self) -> None:
        """By the controls."""
        await self._stage.control("faults", timeout=True)

    async def bodies(self) -> list[bytes]:
        """What the sandbox would send, read from its list of events."""
        events = (await self._stage.api("GET", "/v1/events", limit="100")).json()["data"]
        return [json.dumps(event).encode() for event in reversed(events)]

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """By the official SDK, which signs text; what is none must still be refused for what it is, so it is
        signed by hand."""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = None
        if text is None:
            return {"Stripe-Signature": FakePayments().sign(body, secret, at)["Fake-Signature"]}
        made = stripe.WebhookSignature.generate_signature_header(text, secret, int(at.timestamp()))
        return {"Stripe-Signature": made}

    async def _type(self, reference: str, card: str, status: int) -> None:
        form = {"email": "pat@example.com", "card": card, "expiry": "12/34", "cvc": "123", "name": "Pat"}
        answer = await self._stage.http.post(f"{self._stage.base}/c/pay/{reference}", data=form)
        assert answer.status_code == status, answer.text


class TestStripePayments(
    CheckoutContract,
    IntentContract,
    RefundContract,
    TroubleContract,
    WebhookContract,
    CustomerContract,
    MethodContract,
    OffSessionContract,
    PlanContract,
    SubscriptionContract,
    PayoutContract,
    SettlementContract,
    SettlingContract,
):
    """Stripe's adapter."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[StripeRig]:
        """A fresh sandbox."""
        async with staged() as stage:
            rig = StripeRig(stage)
            await stage.control("rate", per_second=100_000)
            await stage.control("top_up", key=KEY, amount=1_000_000, currency="usd")
            yield rig
            await rig.close()
