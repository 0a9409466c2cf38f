"""Recovery by a person, over HTTP: lists with filters, try now, skip, replays."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from application.notifications.run_replays import RunReplays
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from entrypoints.worker import Worker
from tests.integration.conftest import Client, both_databases, faults, made, read, until, work_off
from tests.integration.things import an_endpoint, an_event


def moment(by: timedelta = timedelta()) -> str:
    """Now, or later, or earlier."""
    return (datetime.now(UTC) + by).isoformat().replace("+00:00", "Z")


AN_HOUR_AGO = moment(-timedelta(hours=1))


async def failing(client: Client, hub: Hub, box: Sandbox, count: int, name: str = "app") -> Any:
    """An endpoint whose receiver says that it is gone, with so many failed deliveries; then it is well again."""
    endpoint = await an_endpoint(client, box, name)
    for _ in range(count):
        await an_event(client)
        box.receivers.control(name, {"fail_next": 1, "status": 410})
        await work_off(hub)
        answer = await client.put(f"/api/webhooks/{endpoint['id']}", json={"active": True})
        assert answer.status_code == 200, answer.text
    return endpoint


async def carried_out(hub: Hub) -> int:
    """Replays until nothing is left to do, delivered as they go. Returns how many deliveries were made."""
    run, total = hub.resolve(RunReplays), 0
    while True:
        made_now = await run()
        await work_off(hub)
        if not made_now:
            return total
        total += made_now


@both_databases
async def test_what_failed_is_counted_then_sent(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Dry first; then each once, as a new delivery with the message id it had; then nothing is left to send."""
    endpoint = await failing(client, hub, sandbox, 3)
    before = (await read(client, "/api/deliveries", status="failed"))["items"]
    assert len(before) == 3
    body = {"destination_id": endpoint["id"], "since": AN_HOUR_AGO, "event_types": ["invoice.*"], "error": ["4xx"]}
    counted = await made(client, "/api/replays", {**body, "dry_run": True}, status=200)
    assert (counted["total"], counted["destinations"], counted["dry_run"]) == (3, [endpoint["id"]], True)
    assert (await read(client, "/api/replays"))["items"] == []
    replay = await made(client, "/api/replays", body, status=202)
    assert (replay["status"], replay["total"], replay["done"], replay["percent"]) == ("running", 3, 0, 0)
    assert replay["wanted"]["status"] == ["failed", "expired"]
    assert await carried_out(hub) == 3
    ended = await read(client, f"/api/replays/{replay['id']}")
    assert (ended["status"], ended["done"], ended["left_out"], ended["percent"]) == ("done", 3, 0, 100)
    assert ended["per_second"] > 0
    delivered = (await read(client, "/api/deliveries", status="delivered"))["items"]
    assert {one["replay_of"] for one in delivered} == {one["id"] for one in before}
    assert {one["message_id"] for one in delivered} == {one["message_id"] for one in before}
    again = await made(client, "/api/replays", {**body, "dry_run": True}, status=200)
    assert again["total"] == 0
    nothing = await made(client, "/api/replays", body, status=202)
    assert (nothing["status"], nothing["total"]) == ("done", 0)
    actions = [entry["action"] for entry in (await read(client, "/api/audit"))["items"]]
    assert actions.count("replay.started") == 2


@both_databases
async def test_what_was_missed_is_sent(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """An endpoint made later gets the events of before that it wants, and no event twice."""
    for number in range(3):
        await an_event(client, number=number)
    await an_event(client, "client.created")
    late = await an_endpoint(client, sandbox, "late", events=["invoice.*"])
    await an_event(client, number=3)
    await work_off(hub)
    body = {"kind": "missed", "destination_id": late["id"], "since": AN_HOUR_AGO}
    assert (await made(client, "/api/replays", {**body, "dry_run": True}, status=200))["total"] == 3
    replay = await made(client, "/api/replays", body, status=202)
    assert await carried_out(hub) == 3
    assert (await read(client, f"/api/replays/{replay['id']}"))["status"] == "done"
    deliveries = (await read(client, "/api/deliveries", destination_id=late["id"]))["items"]
    assert [one["status"] for one in deliveries] == ["delivered"] * 4
    assert all(one["message_id"] == one["event_id"] for one in deliveries)
    assert (await made(client, "/api/replays", {**body, "dry_run": True}, status=200))["total"] == 0


async def test_the_worker_carries_replays_out(client: Client, hub: Hub, sandbox: Sandbox, worker: Worker) -> None:
    """By itself, soon after it was asked for."""
    await made(client, "/api/events", {"type": "invoice.paid", "data": {}})
    late = await an_endpoint(client, sandbox, "late")
    body = {"kind": "missed", "destination_id": late["id"], "since": AN_HOUR_AGO}
    replay = await made(client, "/api/replays", body, status=202)

    async def arrived() -> bool:
        ended = (await read(client, f"/api/replays/{replay['id']}"))["status"] == "done"
        deliveries = (await read(client, "/api/deliveries", destination_id=late["id"]))["items"]
        return ended and [one["status"] for one in deliveries] == ["delivered"]

    await until(arrived, "the replay")


async def test_a_replay_is_stopped_once(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """What it had not made is not made; a second stop says so."""
    endpoint = await failing(client, hub, sandbox, 1)
    replay = await made(client, "/api/replays", {"since": AN_HOUR_AGO}, status=202)
    stopped = await made(client, f"/api/replays/{replay['id']}/cancel", status=200)
    assert stopped["status"] == "cancelled"
    assert await carried_out(hub) == 0
    answer = await client.post(f"/api/replays/{replay['id']}/cancel")
    assert (answer.status_code, answer.json()["detail"]) == (409, "This replay is cancelled.")
    assert len((await read(client, "/api/deliveries", destination_id=endpoint["id"]))["items"]) == 1


async def test_three_at_a_time(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Also when four are asked for in the same moment; and the same call again is no other replay."""
    await failing(client, hub, sandbox, 1)
    body = {"since": AN_HOUR_AGO}
    answers = await asyncio.gather(*(client.post("/api/replays", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 202, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "3 replays are under way" in refused.json()["detail"]
    running = next(answer.json()["id"] for answer in answers if answer.status_code == 202)
    await made(client, f"/api/replays/{running}/cancel", status=200)
    keyed = [await client.post("/api/replays", json=body, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.status_code for answer in keyed] == [202, 202]
    assert keyed[0].json() == keyed[1].json()
    await carried_out(hub)
    sent = (await read(client, "/api/deliveries", status="delivered"))["items"]
    assert len(sent) == 1, "of three replays of the same delivery one sends it"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"since"}),
        ({"since": "yesterday"}, {"since"}),
        ({"since": "2026-05-04T09:00:00"}, {"since"}),
        ({"since": moment(timedelta(hours=1))}, {"since"}),
        ({"since": AN_HOUR_AGO, "until": AN_HOUR_AGO}, {"until"}),
        ({"since": AN_HOUR_AGO, "event_types": ["Invoice"]}, {"event_types.0"}),
        ({"since": AN_HOUR_AGO, "status": ["pending"]}, {"status"}),
        ({"since": AN_HOUR_AGO, "status": ["lost"]}, {"status.0"}),
        ({"since": AN_HOUR_AGO, "error": ["6xx"]}, {"error.0"}),
        ({"since": AN_HOUR_AGO, "destination_id": "wh_nobody"}, {"destination_id"}),
        ({"since": AN_HOUR_AGO, "kind": "missed"}, {"destination_id"}),
        ({"since": AN_HOUR_AGO, "kind": "missed", "destination_id": "x", "status": ["failed"]}, {"status"}),
        ({"since": moment(-timedelta(days=400)), "kind": "missed", "destination_id": "x"}, {"since"}),
        ({"since": AN_HOUR_AGO, "surprise": 1}, {"surprise"}),
    ],
    ids=lambda given: "-".join(sorted(map(str, given))),  # the values are moments
)
async def test_a_wrong_filter_is_named(client: Client, body: dict[str, Any], fields: set[str]) -> None:
    """And nothing is begun."""
    answer = await client.post("/api/replays", json=body)
    assert answer.status_code == 422, answer.text
    assert faults(answer) == fields
    assert (await read(client, "/api/replays"))["items"] == []


async def test_nothing_goes_to_whom_is_switched_off(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Named, it is refused; not named, it is left out; switched off meanwhile, the rest is dropped."""
    endpoint = await failing(client, hub, sandbox, 2)
    path = f"/api/webhooks/{endpoint['id']}"
    named = {"since": AN_HOUR_AGO, "destination_id": endpoint["id"]}
    replay = await made(client, "/api/replays", named, status=202)
    (await client.put(path, json={"active": False})).raise_for_status()
    assert (await client.post("/api/replays", json=named)).status_code == 409
    assert (await made(client, "/api/replays", {"since": AN_HOUR_AGO, "dry_run": True}, status=200))["total"] == 0
    assert await carried_out(hub) == 0
    ended = await read(client, f"/api/replays/{replay['id']}")
    assert (ended["status"], ended["done"], ended["left_out"]) == ("done", 0, 2)


@both_databases
async def test_what_waits_is_tried_now(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """The same delivery, without waiting for its time; what is about to go is left alone."""
    await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"fail_next": 2, "status": 500})
    await an_event(client)
    (delivery,) = (await read(client, "/api/deliveries"))["items"]
    refused = await client.post(f"/api/deliveries/{delivery['id']}/retry")
    assert (refused.status_code, refused.json()["detail"]) == (409, "This delivery is already on its way.")
    await work_off(hub)
    for attempts, status in ((2, "pending"), (3, "delivered")):
        tried = await made(client, f"/api/deliveries/{delivery['id']}/retry", status=202)
        assert tried["id"] == delivery["id"]
        await work_off(hub)
        (now,) = (await read(client, "/api/deliveries"))["items"]
        assert (now["attempts"], now["status"]) == (attempts, status)


@both_databases
async def test_a_destination_is_tried_now(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Its pause ends, and everything that waits for a further attempt is due."""
    endpoint = await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"fail_next": 1, "status": 429, "retry_after": 3600})
    await an_event(client)
    await an_event(client)
    await work_off(hub)
    tried = await made(client, f"/api/deliveries/lanes/{endpoint['id']}/retry", status=202)
    assert tried == {"destination_id": endpoint["id"], "deliveries": 1}
    await work_off(hub)
    assert {one["status"] for one in (await read(client, "/api/deliveries"))["items"]} == {"delivered"}
    assert (await client.post("/api/deliveries/lanes/wh_nobody/retry")).status_code == 404


@both_databases
async def test_one_is_skipped(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """It is not tried any more; what has ended cannot be skipped."""
    await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"fail_next": 1, "status": 500})
    await an_event(client)
    await work_off(hub)
    (delivery,) = (await read(client, "/api/deliveries"))["items"]
    skipped = await made(client, f"/api/deliveries/{delivery['id']}/skip", status=200)
    assert (skipped["status"], skipped["last_error"]) == ("cancelled", "skipped by a person")
    answer = await client.post(f"/api/deliveries/{delivery['id']}/skip")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "This delivery is cancelled: there is nothing to skip.",
    )
    assert (await client.post("/api/deliveries/dlv_nobody/skip")).status_code == 404
    actions = [entry["action"] for entry in (await read(client, "/api/audit"))["items"]]
    assert actions.count("delivery.skipped") == 1


async def test_the_list_is_filtered(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """By every filter, several values of one meaning any of them."""
    endpoints = {}
    for type_, status in (("invoice.paid", 404), ("invoice.sent", 503), ("client.created", None)):
        endpoints[type_] = await an_endpoint(client, sandbox, type_, events=[type_])
        if status is not None:
            sandbox.receivers.control(type_, {"fail_next": 100, "status": status})
        await an_event(client, type_)
        await work_off(hub)

    async def listed(**query: Any) -> list[str]:
        items = (await read(client, "/api/deliveries", **query))["items"]
        return [one["event_type"] for one in items]

    assert await listed() == ["client.created", "invoice.sent", "invoice.paid"]
    assert await listed(event_type="invoice.*") == ["invoice.sent", "invoice.paid"]
    assert await listed(event_type=["client.*", "invoice.paid"]) == ["client.created", "invoice.paid"]
    assert await listed(error="4xx") == ["invoice.paid"]
    assert await listed(error=["4xx", "5xx"]) == ["invoice.sent", "invoice.paid"]
    assert await listed(status="delivered") == ["client.created"]
    assert await listed(status=["delivered", "failed"]) == ["client.created"]
    assert await listed(destination_id=endpoints["client.created"]["id"], since=AN_HOUR_AGO) == ["client.created"]
    assert await listed(until=AN_HOUR_AGO) == []
    for query, field in (
        ({"event_type": "Invoice"}, "event_types.0"),
        ({"since": "2026-05-04T09:00:00"}, "since"),
        ({"since": "soon"}, "since"),
        ({"since": moment(), "until": AN_HOUR_AGO}, "until"),
        ({"error": "6xx"}, "error"),
        ({"status": "lost"}, "status"),
    ):
        answer = await client.get("/api/deliveries", params=query)
        assert answer.status_code == 422, (query, answer.text)
        assert {name.partition(".")[0] for name in faults(answer)} == {field.partition(".")[0]}


async def test_what_was_sent_is_shown(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """The body that the receiver got, byte for byte, though it is not kept a second time."""
    await an_endpoint(client, sandbox)
    await an_event(client, client="Zoë")
    await work_off(hub)
    (delivery,) = (await read(client, "/api/deliveries"))["items"]
    (attempt,) = (await read(client, f"/api/deliveries/{delivery['id']}"))["attempts"]
    (received,) = sandbox.receivers.receiver("app").received
    assert attempt["request_body"].encode() == received.body
