"""The sandbox: every provider emulated in one process, for the demo, our tests and the host application's own tests."""

import asyncio

import attrs
from litestar import Litestar, get
from markupsafe import Markup

from adapters.clock import RandomIds, SystemClock
from adapters.providers.discord import sandbox as discord
from adapters.providers.flutterwave import sandbox as flutterwave
from adapters.providers.paypal import sandbox as paypal
from adapters.providers.slack import sandbox as slack
from adapters.providers.smtp import sandbox as smtp
from adapters.providers.stripe import sandbox as stripe
from adapters.sandbox.page import empty, joined, page
from adapters.sandbox.receiver import ReceiverSandbox, receiver_router
from application.ports.clock import Clock
from application.ports.ids import Ids
from entrypoints.serving import HttpServer, bind, http_server

HOST = "127.0.0.1"


@attrs.define
class Sandbox:
    """The emulated providers, in memory. Open it with `run`, or mount `app` in a test."""

    url: str
    stripe: stripe.StripeSandbox
    paypal: paypal.PayPalSandbox
    flutterwave: flutterwave.FlutterwaveSandbox
    slack: slack.SlackSandbox
    discord: discord.DiscordSandbox
    mail: smtp.MailSink
    receivers: ReceiverSandbox
    app: Litestar

    @classmethod
    def at(cls, port: int, *, mail_port: int = 0, clock: Clock | None = None, ids: Ids | None = None) -> "Sandbox":
        """A sandbox that will be reached at this port. `mail_port` 0 takes any free one."""
        clock, ids = clock or SystemClock(), ids or RandomIds()
        url = f"http://{HOST}:{port}"
        stripe_, slack_, discord_ = (
            stripe.StripeSandbox(clock, ids, url),
            slack.SlackSandbox(clock, ids, url),
            discord.DiscordSandbox(clock, ids, url),
        )
        paypal_, flutterwave_ = paypal.PayPalSandbox(clock, ids, url), flutterwave.FlutterwaveSandbox(clock, ids, url)
        sink = smtp.MailSink(clock, ids, HOST, mail_port)
        receivers = ReceiverSandbox(clock, ids, url)
        app = Litestar(
            route_handlers=[
                _home,
                stripe.sandbox_router(stripe_),
                paypal.sandbox_router(paypal_),
                flutterwave.sandbox_router(flutterwave_),
                slack.sandbox_router(slack_),
                discord.sandbox_router(discord_),
                smtp.sandbox_router(sink),
                receiver_router(receivers),
            ],
            openapi_config=None,
            logging_config=None,
        )
        return cls(url, stripe_, paypal_, flutterwave_, slack_, discord_, sink, receivers, app)

    async def run(self, port: int, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
        """Serve until `stop`. Raises CannotListen."""
        listener = bind(HOST, port)
        server: HttpServer = http_server(self.app)
        async with self.mail, asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            await server.until_started()
            if ready is not None:
                ready.set()
            await stop.wait()
            server.stop()
        await self.aclose()

    async def aclose(self) -> None:
        """End the webhooks that are under way, and whatever else waits."""
        await self.stripe.aclose()
        await self.paypal.aclose()
        await self.flutterwave.aclose()


@get("/", sync_to_thread=False, include_in_schema=False)
def _home() -> object:
    """What is here."""
    rows = [
        ("/stripe/_sandbox", "Stripe", "API at /stripe/v1; hosted pages; signed webhooks"),
        ("/paypal/_sandbox", "PayPal", "API at /paypal; approval pages; signed webhooks"),
        ("/flutterwave/_sandbox", "Flutterwave", "API at /flutterwave/v3; hosted pages; mobile money; webhooks"),
        ("/slack", "Slack", "the channel as people see it"),
        ("/discord", "Discord", "the channel as people see it"),
        ("/mail", "Mail", "what was handed in by SMTP"),
        ("/receiver", "Webhook receiver", "what the host application received, signatures checked"),
    ]

    cards = [
        Markup('<article><h2><a href="{}">{}</a></h2><p class="faint">{}</p></article>').format(*row) for row in rows
    ]
    return page("Sandbox", joined(cards) or empty("Nothing is here."))
