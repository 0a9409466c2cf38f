"""Invoices over HTTP: written, changed, sent, withdrawn; and their payment links."""

from datetime import datetime, timedelta
from typing import Any

from adapters.providers.stripe.sandbox_gate import Fault
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, both_databases, faults, made, read, rows, work_off
from tests.integration.things import a_client, a_link, an_invoice, hosted, paid, smtp, stripe

LINES = [
    {"description": "Brand workshop", "quantity": 2, "unit_price": "450.00"},
    {"description": "Menu boards", "quantity": 5, "unit_price": "39.9"},
]


@both_databases
async def test_an_invoice_is_written_as_a_draft(client: Client) -> None:
    """With the next number, its amounts to the cent, its client as it is now, and its event."""
    customer = await a_client(client)
    body = {"client_id": customer["id"], "currency": "usd", "lines": LINES, "due_on": "2030-01-31", "memo": " Thanks! "}
    answer = await client.post("/api/invoices", json=body)
    invoice = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert (invoice["number"], invoice["status"], invoice["memo"]) == ("INV-0001", "draft", "Thanks!")
    assert invoice["total"] == {"amount": 109950, "currency": "USD", "decimal": "1099.50"}
    assert invoice["amount_due"] == invoice["total"]
    assert invoice["lines"][1]["total"]["decimal"] == "199.50"
    assert invoice["client"] == {"id": customer["id"], "name": "Northwind", "email": "ada@northwind.example"}
    shown = await read(client, f"/api/invoices/{invoice['id']}")
    assert shown == {"invoice": invoice, "payments": [], "refunds": [], "links": [], "credit_notes": []}
    (event,) = (await read(client, "/api/events", type="invoice.created"))["items"]
    assert event["data"]["invoice"]["id"] == invoice["id"]
    await client.patch(f"/api/clients/{customer['id']}", json={"name": "Renamed"})
    assert (await read(client, f"/api/invoices/{invoice['id']}"))["invoice"]["client"]["name"] == "Northwind"


async def test_every_currency_counts_in_its_own_units(client: Client) -> None:
    """Yen have no cents, dinars have thousandths."""
    for currency, price, minor, decimal in (
        ("JPY", "148000", 148000, "148000"),
        ("KWD", "1.234", 1234, "1.234"),
        ("EUR", "0.10", 10, "0.10"),
        ("CLF", "1.0001", 10001, "1.0001"),
    ):
        total = (await an_invoice(client, price=price, currency=currency))["total"]
        assert total == {"amount": minor, "currency": currency, "decimal": decimal}


@both_databases
async def test_numbers_run_without_gaps(client: Client, other_client: Client) -> None:
    """A refused invoice takes no number, and each organisation counts for itself."""
    customer = await a_client(client)
    bad = {"client_id": customer["id"], "currency": "USD", "lines": [{"description": "x", "unit_price": "0"}]}
    for expected in ("INV-0001", "INV-0002", "INV-0003"):
        assert (await client.post("/api/invoices", json=bad)).status_code == 422
        assert (await an_invoice(client))["number"] == expected
    assert (await an_invoice(other_client))["number"] == "INV-0001"


@both_databases
async def test_invoices_are_listed_by_status_and_page(client: Client) -> None:
    """Newest first."""
    ids = [(await an_invoice(client))["id"] for _ in range(3)]
    await made(client, f"/api/invoices/{ids[0]}/void", status=200)
    for path in ("/api/invoices", "/api/billing/invoices"):
        first = await read(client, path, limit=2)
        rest = await read(client, path, limit=2, cursor=first["next_cursor"])
        assert [i["id"] for i in first["items"] + rest["items"]] == ids[::-1]
        assert rest["next_cursor"] is None
    assert [i["id"] for i in (await read(client, "/api/invoices", status="void"))["items"]] == [ids[0]]
    assert [i["id"] for i in (await read(client, "/api/invoices", status="draft"))["items"]] == ids[:0:-1]
    assert (await read(client, "/api/invoices", status="paid"))["items"] == []


async def test_a_draft_is_changed_and_nothing_else_is(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """What the client may hold already must not change under their hands."""
    await stripe(client)
    invoice = await an_invoice(client)
    path = f"/api/invoices/{invoice['id']}"
    changed = await client.patch(path, json={"lines": LINES, "memo": "new"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["total"]["decimal"], changed.json()["memo"]) == ("1099.50", "new")
    assert changed.json()["due_on"] is None
    for body, field in (
        ({"lines": [{"description": "x", "unit_price": "1.234"}]}, "lines.0.unit_price"),
        ({"lines": [{"description": "x", "unit_price": "0"}]}, "lines"),
        ({"memo": "x" * 2001}, "memo"),
        ({"currency": "EUR"}, "currency"),
    ):
        answer = await client.patch(path, json=body)
        assert (answer.status_code, faults(answer)) == (422, {field}), answer.text
    too_much = await client.patch(path, json={"lines": [{"description": "x", "unit_price": "1000000.00"}]})
    assert too_much.status_code == 200, "several payments may pay it"
    refused = await client.post(f"{path}/payment-link", json={})
    assert (refused.status_code, faults(refused)) == (422, {"invoice_id"}), "Stripe could never charge it"
    assert (await client.patch(path, json={"lines": LINES})).status_code == 200
    await a_link(client, invoice)
    late = await client.patch(path, json={"memo": "late"})
    assert (late.status_code, "only a draft" in late.json()["detail"]) == (409, True)


@both_databases
async def test_an_invoice_is_sent_with_its_link(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """A mail with what is owed and where to pay; a delivery like any other, in the journal with its attempt."""
    await stripe(client)
    await smtp(client, sandbox, sender_name="Studio")
    invoice = await an_invoice(client)
    path = f"/api/invoices/{invoice['id']}/send"
    sent = await made(client, path, status=202)
    assert (sent["invoice"]["status"], sent["delivery"]["status"]) == ("open", "pending")
    assert sent["invoice"]["sent_at"]
    await work_off(hub)
    (mail,) = sandbox.mail.mails
    assert mail.recipients == ("ada@northwind.example",)
    for part in (mail.part("html"), mail.part("plain")):
        assert sent["url"] in str(part)
        assert "100.00" in str(part)
    assert invoice["number"] in str(mail.parsed["Subject"])
    shown = await read(client, f"/api/deliveries/{sent['delivery']['id']}")
    assert (shown["delivery"]["status"], shown["delivery"]["kind"]) == ("delivered", "mail")
    assert shown["event"]["type"] == "invoice.sent"
    to = {"to": ["cfo@northwind.example", "ada@northwind.example"], "message": "As discussed."}
    again = await made(client, path, to, status=202)
    assert again["url"] == sent["url"], "an invoice has one live link"
    await work_off(hub)
    mail = sandbox.mail.mails[-1]
    assert mail.recipients == ("cfo@northwind.example", "ada@northwind.example")
    assert "As discussed." in str(mail.part("plain"))
    retried = await made(client, f"/api/deliveries/{sent['delivery']['id']}/retry", status=202)
    await work_off(hub)
    assert (await read(client, f"/api/deliveries/{retried['id']}"))["delivery"]["status"] == "delivered"
    assert len(sandbox.mail.mails) == 3


async def test_what_cannot_be_sent_stays_as_it_was(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """No mail account, no provider, no address: said, and the draft is still a draft."""
    invoice = await an_invoice(client)
    path = f"/api/invoices/{invoice['id']}/send"
    assert (await client.post(path)).status_code == 409
    mailer = await smtp(client, sandbox)
    assert (await client.post(path)).status_code == 409, "nothing to pay with"
    connection = await stripe(client)
    await work_off(hub)
    before = await rows(hub)
    for body, status, fields in (
        ({"to": ["nobody"]}, 422, {"to.0"}),
        ({"to": ["a@b.example"] * 51}, 422, {"to"}),
        ({"to": "a@b.example"}, 422, {"to"}),
        ({"message": "x" * 5001}, 422, {"message"}),
        ({"connection": connection["id"]}, 422, {"connection"}),
        ({"connection": "con_x"}, 404, set()),
        ({"provider": mailer["id"]}, 422, {"provider"}),
        ({"provider": "paypal"}, 404, set()),
    ):
        answer = await client.post(path, json=body)
        assert (answer.status_code, faults(answer)) == (status, fields), answer.text
    nobody = await made(client, "/api/clients", {"name": "No address"})
    line = {"description": "x", "unit_price": "1.00"}
    body = {"client_id": nobody["id"], "currency": "USD", "lines": [line]}
    addressless = await made(client, "/api/invoices", body)
    answer = await client.post(f"/api/invoices/{addressless['id']}/send")
    assert (answer.status_code, faults(answer)) == (422, {"to"})
    after = await rows(hub)
    for table in ("links", "deliveries", "checkouts"):
        assert after[table] == before[table], table
    assert {i["status"] for i in (await read(client, "/api/invoices"))["items"]} == {"draft"}


@both_databases
async def test_a_withdrawn_invoice_cannot_be_paid(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Its link says so, and the hosted page that was open is closed at Stripe."""
    await stripe(client)
    invoice = await an_invoice(client)
    link = await a_link(client, invoice)
    page = await hosted(client, sandbox, link)
    void = await made(client, f"/api/invoices/{invoice['id']}/void", status=200)
    assert void["status"] == "void"
    assert void["amount_due"]["amount"] == 0
    assert (await made(client, f"/api/invoices/{invoice['id']}/void", status=200))["version"] == void["version"]
    await work_off(hub)
    assert page.session["status"] == "expired"
    gone = await client.get("/pay/" + link["url"].rpartition("/")[2])
    assert gone.status_code == 410
    for path in ("send", "payment-link"):
        assert (await client.post(f"/api/invoices/{invoice['id']}/{path}", json={})).status_code == 409
    assert len((await read(client, "/api/events", type="invoice.voided"))["items"]) == 1
    bill = await paid(client, hub, sandbox)
    refused = await client.post(f"/api/invoices/{bill['invoice']['id']}/void")
    assert (refused.status_code, "refund" in refused.json()["detail"]) == (409, True)


@both_databases
async def test_a_link_is_made_once_shown_and_expired(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """By the provider's path and by the invoice's; expired, it leads nowhere, and a new one may be made."""
    await stripe(client)
    invoice = await an_invoice(client)
    link = await a_link(client, invoice)
    assert link["url"].startswith(f"{hub.settings.public_url}/pay/")
    assert (await made(client, f"/api/invoices/{invoice['id']}/payment-link")) == link
    path = f"/api/integrations/stripe/payment-link/{invoice['id']}"
    assert await read(client, path) == link
    assert (await read(client, f"/api/invoices/{invoice['id']}"))["links"] == [link]
    assert (await read(client, f"/api/invoices/{invoice['id']}"))["invoice"]["status"] == "open"
    page = await hosted(client, sandbox, link)
    again = await hosted(client, sandbox, link)
    assert again.url == page.url, "a second click leads to the same page"
    expired = await client.delete(path)
    assert (expired.status_code, expired.json()["status"]) == (200, "expired")
    assert page.session["status"] == "expired"
    assert (await client.get("/pay/" + link["url"].rpartition("/")[2])).status_code == 410
    new = await a_link(client, invoice)
    assert (new["id"] != link["id"], new["url"] != link["url"]) == (True, True)
    assert (await read(client, path))["id"] == new["id"]
    other = await an_invoice(client)
    assert (await client.get(f"/api/integrations/stripe/payment-link/{other['id']}")).status_code == 404
    assert (await client.delete(f"/api/integrations/stripe/payment-link/{other['id']}")).status_code == 404


async def test_a_link_ends_when_it_says(client: Client, sandbox: Sandbox, clock: MovingClock) -> None:
    """Thirty days unless told otherwise, never beyond a year or in the past."""
    await stripe(client)
    invoice = await an_invoice(client)

    async def until(moment: datetime) -> Any:
        body = {"invoice_id": invoice["id"], "expires_at": moment.isoformat()}
        return await client.post("/api/integrations/stripe/payment-link", json=body)

    for wrong in (clock.now() - timedelta(seconds=1), clock.now() + timedelta(days=366)):
        answer = await until(wrong)
        assert (answer.status_code, faults(answer)) == (422, {"expires_at"})
    link = (await until(clock.now() + timedelta(hours=1))).json()
    await hosted(client, sandbox, link)
    clock.advance(timedelta(hours=1, seconds=1))
    assert (await client.get("/pay/" + link["url"].rpartition("/")[2])).status_code == 410
    new = await a_link(client, invoice)
    assert new["id"] != link["id"]
    ends = datetime.fromisoformat(new["expires_at"]) - clock.now()
    assert timedelta(days=29) < ends <= timedelta(days=30)


async def test_a_page_that_runs_out_is_replaced(client: Client, sandbox: Sandbox, clock: MovingClock) -> None:
    """Stripe's pages live a day, links a month: a click the day after opens a new page."""
    await stripe(client)
    link = await a_link(client, await an_invoice(client))
    first = await hosted(client, sandbox, link)
    clock.advance(timedelta(hours=22, minutes=55))
    second = await hosted(client, sandbox, link)
    assert second.url != first.url
    assert (first.session["status"], second.session["status"]) == ("expired", "open")


async def test_a_click_while_the_provider_is_away_is_answered(client: Client, sandbox: Sandbox) -> None:
    """With a page that says to try again, and it works once Stripe is back, without a second page to pay on."""
    await stripe(client)
    link = await a_link(client, await an_invoice(client))
    sandbox.stripe.faults.append(Fault(path="/v1/checkout/sessions", status=500, after_work=True))
    away = await client.get("/pay/" + link["url"].rpartition("/")[2])
    assert (away.status_code, "retry-after" in away.headers) == (503, True)
    await hosted(client, sandbox, link)
    (books,) = sandbox.stripe.shops()
    assert len([s for s in books.sessions.values() if s["status"] == "open"]) == 1


async def test_an_unknown_link_is_a_page_too(client: Client) -> None:
    """People read it, not programs."""
    answer = await client.get("/pay/nonsense")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
