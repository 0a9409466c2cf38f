"""Plans and subscriptions in the console, as a browser without JavaScript sees them."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient, Response

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.billing.subscriptions.renewals import SweepSubscriptions
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from tests.integration.console_scene import VIEWER, Scene, scene

PLANS, SUBSCRIPTIONS = "/console/plans", "/console/subscriptions"
PLAN = {
    "code": "studio",
    "name": "Studio",
    "count": "1",
    "interval": "month",
    "trial_days": "0",
    "description": "",
    "prices": "90.00 USD\n12000 JPY",
    "features": "api\nexports",
    "limits": "seats: 5\nprojects: unlimited",
}


@pytest.fixture
async def set_up(tmp_path: Any) -> AsyncIterator[Scene]:
    """One of everything, with a payment provider that renews subscriptions."""
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


async def send(browser: AsyncClient, on: str, action: str, **typed: str) -> Response:
    """Fill in a form of a page and send it, with the hidden fields that stand there."""
    page = await browser.get(on)
    form = page.text.partition(f'action="{action}"')[2].partition("</form>")[0]
    assert form, f"there is no form for {action}"
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    return await browser.post(action, data={**hidden, **typed})


async def a_plan(browser: AsyncClient, **changes: str) -> str:
    """A plan; the address of its page."""
    answer = await send(browser, f"{PLANS}/new", f"{PLANS}/new", **{**PLAN, **changes})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).partition("?")[0]


async def a_subscription(set_up: Scene, browser: AsyncClient) -> str:
    """A subscription that its client agreed to; the address of its page."""
    asked = await send(
        browser,
        f"{SUBSCRIPTIONS}/new",
        f"{SUBSCRIPTIONS}/new",
        client_id=set_up.invoice.client.id,
        plan="studio",
        currency="USD",
        quantity="2",
        connection=set_up.stripe.id,
    )
    assert asked.status_code == 303, asked.text
    place = str(asked.headers["location"]).partition("?")[0]
    (page,) = set(set_up.payments._orders) - set(set_up.payments._agreed)
    assert f"https://pay.fake/{page}" in (await browser.get(place)).text
    assert 'data-label="Paid until" class="tight">–<' in (await browser.get(SUBSCRIPTIONS)).text
    set_up.payments.agree(page)
    await set_up.hub.resolve(SweepSubscriptions)()
    return place


async def test_a_plan_is_made_changed_and_archived(owner: AsyncClient) -> None:
    """What is typed comes back when it cannot be, with the field marked."""
    place = await a_plan(owner)
    page = (await owner.get(place)).text
    assert "90.00 USD\n12000 JPY" in page
    assert "projects: unlimited" in page
    assert "studio" in (await owner.get(PLANS)).text
    wrong = await send(owner, place, place, **{**PLAN, "limits": "seats", "prices": "9 USD"})
    assert "neither" in wrong.text
    refused = await send(owner, f"{PLANS}/new", f"{PLANS}/new", **{**PLAN, "code": "No Code", "prices": "1.234 USD"})
    assert refused.status_code == 422
    assert 'value="No Code"' in refused.text
    assert "1.234 USD" in refused.text
    changed = await send(owner, place, place, **{**PLAN, "name": "Studio+"})
    assert changed.status_code == 303
    assert "Studio+" in (await owner.get(place)).text
    await send(owner, place, f"{place}/archive")
    assert "archived" in (await owner.get(place)).text
    assert "Studio+" not in (await owner.get(PLANS, params={"status": "active"})).text
    await send(owner, place, f"{place}/restore")
    assert "Studio+" in (await owner.get(PLANS, params={"status": "active"})).text


async def test_the_same_form_twice_makes_one(set_up: Scene, owner: AsyncClient) -> None:
    """A second click, or a reload."""
    page = (await owner.get(f"{PLANS}/new")).text
    hidden = dict(re.findall(r'type="hidden" name="(csrf|once)" value="([^"]*)"', page))
    for _ in range(2):
        assert (await owner.post(f"{PLANS}/new", data={**hidden, **PLAN})).status_code == 303
    async with set_up.signed_in() as browser:
        assert (await browser.get(PLANS)).text.count(f'href="{PLANS}/plan_') == 1


async def test_a_change_is_shown_before_it_is_made(set_up: Scene, owner: AsyncClient) -> None:
    """Then the same is made; its invoices and payments stand below."""
    await a_plan(owner)
    await a_plan(owner, code="bureau", name="Bureau", prices="180.00 USD")
    place = await a_subscription(set_up, owner)
    page = (await owner.get(place)).text
    for text in ("active", "180.00", "Show what it costs", "Studio"):
        assert text in page
    assert "Studio" in (await owner.get(SUBSCRIPTIONS, params={"status": "active"})).text
    preview = await send(owner, place, f"{place}/preview", plan="bureau", quantity="2")
    assert "Due now" in preview.text
    assert "Make the change" in preview.text
    form = preview.text.partition(f'action="{place}/change"')[2].partition("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    for _ in range(2):
        assert (await owner.post(f"{place}/change", data=hidden)).status_code == 303
    assert "Bureau" in (await owner.get(place)).text
    assert set_up.payments.calls.count("change_subscription") == 1
    refused = await send(owner, place, f"{place}/preview", plan="bureau", quantity="2")
    assert "plan and quantity that it has" in refused.text
    many = await send(owner, place, f"{place}/preview", plan="bureau", quantity="many")
    assert "whole number" in many.text


async def test_it_is_paused_and_ended(set_up: Scene, owner: AsyncClient) -> None:
    """Each with what takes it back, until it is over."""
    await a_plan(owner)
    place = await a_subscription(set_up, owner)
    await send(owner, place, f"{place}/pause")
    assert "paused" in (await owner.get(place)).text
    await send(owner, place, f"{place}/unpause")
    await owner.post(f"{place}/cancel", data={**await _token(owner, place), "when": "end"})
    assert "Do not end it" in (await owner.get(place)).text
    await send(owner, place, f"{place}/resume")
    assert "Do not end it" not in (await owner.get(place)).text
    await owner.post(f"{place}/cancel", data=await _token(owner, place))
    page = (await owner.get(place)).text
    assert "canceled" in page
    assert f'action="{place}' not in page


async def test_who_may_only_look_gets_no_forms(set_up: Scene, owner: AsyncClient) -> None:
    """The pages are there; what changes something is not."""
    plan = await a_plan(owner)
    place = await a_subscription(set_up, owner)
    async with set_up.signed_in(VIEWER) as viewer:
        for address in (PLANS, plan, f"{PLANS}/new", SUBSCRIPTIONS, place, f"{SUBSCRIPTIONS}/new"):
            page = await viewer.get(address)
            assert page.status_code == 200, address
            assert 'method="post" action="/console/plans' not in page.text
            assert 'method="post" action="/console/subscriptions' not in page.text


async def _token(browser: AsyncClient, on: str) -> dict[str, str]:
    page = (await browser.get(on)).text
    return {"csrf": page.partition('name="csrf" value="')[2].partition('"')[0]}
