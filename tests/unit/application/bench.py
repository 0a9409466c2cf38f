"""The use cases over the fakes, put together by hand, with one organisation that can be paid."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.billing.intents import StartPayment
from application.billing.links import CreatePaymentLink, ExpirePaymentLink, FollowPaymentLink, ReturnFromCheckout
from application.billing.refund import RefundPayment
from application.billing.send_invoice import SendInvoice
from application.billing.settle import Settle
from application.caller import Caller
from application.connections.access import about
from application.connections.connect import PublicUrl
from application.delivery.consequences import Consequences
from application.delivery.handover import Handover
from application.inbox.decide import DownloadWebhook, HandleAgain, HandleManyAgain, SkipWebhook
from application.inbox.handle import HandleInbox
from application.inbox.receive import ReceiveWebhook, TakenIn
from application.inbox.senders import KnownSenders
from application.inbox.sweep import SweepMissed
from application.notifications.carry import Carry, ConsoleUrl
from application.notifications.client_credentials import ClientCredentials
from application.notifications.deliver_due import DeliverDue
from application.notifications.endpoint_settings import about as about_endpoint
from application.notifications.publish_events import Published, PublishEvents
from application.notifications.signing_keys import SigningKeys
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.dispatch import Lane
from application.ports.intake import NewEvent
from application.ports.outgoing import Outgoing
from application.ports.payments import CheckoutOrder, PaymentProvider
from application.ports.store import Work
from application.upkeep.jobs import ExpireLinks, ForgetOld, MarkOverdue, ResumeRefunds, Retention
from domain.billing.invoices import Invoice
from domain.billing.links import Checkout, PaymentLink
from domain.billing.payments import Payment, Refund
from domain.connections.connection import Connection
from domain.money import Money
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import Endpoint, SigningSecret
from domain.notifications.schedule import DEFAULT, RetrySchedule
from domain.notifications.signing import new_secret
from tests.contract.examples import Examples
from tests.fakes.clock import FrozenClock
from tests.fakes.dispatch import MemoryDispatch
from tests.fakes.ids import CountingIds
from tests.fakes.inbox import MemoryWebhookInbox
from tests.fakes.intake import MemoryIntake
from tests.fakes.journal import RememberingJournal
from tests.fakes.leases import MemoryLeases
from tests.fakes.outgoing import FakeOutgoing
from tests.fakes.payments import FakePayments
from tests.fakes.providers import FakeProviders
from tests.fakes.signer import PlainSigner
from tests.fakes.store import MemoryStore
from tests.fakes.vault import PlainVault
from tests.fakes.work_queue import RecordingQueue

PUBLIC = PublicUrl("https://hub.example")


class Between:
    """Stands before a payment provider: `before` and `after` are called around its methods, by their names."""

    def __init__(self, provider: PaymentProvider) -> None:
        self._provider = provider
        self.before: dict[str, Callable[[], Any]] = {}
        self.after: dict[str, Callable[[], Any]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._provider, name)
        if name not in self.before and name not in self.after:
            return method

        async def called(*args: Any, **kwargs: Any) -> Any:
            if name in self.before:
                await self.before[name]()
            answer = await method(*args, **kwargs)
            if name in self.after:
                await self.after[name]()
            return answer

        return called


class Bench:
    """Everything a test of a use case needs. Await `prepare` first."""

    def __init__(
        self, outgoing: Outgoing | None = None, schedule: RetrySchedule = DEFAULT, clock: Clock | None = None
    ) -> None:
        self.clock = cast("FrozenClock", clock or FrozenClock())
        """Whoever gives another cannot set it forward."""
        self.ids, self.queue, self.vault = CountingIds(), RecordingQueue(), PlainVault()
        self.store = MemoryStore(self.clock, self.queue)
        self.leases = MemoryLeases(self.clock)
        self.outgoing = outgoing or FakeOutgoing()
        self.providers = FakeProviders(self.clock)
        self.fake: FakePayments = self.providers.fake
        self.between = Between(self.fake)
        self.providers.fake = self.between  # type: ignore[assignment]
        self.make = Examples()
        self.make.ids = self.ids
        store, clock, ids, vault, providers = self.store, self.clock, self.ids, self.vault, self.providers
        self.tell = Tell(clock, ids)
        self.close = CloseCheckouts(store, clock, vault, providers)
        self.settle = Settle(store, self.tell, clock, ids, vault, self.leases, providers, self.close)
        self.link = CreatePaymentLink(store, self.tell, clock, ids, providers, PUBLIC)
        self.expire_link = ExpirePaymentLink(store, self.tell, clock, self.close)
        self.follow = FollowPaymentLink(store, clock, ids, vault, self.leases, providers, PUBLIC, self.close)
        self.return_from = ReturnFromCheckout(store, self.follow, self.settle)
        self.start = StartPayment(store, self.tell, clock, ids, vault, providers)
        self.send = SendInvoice(store, self.tell, clock, self.link, providers)
        self.refund = RefundPayment(store, self.tell, clock, ids, vault, self.leases, providers, self.settle)
        self.inbox = MemoryWebhookInbox(store.shelves, self.queue)
        self.receive = ReceiveWebhook(clock, ids, providers, KnownSenders(store, vault, clock), self.inbox)
        self.journal = RememberingJournal()
        self.handle = HandleInbox(self.inbox, clock, providers, self.settle, self.journal)
        self.handle_again = HandleAgain(store, clock, self.tell)
        self.handle_many_again = HandleManyAgain(self.inbox, store, clock, self.tell)
        self.skip_webhook = SkipWebhook(store, clock, self.tell)
        self.download_webhook = DownloadWebhook(store, self.tell)
        self.sweep = SweepMissed(store, clock, ids, vault, providers, self.inbox, self.tell)
        self.handover = Handover()
        self.intake = MemoryIntake(store.shelves, ids, self.queue, self.handover)
        self.dispatch = MemoryDispatch(store.shelves, PUBLIC.url)
        self.publish = PublishEvents(self.intake, clock, ids, PUBLIC)
        self.keys = SigningKeys(store, self.tell, clock, ids, vault, PlainSigner())
        self.credentials = ClientCredentials(self.outgoing, clock)
        self.carry = Carry(
            store, clock, vault, self.outgoing, providers, ConsoleUrl(None), self.keys, self.credentials, schedule
        )
        self.consequences = Consequences(store, self.tell, clock)
        self.deliver = DeliverDue(
            self.dispatch, self.carry, self.consequences, clock, ids, self.journal, self.queue, self.handover
        )
        self.mark_overdue = MarkOverdue(store, self.tell, clock)
        self.expire_links = ExpireLinks(store, clock, self.close)
        self.resume_refunds = ResumeRefunds(store, clock, self.refund)
        self.forget_old = ForgetOld(store, clock, Retention(timedelta(days=30)))

    async def prepare(self) -> "Bench":
        """Found an organisation and connect it to the provider."""
        self.org = await self.found()
        self.caller = Caller(self.org, "key:test")
        self.connection = await self.connect(self.org)
        return self

    async def found(self) -> str:
        """Another organisation."""
        organisation = self.make.organisation()
        await self.store.found(organisation)
        return organisation.id

    async def connect(self, org: str, *, provider: str = "fake", secrets: dict[str, str] | None = None) -> Connection:
        """A connection of an organisation's."""
        connection = self.make.connection(org, provider=provider)
        secrets = secrets or {"secret_key": f"key of {org}", "webhook_secret": self.fake.webhook_secret}
        sealed = {name: self.vault.seal(text, about=about(connection.id, org, name)) for name, text in secrets.items()}
        connection = attrs.evolve(connection, sealed=sealed)
        await self.add("connections", connection)
        return connection

    # What is there.

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Work]:
        """Into the organisation's things."""
        async with self.store.reading(self.org) as work:
            yield work

    async def add(self, shelf: str, *things: Any) -> None:
        """Keep things, each in its own organisation."""
        for thing in things:
            async with self.store.of(thing.organisation_id) as work:
                await getattr(work, shelf).add(thing)
                await work.commit()

    async def told(self) -> list[str]:
        """The types of the events so far."""
        async with self.look() as work:
            return [event.type for event in await work.events.all()]

    async def open_invoice(self, amount: int = 10_000, **changes: Any) -> Invoice:
        """An invoice over 100 USD, which is open."""
        invoice: Invoice = self.make.invoice(self.org)
        line = attrs.evolve(invoice.lines[0], unit_price=Money(amount, invoice.currency))
        invoice = attrs.evolve(invoice, lines=(line,), **changes).open(self.clock.now())
        await self.add("invoices", invoice)
        return invoice

    async def invoice(self, id: str) -> Invoice:
        """An invoice as it is now."""
        async with self.look() as work:
            return await work.invoices.get(id)

    async def payments(self) -> tuple[Payment, ...]:
        """All payments."""
        async with self.look() as work:
            return await work.payments.all()

    async def refunds(self) -> tuple[Refund, ...]:
        """All refunds."""
        async with self.look() as work:
            return await work.refunds.all()

    async def checkouts(self) -> tuple[Checkout, ...]:
        """All hosted pages."""
        async with self.look() as work:
            return await work.checkouts.all()

    # What happens.

    async def linked(self, invoice: Invoice) -> PaymentLink:
        """A link for an invoice."""
        return (await self.link(self.caller, invoice_id=invoice.id)).link

    async def opened_page(self, invoice: Invoice) -> str:
        """A hosted page for an invoice; returns the provider's reference."""
        await self.follow((await self.linked(invoice)).token)
        (page,) = [c for c in await self.checkouts() if c.invoice_id == invoice.id and c.state.value == "open"]
        assert page.reference is not None
        return page.reference

    async def order(self, invoice: Invoice, money: Money, *, organisation: str | None = None) -> str:
        """A page at the provider that no link of ours knows; returns its reference."""
        metadata = {"patchbay_organisation": organisation or self.org, "patchbay_invoice": invoice.id}
        order = CheckoutOrder(money, "", "", "", "", self.clock.now() + timedelta(hours=1), metadata=metadata)
        page = await self.fake.create_checkout({"secret_key": "x"}, order, key=self.ids.token())
        return page.reference

    async def paid(self, money: int = 10_000) -> tuple[Invoice, Payment]:
        """An invoice of 100 USD and the payment that settled it."""
        invoice = await self.open_invoice(money)
        page = self.fake.pay(await self.opened_page(invoice))
        assert page.intent_reference is not None
        await self.settle.intent(self.org, self.connection.id, page.intent_reference)
        (payment,) = [p for p in await self.payments() if p.reference == page.intent_reference]
        return await self.invoice(invoice.id), payment

    async def webhook(self, body: bytes) -> TakenIn:
        """The provider sends one of its events."""
        headers = self.fake.sign(body, self.fake.webhook_secret, self.clock.now())
        lower = {name.lower(): value for name, value in headers.items()}
        return await self.receive("fake", lower, body, connection_id=self.connection.id)

    async def endpoint(self, host: str = "acme.example", *events: str, **changes: Any) -> Endpoint:
        """A webhook endpoint that wants some events, or all."""
        endpoint: Endpoint = self.make.endpoint(
            self.org, **{"url": f"https://{host}/hook", "events": events or ("*",), **changes}
        )
        sealed = self.vault.seal(new_secret(bytes(32)), about=about_endpoint(endpoint.id, endpoint.organisation_id))
        endpoint = attrs.evolve(endpoint, secrets=(SigningSecret(sealed, self.clock.now()),))
        await self.add("endpoints", endpoint)
        return endpoint

    async def tell_all(self, count: int = 1, type: str = "order.shipped", **more: Any) -> list[NewEvent]:
        """The host application publishes events, one call each."""
        made = []
        for _ in range(count):
            event = await self.publish.one(self.caller, Published(type, {"id": 1}, **more))
            assert isinstance(event, NewEvent)
            made.append(event)
        return made

    async def lane(self, destination_id: str) -> Lane:
        """How a destination fares, as it was written down last."""
        return (await self.dispatch.lanes(self.org, [destination_id]))[destination_id]

    async def deliveries(self, destination_id: str | None = None) -> tuple[Delivery, ...]:
        """Deliveries, perhaps to one destination."""
        async with self.look() as work:
            found = await work.deliveries.all()
        return tuple(one for one in found if destination_id in (None, one.destination_id))
