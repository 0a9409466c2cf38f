"""What a bookkeeper does with invoices over HTTP: tax, discounts, credit notes, reminders, writing off, paper, settings."""

from datetime import timedelta
from typing import Any

from application.billing.reminders import InvoiceReminders
from application.ports.store import Store
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, both_databases, faults, made, read, work_off
from tests.integration.things import a_client, a_link, an_invoice, paid, smtp, stripe

VAT = {"name": "VAT", "rate": "19"}
SETTINGS = {
    "seller": {"name": "Harbour & Finch", "address": ["12 Quay Street"], "bank": ["IBAN GB33"], "tax_id": "GB 123"},
    "invoice_prefix": "HF-",
    "credit_note_prefix": "HC-",
    "reminders": [7, -3],
    "locale": "en-GB",
}


def decimals(invoice: Any, *names: str) -> list[str]:
    """Some of its amounts."""
    return [invoice[name]["decimal"] for name in names]


@both_databases
async def test_an_invoice_has_taxes_and_discounts(client: Client) -> None:
    """Of lines and of the whole, spread over the rates; as the answer shows it is how it is kept."""
    lines = [
        {"description": "Design", "quantity": 2, "unit_price": "50.00", "tax": VAT, "discount": {"percent": "10"}},
        {"description": "Book", "unit_price": "10.70", "tax": {"name": "VAT", "rate": "7", "included": True}},
        {"description": "Travel", "unit_price": "9.30", "discount": {"amount": "0.30", "name": "Rounded"}},
    ]
    body = {
        "client_id": (await a_client(client))["id"],
        "currency": "EUR",
        "lines": lines,
        "discount": {"amount": "10.97", "name": "Loyalty"},
    }
    invoice = await made(client, "/api/invoices", body)
    assert decimals(invoice, "subtotal", "discounted", "tax", "total") == ["109.70", "10.97", "16.02", "114.12"]
    assert [(t["rate"], t["included"], *decimals(t, "net", "amount")) for t in invoice["taxes"]] == [
        ("19", False, "81.00", "15.39"),
        ("7", True, "9.00", "0.63"),
    ]
    assert invoice["discount"] == {
        "percent": None,
        "amount": {"amount": 1097, "currency": "EUR", "decimal": "10.97"},
        "name": "Loyalty",
    }
    assert (await read(client, f"/api/invoices/{invoice['id']}"))["invoice"] == invoice
    changed = await client.patch(f"/api/invoices/{invoice['id']}", json={"discount": {}})
    assert (changed.json()["discount"], changed.json()["discounted"]["amount"]) == (None, 0)


async def test_a_tax_or_discount_that_cannot_be_is_named(client: Client) -> None:
    """By its place in the body."""
    customer = (await a_client(client))["id"]
    for line, whole, fields in (
        ({"tax": {"name": "VAT", "rate": "19.555"}}, {}, {"lines.0.tax.rate"}),
        ({"tax": {"name": "VAT", "rate": "101"}}, {}, {"lines.0.tax.rate"}),
        ({"tax": {"name": " ", "rate": "19"}}, {}, {"lines.0.tax.name"}),
        ({"tax": {"name": "VAT", "rate": "-1"}}, {}, {"lines.0.tax.rate"}),
        ({"discount": {}}, {}, {"lines.0.discount"}),
        ({"discount": {"percent": "5", "amount": "1"}}, {}, {"lines.0.discount"}),
        ({"discount": {"percent": "100.01"}}, {}, {"lines.0.discount.percent"}),
        ({"discount": {"amount": "10.01"}}, {}, {"lines.0.discount.amount"}),
        ({"discount": {"amount": "0.001"}}, {}, {"lines.0.discount.amount"}),
        ({}, {"discount": {"amount": "10.01"}}, {"discount.amount"}),
        ({}, {"discount": {"percent": "100"}}, {"discount"}),
    ):
        given = [{"description": "x", "unit_price": "10.00", **line}]
        answer = await client.post(
            "/api/invoices", json={"client_id": customer, "currency": "EUR", "lines": given, **whole}
        )
        assert (answer.status_code, faults(answer)) == (422, fields), answer.text


@both_databases
async def test_the_settings_are_kept_and_change_what_is_written_from_then_on(client: Client, sandbox: Sandbox) -> None:
    """Prefixes go before the next number, the seller onto the next invoice that is opened."""
    usual = await read(client, "/api/billing/settings")
    assert (usual["version"], usual["invoice_prefix"], usual["retries"]) == (0, "INV-", [2, 5, 7, 7])
    saved = await client.put("/api/billing/settings", json=SETTINGS, headers={"If-Match": '"0"'})
    assert (saved.status_code, saved.headers["etag"]) == (200, '"1"')
    assert saved.json() == await read(client, "/api/billing/settings")
    assert saved.json()["reminders"] == [-3, 7]
    assert (await client.put("/api/billing/settings", json=SETTINGS, headers={"If-Match": '"0"'})).status_code == 412
    await stripe(client)
    invoice = await an_invoice(client)
    assert invoice["number"] == "HF-0001"
    await a_link(client, invoice)
    credited = await made(client, f"/api/invoices/{invoice['id']}/credit-notes", {"amount": "1.00"})
    assert credited["credit_note"]["number"] == "HC-0001"


async def test_settings_that_cannot_be_are_named(client: Client) -> None:
    """Field by field, and nothing is kept."""
    for body, fields in (
        ({"invoice_prefix": "INV-1"}, {"invoice_prefix"}),
        ({"invoice_prefix": "X-", "credit_note_prefix": "X-"}, {"credit_note_prefix"}),
        ({"reminders": [400]}, {"reminders"}),
        ({"retries": [0]}, {"retries"}),
        ({"locale": "xx"}, {"locale"}),
        ({"locale": "ar"}, {"locale"}),
        ({"seller": {"email": "nobody"}}, {"seller.email"}),
        ({"colour": "red"}, {"colour"}),
    ):
        answer = await client.put("/api/billing/settings", json=body)
        assert (answer.status_code, faults(answer)) == (422, fields), answer.text
    assert (await read(client, "/api/billing/settings"))["version"] == 0


@both_databases
async def test_a_paid_invoice_is_credited_and_the_money_goes_back(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """One call; the note names its refund, and both are on the invoice's page and in its history."""
    await stripe(client)
    bill = (await paid(client, hub, sandbox))["invoice"]
    path = f"/api/invoices/{bill['id']}"
    body = {"lines": [{"line": 0, "quantity": 1}], "reason": "Not as agreed", "refund": True}
    credited = await made(client, f"{path}/credit-notes", body)
    assert credited["refund_problem"] is None
    assert decimals(credited["credit_note"], "amount", "tax") == ["100.00", "0.00"]
    await work_off(hub)
    shown = await read(client, path)
    assert [note["refund_id"] for note in shown["credit_notes"]] == [shown["refunds"][0]["id"]]
    assert decimals(shown["invoice"], "amount_credited", "amount_refunded", "overpaid") == ["100.00", "100.00", "0.00"]
    assert (await read(client, f"{path}/credit-notes"))["items"] == shown["credit_notes"]
    more = await client.post(f"{path}/credit-notes", json={"amount": "0.01"})
    assert (more.status_code, faults(more)) == (422, {"amount"})
    history = (await read(client, f"{path}/history"))["items"]
    actions = [entry["action"] for entry in history]
    assert (actions[0], "invoice.credited" in actions, "refund.requested" in actions) == ("invoice.created", True, True)
    assert [entry["at"] for entry in history] == sorted(entry["at"] for entry in history)


@both_databases
async def test_an_invoice_is_printed(client: Client, sandbox: Sandbox) -> None:
    """As PDF under its own number, and its credit notes too."""
    await stripe(client)
    invoice = await an_invoice(client)
    link = await a_link(client, invoice)
    note = (await made(client, f"/api/invoices/{invoice['id']}/credit-notes", {"amount": "5.00"}))["credit_note"]
    path = f"/api/invoices/{invoice['id']}"
    for address, name in ((f"{path}/pdf", "INV-0001"), (f"{path}/credit-notes/{note['id']}/pdf", "CN-0001")):
        answer = await client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
        assert answer.headers["content-disposition"] == f'inline; filename="{name}.pdf"'
        assert answer.content.startswith(b"%PDF-")
        assert answer.content == (await client.get(address)).content
    assert link["url"].encode() in (await client.get(f"{path}/pdf")).content
    assert (await client.get(f"{path}/credit-notes/cn_x/pdf")).status_code == 404


@both_databases
async def test_an_invoice_is_written_off(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """It is still owed; a draft is not."""
    await stripe(client)
    invoice = await an_invoice(client)
    path = f"/api/invoices/{invoice['id']}/uncollectible"
    assert (await client.post(path)).status_code == 409
    await a_link(client, invoice)
    written_off = await made(client, path, status=200)
    assert (written_off["status"], written_off["amount_due"]["decimal"]) == ("uncollectible", "100.00")
    assert len((await read(client, "/api/events", type="invoice.uncollectible"))["items"]) == 1


@both_databases
async def test_a_client_is_reminded_by_hand_and_by_the_schedule(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Each mail holds what is open, where to pay, and the invoice itself; a step is done once."""
    await stripe(client)
    await smtp(client, sandbox)
    due = (clock.now() + timedelta(days=3)).date().isoformat()
    invoice = await an_invoice(client, due_on=due)
    path = f"/api/invoices/{invoice['id']}/remind"
    assert (await client.post(path)).status_code == 409, "a draft is asked for by nobody"
    link = await a_link(client, invoice)
    await client.put("/api/billing/settings", json=SETTINGS)
    job = hub.resolve(InvoiceReminders)
    assert await job() == {"reminders": 1, "unsent": 0}
    assert await job() == {"reminders": 0, "unsent": 0}
    await work_off(hub)  # mails that wait together go out in any order
    sent = await made(client, path, {"message": "Just so that you know."}, status=202)
    assert sent["url"] == link["url"]
    await work_off(hub)
    first, second = sandbox.mail.mails
    assert "is due on" in str(first.part("plain"))
    assert "Just so that you know." in str(second.part("plain"))
    for mail in (first, second):
        assert link["url"] in str(mail.part("html"))
        (file,) = mail.parsed.iter_attachments()
        assert (file.get_filename(), file.get_content()[:5]) == (f"{invoice['number']}.pdf", b"%PDF-")
    days = [
        reminder["day"] for reminder in (await read(client, f"/api/invoices/{invoice['id']}"))["invoice"]["reminders"]
    ]
    assert days == [-3, -3]
    assert len((await read(client, "/api/events", type="invoice.reminded"))["items"]) == 2
    refused = await client.post(path, json={"to": ["nobody"]})
    assert (refused.status_code, faults(refused)) == (422, {"to.0"})
    store = hub.resolve(Store)  # type: ignore[type-abstract]
    (organisation,) = [one for one in await store.organisations() if one.id]
    async with store.reading(organisation.id) as work:
        assert len(await work.deliveries.all(event_type="invoice.reminded")) == 2
