"""The console's statistics: a picture, its numbers as a table, and who does worst; links choose the range."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest
from httpx import ASGITransport, AsyncClient

from application.organisations.people import FoundOrganisation
from application.ports.store import Store
from entrypoints import console
from entrypoints.console.rendering import environment
from entrypoints.sandbox import Sandbox
from entrypoints.serving import application
from entrypoints.wiring import Hub
from tests.integration.conftest import a_key, asking, quiet, work_off
from tests.integration.things import an_endpoint, an_event

PAGE = "/console/statistics"
PASSWORD = "correct horse battery"  # of nobody


@pytest.fixture
def whole(hub: Hub) -> Any:
    """The application with its console."""
    with quiet():
        return application(hub)


@asynccontextmanager
async def browsing(hub: Hub, whole: Any, email: str | None = None) -> AsyncIterator[AsyncClient]:
    """A browser, signed in as the owner of a new organisation, or as nobody."""
    async with AsyncClient(transport=ASGITransport(whole), base_url=hub.settings.public_url) as browser:
        if email is not None:
            await hub.resolve(FoundOrganisation)(name="Studio", email=email, password=PASSWORD)
            page = await browser.get("/console/sign-in")
            csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
            form = {"email": email, "password": PASSWORD, "csrf": csrf}
            assert (await browser.post("/console/sign-in", data=form)).status_code == 303
        yield browser


@pytest.fixture
async def owner(hub: Hub, whole: Any, sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    """Signed in to an organisation that told an endpoint of three things, two of which it refused at first."""
    async with browsing(hub, whole, "owner@studio.example") as browser:
        (organisation,) = await hub.resolve(Store).organisations()  # type: ignore[type-abstract]
        async with asking(whole, await a_key(hub, organisation.id)) as client:
            await an_endpoint(client, sandbox, name="app")
            sandbox.receivers.control("app", {"fail_next": 2})
            for _ in range(3):
                await an_event(client)
            await work_off(hub)
        yield browser


@attrs.frozen
class Named:
    """All that the part asks of an endpoint."""

    id: str


def sources(page: str) -> list[str]:
    """Where the pictures of a page are."""
    return [source.replace("&amp;", "&") for source in re.findall(r'<img src="([^"]+)"', page)]


async def test_the_page_shows_a_plot_its_numbers_and_who_does_worst(owner: AsyncClient) -> None:
    """Without a script; the picture is told in words and as a table."""
    page = await owner.get(PAGE)
    assert page.status_code == 200
    assert "<script" not in page.text
    (source,) = sources(page.text)
    assert re.search(r'<img [^>]*alt="Attempts by hour', page.text)
    plot = await owner.get(source)
    assert plot.headers["content-type"].partition(";")[0] == "image/svg+xml"
    told = ET.fromstring(plot.text).findtext("{*}desc") or ""  # our own
    attempts = re.search(r"(\d+) attempts", told)
    assert attempts is not None
    assert attempts[1] == "3"
    assert f'<dd class="number">{attempts[1]} <small>' in page.text
    assert "Most failures first" in page.text
    assert "/console/statistics?range=day&amp;destination=wh_" in page.text


@pytest.mark.parametrize(
    ("chosen", "told"),
    [("hour", "minute"), ("day", "hour"), ("week", "hour"), ("90-days", "day"), ("nonsense", "hour")],
)
async def test_links_choose_the_range(owner: AsyncClient, chosen: str, told: str) -> None:
    """Of the page and its plot alike; what is no range is the usual one."""
    page = await owner.get(PAGE, params={"range": chosen})
    assert f"Attempts by {told}" in page.text
    (source,) = sources(page.text)
    assert f" UTC by {told}: " in (await owner.get(source)).text
    assert len(re.findall(r'aria-current="true"', page.text)) == 1


async def test_one_destination_has_a_page_of_its_own(owner: AsyncClient) -> None:
    """It leads to the endpoint, and its links keep to it."""
    listed = await owner.get(PAGE)
    found = re.search(r'href="(/console/statistics\?range=day&amp;destination=(wh_\w+))"', listed.text)
    assert found is not None
    page = await owner.get(found[1].replace("&amp;", "&"))
    assert "Most failures first" not in page.text
    assert f'href="/console/webhooks/{found[2]}"' in page.text
    assert page.text.count(f"destination={found[2]}") == 5
    (source,) = sources(page.text)
    assert (await owner.get(source)).status_code == 200


async def test_nothing_of_another_organisation_is_shown(hub: Hub, whole: Any, owner: AsyncClient) -> None:
    """Nor by naming its endpoint."""
    mine = re.search(r"destination=(wh_\w+)", (await owner.get(PAGE)).text)
    assert mine is not None
    async with browsing(hub, whole, "owner@rivals.example") as rival:
        for query in ({}, {"destination": mine[1]}):
            page = await rival.get(PAGE, params=query)
            assert "Nothing was sent in this time." in page.text
            assert f"/console/webhooks/{mine[1]}" not in page.text
        plot = await rival.get(f"{PAGE}/plot.svg", params={"destination": mine[1]})
        assert " 0 attempts" in plot.text


async def test_an_endpoints_page_can_show_its_last_day(owner: AsyncClient) -> None:
    """A part of a template, for whatever page has an `endpoint`: the picture it names is there."""
    found = re.search(r"destination=(wh_\w+)", (await owner.get(PAGE)).text)
    assert found is not None
    pages = environment(Path(console.__file__).parent / "templates")
    part = pages.get_template("statistics_of_endpoint.html").render(endpoint=Named(found[1]))
    (source,) = sources(part)
    assert " 3 attempts" in (await owner.get(source)).text
    assert f'href="/console/statistics?destination={found[1]}"' in part


async def test_strangers_see_nothing(hub: Hub, whole: Any) -> None:
    """They are asked to sign in; a picture is not shown either."""
    async with browsing(hub, whole) as stranger:
        for path in (PAGE, f"{PAGE}/plot.svg"):
            answer = await stranger.get(path)
            assert answer.status_code in (303, 401)
            assert "<svg" not in answer.text
