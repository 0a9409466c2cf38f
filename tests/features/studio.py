"""The studio whose hub the features drive: every use case as it is wired for real, with all outside of it faked."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar, final

import attrs
import punq

from adapters.http.tls import TlsIdentities
from adapters.providers.discord.provider import PROVIDER as DISCORD
from adapters.providers.slack.provider import PROVIDER as SLACK
from adapters.providers.smtp.provider import PROVIDER as SMTP
from application.billing.links import LinkView
from application.caller import Caller
from application.connections.connect import PublicUrl
from application.delivery.handover import Handover
from application.inbox.handle import HandleInbox
from application.inbox.receive import ReceiveWebhook
from application.notifications.carry import ConsoleUrl
from application.notifications.deliver_due import DeliverDue
from application.notifications.endpoint_settings import OwnAddresses
from application.notifications.endpoints import Issued
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch
from application.ports.ids import Ids
from application.ports.inbox import WebhookInbox
from application.ports.intake import Intake
from application.ports.invoice_paper import InvoicePaper
from application.ports.journal import Journal
from application.ports.leases import Leases
from application.ports.message_channel import MessageChannel
from application.ports.outgoing import ClientIdentities, ClientIdentity, Outgoing, Reply
from application.ports.passwords import Passwords
from application.ports.payments import PaymentProvider
from application.ports.providers import Providers
from application.ports.pruning import Pruning
from application.ports.signer import Signer
from application.ports.statistics import Statistics
from application.ports.store import Store, Work
from application.ports.vault import Vault
from application.ports.work_queue import WorkQueue
from application.upkeep.jobs import Retention
from domain.billing.invoices import Invoice
from domain.billing.payments import Payment, Refund
from domain.connections.connection import Connection
from domain.connections.provider import Provider
from domain.events import Event
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery
from domain.notifications.schedule import DEFAULT, RetrySchedule
from domain.organisations import Organisation
from domain.refusals import NotFound, Refusal
from domain.work.records import Record
from entrypoints.wiring import USE_CASES
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import FrozenClock
from tests.fakes.dispatch import MemoryDispatch
from tests.fakes.ids import CountingIds
from tests.fakes.inbox import MemoryWebhookInbox
from tests.fakes.intake import MemoryIntake
from tests.fakes.journal import RememberingJournal
from tests.fakes.leases import MemoryLeases
from tests.fakes.outgoing import FakeOutgoing, Request
from tests.fakes.paper import PlainPaper
from tests.fakes.passwords import QuickPasswords
from tests.fakes.payments import FakePayments
from tests.fakes.providers import FAKE
from tests.fakes.pruning import MemoryPruning
from tests.fakes.signer import PlainSigner
from tests.fakes.statistics import MemoryStatistics
from tests.fakes.store import MemoryStore
from tests.fakes.vault import PlainVault
from tests.fakes.work_queue import RecordingQueue

T = TypeVar("T")

CHANNELS = {"Slack": SLACK.slug, "Discord": DISCORD.slug, "mail": SMTP.slug}
"""What people call a channel, and its provider."""


@attrs.frozen
class Arrival:
    """A request, where it was sent to, and when."""

    url: str
    at: datetime
    request: Request


@final
class Receivers(Outgoing):
    """Every address that the hub can send to, each with a script of its own; one that has none accepts everything.

    arrivals: what was sent, oldest first.
    """

    def __init__(self, clock: Clock) -> None:
        self.arrivals: list[Arrival] = []
        self._clock = clock
        self._by_url: dict[str, FakeOutgoing] = {}

    def at(self, url: str) -> FakeOutgoing:
        """Who listens there."""
        return self._by_url.setdefault(url, FakeOutgoing())

    async def check(self, url: str, *, field: str = "url") -> None:
        await self.at(url).check(url, field=field)

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout: timedelta,
        identity: ClientIdentity | None = None,
    ) -> Reply:
        here, at = self.at(url), self._clock.now()
        try:
            return await here.send(method, url, headers=headers, body=body, timeout=timeout, identity=identity)
        finally:
            self.arrivals += [Arrival(url, at, r) for r in here.requests]
            here.requests.clear()


@final
class Town(Providers):
    """The real Slack, Discord and mail by name, a channel of the fakes behind each; payments are taken by `fake`."""

    def __init__(self, clock: Clock) -> None:
        self.payments_fake = FakePayments(clock)
        self.channels = {slug: FakeChannel() for slug in CHANNELS.values()}
        self._manifests = {one.slug: one for one in (DISCORD, FAKE, SLACK, SMTP)}

    def all(self) -> tuple[Provider, ...]:
        return tuple(self._manifests.values())

    def manifest(self, slug: str) -> Provider:
        if slug not in self._manifests:
            raise NotFound("provider", slug)
        return self._manifests[slug]

    def payments(self, slug: str) -> PaymentProvider:
        if slug != FAKE.slug:
            raise NotFound("payment provider", slug)
        return self.payments_fake

    def channel(self, slug: str) -> MessageChannel:
        if slug not in self.channels:
            raise NotFound("message channel", slug)
        return self.channels[slug]


@attrs.define
class Scene:
    """What the scenario is about so far: the things that its sentences call "it", "the link", "the page"."""

    clients: dict[str, Record] = attrs.field(factory=dict)
    listeners: dict[str, Issued] = attrs.field(factory=dict)
    notifications: dict[str, Notification] = attrs.field(factory=dict)
    invoice: Invoice | None = None
    link: LinkView | None = None
    pages: list[str] = attrs.field(factory=list)
    seen: Any = None
    refunds: list[Refund] = attrs.field(factory=list)
    refusals: list[Refusal] = attrs.field(factory=list)
    event: Event | None = None
    answers: list[bytes] = attrs.field(factory=list)
    heard: int = 0
    """How many of the provider's webhooks have been let through so far."""


class Studio:
    """Harbour & Finch: an organisation with a hub. `scene` is what the present scenario has brought about."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.ids = CountingIds()
        self.vault = PlainVault()
        queue, handover, public = RecordingQueue(), Handover(), PublicUrl("https://hub.harbour-finch.example")
        self.store = MemoryStore(self.clock, queue)
        self.inbox = MemoryWebhookInbox(self.store.shelves, queue)
        self.dispatch = MemoryDispatch(self.store.shelves, public.url)
        self.leases = MemoryLeases(self.clock)
        self.receivers = Receivers(self.clock)
        self.town = Town(self.clock)
        self.caller = Caller(self.ids.new("organisation"), "key:back office")
        self.scene = Scene()
        self._container = punq.Container()
        instances: tuple[tuple[Any, Any], ...] = (
            (Clock, self.clock),
            (Ids, self.ids),
            (Store, self.store),
            (Leases, self.leases),
            (Dispatch, self.dispatch),
            (WebhookInbox, self.inbox),
            (Intake, MemoryIntake(self.store.shelves, self.ids, queue, handover)),
            (Handover, handover),
            (Signer, PlainSigner()),
            (WorkQueue, queue),
            (Vault, self.vault),
            (WebhookInbox, MemoryWebhookInbox(self.store.shelves, queue)),
            (Statistics, MemoryStatistics()),
            (Pruning, MemoryPruning(self.store.shelves)),
            (Outgoing, self.receivers),
            (ClientIdentities, TlsIdentities()),
            (OwnAddresses, OwnAddresses(public.url, "127.0.0.1", 8000)),
            (Journal, RememberingJournal()),
            (Providers, self.town),
            (Passwords, QuickPasswords()),
            (InvoicePaper, PlainPaper()),
            (PublicUrl, public),
            (ConsoleUrl, ConsoleUrl("https://hub.harbour-finch.example/console")),
            (RetrySchedule, DEFAULT),
            (Retention, Retention(timedelta(days=90))),
        )
        for port, instance in instances:
            self._container.register(port, instance=instance)
        for use_case in USE_CASES:
            self._container.register(use_case, scope=punq.Scope.singleton)

    @property
    def till(self) -> FakePayments:
        """Who takes the payments."""
        return self.town.payments_fake

    def use(self, kind: type[T]) -> T:
        """A use case."""
        found: T = self._container.resolve(kind)
        return found

    async def found(self) -> None:
        """Open the doors."""
        organisation = Organisation(self.caller.organisation_id, "Harbour & Finch", self.clock.now())
        await self.store.found(organisation)

    async def look(self, question: Callable[[Work], Awaitable[T]]) -> T:
        """Ask the store something."""
        async with self.store.reading(self.caller.organisation_id) as work:
            return await question(work)

    async def attempt(self, deed: Awaitable[T]) -> T | None:
        """What came of it; None when it was refused, which the scene then knows."""
        try:
            return await deed
        except Refusal as refusal:
            self.scene.refusals.append(refusal)
            return None

    async def invoice(self) -> Invoice:
        """The scene's invoice as it is now."""
        assert self.scene.invoice is not None, "the scene has no invoice"
        id_ = self.scene.invoice.id
        return await self.look(lambda work: work.invoices.get(id_))

    async def payments(self) -> tuple[Payment, ...]:
        """Every payment."""
        return await self.look(lambda work: work.payments.all())

    async def payment(self) -> Payment:
        """The only payment."""
        (payment,) = await self.payments()
        return payment

    async def connection(self, provider: str) -> Connection:
        """The connection to a provider."""
        (found,) = await self.look(lambda work: work.connections.all(provider=provider))
        return found

    async def events(self, type_: str) -> tuple[Event, ...]:
        """The events of a type, oldest first."""
        return await self.look(lambda work: work.events.all(type=type_))

    async def delivery(self, listener: str) -> Delivery:
        """The latest delivery to one who listens."""
        id_ = self.scene.listeners[listener].endpoint.id
        return (await self.look(lambda work: work.deliveries.all(destination_id=id_)))[-1]

    async def take_in(self, body: bytes) -> None:
        """One of the payment provider's webhooks arrives."""
        headers = self.till.sign(body, self.till.webhook_secret, self.clock.now())
        lower = {name.lower(): value for name, value in headers.items()}
        await self.use(ReceiveWebhook)(FAKE.slug, lower, body)

    async def let_through(self, *bodies: bytes) -> None:
        """The payment provider's webhooks arrive in this order; each is handled before the next comes."""
        for body in bodies:
            await self.take_in(body)
            await self.settle_down()

    def unheard(self) -> list[bytes]:
        """What the payment provider has told since the last time."""
        bodies = self.till.events[self.scene.heard :]
        self.scene.heard = len(self.till.events)
        return bodies

    async def settle_down(self) -> None:
        """Workers do what is due at this moment, and what follows from it."""
        handle, deliver = self.use(HandleInbox), self.use(DeliverDue)
        while await handle() + await deliver():
            pass

    async def wait_until_quiet(self) -> list[datetime]:
        """Time passes until nothing is left to be done. Returns the moments at which something was."""
        moments = []
        while (due := await self.next_due()) is not None:
            self.clock.advance(max(due - self.clock.now(), timedelta()))
            moments.append(self.clock.now())
            await self.settle_down()
        return moments

    async def next_due(self) -> datetime | None:
        """When something is to be done next, as far as is known."""
        moments = (await self.dispatch.next_due(), await self.inbox.next_due(self.clock.now()))
        return min((moment for moment in moments if moment is not None), default=None)
