"""PayPal's adapter on the bench of the contract suites."""

import json
from datetime import datetime, timedelta

import pytest

from adapters.providers.paypal.payments import PayPalPayments
from adapters.providers.paypal.provider import PROVIDER
from adapters.providers.paypal.webhook import EARLY
from application.ports.payments import ProviderRefused
from application.ports.recurring import Begun
from tests.contract.payments.intents import IntentRig
from tests.contract.payments.payouts import PayoutRig
from tests.contract.payments.recurring import RecurringRig
from tests.contract.paypal_sandbox import ACCESS, CLIENT, Stage


class PayPalRig(IntentRig, RecurringRig, PayoutRig):
    """PayPal's adapter, with the sandbox at the other end of a real connection."""

    captures = True
    good, declined, asking = "vault_good", "vault_declined", "vault_asks"
    tolerance = EARLY
    abilities = PROVIDER.abilities
    destination = {"email": "to@example.com"}  # noqa: RUF012  # as the suite has it

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._hasty = PayPalPayments(stage.clock, stage.base, timeout=timedelta(seconds=0.5))
        self.provider, self.impatient = stage.payments, self._hasty
        self.access = ACCESS
        self.now = stage.clock.now()

    async def close(self) -> None:
        """Close the second adapter."""
        await self._hasty.aclose()

    async def pay(self, reference: str) -> None:
        """On the hosted page, as a person would."""
        await self.stage.agree(reference)

    async def decline(self, reference: str) -> None:
        """The payer agrees to pay with what is then declined when the hub takes the money."""
        await self.stage.agree(reference, "declined")
        with pytest.raises(ProviderRefused) as refused:
            await self.provider.capture_checkout(self.access, reference, key="declined")
        assert refused.value.code == "INSTRUMENT_DECLINED"

    async def settle(self) -> None:
        """Payouts arrive; everything else is done at once here."""
        for reference, batch in self.stage.sandbox.books_of(CLIENT).payouts.items():
            if batch["batch_header"]["batch_status"] == "PENDING":
                await self.stage.control(f"payouts/{reference}/settle", status="SUCCESS")

    async def fail_payout(self, reference: str) -> None:
        """By the controls."""
        await self.stage.control(f"payouts/{reference}/settle", status="RETURNED")

    async def agree(self, begun: Begun) -> None:
        """On the hosted page, as a person would."""
        assert begun.url
        told = await self.stage.http.post(begun.url, data={"answer": "agree"})
        assert told.status_code == 303, told.text

    async def renew(self, reference: str) -> None:
        """A month goes by."""
        self.now = self.stage.clock.advance(timedelta(days=31))
        await self.stage.control(f"subscriptions/{reference}/renew")

    async def fail_refund(self, reference: str) -> None:
        """By the controls."""
        await self.stage.control(f"refunds/{reference}/settle", status="FAILED")

    async def put_status(self, intent_reference: str, status: str) -> None:
        """By the controls."""
        await self.stage.control(f"captures/{intent_reference}/status", status=status)

    async def revoke(self) -> None:
        """By the controls."""
        await self.stage.control("clients/revoke", client_id=CLIENT)

    async def limit_rate(self, after: timedelta) -> None:
        """By the controls."""
        await self.stage.control("faults", path="/v2", status=429, retry_after=int(after.total_seconds()))

    async def break_down(self, *, after_work: bool) -> None:
        """By the controls."""
        await self.stage.control("faults", path="/v2", status=500, after_work=after_work)

    async def swallow_answer(self) -> None:
        """By the controls: of the next call that changes something."""
        captures = self.stage.sandbox.books_of(CLIENT).captures
        path = f"/v2/payments/captures/{next(iter(captures))}/refund" if captures else ""
        for place in (path, "/v2/checkout/orders", "/v1/payments/payouts"):
            if place:
                await self.stage.control("faults", path=place, timeout=True)
                if captures:
                    return

    async def bodies(self) -> list[bytes]:
        """What the sandbox would send."""
        return [json.dumps(event).encode() for event in self.stage.sandbox.books_of(CLIENT).events]

    def strange_event(self) -> bytes:
        """Of a type that the hub has not heard of."""
        event = {
            "id": "WH-STRANGE",
            "event_type": "MOON.PHASE.CHANGED",
            "resource_type": "moon",
            "create_time": "2026-01-02T03:04:05Z",
            "resource": {"id": "luna"},
        }
        return json.dumps(event).encode()

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """By the sandbox's certificate."""
        return self.stage.sandbox.seal(body, secret, at)
