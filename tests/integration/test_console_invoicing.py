"""What a bookkeeper does in the console: write an invoice, credit it, remind, write off, print, and set how it is billed."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from domain.billing.invoices import InvoiceState
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from tests.integration.console_scene import Scene, scene
from tests.integration.test_console import press, read

NEW = "/console/invoices/new"


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[Scene]:
    """One of everything."""
    settings = Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path), "PATCHBAY_ALLOW_NETWORKS": "127.0.0.1/32"})
    hub = Hub.open(settings, KeyRing.new())
    await migrate(hub.database)
    async with scene(hub) as made:
        yield made
    await hub.close()


@pytest.fixture
async def owner(set_up: Scene) -> AsyncIterator[AsyncClient]:
    """The owner's browser, signed in."""
    async with set_up.signed_in() as browser:
        yield browser


def form(set_up: Scene, **more: str) -> dict[str, str]:
    """A new invoice as it is typed, with one line left empty between two."""
    return {
        "client_id": set_up.invoice.client.id,
        "currency": "EUR",
        "rows": "3",
        "tax_name": "VAT",
        "description_1": "Design",
        "quantity_1": "2",
        "price_1": "50.00",
        "tax_1": "19",
        "off_1": "10%",
        "description_3": "Travel",
        "quantity_3": "1",
        "price_3": "10.00",
        "discount": "5.00",
        "discount_name": "Loyalty",
        "due_on": "2030-01-31",
        **more,
    }


async def test_an_invoice_is_written_by_hand(set_up: Scene, owner: AsyncClient) -> None:
    """With taxes and discounts; sent twice it is one, and its page shows how it adds up."""
    answer = await press(owner, NEW, on=NEW, **form(set_up))
    assert answer.status_code == 303, answer.text
    page = (await owner.get(answer.headers["location"])).text
    for text in ("The draft is written", "Subtotal", "VAT 19 %", "Loyalty", "Travel"):
        assert text in page, text
    assert "€111.25" in page  # 90.00 and 10.00, less 5.00, and 19 % of 85.50, which is 16.245
    assert f"{answer.headers['location'].partition('?')[0]}/pdf" in page


async def test_a_refused_invoice_shows_what_is_wrong_where_it_is(set_up: Scene, owner: AsyncClient) -> None:
    """By the row of the form, with everything else as it was typed."""
    answer = await press(owner, NEW, on=NEW, **form(set_up, price_3="ten", tax_1="19.555"))
    assert answer.status_code == 422
    for field in ("price_3", "tax_1"):
        assert f'id="e-{field}"' in answer.text, field
    assert 'value="Loyalty"' in answer.text
    more = await press(owner, "/console/invoices/new/lines", on=NEW, **form(set_up))
    assert (more.status_code, 'name="description_8"' in more.text, 'value="Design"' in more.text) == (200, True, True)


async def test_a_paid_invoice_is_credited_and_the_money_sent_back(set_up: Scene, owner: AsyncClient) -> None:
    """The note is listed with its paper; one over more than is left is refused in place."""
    path = f"/console/invoices/{set_up.paid.id}"
    too_much = await press(owner, f"{path}/credit", on=path, amount="99999.00")
    assert (too_much.status_code, "can still be credited" in too_much.text) == (422, True)
    answer = await press(owner, f"{path}/credit", on=path, amount="31.00", reason="One board less", refund="yes")
    assert answer.status_code == 303, answer.text
    page = (await owner.get(path)).text
    for text in ("CN-0001", "One board less", "sent back", "$31.00"):
        assert text in page, text
    note = re.search(rf'href="({path}/credit-notes/cn_\w+)"', page)
    assert note is not None
    assert (await owner.get(note[1])).content.startswith(b"%PDF-")


async def test_an_invoice_is_credited_by_lines(set_up: Scene, owner: AsyncClient) -> None:
    """Quantities count before the amount that stands in the form."""
    path = f"/console/invoices/{set_up.invoice.id}"
    wrong = await press(owner, f"{path}/credit", on=path, line_0="one")
    assert wrong.status_code == 422
    answer = await press(owner, f"{path}/credit", on=path, amount="1.00", line_0="1")
    assert answer.status_code == 303, answer.text
    credited: Any = await read(set_up, "invoices", set_up.invoice.id)
    assert credited.credited == credited.lines[0].unit_price.amount


async def test_a_client_is_reminded_once_however_often_the_button_is_pressed(set_up: Scene, owner: AsyncClient) -> None:
    """The reminder stands on the page."""
    path = f"/console/invoices/{set_up.invoice.id}"
    page = (await owner.get(path)).text
    once = re.search(r'name="once" value="([^"]+)"', page)
    assert once is not None
    for _ in range(2):
        answer = await press(owner, f"{path}/remind", on=path, to="boss@acme.example", once=once[1])
        assert answer.status_code == 303, answer.text
    reminded: Any = await read(set_up, "invoices", set_up.invoice.id)
    assert len(reminded.reminders) == 1
    assert "Reminded" in (await owner.get(path)).text


async def test_an_invoice_is_written_off_and_a_paid_one_is_not(set_up: Scene, owner: AsyncClient) -> None:
    """The refusal is shown on the invoice's own page."""
    answer = await press(owner, f"/console/invoices/{set_up.invoice.id}/uncollectible")
    assert answer.headers["location"].endswith("?done=written-off")
    assert (await read(set_up, "invoices", set_up.invoice.id)).state is InvoiceState.UNCOLLECTIBLE
    refused = await press(owner, f"/console/invoices/{set_up.paid.id}/uncollectible")
    assert (refused.status_code, "already paid" in refused.text) == (409, True)


async def test_an_invoice_is_printed(set_up: Scene, owner: AsyncClient) -> None:
    """For whoever asks for it by post."""
    answer = await owner.get(f"/console/invoices/{set_up.paid.id}/pdf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")


async def test_how_it_is_billed_is_set(set_up: Scene, owner: AsyncClient) -> None:
    """What is wrong is shown where it is, and what was typed stays."""
    page = "/console/billing"
    typed = {
        "name": "Harbour & Finch",
        "address": "12 Quay Street\r\nBristol",
        "bank": "IBAN GB33",
        "invoice_prefix": "HF-",
        "credit_note_prefix": "HC-",
        "reminders": "-3 7",
        "retries": "2 5",
        "locale": "en-GB",
        "version": "0",
    }
    for field, text in (("reminders", "soon"), ("reminders", "999"), ("invoice_prefix", "1"), ("locale", "klingon")):
        refused = await press(owner, page, **{**typed, field: text})
        assert (refused.status_code, f'id="e-{field}"' in refused.text) == (422, True), (field, text)
        assert "Harbour &amp; Finch" in refused.text
    assert (await press(owner, page, **typed)).status_code == 303
    shown = (await owner.get(page)).text
    for text in ('value="HF-"', "12 Quay Street\nBristol", 'value="-3 7"', "Harbour &amp; Finch"):
        assert text in shown, text
    stale = await press(owner, page, **typed)
    assert stale.status_code == 412
