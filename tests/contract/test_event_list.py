"""Each provider's event list keeps the contract of the port EventList."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import final

import pytest

from adapters.providers.stripe.payments import StripePayments
from tests.contract.event_list import EventListContract, ListRig
from tests.contract.stripe_billing_calls import subscribed, terms
from tests.contract.stripe_sandbox import KEY, Stage, staged
from tests.fakes.clock import FrozenClock
from tests.fakes.payments import FakePayments

MINUTE = timedelta(minutes=1)


@final
class StripeList(ListRig):
    """Stripe, emulated."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.events = self.payments = self.stripe = StripePayments(stage.base)
        self.access = {"secret_key": KEY}

    def happen(self, count: int) -> tuple[datetime, list[str]]:
        books, first = self.stage.sandbox.books_of(KEY), self.stage.clock.now()
        for number in range(count):
            books.tell("payment_intent.canceled", {"id": f"pi_{number}", "object": "payment_intent", "metadata": {}})
            books.tell("customer.created", {"id": f"cus_{number}", "object": "customer"})  # nothing the hub follows
            self.stage.clock.advance(MINUTE)
        return first, [id_ for id_, event in books.events.items() if event["type"] != "customer.created"]

    def revoke(self) -> None:
        self.stage.sandbox.revoked.add(KEY)


@final
class FakeList(ListRig):
    """The fake."""

    def __init__(self) -> None:
        self.clock = FrozenClock(FrozenClock().now().replace(microsecond=0))
        self.events = self.payments = self._fake = FakePayments(self.clock)
        self.access = {"secret_key": "good"}

    def happen(self, count: int) -> tuple[datetime, list[str]]:
        first = self.clock.now()
        for number in range(count):
            self._fake._tell("intent.succeeded", "intent", f"p{number}", f"p{number}", {})  # a test's hand
            self.clock.advance(MINUTE)
        return first, [self.payments.parse_webhook(body).external_id for body in self._fake.events]

    def revoke(self) -> None:
        self._fake.revoked.add("good")


class TestStripe(EventListContract):
    """Stripe's, over the sandbox, with the official SDK."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[ListRig]:
        async with staged() as stage:
            stage.sandbox.limit.per_second = 1_000
            rig = StripeList(stage)
            yield rig
            await rig.stripe.aclose()

    async def test_the_pages_are_as_large_as_stripe_allows(self, rig: ListRig) -> None:
        """Two hours at a time, a hundred a page: six windows, and with the events that the hub does not follow, five pages
        more."""
        assert isinstance(rig, StripeList)
        first, _ = rig.happen(330)
        _ = [one async for one in rig.events.events_between(rig.access, first, first + timedelta(hours=12))]
        asked = [one.query for one in rig.stage.recorder.exchanges if one.path.endswith("/v1/events")]
        assert len(asked) == 6 + 5
        assert all("limit=100" in query for query in asked)

    async def test_subscriptions_and_their_invoices_are_listed_as_they_were_sent(self, rig: ListRig) -> None:
        """The SDK reads their `…_decimal` fields as Decimal, which JSON has no word for; the reading must not end there."""
        assert isinstance(rig, StripeList)
        first = rig.stage.clock.now()
        plan = await rig.stripe.ensure_plan(rig.access, terms(), product=None, key="plan")
        await subscribed(rig.stage, rig.stripe, rig.access, plan.reference)
        found = [one async for one in rig.events.events_between(rig.access, first, first + timedelta(hours=1))]
        sent = rig.stage.sandbox.books_of(KEY).events
        objects = {one.event.type.partition(".")[2].partition(".")[0] or one.event.type for one in found}
        assert {"customer.subscription.created", "invoice.paid"} <= {one.event.type for one in found}, objects
        assert any(b"_decimal" in one.body for one in found)
        for one in found:
            assert json.loads(one.body)["data"] == json.loads(json.dumps(sent[one.event.external_id]["data"]))


class TestFake(EventListContract):
    """The fake's."""

    @pytest.fixture
    def rig(self) -> ListRig:
        return FakeList()
