"""One of each thing that the API speaks of, made over the API by whoever asks."""

from collections.abc import Mapping
from typing import Any

import attrs
import httpx

from adapters.providers.stripe.webhook import signature
from application.connections.access import about
from application.ports.store import Store
from application.ports.vault import Vault
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, made, read, work_off

USD = {"description": "Brand workshop", "unit_price": "100.00"}


async def a_client(asking: Client) -> Any:
    """Somebody to invoice."""
    return await made(asking, "/api/clients", {"name": "Northwind", "email": "ada@northwind.example"})


async def an_invoice(asking: Client, *, price: str = "100.00", currency: str = "USD", due_on: str | None = None) -> Any:
    """A draft of one line."""
    client = await a_client(asking)
    line = {"description": "Brand workshop", "unit_price": price}
    body = {"client_id": client["id"], "currency": currency, "lines": [line], "due_on": due_on}
    return await made(asking, "/api/invoices", body)


async def stripe(asking: Client, key: str = "sk_test_integration") -> Any:
    """A connection to the sandbox's Stripe."""
    return await made(asking, "/api/integrations/stripe/connect", {"secret_key": key})


async def slack(asking: Client, box: Sandbox) -> Any:
    """A connection to the sandbox's Slack."""
    return await made(asking, "/api/integrations/slack/connect", {"webhook_url": box.slack.webhook_url})


async def smtp(asking: Client, box: Sandbox, **more: str) -> Any:
    """A connection to the sandbox's mail server."""
    server = {"host": "127.0.0.1", "port": str(box.mail.port), "security": "none", "sender": "billing@studio.example"}
    return await made(asking, "/api/integrations/smtp/connect", {**server, **more})


async def an_endpoint(asking: Client, box: Sandbox, name: str = "app", **more: Any) -> Any:
    """A webhook endpoint at the sandbox's receiver, which is told its secret."""
    endpoint = await made(asking, "/api/webhooks", {"url": box.receivers.url(name), **more})
    box.receivers.control(name, {"secret": endpoint["secret"]})
    return endpoint


async def an_event(asking: Client, type: str = "invoice.paid", **data: Any) -> Any:
    """An event of the host application's."""
    return await made(asking, "/api/events", {"type": type, "data": data})


async def a_notification(asking: Client, box: Sandbox) -> Any:
    """A notification configuration with a webhook URL of its own."""
    body = {"name": "#billing", "platform": "slack", "events": ["*"], "webhook_url": box.slack.webhook_url}
    return await made(asking, "/api/integrations/notifications", body)


async def a_link(asking: Client, invoice: Mapping[str, Any]) -> Any:
    """The payment link of an invoice at Stripe."""
    return await made(asking, "/api/integrations/stripe/payment-link", {"invoice_id": invoice["id"]})


@attrs.frozen
class Page:
    """The sandbox's hosted page behind a link of ours."""

    url: str
    box: Sandbox

    @property
    def session(self) -> Any:
        """What Stripe knows of it."""
        return self.box.stripe.holder("sessions", self.url.rpartition("/")[2])[1]

    async def pay(self, card: str = "4242424242424242") -> httpx.Response:
        """As a person does, on the page; returns the answer to the form."""
        form = {"email": "ada@northwind.example", "card": card, "expiry": "12 / 34", "cvc": "123", "name": "Ada"}
        async with Client(timeout=10) as browser:
            answer = await browser.post(self.url, data=form)
        assert answer.status_code == 303, answer.text
        return answer


async def hosted(asking: Client, box: Sandbox, link: Mapping[str, Any]) -> Page:
    """Follow the link, without a key."""
    path = "/pay/" + link["url"].rpartition("/")[2]
    answer = await asking.get(path, headers={"Authorization": ""})
    assert answer.status_code == 303, answer.text
    return Page(answer.headers["location"], box)


def events_of(box: Sandbox, *types: str) -> list[dict[str, Any]]:
    """What the sandbox's Stripe would tell, in the order it happened."""
    found = [event for books in box.stripe.shops() for event in books.events.values()]
    return [event for event in found if not types or event["type"] in types]


async def secret_of(hub: Hub, connection: Mapping[str, Any]) -> str:
    """With what this connection's webhooks are signed."""
    store, vault = hub.resolve(Store), hub.resolve(Vault)  # type: ignore[type-abstract]
    (found,) = [c for c in await store.connections_of(connection["provider"]) if c.id == connection["id"]]
    return vault.open(found.sealed["webhook_secret"], about=about(found.id, found.organisation_id, "webhook_secret"))


def signed(secret: str, body: bytes, at: float) -> dict[str, str]:
    """Stripe's header, and what comes with it."""
    moment = int(at)
    return {
        "Stripe-Signature": f"t={moment},v1={signature(secret, moment, body)}",
        "Content-Type": "application/json; charset=utf-8",
        "Authorization": "",
    }


async def paid(asking: Client, hub: Hub, box: Sandbox, *, price: str = "100.00") -> Any:
    """An invoice that was paid on the hosted page, in full; with its payments, as the API shows it."""
    invoice = await an_invoice(asking, price=price)
    page = await hosted(asking, box, await a_link(asking, invoice))
    answer = await page.pay()
    back = "/pay/" + str(answer.headers["location"]).rpartition("/pay/")[2]
    await asking.get(back, headers={"Authorization": ""})
    await work_off(hub)
    return await read(asking, f"/api/invoices/{invoice['id']}")
