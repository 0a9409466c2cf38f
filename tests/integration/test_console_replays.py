"""Recovery in the console, as a browser without JavaScript sees it: filters, a count, a confirmation, progress."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from httpx import AsyncClient, Response

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.notifications.run_replays import RunReplays
from application.ports.clock import Clock
from application.ports.store import Store
from domain.notifications.deliveries import DeliveryState
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from tests.integration.console_scene import VIEWER, Scene, scene

ROWS = re.compile(r'<a class="strong" href="/console/deliveries/')


@pytest.fixture
async def set_up(tmp_path: Any) -> AsyncIterator[Scene]:
    """One of everything; the endpoint's port is closed."""
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


def fields(page: Response, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent there."""
    form = page.text.partition(f'action="{action}"')[2].partition("</form>")[0]
    assert form, f"there is no form for {action}"
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


async def press(browser: AsyncClient, action: str, on: str) -> Response:
    """Send a form of a page as it stands there."""
    return await browser.post(action, data=fields(await browser.get(on), action))


def an_hour_ago(set_up: Scene) -> str:
    """As a field for a moment has it."""
    now = set_up.hub.resolve(Clock).now()  # type: ignore[type-abstract]
    return (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")


async def nothing_on_its_way(set_up: Scene) -> None:
    """The scene's failed delivery has a twin that still waits; it is given up."""
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.of(set_up.caller.organisation_id) as work:
        now = set_up.hub.resolve(Clock).now()  # type: ignore[type-abstract]
        await work.deliveries.cancel_pending(set_up.endpoint.endpoint.id, "for this test", now)
        await work.commit()


async def delivery(set_up: Scene, id: str) -> Any:
    """As it is kept."""
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.reading(set_up.caller.organisation_id) as work:
        return await work.deliveries.get(id)


async def test_from_a_list_to_a_replay_that_is_done(set_up: Scene, owner: AsyncClient) -> None:
    """The list's filters lead to a count, the count to a confirmation, that to a page with progress."""
    chosen = {"status": "failed", "since": an_hour_ago(set_up), "type": "*"}
    await nothing_on_its_way(set_up)
    listed = await owner.get(f"/console/deliveries?{urlencode(chosen)}")
    assert len(ROWS.findall(listed.text)) == 1
    (link,) = re.findall(r'href="(/console/replays/new[^"]*)"', listed.text)
    counted = await owner.get(link.replace("&amp;", "&"))
    assert "1 delivery would be sent" in counted.text
    form = fields(counted, "/console/replays")
    begun = await owner.post("/console/replays", data=form)
    assert begun.status_code == 303
    assert begun.headers["location"].endswith("?done=replay-started")
    path = urlsplit(begun.headers["location"]).path
    page = await owner.get(path)
    assert "0 of 1 deliveries are made" in page.text
    assert page.headers["refresh"] == "3"
    again = await owner.post("/console/replays", data=form)
    assert again.headers["location"] == "/console/replays", "the same form a second time begins nothing"
    assert (await owner.get("/console/replays")).text.count('class="strong" href="/console/replays/rpl_') == 1
    assert await set_up.hub.resolve(RunReplays)() == 1
    page = await owner.get(path)
    assert "1 of 1 deliveries are made" in page.text
    assert "refresh" not in page.headers
    assert "a later delivery" in (await owner.get(f"/console/deliveries/{set_up.failed.id}")).text


async def test_a_replay_is_stopped_by_a_button(set_up: Scene, owner: AsyncClient) -> None:
    """And a second press says that it is stopped."""
    await nothing_on_its_way(set_up)
    new = f"/console/replays/new?{urlencode({'since': an_hour_ago(set_up)})}"
    path = urlsplit((await press(owner, "/console/replays", on=new)).headers["location"]).path
    form = fields(await owner.get(path), f"{path}/cancel")
    assert (await owner.post(f"{path}/cancel", data=form)).status_code == 303
    assert "cancelled" in (await owner.get(path)).text
    refused = await owner.post(f"{path}/cancel", data=form)
    assert (refused.status_code, "This replay is cancelled." in refused.text) == (409, True)
    assert await set_up.hub.resolve(RunReplays)() == 0


async def test_what_was_missed_is_asked_for_by_the_same_form(set_up: Scene, owner: AsyncClient) -> None:
    """An endpoint has missed nothing since it listens to everything; without an endpoint the form says what is needed."""
    since = an_hour_ago(set_up)
    refused = await owner.get(f"/console/replays/new?{urlencode({'kind': 'missed', 'since': since})}")
    assert refused.status_code == 422
    assert "Name the endpoint that missed something." in refused.text
    chosen = {"kind": "missed", "since": since, "destination": set_up.endpoint.endpoint.id}
    counted = await owner.get(f"/console/replays/new?{urlencode(chosen)}")
    assert counted.status_code == 200
    assert "would be sent" in counted.text


@pytest.mark.parametrize("path", ["/console/deliveries", "/console/replays/new"])
@pytest.mark.parametrize(("query", "said"), [({"since": "soon"}, "2026-05-04T09:00"), ({"type": "X"}, "event type")])
async def test_a_wrong_filter_is_told_in_place(
    set_up: Scene, owner: AsyncClient, path: str, query: dict[str, str], said: str
) -> None:
    """And the fields keep what was typed."""
    typed = {"since": an_hour_ago(set_up), **query}
    answer = await owner.get(f"{path}?{urlencode(typed)}")
    assert answer.status_code == 422
    assert said in answer.text
    for value in typed.values():
        assert f'value="{value}"' in answer.text


async def test_a_waiting_delivery_is_tried_now_or_skipped(set_up: Scene, owner: AsyncClient) -> None:
    """Two buttons while it waits; afterwards it can be sent again."""
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.reading(set_up.caller.organisation_id) as work:
        waiting = [
            one
            for one in await work.deliveries.all(state=DeliveryState.PENDING)
            if one.destination_id == set_up.endpoint.endpoint.id and one.attempts
        ]
    path = f"/console/deliveries/{waiting[0].id}"
    page = await owner.get(path)
    assert "Retry now" in page.text
    assert "Send again" not in page.text
    tried = await press(owner, f"{path}/again", on=path)
    assert tried.headers["location"] == f"{path}?done=tried-now"
    now = set_up.hub.resolve(Clock).now()  # type: ignore[type-abstract]
    assert (await delivery(set_up, waiting[0].id)).due_at <= now
    skip = fields(await owner.get(path), f"{path}/skip")
    assert (await owner.post(f"{path}/skip", data=skip)).headers["location"] == f"{path}?done=skipped"
    assert (await delivery(set_up, waiting[0].id)).state is DeliveryState.CANCELLED
    refused = await owner.post(f"{path}/skip", data=skip)
    assert (refused.status_code, "there is nothing to skip" in refused.text) == (409, True)
    page = await owner.get(path)
    assert "Send again" in page.text
    assert f"{path}/skip" not in page.text


async def test_who_may_only_look_starts_nothing(set_up: Scene, owner: AsyncClient) -> None:
    """Nothing of another's is there either."""
    assert (await owner.get("/console/replays/rpl_nobody")).status_code == 404
    async with set_up.signed_in(VIEWER) as viewer:
        page = await viewer.get(f"/console/replays/new?{urlencode({'since': an_hour_ago(set_up)})}")
        assert "would be sent" in page.text
        assert 'action="/console/replays"' not in page.text
