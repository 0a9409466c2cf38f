"""The console and the pay pages in a real browser with JavaScript switched off."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright, expect

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.notifications.deliver_due import DeliverDue
from application.notifications.endpoints import ChangeEndpoint
from entrypoints.serving import http_server
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from tests.integration.console_scene import OWNER, PASSWORD, Scene, scene
from tests.integration.test_console import pages_of

CHROMIUM = Path(os.environ.get("PATCHBAY_CHROMIUM", "/usr/bin/chromium"))
IS_THERE = CHROMIUM.exists()
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()

pytestmark = pytest.mark.browser


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """The machine's own Chromium; without one the tests are skipped, but never in CI."""
    if not IS_THERE:
        missing = f"There is no Chromium at {CHROMIUM}; PATCHBAY_CHROMIUM says where one is."
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[Scene]:
    """A hub that listens on a port of this machine's."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings.read(
        {
            "PATCHBAY_DATA_DIR": str(tmp_path),
            "PATCHBAY_PORT": str(listener.getsockname()[1]),
            "PATCHBAY_ALLOW_NETWORKS": "127.0.0.1/32",
        }
    )
    hub = Hub.open(settings, KeyRing.new())
    await migrate(hub.database)
    async with scene(hub) as made, asyncio.TaskGroup() as group:
        server = http_server(made.app)
        group.create_task(server.serve(sockets=[listener]))
        await server.until_started()
        yield made
        server.stop()
    await hub.close()


@asynccontextmanager
async def context(chromium: Browser, set_up: Scene, **options: Any) -> AsyncIterator[BrowserContext]:
    """A fresh browser without JavaScript."""
    options = {"java_script_enabled": False, "locale": "en-US", "base_url": set_up.hub.settings.public_url, **options}
    made = await chromium.new_context(**options)
    yield made
    await made.close()


async def sign_in(page: Page) -> None:
    """As a person does."""
    await page.get_by_label("E-mail").fill(OWNER)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A webhook receiver that takes everything: its address, and the requests it got."""
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        got.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nThanks!\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks", got


async def test_a_person_signs_in_looks_at_an_invoice_and_sends_a_failed_delivery_again(
    chromium: Browser, set_up: Scene
) -> None:
    """The back-office person's way through the console, with nothing but forms and links."""
    async with context(chromium, set_up) as browser, receiver() as (url, got):
        await set_up.hub.resolve(ChangeEndpoint)(set_up.caller, set_up.endpoint.endpoint.id, url=url, headers=None)
        page = await browser.new_page()
        await page.goto("/console/invoices")
        await expect(page.get_by_role("heading", name="Sign in to the console")).to_be_visible()
        await sign_in(page)
        await expect(page.get_by_role("heading", name="Invoices", level=1)).to_be_visible()

        await page.get_by_role("link", name="INV-0001").click()
        await expect(page.get_by_role("heading", name="Invoice INV-0001")).to_be_visible()
        await expect(page.get_by_text("$1,431.00").first).to_be_visible()

        await page.get_by_role("navigation", name="Console").get_by_role("link", name="Deliveries").click()
        await page.get_by_label("State").select_option("failed")
        await page.get_by_role("button", name="Show").click()
        await page.get_by_role("link", name="deal.won").click()
        await expect(page.get_by_role("heading", name="Attempt 3")).to_be_visible()
        await page.get_by_role("button", name="Send again").click()
        await expect(page.get_by_role("status")).to_contain_text("It is sent again")

        while await set_up.hub.resolve(DeliverDue)():
            pass
        await page.reload()
        await expect(page.get_by_role("heading", name="Attempt 1")).to_be_visible()
        await expect(page.get_by_text("delivered").first).to_be_visible()
        await page.locator("summary", has_text="Response").click()
        await expect(page.get_by_text("Thanks!")).to_be_visible()
        assert any(b"deal.won" in request and b"webhook-signature" in request.lower() for request in got)

        await page.get_by_role("button", name="Sign out").click()
        await page.goto("/console")
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()


async def test_every_page_fits_a_small_telephone_and_breaks_no_rule_of_its_own(
    chromium: Browser, set_up: Scene
) -> None:
    """Nothing sticks out at 360 pixels; the content security policy blocks nothing that the page itself needs."""
    async with context(chromium, set_up, viewport={"width": 360, "height": 740}, color_scheme="dark") as browser:
        page = await browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto("/console")
        await sign_in(page)
        public = [f"/pay/{set_up.paid_link.token}", f"/pay/{set_up.link.token}?cancelled=1"]
        for path in [*pages_of(set_up), *public]:
            await page.goto(path)
            sticks_out = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert sticks_out <= 0, path
        assert complaints == []


async def test_the_menu_of_a_small_screen_opens_without_javascript(chromium: Browser, set_up: Scene) -> None:
    """It is a popover of the browser's own."""
    async with context(chromium, set_up, viewport={"width": 390, "height": 740}) as browser:
        page = await browser.new_page()
        await page.goto("/console")
        await sign_in(page)
        link = page.get_by_role("link", name="Audit")
        await expect(link).to_be_hidden()
        await page.get_by_role("button", name="Menu").click()
        await link.click()
        await expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()


async def test_a_payer_turns_back_pays_and_is_thanked(chromium: Browser, set_up: Scene) -> None:
    """From the link over the hosted page and back; the waiting page looks again by itself."""
    async with context(chromium, set_up) as browser:

        async def hosted(route: Route) -> None:
            await route.fulfill(body="<h1>The hosted page</h1>", content_type="text/html")

        await browser.route("https://pay.fake/**", hosted)
        page = await browser.new_page()
        await page.goto(f"/pay/{set_up.link.token}?cancelled=1")
        await page.get_by_role("link", name="Pay", exact=True).click()
        await expect(page.get_by_role("heading", name="The hosted page")).to_be_visible()
        reference = page.url.rpartition("/")[2]

        await page.goto(f"/pay/{set_up.link.token}?returned=1")
        await expect(page.get_by_text("We are waiting for the confirmation.")).to_be_visible()
        set_up.payments.pay(reference)
        await expect(page.get_by_text("Thank you, your payment arrived.")).to_be_visible(timeout=10_000)
