"""Statistics over HTTP: what was sent is counted, told by time and destination, drawn, and kept apart."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from domain.organisations import Scope
from entrypoints.sandbox import Sandbox
from entrypoints.scheduler import Scheduler
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, a_key, asking, both_databases, faults, read, work_off
from tests.integration.things import an_endpoint, an_event

ALL = "/api/statistics/deliveries"
WORST = "/api/statistics/destinations"
COUNTS = ("attempts", "arrived", "missed", "delivered", "failed", "expired")


def counts(figures: dict[str, Any]) -> tuple[int, ...]:
    """The numbers of one bucket."""
    return tuple(figures[name] for name in COUNTS)


async def one_good_one_bad(client: Client, hub: Hub, sandbox: Sandbox) -> tuple[str, str]:
    """Two endpoints' ids; three events were sent to each, and the second one refused the first two."""
    good, bad = await an_endpoint(client, sandbox, "good"), await an_endpoint(client, sandbox, "bad")
    sandbox.receivers.control("bad", {"fail_next": 2})
    for _ in range(3):
        await an_event(client, "order.shipped")
    await work_off(hub)
    return good["id"], bad["id"]


@both_databases
async def test_what_was_sent_is_counted_by_time_and_destination(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """The same numbers for each destination, for the organisation, and after they were folded."""
    good, bad = await one_good_one_bad(client, hub, sandbox)
    whole = await read(client, ALL)
    assert counts(whole["total"])[:4] == (6, 4, 2, 4)
    assert (whole["step"], len(whole["buckets"])) == ("hour", 25)
    assert whole["total"]["success_rate"] == pytest.approx(4 / 6)
    assert whole["total"]["delivery_rate"] == 1
    assert 0 < whole["total"]["duration_ms"]["p50"] <= whole["total"]["duration_ms"]["p99"] < 20_000
    assert 0 < whole["total"]["time_to_end_ms"]["p95"] < 20_000
    busy = [bucket for bucket in whole["buckets"] if bucket["figures"]["attempts"]]
    assert [counts(bucket["figures"]) for bucket in busy] == [counts(whole["total"])]
    assert whole["buckets"][0]["figures"]["duration_ms"] is None
    mine = await read(client, f"/api/webhooks/{good}/statistics")
    assert counts(mine["total"]) == (3, 3, 0, 3, 0, 0)
    other = await read(client, ALL, destination_id=bad)
    assert counts(other["total"])[:4] == (3, 1, 2, 1)
    worst = await read(client, WORST)
    assert [one["destination_id"] for one in worst["items"]] == [bad, good]
    assert worst["count"] == 2
    assert [counts(one["figures"]) for one in worst["items"]] == [counts(other["total"]), counts(mine["total"])]
    assert (await read(client, WORST, limit=1))["items"] == worst["items"][:1]
    minutes = await read(client, f"/api/webhooks/{good}/statistics", step="minute")
    assert counts(minutes["total"]) == counts(mine["total"])
    clock.advance(timedelta(hours=9))
    folded = await Scheduler(hub).run("statistics")
    assert (folded["minutes"] > 0, folded["hours"]) == (True, 0)
    for path, before in ((ALL, whole), (f"/api/webhooks/{good}/statistics", mine)):
        assert (await read(client, path))["total"] == before["total"]
    assert (await read(client, WORST))["items"] == worst["items"]
    clock.advance(timedelta(days=20))
    assert (await Scheduler(hub).run("statistics"))["hours"] > 0
    assert (await read(client, ALL, step="day"))["total"] == whole["total"]


async def test_buckets_are_whole_and_the_range_is_told(client: Client) -> None:
    """Widened outwards; the step is chosen when none is asked for."""
    now = datetime.now(UTC)
    found = await read(client, ALL, since=(now - timedelta(minutes=90)).isoformat())
    assert (found["step"], len(found["buckets"])) == ("minute", 91)
    assert re.fullmatch(r"[\d-]{10}T\d\d:\d\d:00Z", found["since"])
    assert found["buckets"][0]["at"] == found["since"]
    days = await read(client, ALL, since=(now - timedelta(days=90)).isoformat())
    assert (days["step"], len(days["buckets"])) == ("day", 91)
    assert await read(client, WORST) | {"since": "", "until": ""} == {"since": "", "until": "", "count": 0, "items": []}


@pytest.mark.parametrize(
    "path", [ALL, f"{ALL}.svg", WORST, "/api/webhooks/{}/statistics", "/api/webhooks/{}/statistics.svg"]
)
async def test_what_cannot_be_answered_names_the_field(client: Client, sandbox: Sandbox, path: str) -> None:
    """The same wherever statistics are read."""
    path = path.format((await an_endpoint(client, sandbox))["id"])
    long_ago = (datetime.now(UTC) - timedelta(days=500)).isoformat()
    wrong: list[tuple[dict[str, str], str]] = [
        ({"since": long_ago}, "since"),
        ({"since": "2026-01-02T03:04:05"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"until": "0001-01-01T00:00:00Z"}, "until"),
        ({"since": "9999-12-31T23:59:59Z"}, "since"),
    ]
    if path == WORST:
        wrong += [({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"order": "name"}, "order")]
    else:
        week = (datetime.now(UTC) - timedelta(days=7)).isoformat()
        wrong += [({"step": "year"}, "step"), ({"step": "minute", "since": week}, "step")]
    for query, field in wrong:
        answer = await client.get(path, params=query)
        assert (answer.status_code, faults(answer)) == (422, {field}), query


@both_databases
async def test_an_organisation_sees_its_own_only(
    client: Client, other_client: Client, hub: Hub, sandbox: Sandbox, other_organisation: str, organisation: str
) -> None:
    """Neither the sum nor one destination, by whatever address; also once minutes are folded."""
    good, bad = await one_good_one_bad(client, hub, sandbox)
    for _ in range(2):
        for query in ({}, {"destination_id": good}, {"destination_id": bad}, {"destination_id": organisation}):
            assert counts((await read(other_client, ALL, **query))["total"]) == (0, 0, 0, 0, 0, 0)
        assert (await read(other_client, WORST))["items"] == []
        for path in (f"/api/webhooks/{good}/statistics", f"/api/webhooks/{good}/statistics.svg"):
            assert (await other_client.get(path)).status_code == 404
        await Scheduler(hub).run("statistics")


async def test_a_key_needs_the_scope(hub: Hub, app: Any, organisation: str) -> None:
    """webhooks:read is enough; another's is not."""
    paths = (ALL, f"{ALL}.svg", WORST)
    async with asking(app, await a_key(hub, organisation, frozenset({Scope.WEBHOOKS_READ}))) as reader:
        assert [(await reader.get(path)).status_code for path in paths] == [200, 200, 200]
    rest = frozenset(Scope) - {Scope.WEBHOOKS_READ}
    async with asking(app, await a_key(hub, organisation, rest)) as stranger:
        for path in (*paths, "/api/webhooks/wh_1/statistics", "/api/webhooks/wh_1/statistics.svg"):
            assert (await stranger.get(path)).status_code == 403
    async with asking(app, None) as nobody:
        assert (await nobody.get(ALL)).status_code == 401


async def test_the_plot_is_a_picture_that_runs_nothing(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """The numbers of the range are in its description; its one style is allowed by its hash, and nothing else."""
    good, _ = await one_good_one_bad(client, hub, sandbox)
    for path, attempts in ((f"{ALL}.svg", 6), (f"/api/webhooks/{good}/statistics.svg", 3)):
        answer = await client.get(path)
        assert answer.headers["content-type"].partition(";")[0] == "image/svg+xml"
        plot = ET.fromstring(answer.text)  # our own
        assert f" {attempts} attempts" in (plot.findtext("{*}desc") or "")
        style = hashlib.sha256((plot.findtext("{*}style") or "").encode()).digest()
        allowed = f"default-src 'none'; style-src 'sha256-{base64.b64encode(style).decode()}'"
        assert answer.headers["content-security-policy"] == allowed
    marked = await client.get(f"{ALL}.svg", params={"destination_id": "<script>alert(1)</script>"})
    assert marked.status_code == 200
    assert "<script" not in marked.text
