"""Each provider's webhooks through the door, over each inbox."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, final

import pytest

from adapters.providers.stripe import webhook
from adapters.providers.stripe.payments import StripePayments
from tests.contract.inbox import InboxRig
from tests.contract.inbox_door import Door, InboxDoorContract, Sender
from tests.contract.test_inbox import memory_rig, rig_over
from tests.fakes.payments import FakePayments

BACKENDS = ["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=BACKENDS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[InboxRig]:
    """An inbox in memory, in SQLite, in PostgreSQL."""
    if request.param == "memory":
        yield memory_rig()
        return
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    async for rig in rig_over(url):
        yield rig


@pytest.fixture
async def door(sender: Sender, rig: InboxRig) -> Door:
    """The door over it."""
    return await Door.open(sender, rig)


@final
class StripeSender(Sender):
    """docs.stripe.com/api/events/object, and its signature."""

    def __init__(self) -> None:
        self.payments = StripePayments()

    def event(self, id: str, type: str, about: str, text: str = "") -> bytes:
        payment = {"id": about, "object": "payment_intent", "metadata": {"note": text}}
        event = {"id": id, "object": "event", "type": type, "created": 1_767_000_000, "data": {"object": payment}}
        return json.dumps(event, ensure_ascii=False, indent=2).encode()

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        moment = int(at.timestamp())
        return {"stripe-signature": f"t={moment},v1={webhook.signature(secret, moment, body)}"}


@final
class FakeSender(Sender):
    """The fake's."""

    def __init__(self) -> None:
        self.payments = self._fake = FakePayments()

    def event(self, id: str, type: str, about: str, text: str = "") -> bytes:
        told: dict[str, Any] = {"id": id, "type": type, "kind": "intent", "about": about, "intent": about, "at": 1}
        return json.dumps({**told, "metadata": {"note": text}}).encode()

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {name.lower(): value for name, value in self._fake.sign(body, secret, at).items()}


class TestStripe(InboxDoorContract):
    """Stripe's."""

    @pytest.fixture
    async def sender(self) -> AsyncIterator[Sender]:
        sender = StripeSender()
        yield sender
        await sender.payments.aclose()


class TestFake(InboxDoorContract):
    """The fake's."""

    @pytest.fixture
    def sender(self) -> Sender:
        return FakeSender()
