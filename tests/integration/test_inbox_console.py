"""The console's inbox: filtered, downloaded byte for byte, skipped, many handled again; and what was missed."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import attrs
import pytest
from httpx import ASGITransport, AsyncClient, Response

from application.organisations.people import FoundOrganisation
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from domain.inbox import InboxState, Received
from entrypoints.sandbox import Sandbox
from entrypoints.scheduler import Scheduler
from entrypoints.serving import application
from entrypoints.wiring import Hub
from tests.integration.conftest import MovingClock, a_key, asking, quiet
from tests.integration.things import a_link, an_invoice, hosted, stripe

PASSWORD = "correct horse battery"  # of nobody
EMAIL = "owner@studio.example"


@attrs.define
class Desk:
    """A signed-in owner, and their application's client."""

    browser: AsyncClient
    client: Any
    hub: Hub
    organisation: str

    async def add(self, **changes: Any) -> Received:
        """A webhook that failed."""
        now = self.hub.resolve(Clock).now()  # type: ignore[type-abstract]
        made = Received(
            self.hub.resolve(Ids).new("inbox"),  # type: ignore[type-abstract]
            self.organisation,
            "con_1",
            "stripe",
            f"evt_{changes.get('object')}",
            "invoice.odd",
            b"\xff\x00raw",
            {},
            now,
            now,
            InboxState.FAILED,
            36,
            error="Traceback: no",
        )
        made = attrs.evolve(made, **changes)
        async with self.hub.resolve(Store).of(self.organisation) as work:  # type: ignore[type-abstract]
            await work.inbox.add(made)
            await work.commit()
        return made

    async def state(self, received: Received) -> InboxState:
        """As it is kept."""
        async with self.hub.resolve(Store).reading(self.organisation) as work:  # type: ignore[type-abstract]
            return (await work.inbox.get(received.id)).state

    async def press(self, path: str, on: str, **fields: str) -> Response:
        """Send a form of the page `on`."""
        page = await self.browser.get(on)
        assert f'action="{path}"' in page.text, "the page has that form"
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        return await self.browser.post(path, data={"csrf": token, **fields})


@pytest.fixture
async def desk(hub: Hub) -> AsyncIterator[Desk]:
    """Over the whole application."""
    with quiet():
        whole = application(hub)
    await hub.resolve(FoundOrganisation)(name="Studio", email=EMAIL, password=PASSWORD)
    (organisation,) = await hub.resolve(Store).organisations()  # type: ignore[type-abstract]
    async with (
        AsyncClient(transport=ASGITransport(whole), base_url=hub.settings.public_url) as browser,
        asking(whole, await a_key(hub, organisation.id)) as client,
    ):
        page = await browser.get("/console/sign-in")
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"email": EMAIL, "password": PASSWORD, "csrf": csrf}
        assert (await browser.post("/console/sign-in", data=form)).status_code == 303
        yield Desk(browser, client, hub, organisation.id)


async def test_the_list_is_filtered_and_those_shown_handled_again(desk: Desk) -> None:
    """Only them; and nothing is offered without a filter."""
    one, two = await desk.add(object="intent:pi_1"), await desk.add(object="intent:pi_2")
    everything = await desk.browser.get("/console/inbox")
    assert one.id in everything.text
    assert "/console/inbox/again" not in everything.text
    some = "/console/inbox?object=pi_1&status=failed"
    shown = await desk.browser.get(some)
    assert one.id in shown.text
    assert two.id not in shown.text
    assert "Handle 1 again" in shown.text
    answer = await desk.press("/console/inbox/again", some, object="pi_1", status="failed")
    assert answer.headers["location"].endswith("handled-again")
    assert (await desk.state(one), await desk.state(two)) == (InboxState.PENDING, InboxState.FAILED)


async def test_a_moment_that_is_none_is_named(desk: Desk) -> None:
    """The filter is shown as it was typed."""
    answer = await desk.browser.get("/console/inbox?since=yesterday")
    assert answer.status_code == 422
    assert 'value="yesterday"' in answer.text
    assert "Write a moment as in" in answer.text


async def test_one_is_downloaded_skipped_and_handled_again(desk: Desk) -> None:
    """The bytes as they came; a reason is needed."""
    one = await desk.add()
    page = f"/console/inbox/{one.id}"
    body = await desk.browser.get(f"{page}/body")
    assert (body.content, body.headers["content-type"]) == (b"\xff\x00raw", "application/octet-stream")
    assert (await desk.press(f"{page}/skip", page, reason=" ")).status_code == 422
    assert (await desk.press(f"{page}/skip", page, reason="known")).status_code == 303
    shown = await desk.browser.get(page)
    assert "Why it was skipped" in shown.text
    assert f"Skipped by user:{EMAIL}: known" in shown.text
    assert (await desk.press(f"{page}/again", page)).status_code == 303
    assert await desk.state(one) is InboxState.PENDING


async def test_the_connection_says_what_was_missed(
    desk: Desk, hub: Hub, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """How far the provider's list was read, and how many webhooks had not come."""
    connection = await stripe(desk.client)
    page = f"/console/connections/{connection['id']}"
    assert "own list" not in (await desk.browser.get(page)).text
    sandbox.stripe.post.behaviour.drop = 100
    await (await hosted(desk.client, sandbox, await a_link(desk.client, await an_invoice(desk.client)))).pay()
    await sandbox.stripe.post.idle()
    clock.advance(timedelta(minutes=10))
    missed = dict(await Scheduler(hub).run("missed-webhooks"))["missed"]
    assert missed > 1
    assert f"{missed} had not come and were taken in" in (await desk.browser.get(page)).text
    inbox = await desk.browser.get(f"/console/inbox?connection={connection['id']}")
    assert inbox.text.count("from its list") == missed
    assert json.loads((await desk.client.get("/api/inbox")).text)["items"][0]["found_by"] == "event list"
