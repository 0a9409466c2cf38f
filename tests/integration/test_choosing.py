"""A payer who may choose: one link, three providers, and the invoice is paid once, whichever they take."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from entrypoints.api.inbound import OTHER_ADDRESSES
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, made, read, until, work_off
from tests.integration.things import an_invoice, flutterwave, paypal, stripe

GERMAN = {"Authorization": "", "Accept-Language": "de"}


@pytest.fixture
async def three(client: Client, sandbox: Sandbox, live: str) -> None:
    """Stripe, PayPal and Flutterwave are connected."""
    await stripe(client)
    await paypal(client)
    await flutterwave(client, sandbox, live)


async def a_choice(client: Client, **invoice: Any) -> tuple[Any, str]:
    """An invoice and the path of a link by which its payer chooses."""
    bill = await an_invoice(client, **invoice)
    link = await made(client, f"/api/invoices/{bill['id']}/payment-link", {})
    assert link["provider"] == ""
    return bill, urlsplit(link["url"]).path


async def chosen(client: Client, path: str, provider: str) -> str:
    """The hosted page of the provider."""
    answer = await client.get(path, params={"with": provider}, headers=GERMAN)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def back(client: Client, location: str) -> httpx.Response:
    """The payer comes back, with whatever the provider added to the address."""
    parts = urlsplit(location)
    return await client.get(f"{parts.path}?{parts.query}", headers=GERMAN)


async def test_the_page_offers_each_provider_that_can_charge_the_amount(
    client: Client, sandbox: Sandbox, three: None
) -> None:
    """In the payer's language's numbers, without JavaScript, and nothing is opened by looking."""
    _, path = await a_choice(client, price="1234.50")
    page = await client.get(path, headers=GERMAN)
    assert page.status_code == 200
    assert "1.234,50" in unescape(page.text)
    assert re.findall(r"\?with=(\w+)", page.text) == ["stripe", "paypal", "flutterwave"]
    assert "<script" not in page.text
    assert "form-action 'none'" in page.headers["content-security-policy"]
    assert [len(shop.sessions) for shop in sandbox.stripe.shops()] == [0]
    unknown = await client.get(path, params={"with": "bitcoin"}, headers=GERMAN)
    assert unknown.status_code == 200
    assert "?with=paypal" in unknown.text


async def test_a_currency_that_a_provider_does_not_take_is_not_offered_there(client: Client, three: None) -> None:
    """A button that leads to a refusal is worse than none."""
    _, path = await a_choice(client, price="15000", currency="UGX")
    offered = re.findall(r"\?with=(\w+)", (await client.get(path, headers=GERMAN)).text)
    assert "paypal" not in offered
    assert "flutterwave" in offered


async def test_paying_at_paypal_captures_once_and_pays_the_invoice(client: Client, hub: Hub, three: None) -> None:
    """The payer agrees there, comes back with PayPal's token in the address, and the hub takes the money."""
    bill, path = await a_choice(client)
    page = await chosen(client, path, "paypal")
    async with Client(timeout=10) as browser:
        agreed = await browser.post(page, data={"answer": "good"})
    assert "token" in parse_qs(urlsplit(agreed.headers["location"]).query)
    for _ in range(2):  # a reload must not take the money again
        answer = await back(client, agreed.headers["location"])
        assert answer.status_code == 200
    await work_off(hub)
    seen = await read(client, f"/api/invoices/{bill['id']}")
    assert seen["invoice"]["status"] == "paid"
    assert [(p["provider"], p["status"]) for p in seen["payments"]] == [("paypal", "succeeded")]


async def test_paying_at_flutterwave_is_asked_for_and_not_believed(
    client: Client, hub: Hub, sandbox: Sandbox, three: None
) -> None:
    """`status=successful` in the address is anybody's to write; the money is looked for at Flutterwave."""
    bill, path = await a_choice(client)
    page = await chosen(client, path, "flutterwave")
    lie = await client.get(f"{path}?returned=1&status=successful&tx_ref=x&transaction_id=1", headers=GERMAN)
    assert "waiting" in lie.text.lower()
    assert (await read(client, f"/api/invoices/{bill['id']}"))["payments"] == []
    cancelled = await client.get(f"{path}?returned=1&status=cancelled&tx_ref=x", headers=GERMAN)
    assert "nothing was paid" in cancelled.text
    async with Client(timeout=10) as browser:
        paid = await browser.post(page, data={"method": "card", "card": "5531 8866 5214 2950"})
    assert paid.status_code == 303, paid.text
    assert (await back(client, paid.headers["location"])).status_code == 200
    await work_off(hub)
    seen = await read(client, f"/api/invoices/{bill['id']}")
    assert seen["invoice"]["status"] == "paid"
    assert [(p["provider"], p["status"]) for p in seen["payments"]] == [("flutterwave", "succeeded")]


async def test_who_changes_their_mind_leaves_no_second_page_to_pay_on(
    client: Client, hub: Hub, sandbox: Sandbox, three: None
) -> None:
    """Two tabs, two providers: the first page is closed before the second is opened."""
    _, path = await a_choice(client)
    first = await chosen(client, path, "stripe")
    second = await chosen(client, path, "paypal")
    assert first != second
    async with Client(timeout=10) as browser:
        assert "expired" in (await browser.get(first)).text.lower()
    (shop,) = sandbox.stripe.shops()
    assert [session["status"] for session in shop.sessions.values()] == ["expired"]


async def test_the_payer_keeps_the_invoice_as_a_file(client: Client, hub: Hub, three: None) -> None:
    """A bookkeeper at the other end needs paper."""
    _, path = await a_choice(client)
    paper = await client.get(f"{path}/invoice.pdf", headers={"Authorization": ""})
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF-")
    assert paper.headers["cache-control"] == "no-store"
    assert (await client.get("/pay/nonsense/invoice.pdf", headers={"Authorization": ""})).status_code == 404


async def test_a_payer_who_never_comes_back_has_paid_all_the_same(
    client: Client, hub: Hub, sandbox: Sandbox, three: None
) -> None:
    """The webhooks of each provider come to its own door, in front of the framework, and are enough."""
    bills = []
    for provider, form in (("paypal", {"answer": "good"}), ("flutterwave", {"method": "card"})):
        bill, path = await a_choice(client)
        async with Client(timeout=10) as browser:
            await browser.post(await chosen(client, path, provider), data=form)
        bills.append(bill["id"])

    async def paid() -> bool:
        await work_off(hub)
        seen = [(await read(client, f"/api/invoices/{id_}"))["invoice"]["status"] for id_ in bills]
        return seen == ["paid", "paid"]

    await until(paid, "the webhooks")
    inbox = (await read(client, "/api/inbox"))["items"]
    assert {"paypal", "flutterwave"} <= {one["provider"] for one in inbox}
    assert {one["status"] for one in inbox} <= {"handled", "ignored"}


@pytest.mark.parametrize("path", sorted(OTHER_ADDRESSES))
async def test_a_webhook_that_nobody_signed_is_refused_at_every_door(client: Client, three: None, path: str) -> None:
    """And nothing of it is kept."""
    answer = await client.post(path, content=b'{"event": "charge.completed"}', headers={"verif-hash": "guessed"})
    assert answer.status_code == 400, answer.text
    assert (await read(client, "/api/inbox"))["items"] == []
