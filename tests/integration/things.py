"""One of each thing that the API speaks of, made over the API by whoever asks."""

from collections.abc import Mapping
from typing import Any

import attrs
import httpx

from adapters.providers.stripe.webhook import signature
from application.billing.customers import KeepMethod
from application.connections.access import about
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.payments import Intent, IntentState
from application.ports.store import Store
from application.ports.vault import Vault
from domain.billing.conflicts import ConflictKind, Finding
from domain.billing.customers import CustomerAtProvider
from domain.billing.reconciliation import Difference, DifferenceKind
from domain.money import Currency, Money
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, made, read, work_off

USD = {"description": "Brand workshop", "unit_price": "100.00"}


async def a_client(asking: Client) -> Any:
    """Somebody to invoice."""
    return await made(asking, "/api/clients", {"name": "Northwind", "email": "ada@northwind.example"})


async def a_customer(hub: Hub, organisation_id: str, client_id: str) -> None:
    """A client as a provider knows them, as if they had paid there."""
    store, now = hub.resolve(Store), hub.resolve(Clock).now()  # type: ignore[type-abstract]
    made_there = CustomerAtProvider(
        hub.resolve(Ids).new("customer_at_provider"),  # type: ignore[type-abstract]
        organisation_id,
        client_id,
        "stripe",
        "acct_elsewhere",
        "cus_elsewhere",
        None,
        now,
        now,
    )
    async with store.of(organisation_id) as work:
        await work.customers_at_providers.add(made_there)
        await work.commit()


async def a_token(hub: Hub, organisation_id: str, client_id: str, token: str = "token-1") -> str:
    """A method that the hub keeps for a client at the organisation's first connection; returns its id."""
    store = hub.resolve(Store)  # type: ignore[type-abstract]
    usd = Money(100, Currency("USD"))
    nothing = Money.zero(usd.currency)
    intent = Intent("i", IntentState.SUCCEEDED, usd, usd, nothing, "ok", None, None, {}, method_reference=token)
    async with store.of(organisation_id) as work:
        connection = (await work.connections.all())[0]
        await hub.resolve(KeepMethod)(work, connection, client_id, intent, "ada@northwind.example")
        (*_, kept) = await work.saved_methods.all(client_id=client_id)
        await work.commit()
    return kept.id


async def an_invoice(asking: Client, *, price: str = "100.00", currency: str = "USD", due_on: str | None = None) -> Any:
    """A draft of one line."""
    client = await a_client(asking)
    line = {"description": "Brand workshop", "unit_price": price}
    body = {"client_id": client["id"], "currency": currency, "lines": [line], "due_on": due_on}
    return await made(asking, "/api/invoices", body)


async def a_plan(asking: Client, **more: Any) -> Any:
    """A plan at 90 USD a month."""
    prices = [{"amount": "90.00", "currency": "USD"}, {"amount": "12000", "currency": "JPY"}]
    plan = {"code": "studio", "name": "Studio", "interval": "month", "prices": prices, "features": ["api", "exports"]}
    return await made(asking, "/api/billing/plans", {**plan, "limits": {"seats": 5, "projects": -1}, **more})


async def a_subscription(asking: Client, **more: Any) -> Any:
    """A subscription to the plan `studio` that its client has to agree to."""
    body = {"client_id": (await a_client(asking))["id"], "plan": "studio", "currency": "USD", **more}
    return await made(asking, "/api/billing/subscription", body)


async def stripe(asking: Client, key: str = "sk_test_integration") -> Any:
    """A connection to the sandbox's Stripe."""
    return await made(asking, "/api/integrations/stripe/connect", {"secret_key": key})


async def paypal(asking: Client) -> Any:
    """A connection to the sandbox's PayPal."""
    fields = {"client_id": "client-of-the-integration-tests", "client_secret": "secret-of-the-integration-tests"}
    return await made(asking, "/api/integrations/paypal/connect", fields)


async def flutterwave(asking: Client, box: Sandbox, hub_url: str) -> Any:
    """A connection to the sandbox's Flutterwave, which is told where the webhooks go, as people do in its dashboard."""
    key, hash_ = "FLWSECK_TEST-integration-X", "hash-of-the-integration-tests"
    body = {"secret_key": key, "webhook_secret": hash_}
    connection = await made(asking, "/api/integrations/flutterwave/connect", body)
    box.flutterwave.set_webhook(key, f"{hub_url}/api/billing/webhooks/flutterwave", hash_)
    return connection


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


async def a_payout(asking: Client, hub: Hub, box: Sandbox) -> Any:
    """A payout at Stripe, out of what was paid before."""
    await paid(asking, hub, box)
    return await made(asking, "/api/payments/payout", {"provider": "stripe", "amount": "5.00", "currency": "USD"})


async def a_reconciliation(asking: Client) -> Any:
    """A reconciliation of a day long ago, which waits to be carried out."""
    window = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    return await made(asking, "/api/billing/reconciliations", {"connection": "stripe", **window})


async def a_difference(hub: Hub, run_id: str) -> str:
    """Something that a reconciliation found; returns its id."""
    store, now = hub.resolve(Store), hub.resolve(Clock).now()  # type: ignore[type-abstract]
    (organisation,) = await store.organisations()
    id_ = hub.resolve(Ids).new("difference")  # type: ignore[type-abstract]
    fee = Money(100, Currency("USD"))
    found = Difference(
        id_, organisation.id, run_id, DifferenceKind.MISSING_HERE, "fee", "fee_1", "nothing", str(fee), fee, now
    )
    async with store.of(organisation.id) as work:
        await work.differences.add(found)
        await work.commit()
    return id_


async def a_conflict(asking: Client, hub: Hub, box: Sandbox) -> Any:
    """A payment that is not what was asked for, for a person to settle."""
    bill = await paid(asking, hub, box)
    store, now = hub.resolve(Store), hub.resolve(Clock).now()  # type: ignore[type-abstract]
    (organisation, *_) = await store.organisations()
    async with store.of(organisation.id) as work:
        payment = await work.payments.get(bill["payments"][0]["id"])
        await work.payments.save(
            payment.set_aside(Finding(ConflictKind.OVERPAID, "More came than was asked for."), now)
        )
        await work.commit()
    return bill["payments"][0]
