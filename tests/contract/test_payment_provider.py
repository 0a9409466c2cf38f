"""The contract of PaymentProvider, run on the fake and on Stripe over its sandbox."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import stripe

from adapters.providers.stripe.payments import StripePayments
from application.ports.payments import RetryLater
from tests.contract.payment_provider import PaymentProviderContract, PaymentRig
from tests.contract.stripe_sandbox import KEY, Stage, staged
from tests.fakes.payments import ASKING, DECLINED, GOOD, FakePayments


class FakeRig(PaymentRig):
    """The fake, told directly."""

    good, declined, asking = GOOD, DECLINED, ASKING

    def __init__(self) -> None:
        self.provider = self.impatient = self._fake = FakePayments()
        self.access = {"secret_key": "key"}
        self.now = self._fake.clock.now()

    async def pay(self, reference: str) -> None:
        """At once."""
        self._fake.pay(reference)

    async def decline(self, reference: str) -> None:
        """At once."""
        self._fake.decline(reference)

    async def revoke(self) -> None:
        """The fake's own list."""
        self._fake.revoked.add("key")

    async def limit_rate(self, after: timedelta) -> None:
        """As the port says it."""
        self._fake.fail_next(RetryLater("Too many.", after=after))

    async def break_down(self, *, after_work: bool) -> None:
        """As the port says it."""
        self._fake.fail_next(RetryLater("Broken.", may_have_happened=True), after_work=after_work)

    async def swallow_answer(self) -> None:
        """As the port says it."""
        self._fake.fail_next(RetryLater("No answer.", may_have_happened=True), after_work=True)

    async def bodies(self) -> list[bytes]:
        """The fake keeps them."""
        return self._fake.events

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The fake's scheme."""
        return self._fake.sign(body, secret, at)


class StripeRig(PaymentRig):
    """Stripe's adapter, with the sandbox at the other end of a real connection."""

    good, declined, asking = "pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._patient = StripePayments(stage.base, timeout=timedelta(seconds=20))
        self._hasty = StripePayments(stage.base, timeout=timedelta(seconds=0.5))
        self.provider, self.impatient = self._patient, self._hasty
        self.access = {"secret_key": KEY}
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


class TestFakePayments(PaymentProviderContract):
    """The fake that other tests rely on keeps the contract too."""

    @pytest.fixture
    def rig(self) -> PaymentRig:
        """A fresh fake."""
        return FakeRig()


class TestStripePayments(PaymentProviderContract):
    """Stripe's adapter."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[PaymentRig]:
        """A fresh sandbox."""
        async with staged() as stage:
            rig = StripeRig(stage)
            await stage.control("rate", per_second=100_000)
            yield rig
            await rig.close()
