"""A whole hub that takes payments through PayPal, emulated beside it: signed webhooks, forged ones, lost ones, and money that
is taken only while it is asked for."""

import json
from datetime import timedelta
from typing import Any

import httpx

from adapters.providers.paypal import sandbox_seal as seal
from application.billing.links import CreatePaymentLink
from application.billing.reconcile import Reconcile
from application.caller import Caller
from application.inbox.sweep import SweepMissed
from application.ports.providers import Providers
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, made, read, work_off
from tests.integration.things import an_invoice, paypal

CLIENT = "client-of-the-integration-tests"


async def a_page(hub: Hub, organisation: str, invoice: Any) -> str:
    """The page of PayPal's that a link of ours leads to."""
    link = await hub.resolve(CreatePaymentLink)(
        Caller(organisation, "tests"), invoice_id=invoice["id"], provider="paypal"
    )
    async with httpx.AsyncClient() as payer:
        answer = await payer.get(link.url)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def agree(page: str, funding: str = "good") -> None:
    """As a person does who then closes the browser: only the webhook leads to the money."""
    async with httpx.AsyncClient() as payer:
        assert (await payer.post(page, data={"answer": funding})).status_code == 303


async def arrived(hub: Hub, sandbox: Sandbox) -> None:
    """Whatever is on its way has come, and is handled; also what came of handling it."""
    for _ in range(2):
        await sandbox.paypal.post.idle()
        await work_off(hub)


async def seen(asking: Client, invoice: Any) -> tuple[str, list[str]]:
    """The invoice's state, and its payments'."""
    now = await read(asking, f"/api/invoices/{invoice['id']}")
    return now["invoice"]["status"], [one["status"] for one in now["payments"]]


def door(live: str, connection: Any) -> str:
    """Where PayPal sends its webhooks."""
    return f"{live}/api/integrations/paypal/webhook/{connection['id']}"


def last_event(sandbox: Sandbox) -> bytes:
    """As PayPal writes it."""
    return json.dumps(sandbox.paypal.books_of(CLIENT).events[-1], separators=(",", ":")).encode()


async def test_an_invoice_is_paid_by_signed_webhooks_alone(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """The approval comes, the money is taken, and its webhook comes five times."""
    sandbox.paypal.post.behaviour.copies = 5
    connection = await paypal(client)
    assert (connection["provider"], connection["live"]) == ("paypal", False)
    (hook,) = sandbox.paypal.books_of(CLIENT).webhooks.values()
    assert hook["url"] == door(live, connection)
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    await agree(await a_page(hub, organisation, invoice))
    await arrived(hub, sandbox)
    assert await seen(client, invoice) == ("paid", ["succeeded"])
    assert len(sandbox.paypal.books_of(CLIENT).captures) == 1


async def test_what_is_declined_when_the_money_is_taken_can_be_paid_otherwise(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """On the same page."""
    await paypal(client)
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    page = await a_page(hub, organisation, invoice)
    await agree(page, "declined")
    await arrived(hub, sandbox)
    assert (await seen(client, invoice))[0] == "open"
    await agree(page)
    await arrived(hub, sandbox)
    assert await seen(client, invoice) == ("paid", ["succeeded"])


async def test_money_is_not_taken_for_an_invoice_that_was_paid_elsewhere(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """Its payer had the page open, and agrees to it later."""
    await paypal(client)
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    page = await a_page(hub, organisation, invoice)
    answer = await client.post(f"/api/invoices/{invoice['id']}/void", json={})
    assert answer.is_success, answer.text
    await agree(page)
    await arrived(hub, sandbox)
    assert sandbox.paypal.books_of(CLIENT).captures == {}
    assert await seen(client, invoice) == ("void", [])


async def test_forged_webhooks_leave_nothing(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """Changed, stale, for another webhook, by another certificate, from another host, without headers."""
    connection = await paypal(client)
    (hook,) = sandbox.paypal.books_of(CLIENT).webhooks
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    sandbox.paypal.post.behaviour.drop = 100
    await agree(await a_page(hub, organisation, invoice))
    body, now = last_event(sandbox), sandbox.paypal._clock.now()  # the sandbox's own
    good = sandbox.paypal.seal(body, hook, now)
    stranger = seal.issue(seal.authority(now), now)
    url = sandbox.paypal.certificate_url()
    forged: list[tuple[dict[str, str], bytes]] = [
        ({}, body),
        (good, body + b" "),
        (good, json.dumps(json.loads(body)).encode()),
        (sandbox.paypal.seal(body, "WH-OTHER", now), body),
        (sandbox.paypal.seal(body, hook, now - timedelta(days=5)), body),
        (sandbox.paypal.seal(body, hook, now + timedelta(minutes=6)), body),
        (seal.headers(stranger, url, "id", now, hook, body), body),
        ({**good, "Paypal-Cert-Url": "https://evil.example/v1/notifications/certs/C"}, body),
        ({**good, "Paypal-Cert-Url": f"{url}-of-nobody"}, body),
    ]
    async with httpx.AsyncClient() as anybody:
        for headers, sent in forged:
            answer = await anybody.post(door(live, connection), content=sent, headers=headers)
            assert answer.status_code == 400, (headers, answer.text)
        await work_off(hub)
        assert await seen(client, invoice) == ("open", [])
        answer = await anybody.post(door(live, connection), content=body, headers=good)
        assert answer.status_code == 200, answer.text
    await work_off(hub)
    assert await seen(client, invoice) == ("paid", ["succeeded"])


async def test_without_the_certificate_paypal_is_asked(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, monkeypatch: Any
) -> None:
    """It could not be fetched; PayPal vouches for its own webhook, and disowns another's."""
    connection = await paypal(client)
    (hook,) = sandbox.paypal.books_of(CLIENT).webhooks
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    sandbox.paypal.post.behaviour.drop = 100
    await agree(await a_page(hub, organisation, invoice))
    body, now = last_event(sandbox), sandbox.paypal._clock.now()  # the sandbox's own
    good = sandbox.paypal.seal(body, hook, now)

    async def away(*_: object) -> None:
        """The certificate cannot be had."""

    payments: Any = hub.resolve(Providers).payments("paypal")  # type: ignore[type-abstract]
    monkeypatch.setattr(payments._certificates, "fetch", away)
    async with httpx.AsyncClient() as anybody:
        other = await anybody.post(door(live, connection), content=body.replace(b"100.00", b"900.00"), headers=good)
        answer = await anybody.post(door(live, connection), content=body, headers=good)
    assert (other.status_code, answer.status_code) == (400, 200), (other.text, answer.text)
    await work_off(hub)
    assert await seen(client, invoice) == ("paid", ["succeeded"])


async def test_a_webhook_that_never_came_is_found(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """PayPal gave up sending, and the payer closed the browser."""
    await paypal(client)
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    sandbox.paypal.post.behaviour.drop = 100
    await agree(await a_page(hub, organisation, invoice))
    await arrived(hub, sandbox)
    assert await seen(client, invoice) == ("open", [])
    clock.advance(timedelta(minutes=10))
    assert (await hub.resolve(SweepMissed)())["missed"] >= 1
    await work_off(hub)
    assert await seen(client, invoice) == ("paid", ["succeeded"])


async def test_a_refund_that_comes_back_is_told(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """The money is ours again days later."""
    await paypal(client)
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    await agree(await a_page(hub, organisation, invoice))
    await arrived(hub, sandbox)
    (payment,) = (await read(client, f"/api/invoices/{invoice['id']}"))["payments"]
    await made(client, f"/api/payments/{payment['id']}/refunds", {"amount": "30.00"})
    await arrived(hub, sandbox)
    now = await read(client, f"/api/payments/{payment['id']}")
    assert refunded(now) == "30.00"
    books = sandbox.paypal.books_of(CLIENT)
    (refund,) = books.refunds
    async with httpx.AsyncClient() as control:
        where = f"{sandbox.url}/paypal/_sandbox/refunds/{refund}/settle"
        assert (await control.post(where, json={"status": "FAILED"})).is_success
    await arrived(hub, sandbox)
    assert refunded(await read(client, f"/api/payments/{payment['id']}")) == "0.00"


def refunded(payment: Any) -> str:
    """What went back of a payment."""
    return str(payment["refunded"]["decimal"])


async def test_a_subscription_is_renewed_by_paypal_and_invoiced_here(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """Agreed to there, charged there each month; each period is one invoice here, also one that failed at first."""
    await paypal(client)
    payer = await made(client, "/api/clients", {"name": "Pat", "email": "pat@example.com"})
    plan = {"code": "care", "name": "Care", "interval": "month", "prices": [{"amount": "9.00", "currency": "EUR"}]}
    await made(client, "/api/billing/plans", plan)
    asked = {"client_id": payer["id"], "plan": "care", "currency": "EUR", "provider": "paypal"}
    begun = await made(client, "/api/billing/subscription", asked)
    assert begun["url"]
    async with httpx.AsyncClient() as browser:
        assert (await browser.post(begun["url"], data={"answer": "agree"})).status_code == 303
    await arrived(hub, sandbox)
    (reference,) = sandbox.paypal.books_of(CLIENT).subscriptions
    assert await subscription(client, begun) == "active"
    for what, state, invoices in (
        ("renew", "active", ["paid", "paid"]),
        ("fail", "past_due", ["open", "paid", "paid"]),
        ("renew", "active", ["paid", "paid", "paid"]),
    ):
        clock.advance(timedelta(days=5))
        async with httpx.AsyncClient() as control:
            where = f"{sandbox.url}/paypal/_sandbox/subscriptions/{reference}/{what}"
            assert (await control.post(where)).is_success
        await arrived(hub, sandbox)
        assert await subscription(client, begun) == state, what
        found = (await read(client, "/api/invoices"))["items"]
        assert sorted(one["status"] for one in found) == invoices, what


async def subscription(asking: Client, begun: Any) -> str:
    """Where it stands."""
    now = await read(asking, f"/api/billing/subscriptions/{begun['id']}")
    return str((now.get("subscription") or now)["status"])


async def test_what_paypal_lists_and_what_we_recorded_agree(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """Paid, part of it refunded, some of it paid out to somebody: nothing differs, under whatever id PayPal lists it."""
    await paypal(client)
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    await agree(await a_page(hub, organisation, invoice))
    await arrived(hub, sandbox)
    (payment,) = (await read(client, f"/api/invoices/{invoice['id']}"))["payments"]
    await made(client, f"/api/payments/{payment['id']}/refunds", {"amount": "25.00"})
    order = {"provider": "paypal", "amount": "10.00", "currency": "EUR", "destination": {"email": "to@example.com"}}
    await made(client, "/api/payments/payout", order)
    (batch,) = sandbox.paypal.books_of(CLIENT).payouts
    async with httpx.AsyncClient() as control:
        assert (await control.post(f"{sandbox.url}/paypal/_sandbox/payouts/{batch}/settle", json={})).is_success
    await arrived(hub, sandbox)
    clock.advance(timedelta(hours=5))
    until = clock.now() - timedelta(hours=4)
    span = {"since": (until - timedelta(days=1)).isoformat(), "until": until.isoformat()}
    run = await made(client, "/api/billing/reconciliations", {"connection": "paypal", **span})
    await hub.resolve(Reconcile)()
    path = f"/api/billing/reconciliations/{run['id']}"
    assert (await read(client, f"{path}/differences"))["items"] == []
    done = await read(client, path)
    assert (done["status"], done["error"], done["compared"]) == ("done", None, 3)
