"""What the tests of subscriptions share: a client, plans, and a subscription at either kind of provider."""

from datetime import timedelta
from typing import Any

import attrs

from application.billing.subscriptions.plans import PriceAsked
from domain.billing.customers import SavedMethod
from domain.billing.invoices import Invoice
from domain.billing.plans import Interval, Plan
from domain.billing.subscriptions import Subscription
from domain.connections.connection import Connection
from tests.fakes.payments import FakePayments
from tests.unit.application.bench import Bench

DAY = timedelta(days=1)


class Scene:
    """One client, and the plan `studio` at 90 USD a month. Await `prepare` first.

    `fake` renews subscriptions by itself; the hub renews those at `plain`.
    """

    def __init__(self) -> None:
        self.bench = Bench()
        self.fake: FakePayments = self.bench.fake
        self.plain: FakePayments = self.bench.providers.plain

    async def prepare(self) -> "Scene":
        """An organisation connected to both."""
        bench = await self.bench.prepare()
        self.at_fake = await self._account(bench.connection, self.fake)
        self.at_plain = await self._account(await bench.connect(bench.org, provider="plain"), self.plain)
        client: Any = bench.make.record(bench.org, name="Ada Northwind", email="ada@northwind.example")
        await bench.add("records", client)
        self.client_id: str = client.id
        self.plan = await self.new_plan("studio", "90.00")
        return self

    async def _account(self, connection: Connection, provider: FakePayments) -> Connection:
        async with self.bench.store.of(self.bench.org) as work:
            named = attrs.evolve(connection, account_reference=provider.account_reference)
            saved = await work.connections.save(named)
            await work.commit()
        return saved

    async def new_plan(self, code: str, price: str, **more: Any) -> Plan:
        """Another plan, in USD, monthly unless said otherwise."""
        given = {"name": code.title(), "interval": Interval.MONTH, **more}
        return await self.bench.create_plan(self.bench.caller, code=code, prices=[PriceAsked(price, "USD")], **given)

    async def ask(self, provider: str, **more: Any) -> Subscription:
        """A subscription that the client has not agreed to yet."""
        asked = {"client_id": self.client_id, "plan": "studio", "provider": provider, **more}
        return await self.bench.subscribe(self.bench.caller, **asked)

    async def by_provider(self, **more: Any) -> Subscription:
        """One that the provider renews, agreed to, and its webhooks handled."""
        asked = await self.ask("fake", **more)
        assert asked.began_reference is not None
        self.fake.agree(asked.began_reference)
        await self.hear()
        return await self.now(asked)

    async def by_hub(self, **more: Any) -> Subscription:
        """One that the hub renews, whose first period was paid on a hosted page."""
        asked = await self.ask("plain", **more)
        if asked.invoice_id is not None:
            await self.pay(asked.invoice_id)
        return await self.now(asked)

    async def pay(self, invoice_id: str) -> None:
        """The client pays an invoice on the plain provider's page, which keeps the card."""
        bench = self.bench
        view = await bench.link(bench.caller, invoice_id=invoice_id, provider=self.at_plain.id)
        await bench.follow(view.link.token)
        (page,) = [one for one in await bench.checkouts() if one.invoice_id == invoice_id and one.state.value == "open"]
        assert page.reference is not None
        self.plain.pay(page.reference)
        await bench.settle.checkout(bench.org, self.at_plain.id, page.reference)

    async def hear(self, *bodies: bytes) -> None:
        """The fake's webhooks, all that it has sent so far or these, are taken in and handled."""
        for body in bodies or tuple(self.fake.events):
            await self.bench.webhook(body)
        while await self.bench.handle():
            pass

    async def pass_time(self, by: timedelta) -> None:
        """Time goes by in steps, and the job runs as it would."""
        left = by
        while left > timedelta():
            step = min(left, DAY)
            self.bench.clock.advance(step)
            left -= step
            await self.bench.renewals()

    # What is there.

    async def now(self, subscription: Subscription) -> Subscription:
        """As it is now."""
        async with self.bench.look() as work:
            return await work.subscriptions.get(subscription.id)

    async def invoices(self, subscription: Subscription) -> list[Invoice]:
        """Its invoices, oldest first."""
        async with self.bench.look() as work:
            return list(await work.invoices.all(subscription_id=subscription.id))

    async def method(self) -> SavedMethod:
        """The card that was kept."""
        async with self.bench.look() as work:
            (kept,) = await work.saved_methods.all()
        return kept

    def token(self) -> str:
        """What charges the card that was kept last."""
        tokens = [one.method_reference for one in self.plain.intents.values() if one.method_reference]
        return str(tokens[-1])
