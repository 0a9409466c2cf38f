"""A console with something to see: an organisation with an owner, a viewer and a rival, and one of everything.

Stripe and Slack are stood in for by fakes; everything else is the real hub.
"""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from httpx import ASGITransport, AsyncClient

from application.billing.follow import FollowPaymentLink, ReturnFromCheckout
from application.billing.invoices import CreateInvoice, LineAsked
from application.billing.links import CreatePaymentLink
from application.caller import Caller
from application.connections.connect import Connect
from application.notifications.configurations import SaveNotification
from application.notifications.deliver_due import DeliverDue
from application.notifications.endpoints import CreateEndpoint, Issued
from application.notifications.publish_events import Published, PublishEvents
from application.organisations.keys import IssuedKey, IssueKey
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.passwords import Passwords
from application.ports.store import Store
from application.work.create_record import CreateRecord
from domain.billing.invoices import Invoice
from domain.billing.links import PaymentLink
from domain.billing.payments import Payment
from domain.connections.connection import Connection
from domain.events import Event
from domain.inbox import InboxState, Received
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.organisations import ALL_SCOPES, Organisation, Role, User
from domain.work.kinds.people import CLIENT
from entrypoints.api.middleware import observing
from entrypoints.console import PAGES as CONSOLE
from entrypoints.pay import PAGES as PAY
from entrypoints.wiring import Hub
from tests.fakes.channel import FakeChannel
from tests.fakes.payments import FakePayments

PASSWORD = "correct horse battery"
OWNER, VIEWER, RIVAL = "owner@studio.example", "viewer@studio.example", "owner@rivals.example"

_hashes: list[str] = []
"""The password's hash: made once, because it takes long on purpose."""


@attrs.define
class Scene:
    """Who is there, and one of each thing of the owner's organisation."""

    hub: Hub
    app: Any
    caller: Caller
    payments: FakePayments
    channel: FakeChannel
    mark: str = "Acme"
    stripe: Connection = attrs.field(init=False)
    invoice: Invoice = attrs.field(init=False)
    link: PaymentLink = attrs.field(init=False)
    paid: Invoice = attrs.field(init=False)
    paid_link: PaymentLink = attrs.field(init=False)
    payment: Payment = attrs.field(init=False)
    endpoint: Issued = attrs.field(init=False)
    notification: Notification = attrs.field(init=False)
    failed: Delivery = attrs.field(init=False)
    received: Received = attrs.field(init=False)
    key: IssuedKey = attrs.field(init=False)

    def visitor(self, **headers: str) -> AsyncClient:
        """A browser without a session, which follows no redirects by itself."""
        transport = ASGITransport(self.app, client=(headers.pop("address", "192.0.2.1"), 1234))
        return AsyncClient(transport=transport, base_url=self.hub.settings.public_url, headers=headers)

    @asynccontextmanager
    async def signed_in(self, email: str = OWNER) -> AsyncIterator[AsyncClient]:
        """A browser with a session."""
        async with self.visitor() as browser:
            await sign_in(browser, email)
            yield browser

    async def new_invoice(self, *prices: str, currency: str = "USD", due_in: int | None = 14) -> Invoice:
        """An invoice of the client's with a line for each price."""
        client = await self.hub.resolve(CreateRecord)(
            self.caller, CLIENT, {"name": f"{self.mark} Ltd", "email": "billing@acme.example"}
        )
        now = self.hub.resolve(Clock).now()  # type: ignore[type-abstract]
        names = ("Brand identity", "Website design", "Hosting, one year", "Workshop")
        return await self.hub.resolve(CreateInvoice)(
            self.caller,
            client_id=client.id,
            currency=currency,
            lines=[
                LineAsked(f"{names[n % 4]}{'' if self.mark == 'Acme' else self.mark}", n + 1, price)
                for n, price in enumerate(prices)
            ],
            due_on=None if due_in is None else (now + timedelta(days=due_in)).date(),
            memo=f"Thank you, {self.mark}.",
        )

    async def new_link(self, invoice: Invoice) -> PaymentLink:
        """The invoice's link."""
        return (await self.hub.resolve(CreatePaymentLink)(self.caller, invoice_id=invoice.id)).link

    async def pay(self, link: PaymentLink) -> None:
        """The client follows the link, pays, and comes back."""
        followed = await self.hub.resolve(FollowPaymentLink)(link.token)
        assert followed.pay_at is not None
        self.payments.pay(followed.pay_at.rpartition("/")[2])
        await self.hub.resolve(ReturnFromCheckout)(link.token)


def application(hub: Hub) -> Any:
    """The hub's application with its pages and what is around it."""
    with warnings.catch_warnings():
        # Litestar 2.25 warns of every parameter that 3.0 will want marked; it does so while the application is made.
        warnings.simplefilter("ignore", DeprecationWarning)
        from entrypoints.api.app import create_app

        app = create_app(hub, pages=[*CONSOLE, *PAY])
    return observing(app, ids=hub.resolve(Ids), metrics=hub.metrics)  # type: ignore[type-abstract]


async def sign_in(browser: AsyncClient, email: str, password: str = PASSWORD, **more: str) -> Any:
    """Fill in the form; the answer."""
    page = await browser.get("/console/sign-in")
    token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    form = {"email": email, "password": password, "csrf": token, **more}
    return await browser.post("/console/sign-in", data=form)


@asynccontextmanager
async def scene(hub: Hub, *, mark: str = "Acme") -> AsyncIterator[Scene]:
    """Set it. `mark`: a text that stands in everything that somebody could type."""
    clock = hub.resolve(Clock)  # type: ignore[type-abstract]
    payments, channel = FakePayments(clock), FakeChannel()
    payments.webhook_secret = "whsec_fake"
    real_payments, real_channels = dict(hub.providers._payments), dict(hub.providers._channels)
    hub.providers._payments["stripe"] = payments
    hub.providers._channels["slack"] = channel
    organisation_id = await _people(hub, f"{mark} Studio", OWNER, VIEWER)
    await _people(hub, "Rivals", RIVAL)
    caller = Caller(organisation_id, f"user:{OWNER}")
    made = Scene(hub, application(hub), caller, payments, channel, mark)
    try:
        await _everything(made)
        yield made
    finally:
        hub.providers._payments.update(real_payments)
        hub.providers._channels.update(real_channels)


async def _people(hub: Hub, name: str, owner: str, viewer: str | None = None) -> str:
    """An organisation and who may sign in; its id."""
    if not _hashes:
        _hashes.append(await hub.resolve(Passwords).hash(PASSWORD))  # type: ignore[type-abstract]
    store, ids = hub.resolve(Store), hub.resolve(Ids)  # type: ignore[type-abstract]
    now = hub.resolve(Clock).now()  # type: ignore[type-abstract]
    organisation = Organisation(ids.new("organisation"), name, now, notices_to=owner)
    await store.found(organisation, User(ids.new("user"), organisation.id, owner, _hashes[0], Role.OWNER, now))
    if viewer is not None:
        async with store.of(organisation.id) as work:
            await work.users.add(User(ids.new("user"), organisation.id, viewer, _hashes[0], Role.VIEWER, now))
            await work.commit()
    return organisation.id


async def _everything(made: Scene) -> None:
    hub, caller, mark = made.hub, made.caller, made.mark
    made.key = await hub.resolve(IssueKey)(caller, name=f"Back office {mark}", scopes=ALL_SCOPES)
    connect = hub.resolve(Connect)
    made.stripe = await connect(caller, "stripe", {"secret_key": "sk_test_1"}, name=f"Stripe {mark}")
    mail = {"host": "127.0.0.1", "port": "1", "security": "none", "sender": "billing@studio.example"}
    await connect(caller, "smtp", mail, name=f"Mail {mark}")
    made.notification = await hub.resolve(SaveNotification)(
        caller,
        name=f"Finance channel {mark}",
        platform="slack",
        events=("invoice.*", "payment.received"),
        webhook_url="http://127.0.0.1:1/services/T/B/x",
    )
    made.endpoint = await hub.resolve(CreateEndpoint)(
        caller, url="http://127.0.0.1:1/hooks", events=("*",), name=f"Back office {mark}", headers={"X-Team": "one"}
    )
    made.paid = await made.new_invoice("1250.00", "90.50")
    made.paid_link = await made.new_link(made.paid)
    await made.pay(made.paid_link)
    made.invoice = await made.new_invoice("480.00")
    made.link = await made.new_link(made.invoice)
    await made.new_invoice("5000", currency="JPY", due_in=None)
    await hub.resolve(PublishEvents).one(
        caller, Published("project.started", {"project": {"name": f"Website {mark}"}, "note": mark})
    )
    await hub.resolve(DeliverDue)()  # the endpoint's port is closed: its deliveries wait for a second attempt
    async with hub.resolve(Store).reading(caller.organisation_id) as work:  # type: ignore[type-abstract]
        made.payment = (await work.payments.all(invoice_id=made.paid.id))[0]
        made.paid = await work.invoices.get(made.paid.id)
        made.invoice = await work.invoices.get(made.invoice.id)
    await _troubles(made)


async def _troubles(made: Scene) -> None:
    """A delivery that was given up after three attempts, a webhook that could not be handled, a connection that fails."""
    hub, organisation_id, mark = made.hub, made.caller.organisation_id, made.mark
    now, ids = hub.resolve(Clock).now(), hub.resolve(Ids)  # type: ignore[type-abstract]
    async with hub.resolve(Store).of(organisation_id) as work:  # type: ignore[type-abstract]
        # Not told with Tell: the endpoint would have a second delivery of it, on its way.
        deal = {"title": f"Rebrand {mark}", "url": "javascript:1"}
        event = Event(ids.new("event"), organisation_id, "deal.won", {"deal": deal}, now, now)
        await work.events.add(event)
        fresh = Delivery.of(event, DestinationKind.ENDPOINT, made.endpoint.endpoint.id, id=ids.new("delivery"), now=now)
        made.failed = attrs.evolve(
            fresh,
            state=DeliveryState.FAILED,
            attempts=3,
            last_error=f"The receiver answered 500. {mark}",
            last_status=500,
            finished_at=now,
        )
        await work.deliveries.add(made.failed)
        for number in (1, 2, 3):
            outcome = Outcome(
                Verdict.RETRY if number < 3 else Verdict.REFUSED,
                timedelta(milliseconds=84 * number),
                500,
                f"The receiver answered 500. {mark}",
                {"content-type": "application/json", "webhook-id": event.id, "x-team": mark},
                '{"type": "deal.won", "text": "' + mark + '"}',
                {"content-type": "text/html", "server": mark},
                f"<html><body><h1>Internal Server Error {mark}</h1></body></html>",
                timedelta(seconds=30) if number == 1 else None,
            )
            at = now - timedelta(seconds=40 - 10 * number)
            await work.attempts.add(Attempt(ids.new("attempt"), organisation_id, made.failed.id, number, at, outcome))
        made.received = Received(
            ids.new("inbox"),
            organisation_id,
            made.stripe.id,
            "stripe",
            f"evt_1{mark}",
            "payment_intent.succeeded",
            ('{"id": "evt_1", "note": "' + mark + '"}').encode(),
            {"content-type": "application/json", "user-agent": mark},
            now,
            now,
            InboxState.FAILED,
            12,
            error=f'Traceback (most recent call last):\n  File "settle.py"\nValueError: {mark}',
        )
        await work.inbox.add(made.received)
        slack = (await work.connections.all(provider="slack"))[0]
        await work.connections.save(slack.failed(f"no_service {mark}", datetime.now(UTC)))
        await work.commit()
