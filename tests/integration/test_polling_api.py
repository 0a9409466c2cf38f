"""A receiver behind a firewall, over HTTP: fetch, verify, acknowledge, go back."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from standardwebhooks import Webhook

from adapters.persistence.tables import statistics
from domain.organisations import Scope
from entrypoints.wiring import Hub
from tests.integration.conftest import (
    Client,
    MovingClock,
    a_key,
    asking,
    both_databases,
    faults,
    made,
    read,
    work_off,
)
from tests.integration.things import an_event


async def polled(client: Client, **more: Any) -> tuple[Any, str]:
    """A polled endpoint, and where it is polled."""
    endpoint = await made(client, "/api/webhooks", {"mode": "poll", **more})
    return endpoint, f"/api/webhooks/{endpoint['id']}/poll"


@both_databases
async def test_what_waits_is_fetched_verified_and_acknowledged(client: Client, hub: Hub) -> None:
    """As it would have been sent; by PyPI's standardwebhooks."""
    endpoint, path = await polled(client, filter="data.n > 0")
    assert (endpoint["mode"], endpoint["url"], endpoint["expires_after_s"]) == ("poll", None, 604800)
    events = [await an_event(client, "order.placed", n=n, note="Grüße") for n in range(4)][1:]
    await work_off(hub)
    answer = await read(client, path, limit=2)
    assert ([item["event_id"] for item in answer["items"]], answer["more"]) == ([e["id"] for e in events[:2]], True)
    for item, event in zip(answer["items"], events, strict=False):
        told = Webhook(endpoint["secret"]).verify(item["body"].encode(), item["headers"])
        assert told["data"] == event["data"]
        assert (item["message_id"], item["fetched"]) == (event["id"], 1)
    last = answer["items"][-1]["id"]
    assert [item["event_id"] for item in (await read(client, path, after=last))["items"]] == [events[2]["id"]]
    assert await made(client, f"{path}/ack", {"up_to": last}, status=200) == {"acknowledged": 2}
    assert await made(client, f"{path}/ack", {"up_to": last}, status=200) == {"acknowledged": 0}
    (rest,) = (await read(client, path))["items"]
    assert rest["fetched"] == 2
    assert await made(client, f"{path}/ack", {"delivery_ids": [rest["id"]]}, status=200) == {"acknowledged": 1}
    assert await read(client, path) == {"items": [], "more": False}
    history = await read(client, f"/api/webhooks/{endpoint['id']}/deliveries")
    assert (history["statistics"]["delivered"], history["statistics"]["waiting"]) == (3, 0)
    async with hub.database.reading() as connection:
        counted = (await connection.execute(select(statistics.c.outcome, statistics.c.count))).all()
    assert sum(count for outcome, count in counted if outcome == "delivered") == 3


@both_databases
async def test_a_receiver_goes_back(client: Client, hub: Hub, clock: MovingClock) -> None:
    """To a delivery or a moment; an Idempotency-Key makes a repeated call harmless."""
    _, path = await polled(client)
    began = clock.now()
    for n in range(3):
        await an_event(client, "order.placed", n=n)
    ids = [item["id"] for item in (await read(client, path))["items"]]
    await made(client, f"{path}/ack", {"up_to": ids[-1]}, status=200)
    for _ in range(2):
        answer = await client.post(f"{path}/seek", json={"to": ids[0]}, headers={"Idempotency-Key": "once"})
        assert (answer.status_code, answer.json()) == (200, {"waiting_again": 2})
    again = (await read(client, path))["items"]
    assert len(again) == 2
    shown = await read(client, f"/api/deliveries/{again[0]['id']}")
    assert shown["delivery"]["replay_of"] == ids[1]
    await made(client, f"{path}/ack", {"up_to": again[-1]["id"]}, status=200)
    moment = (began - timedelta(seconds=5)).isoformat()
    assert await made(client, f"{path}/seek", {"to": moment}, status=200) == {"waiting_again": 3}
    assert "webhook.sought" in [entry["action"] for entry in (await read(client, "/api/audit"))["items"]]


@both_databases
async def test_what_expired_is_not_given_and_is_counted(client: Client, hub: Hub, clock: MovingClock) -> None:
    """A receiver that comes too late is not flooded with what is of no use any more."""
    endpoint, path = await polled(client, expires_after_s=60)
    await an_event(client)
    clock.advance(timedelta(seconds=61))
    fresh = await an_event(client)
    (item,) = (await read(client, path))["items"]
    assert item["event_id"] == fresh["id"]
    await made(client, f"{path}/ack", {"up_to": item["id"]}, status=200)
    counts = (await read(client, f"/api/webhooks/{endpoint['id']}/deliveries"))["statistics"]
    assert (counts["expired"], counts["delivered"], counts["waiting"]) == (1, 1, 0)


@both_databases
async def test_the_mode_changes_and_nothing_is_lost(client: Client, hub: Hub) -> None:
    """What waits to be sent waits to be fetched then; another's deliveries stay as they are."""
    url = "https://93.184.215.14/hook"
    endpoint = await made(client, "/api/webhooks", {"url": url, "retries": [60]})
    other = await made(client, "/api/webhooks", {"url": url})
    await an_event(client)
    changed = await client.put(f"/api/webhooks/{endpoint['id']}", json={"mode": "poll"})
    assert (changed.status_code, changed.json()["url"], changed.json()["retries"]) == (200, None, None)
    assert len((await read(client, f"/api/webhooks/{endpoint['id']}/poll"))["items"]) == 1
    back = await client.put(f"/api/webhooks/{endpoint['id']}", json={"mode": "push"})
    assert (back.status_code, faults(back)) == (422, {"url"})
    assert (await read(client, "/api/deliveries", destination_id=other["id"]))["items"][0]["status"] == "pending"


async def test_pausing_and_removing_cancel_what_waits(client: Client) -> None:
    """As with an endpoint that is called."""
    endpoint, path = await polled(client)
    await an_event(client)
    await client.put(f"/api/webhooks/{endpoint['id']}", json={"active": False})
    assert (await client.get(path)).status_code == 409
    await client.put(f"/api/webhooks/{endpoint['id']}", json={"active": True})
    assert (await read(client, path))["items"] == []
    assert (await client.post(f"/api/webhooks/{endpoint['id']}/test")).status_code == 409


async def test_wrong_questions_are_named(client: Client) -> None:
    """And an endpoint that is called cannot be polled."""
    _, path = await polled(client)
    for query, field in (({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"wait_s": 31}, "wait_s")):
        answer = await client.get(path, params=query)
        assert (answer.status_code, faults(answer)) == (422, {field})
    for what, body, field in (
        ("ack", {}, "up_to"),
        ("ack", {"up_to": "dlv_x", "delivery_ids": []}, "up_to"),
        ("ack", {"up_to": "dlv_x"}, "up_to"),
        ("ack", {"delivery_ids": ["x"]}, "delivery_ids.0"),
        ("ack", {"delivery_ids": 5}, "delivery_ids"),
        ("seek", {}, "to"),
        ("seek", {"to": "yesterday"}, "to"),
        ("seek", {"to": "2026-11-21T13:39:24"}, "to"),
        ("seek", {"to": "dlv_x"}, "to"),
    ):
        answer = await client.post(f"{path}/{what}", json=body)
        assert (answer.status_code, faults(answer)) == (422, {field}), (what, body, answer.text)
    pushed = await made(client, "/api/webhooks", {"url": "https://93.184.215.14/"})
    assert (await client.get(f"/api/webhooks/{pushed['id']}/poll")).status_code == 409


async def test_a_key_that_may_read_may_fetch_but_not_acknowledge(
    client: Client, hub: Hub, app: Any, organisation: str
) -> None:
    """Two scopes: a monitor may look without making anything disappear."""
    _, path = await polled(client)
    await an_event(client)
    async with asking(app, await a_key(hub, organisation, frozenset({Scope.WEBHOOKS_READ}))) as reader:
        (item,) = (await read(reader, path))["items"]
        assert (await reader.post(f"{path}/ack", json={"up_to": item["id"]})).status_code == 403
