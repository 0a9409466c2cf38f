"""What whoever holds a payment link sees."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.billing.invoices import CreateInvoice, DiscountAsked, LineAsked, TaxAsked, VoidInvoice
from application.billing.links import ExpirePaymentLink
from application.ports.leases import Leases
from application.ports.payments import RetryLater
from entrypoints.pay.pages import LOOKS
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from tests.integration.console_scene import OWNER, Scene, scene

CANARY = "<script>alert(1)</script>'\"&<img src=x onerror=alert(2)>"


async def opened(tmp_path: Any) -> Hub:
    """A hub that may reach this machine."""
    settings = Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path), "PATCHBAY_ALLOW_NETWORKS": "127.0.0.1/32"})
    hub = Hub.open(settings, KeyRing.new())
    await migrate(hub.database)
    return hub


@pytest.fixture
async def set_up(tmp_path: Any) -> AsyncIterator[Scene]:
    """An open invoice with a link, and a paid one."""
    hub = await opened(tmp_path)
    async with scene(hub) as made:
        made.payments.calls.clear()
        yield made
    await hub.close()


@pytest.fixture
async def payer(set_up: Scene) -> AsyncIterator[AsyncClient]:
    """Somebody with a link and nothing else."""
    async with set_up.visitor() as browser:
        yield browser


async def test_a_live_link_leads_to_the_hosted_page_and_the_same_one_again(set_up: Scene, payer: AsyncClient) -> None:
    """Two clicks must not open two pages to pay on."""
    first = await payer.get(f"/pay/{set_up.link.token}")
    second = await payer.get(f"/pay/{set_up.link.token}")
    assert first.status_code == second.status_code == 303
    assert first.headers["location"].startswith("https://pay.fake/")
    assert first.headers["location"] == second.headers["location"]
    assert set_up.payments.calls.count("create_checkout") == 1
    assert first.headers["cache-control"] == "no-store"


async def test_a_look_at_the_link_opens_nothing(set_up: Scene, payer: AsyncClient) -> None:
    """Mail scanners and link checkers look at every link."""
    for token, status in ((set_up.link.token, 200), (set_up.paid_link.token, 200), ("nope", 404)):
        answer = await payer.head(f"/pay/{token}")
        assert (answer.status_code, answer.content) == (status, b"")
    assert set_up.payments.calls == []


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Moz"])
async def test_a_browser_that_fetches_ahead_opens_and_closes_nothing(
    set_up: Scene, payer: AsyncClient, header: str
) -> None:
    """Nobody has clicked: the page that somebody has open would be closed under their hands."""
    answer = await payer.get(f"/pay/{set_up.link.token}?with=fake", headers={header: "prefetch;prerender"})
    assert (answer.status_code, answer.content) == (503, b"")
    assert (await payer.head(f"/pay/{set_up.link.token}?with=fake")).status_code == 200
    assert set_up.payments.calls == []


async def test_a_payment_under_way_is_said_and_nothing_is_opened_unasked(set_up: Scene, payer: AsyncClient) -> None:
    """A bank takes days; whoever pays again is to know."""
    set_up.payments.late = True
    page = (await payer.get(f"/pay/{set_up.link.token}")).headers["location"]
    set_up.payments.pay(page.rpartition("/")[2])
    await payer.get(f"/pay/{set_up.link.token}?returned=1")
    again = await payer.get(f"/pay/{set_up.link.token}")
    assert again.status_code == 200
    assert "is under way" in again.text
    (way,) = re.findall(r'href="([^"]*with=[^"]*)"', again.text)
    assert (await payer.get(way)).status_code == 303


async def test_a_paid_invoice_says_so(set_up: Scene, payer: AsyncClient) -> None:
    """Nobody pays twice."""
    page = await payer.get(f"/pay/{set_up.paid_link.token}")
    assert page.status_code == 200
    for text in ("already paid", "INV-0001", "Acme Studio", "$1,431.00"):
        assert text in page.text
    assert set_up.payments.calls == []


async def test_a_void_invoice_and_an_expired_link_are_gone(set_up: Scene, payer: AsyncClient) -> None:
    """With who to ask."""
    await set_up.hub.resolve(ExpirePaymentLink)(set_up.caller, invoice_id=set_up.invoice.id, provider="stripe")
    expired = await payer.get(f"/pay/{set_up.link.token}")
    assert expired.status_code == 410
    assert "This payment link has expired." in expired.text
    assert "Acme Studio" in expired.text
    await set_up.hub.resolve(VoidInvoice)(set_up.caller, set_up.invoice.id)
    for query in ("", "?returned=1", "?cancelled=1"):
        void = await payer.get(f"/pay/{set_up.link.token}{query}")
        assert void.status_code == 410
        assert "This invoice was withdrawn." in void.text
    assert (await payer.head(f"/pay/{set_up.link.token}")).status_code == 410


async def test_who_comes_back_after_paying_is_thanked_before_any_webhook_came(
    set_up: Scene, payer: AsyncClient
) -> None:
    """The provider is asked at once."""
    hosted = (await payer.get(f"/pay/{set_up.link.token}")).headers["location"]
    set_up.payments.pay(hosted.rpartition("/")[2])
    page = await payer.get(f"/pay/{set_up.link.token}?returned=1")
    assert page.status_code == 200
    assert "Thank you, your payment arrived." in page.text
    assert "refresh" not in page.text
    again = await payer.get(f"/pay/{set_up.link.token}")
    assert "already paid" in again.text


async def test_until_the_payment_is_confirmed_the_page_looks_again_and_at_last_stops(
    set_up: Scene, payer: AsyncClient
) -> None:
    """Some ways to pay take days; nobody's browser should ask for so long."""
    await payer.get(f"/pay/{set_up.link.token}")
    page = await payer.get(f"/pay/{set_up.link.token}?returned=1")
    assert page.status_code == 200
    assert "We are waiting for the confirmation." in page.text
    refresh = re.search(r'http-equiv="refresh" content="(\d+); url=([^"]*)"', page.text)
    assert refresh is not None
    assert (refresh.group(1), refresh.group(2)) == (
        str(LOOKS[0]),
        f"/pay/{set_up.link.token}?returned=1&amp;look=1",
    )
    last = await payer.get(f"/pay/{set_up.link.token}?returned=1&look={len(LOOKS)}")
    assert "refresh" not in last.text
    assert "can take" in last.text or "takes days" in last.text
    for odd in ("-1", "x", "9" * 50, "%F0"):
        assert (await payer.get(f"/pay/{set_up.link.token}?returned=1&look={odd}")).status_code == 200


async def test_a_provider_that_cannot_be_asked_keeps_the_payer_waiting(set_up: Scene, payer: AsyncClient) -> None:
    """Its webhook will come; an error page would make people pay again."""
    await payer.get(f"/pay/{set_up.link.token}")
    set_up.payments.fail_next(RetryLater("down"))
    page = await payer.get(f"/pay/{set_up.link.token}?returned=1")
    assert (page.status_code, "waiting" in page.text) == (200, True)


async def test_who_cancelled_sees_the_invoice_and_a_way_back(set_up: Scene, payer: AsyncClient) -> None:
    """Nothing is opened until they press the button."""
    page = await payer.get(f"/pay/{set_up.link.token}?cancelled=1")
    assert page.status_code == 200
    for text in ("Brand identity", "$480.00", "INV-0002", f'href="/pay/{set_up.link.token}"'):
        assert text in page.text
    assert set_up.payments.calls == []


async def test_a_provider_that_is_away_gives_a_page_to_try_again(set_up: Scene, payer: AsyncClient) -> None:
    """With the status and header that machines understand."""
    set_up.payments.fail_next(RetryLater("down for maintenance, key sk_test_1"))
    page = await payer.get(f"/pay/{set_up.link.token}")
    assert page.status_code == 503
    assert page.headers["retry-after"] == "30"
    assert f'href="/pay/{set_up.link.token}"' in page.text
    assert "sk_test" not in page.text
    assert (await payer.get(f"/pay/{set_up.link.token}")).status_code == 303


async def test_a_link_that_is_being_opened_for_too_long_gives_a_page_to_try_again(
    set_up: Scene, payer: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's click holds it."""
    from application.billing import links

    monkeypatch.setattr(links, "timedelta", lambda **given: timedelta(**{k: min(v, 1) for k, v in given.items()}))
    leases = set_up.hub.resolve(Leases)  # type: ignore[type-abstract]
    async with leases.hold(f"pages:{set_up.link.invoice_id}", for_=timedelta(minutes=1)):
        assert (await payer.get(f"/pay/{set_up.link.token}")).status_code == 503


@pytest.mark.parametrize("token", ["nope", "..%2f..%2fconsole", "%00", "a" * 3000, "ü"])
async def test_an_unknown_link_is_not_found(payer: AsyncClient, token: str) -> None:
    """A readable page, whatever the address."""
    page = await payer.get(f"/pay/{token}")
    assert page.status_code == 404
    assert len(page.text) < 5000


async def test_the_pages_are_kept_from_caches_search_engines_and_other_sites(set_up: Scene, payer: AsyncClient) -> None:
    """The address is the key: it must not travel on in a Referer."""
    for path in (f"/pay/{set_up.paid_link.token}", f"/pay/{set_up.link.token}?cancelled=1", "/pay/nope"):
        headers = (await payer.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "noindex" in headers["x-robots-tag"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "set-cookie" not in headers


async def test_the_pages_tell_nothing_that_is_not_the_clients(set_up: Scene, payer: AsyncClient) -> None:
    """No ids, no addresses, no names of accounts; and whatever was typed is text."""
    for path in (f"/pay/{set_up.paid_link.token}", f"/pay/{set_up.link.token}?cancelled=1"):
        page = (await payer.get(path)).text
        for secret in (
            OWNER,
            set_up.caller.organisation_id,
            set_up.invoice.id,
            set_up.stripe.id,
            "Stripe Acme",
            "console",
        ):
            assert secret not in page, secret


async def test_what_the_seller_typed_is_shown_as_text(tmp_path: Any) -> None:
    """A seller's own text must not run in a client's browser."""
    hub = await opened(tmp_path)
    async with scene(hub, mark=CANARY) as made, made.visitor() as payer:
        for query in ("?cancelled=1", "?returned=1"):
            page = await payer.get(f"/pay/{made.link.token}{query}")
            assert "<script" not in page.text
            assert "&lt;script&gt;" in page.text
    await hub.close()


async def test_the_style_sheet_is_the_pages_own(payer: AsyncClient) -> None:
    """So that the console can be kept from the outside world."""
    page = await payer.get("/pay/nope")
    url = re.search(r'href="(/pay/static/pay.css[^"]*)"', page.text)
    assert url is not None
    sheet = await payer.get(url.group(1))
    assert (sheet.status_code, "immutable" in sheet.headers["cache-control"]) == (200, True)
    known = await payer.get(url.group(1), headers={"If-None-Match": sheet.headers["etag"]})
    assert known.status_code == 304


async def test_what_was_taken_off_and_each_tax_are_named(set_up: Scene, payer: AsyncClient) -> None:
    """99.99 less 10 % must not read as a price of 89.99, and a tax has its name and its rate."""
    invoice = await set_up.hub.resolve(CreateInvoice)(
        set_up.caller,
        client_id=set_up.invoice.client.id,
        currency="USD",
        lines=[
            LineAsked("Work", 1, "99.99", TaxAsked("VAT", "19"), DiscountAsked(percent="10", name="Trade")),
            LineAsked("Books", 2, "10.00", TaxAsked("Levy", "7", included=True), DiscountAsked(amount="1.00")),
        ],
        discount=DiscountAsked(percent="5", name="Loyalty"),
    )
    link = await set_up.new_link(invoice)
    page = await payer.get(f"/pay/{link.token}?cancelled=1", headers={"Accept-Language": "en-US"})
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.text.replace("&nbsp;", " ")))
    for words in (
        "$99.99, Trade 10 %: −$10.00",
        "Discount: −$1.00",
        "Loyalty 5 %",
        "VAT 19 %",
        "Levy 7 %, in the prices",
    ):
        assert words in text, words
    assert "Tax in the total" not in text


async def test_amounts_are_in_the_payers_language(set_up: Scene, payer: AsyncClient) -> None:
    """They come from anywhere."""
    page = await payer.get(f"/pay/{set_up.paid_link.token}", headers={"Accept-Language": "fr-FR"})
    assert "1\u202f431,00\xa0$US" in page.text
