"""Events: the host application's own door, and the catalogue of what the hub itself tells."""

import json
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, both_databases, faults, made, read, rows, work_off
from tests.integration.things import a_client, an_endpoint, an_event, an_invoice


@both_databases
async def test_an_event_is_kept_and_told_to_whoever_wants_it(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """By pattern: everything, a group, one type; not to who asked for something else."""
    everything = await an_endpoint(client, sandbox, "everything")
    group = await an_endpoint(client, sandbox, "group", events=["order.*"])
    exact = await an_endpoint(client, sandbox, "exact", events=["order.shipped", "invoice.paid"])
    await an_endpoint(client, sandbox, "other", events=["orders.*"])
    event = await an_event(client, "order.shipped", order={"id": 7})
    deliveries = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
    assert {d["destination_id"] for d in deliveries} == {everything["id"], group["id"], exact["id"]}
    assert {d["status"] for d in deliveries} == {"pending"}
    await work_off(hub)
    for name in ("everything", "group", "exact"):
        (got,) = sandbox.receivers.receiver(name).received
        assert (got.verified, got.headers["webhook-id"]) == (True, event["id"])
    assert not sandbox.receivers.receiver("other").received


async def test_what_is_sent_is_what_was_published(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Standard Webhooks' body: type, timestamp, data."""
    await an_endpoint(client, sandbox)
    data = {"text": "Grüße, 世界 👋", "numbers": [1, 0.5, 10**20], "none": None}
    body = {"type": "order.shipped", "data": data, "occurred_at": "2026-01-02T03:04:05+02:00"}
    event = await made(client, "/api/events", body)
    await work_off(hub)
    (got,) = sandbox.receivers.receiver("app").received
    sent = json.loads(got.body)
    assert (sent["type"], sent["data"]) == ("order.shipped", data)
    assert sent["timestamp"].startswith("2026-01-02T01:04:05")
    assert sent["id"] == event["id"]


@both_databases
async def test_a_list_pages_to_its_end_without_gaps(client: Client) -> None:
    """Newest first; what is published meanwhile does not shift the pages."""
    published = [(await an_event(client, f"a.b{number % 2}"))["id"] for number in range(7)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = await read(client, "/api/events", **query)
        seen += [event["id"] for event in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 3
        await an_event(client, "later.on")
        query["cursor"] = page["next_cursor"]
    assert seen == published[::-1]
    filtered = (await read(client, "/api/events", type="a.b1"))["items"]
    assert [event["id"] for event in filtered] == published[1::2][::-1]
    assert (await read(client, "/api/events", type="no.such"))["items"] == []
    assert (
        await read(client, f"/api/events/{published[0]}")
        == (await read(client, "/api/events", type="a.b0"))["items"][-1]
    )


async def test_the_catalogue_s_samples_are_what_its_schemas_say(client: Client) -> None:
    """Whoever builds a receiver builds it by these."""
    catalogue = await read(client, "/api/webhooks/events")
    names = [entry["name"] for entry in catalogue]
    assert len(set(names)) == len(names)
    assert {"invoice.created", "invoice.paid", "payment.received", "payment.refunded", "client.created"} <= set(names)
    for entry in catalogue:
        assert entry["description"].endswith(".")
        jsonschema.Draft202012Validator.check_schema(entry["schema"])
        jsonschema.validate(entry["sample"], entry["schema"])


async def test_what_the_hub_itself_tells_fits_its_catalogue(client: Client) -> None:
    """The real events, not the samples."""
    await an_invoice(client)
    schemas = {entry["name"]: entry["schema"] for entry in await read(client, "/api/webhooks/events")}
    told = (await read(client, "/api/events"))["items"]
    assert {event["type"] for event in told} == {"client.created", "invoice.created"}
    for event in told:
        jsonschema.validate(event["data"], schemas[event["type"]])


async def test_an_event_s_faults_are_named(client: Client, hub: Hub, clock: MovingClock) -> None:
    """And nothing is kept."""
    await a_client(client)
    before = await rows(hub)
    late = (clock.now() + timedelta(days=2)).isoformat()
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "type"),
        ({"type": ""}, "type"),
        ({"type": "nodot"}, "type"),
        ({"type": "Order.Shipped"}, "type"),
        ({"type": "order..shipped"}, "type"),
        ({"type": "order.*"}, "type"),
        ({"type": "a." + "b" * 100}, "type"),
        ({"type": 5}, "type"),
        ({"type": "a.b", "data": []}, "data"),
        ({"type": "a.b", "data": {"x": "y" * 300_000}}, "data"),
        ({"type": "a.b", "occurred_at": late}, "occurred_at"),
        ({"type": "a.b", "nonsense": 1}, "nonsense"),
    )
    for body, field in cases:
        answer = await client.post("/api/events", json=body)
        assert (answer.status_code, faults(answer)) == (422, {field}), (str(body)[:80], answer.text)
    assert await rows(hub) == before


@pytest.mark.parametrize("type_", ["a.b", "my_app.order_shipped", "a1.b2.c3"])
async def test_types_of_one_s_own_are_welcome(client: Client, type_: str) -> None:
    """The catalogue is what the hub tells; a host application has more to say."""
    assert (await an_event(client, type_))["type"] == type_
