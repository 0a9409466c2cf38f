"""The use cases over the fakes, put together by hand, with one organisation that can be paid."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import attrs
import pytest

from application.billing.books import Books
from application.billing.charge import ChargeOffSession
from application.billing.close_checkouts import CloseCheckouts
from application.billing.credit import CreditInvoice
from application.billing.customers import EnsureCustomer, KeepMethod, SyncCustomer
from application.billing.fix_difference import FixDifference
from application.billing.follow import FollowPaymentLink, ReturnFromCheckout
from application.billing.intents import StartPayment
from application.billing.invoices import CreateInvoice, ReviseInvoice, VoidInvoice
from application.billing.janitor import PollPages, ResumeRefunds, UnknownPayments
from application.billing.learn import LearnPayment
from application.billing.links import CreatePaymentLink, ExpirePaymentLink
from application.billing.methods import ClientMethods
from application.billing.mirror import MirrorInvoice
from application.billing.news import TellOfPayment
from application.billing.open_books import OpenBooks
from application.billing.open_page import OpenPage
from application.billing.payouts import CreatePayout, NotePayout, SyncPayout
from application.billing.printing import PrintInvoice
from application.billing.reconcile import Reconcile, StartReconciliation
from application.billing.refund import RefundPayment
from application.billing.reminders import InvoiceReminders, RemindClient
from application.billing.resolve import ResolveConflict
from application.billing.send_invoice import SendInvoice
from application.billing.settings import SaveBillingSettings
from application.billing.settle import Settle
from application.billing.subscriptions.at_provider import Reach
from application.billing.subscriptions.cancel import CancelSubscription, ResumeSubscription
from application.billing.subscriptions.change import ChangeSubscription
from application.billing.subscriptions.create import CreateSubscription
from application.billing.subscriptions.invoicing import SubscriptionInvoices
from application.billing.subscriptions.paid import NoteSubscriptionPaid
from application.billing.subscriptions.pause import PauseSubscription
from application.billing.subscriptions.plans import ChangePlan, CreatePlan, EnsurePlan
from application.billing.subscriptions.preview import PreviewChange
from application.billing.subscriptions.renew import RenewSubscription
from application.billing.subscriptions.renewals import Renewals, SweepSubscriptions
from application.billing.subscriptions.sync import SyncSubscription
from application.billing.subscriptions.telling import TellOfSubscription
from application.billing.unknown_payouts import ResolvePayouts
from application.billing.write_off import WriteOffInvoice
from application.caller import Caller
from application.connections.access import about
from application.connections.connect import ProviderUnavailable, PublicUrl
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
from application.ports.inbox import WebhookInbox
from application.ports.intake import NewEvent
from application.ports.leases import Leases
from application.ports.outgoing import Outgoing
from application.ports.payments import CheckoutOrder, PaymentProvider, RetryLater
from application.ports.store import Store, Work
from application.upkeep.jobs import ExpireLinks, ForgetOld, MarkOverdue, Retention
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
from tests.fakes.paper import PlainPaper
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
        self,
        outgoing: Outgoing | None = None,
        schedule: RetrySchedule = DEFAULT,
        clock: Clock | None = None,
        around: Callable[[Store, Leases, WebhookInbox], tuple[Any, Any, Any]] | None = None,
    ) -> None:
        """`around`: gives the store, leases and inbox that stand in for those in memory."""
        self.clock = cast("FrozenClock", clock or FrozenClock())
        """Whoever gives another cannot set it forward."""
        self.ids, self.queue, self.vault = CountingIds(), RecordingQueue(), PlainVault()
        self.store = memory = MemoryStore(self.clock, self.queue)
        self.leases = MemoryLeases(self.clock)
        self.inbox = MemoryWebhookInbox(memory.shelves, self.queue)
        if around is not None:
            self.store, self.leases, self.inbox = around(self.store, self.leases, self.inbox)
        self.outgoing = outgoing or FakeOutgoing()
        self.providers = FakeProviders(self.clock)
        self.fake: FakePayments = self.providers.fake
        self.between = Between(self.fake)
        self.providers.fake = self.between  # type: ignore[assignment]
        self.make = Examples()
        self.make.ids = self.ids
        store, clock, ids, vault, providers = self.store, self.clock, self.ids, self.vault, self.providers
        self.tell = Tell(clock, ids)
        self.books = Books(clock, ids)
        self.close = CloseCheckouts(store, clock, vault, providers)
        self.keep_method = KeepMethod(clock, ids, vault)
        self.subscription_paid = NoteSubscriptionPaid(TellOfSubscription(self.tell), clock)
        self.learn = LearnPayment(
            store, clock, ids, self.books, self.keep_method, TellOfPayment(self.tell), self.subscription_paid
        )
        self.settle = Settle(store, clock, vault, self.leases, providers, self.close, self.learn)
        self.link = CreatePaymentLink(store, self.tell, clock, ids, self.leases, providers, PUBLIC, self.books)
        self.expire_link = ExpirePaymentLink(store, self.tell, clock, self.close)
        self.ensure_customer = EnsureCustomer(store, clock, ids, vault, self.leases, providers)
        self.open_page = OpenPage(store, clock, vault, providers, self.ensure_customer)
        self.follow = FollowPaymentLink(store, clock, ids, self.leases, providers, PUBLIC, self.close, self.open_page)
        self.return_from = ReturnFromCheckout(store, self.follow, self.settle)
        self.start = StartPayment(store, self.tell, clock, ids, vault, providers, self.books)
        self.send = SendInvoice(store, self.tell, clock, self.link, providers, self.books)
        self.refund = RefundPayment(store, self.tell, clock, ids, vault, self.leases, providers, self.settle)
        self.create_invoice = CreateInvoice(store, self.tell, clock, ids, self.books)
        self.revise_invoice = ReviseInvoice(store, self.tell, clock)
        self.void_invoice = VoidInvoice(store, self.tell, clock, self.close, self.books)
        self.write_off = WriteOffInvoice(store, self.tell, clock, self.books)
        self.mirror = MirrorInvoice(self.tell, clock, ids, self.books)
        self.credit = CreditInvoice(store, self.tell, clock, ids, self.books, self.refund, self.close)
        self.print = PrintInvoice(store, clock, PUBLIC, PlainPaper())
        self.save_settings = SaveBillingSettings(store, self.tell, clock, PlainPaper())
        self.remind = RemindClient(store, self.tell, clock, self.link, providers)
        self.reminders = InvoiceReminders(store, clock, self.remind)
        self.receive = ReceiveWebhook(clock, ids, providers, KnownSenders(store, vault, clock), self.inbox)
        self.journal = RememberingJournal()
        self.client_methods = ClientMethods(store, clock, vault, providers, self.tell)
        self.sync_customer = SyncCustomer(store, clock, vault, providers)
        note_payout = NotePayout(self.tell, clock, self.books)
        self.sync_payout = SyncPayout(store, clock, ids, vault, self.leases, providers, note_payout)
        self.pay_out = CreatePayout(store, self.tell, clock, ids, vault, self.leases, providers, note_payout)
        self.resolve_payouts = ResolvePayouts(store, clock, vault, self.leases, providers, self.pay_out, note_payout)
        self.start_reconciliation = StartReconciliation(store, self.tell, clock, ids, providers)
        self.reconcile = Reconcile(
            store, self.tell, clock, ids, vault, self.leases, providers, ConsoleUrl(f"{PUBLIC.url}/console")
        )
        self.fix_difference = FixDifference(store, self.tell, clock, self.settle, self.sync_payout)
        self.open_books = OpenBooks(store, self.books)
        self.reach = Reach(store, vault, providers)
        told = TellOfSubscription(self.tell)
        self.subscription_invoices = SubscriptionInvoices(self.mirror)
        self.sync_subscription = SyncSubscription(
            store,
            clock,
            self.leases,
            self.reach,
            self.subscription_invoices,
            told,
            self.settle,
            self.link,
            self.void_invoice,
        )
        self.create_plan = CreatePlan(store, self.tell, clock, ids)
        self.change_plan = ChangePlan(store, self.tell, clock)
        self.ensure_plan = EnsurePlan(store, clock, ids, self.leases)
        self.subscribe = CreateSubscription(
            store,
            self.tell,
            clock,
            ids,
            providers,
            PUBLIC,
            self.reach,
            self.ensure_plan,
            self.ensure_customer,
            self.subscription_invoices,
            self.link,
            told,
        )
        self.charge = ChargeOffSession(
            store, clock, ids, vault, self.leases, providers, self.close, self.settle, TellOfPayment(self.tell)
        )
        self.preview = PreviewChange(store, clock, self.reach, self.ensure_plan)
        self.change_subscription = ChangeSubscription(
            store,
            self.tell,
            clock,
            self.leases,
            self.reach,
            self.ensure_plan,
            self.preview,
            self.sync_subscription,
            self.subscription_invoices,
            self.client_methods,
            self.charge,
            self.link,
            self.void_invoice,
            told,
        )
        self.cancel_subscription = CancelSubscription(
            store, self.tell, clock, self.leases, self.reach, self.sync_subscription, self.void_invoice, told
        )
        self.resume_subscription = ResumeSubscription(
            store, self.tell, clock, self.leases, self.reach, self.sync_subscription, told
        )
        self.pause_subscription = PauseSubscription(
            store, self.tell, clock, self.leases, self.reach, self.sync_subscription, told
        )
        self.renew = RenewSubscription(
            store,
            clock,
            self.leases,
            self.reach,
            self.subscription_invoices,
            self.client_methods,
            self.charge,
            self.link,
            self.subscription_paid,
            self.cancel_subscription,
            told,
        )
        self.renewals = Renewals(store, clock, self.leases, self.reach, self.renew, self.cancel_subscription, told)
        self.sweep_subscriptions = SweepSubscriptions(store, clock, self.reach, self.sync_subscription)
        self.handle = HandleInbox(
            self.inbox,
            clock,
            providers,
            self.settle,
            self.sync_subscription,
            self.sync_payout,
            self.sync_customer,
            self.journal,
        )
        self.handle_again = HandleAgain(store, clock, self.tell)
        self.handle_many_again = HandleManyAgain(self.inbox, store, clock, self.tell)
        self.skip_webhook = SkipWebhook(store, clock, self.tell)
        self.download_webhook = DownloadWebhook(store, self.tell)
        self.sweep = SweepMissed(store, clock, ids, vault, providers, self.inbox, self.tell)
        self.handover = Handover()
        self.intake = MemoryIntake(memory.shelves, ids, self.queue, self.handover)
        self.dispatch = MemoryDispatch(memory.shelves, PUBLIC.url)
        self.publish = PublishEvents(self.intake, clock, ids, PUBLIC)
        self.keys = SigningKeys(store, self.tell, clock, ids, vault, PlainSigner())
        self.credentials = ClientCredentials(self.outgoing, clock)
        self.carry = Carry(
            store,
            clock,
            vault,
            self.outgoing,
            providers,
            ConsoleUrl(None),
            self.keys,
            self.credentials,
            schedule,
            self.print,
        )
        self.consequences = Consequences(store, self.tell, clock)
        self.deliver = DeliverDue(
            self.dispatch, self.carry, self.consequences, clock, ids, self.journal, self.queue, self.handover
        )
        self.mark_overdue = MarkOverdue(store, self.tell, clock)
        self.expire_links = ExpireLinks(store, clock, self.close)
        self.resume_refunds = ResumeRefunds(store, clock, self.refund)
        tell_payment = TellOfPayment(self.tell)
        self.unknown_payments = UnknownPayments(store, clock, vault, providers, self.settle, tell_payment)
        self.poll_pages = PollPages(store, clock, vault, providers, self.settle)
        self.resolve = ResolveConflict(store, self.tell, clock, self.books, self.learn, self.close, self.refund)
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
        async with self.store.of(self.org) as work:
            await work.invoices.add(invoice)
            await self.books.invoice_opened(work, invoice)
            await work.commit()
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

    async def page_beside(self, invoice: Invoice, connection: Connection) -> str:
        """Another hosted page for an invoice, which no click would open beside the first; returns its reference."""
        link = (await self.link(self.caller, invoice_id=invoice.id, provider=connection.id)).link
        now = self.clock.now()
        page = Checkout(
            self.ids.new("checkout"),
            self.org,
            link.id,
            invoice.id,
            connection.id,
            invoice.amount_due,
            now,
            now,
            now + timedelta(hours=1),
        )
        await self.add("checkouts", page)
        await self.open_page(invoice, "Acme", "https://hub.example/pay/x", page)
        async with self.look() as work:
            reference = (await work.checkouts.get(page.id)).reference
        assert reference is not None
        return reference

    async def order(self, invoice: Invoice, money: Money, *, organisation: str | None = None) -> str:
        """A page at the provider that no link of ours knows; returns its reference."""
        metadata = {"patchbay_organisation": organisation or self.org, "patchbay_invoice": invoice.id}
        order = CheckoutOrder(money, "", "", "", "", self.clock.now() + timedelta(hours=1), metadata=metadata)
        page = await self.fake.create_checkout({"secret_key": "x"}, order, key=self.ids.token())
        return page.reference

    async def cut_off(self, name: str, call: Callable[[], Any]) -> None:
        """Have the answer to a method of the provider's lost, after its work; the call must be refused for it."""

        async def lose() -> None:
            raise RetryLater("cut off", may_have_happened=True)

        self.between.after[name] = lose
        with pytest.raises(ProviderUnavailable):
            await call()
        del self.between.after[name]

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
