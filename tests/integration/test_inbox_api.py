"""The inbox over HTTP: its doors in trouble, what a person can do, and a webhook that never came."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from adapters.providers.stripe.sandbox_gate import Fault
from domain.inbox import HOLDING_TRIES
from domain.organisations import Scope
from entrypoints.api.webhook_door import WebhookDoor
from entrypoints.sandbox import Sandbox
from entrypoints.scheduler import Scheduler
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, a_key, asking, both_databases, made, read, work_off
from tests.integration.things import a_link, an_invoice, events_of, hosted, secret_of, signed, stripe

DOOR = "/api/integrations/stripe/webhook"


@pytest.fixture(params=["door", "framework"])
async def outside(request: pytest.FixtureRequest, hub: Hub, app: Any) -> AsyncIterator[Client]:
    """Somebody without a key, before the door in front of the framework, and before the framework itself: no difference
    may be seen."""
    async with asking(WebhookDoor.before(app, hub) if request.param == "door" else app, None) as client:
        yield client


async def bring(outside: Client, secret: str, body: bytes, clock: MovingClock, door: str = DOOR, **more: str) -> Any:
    """Send a body that Stripe signed."""
    headers = {**signed(secret, body, clock.now().timestamp()), **more}
    return await outside.post(door, content=body, headers=headers)


def event(id: str = "evt_1", intent: str = "pi_1") -> bytes:
    """An event about a payment that Stripe does not know."""
    about = {"id": intent, "object": "payment_intent"}
    told = {"id": id, "object": "event", "type": "payment_intent.succeeded", "created": 1, "data": {"object": about}}
    return json.dumps(told, indent=2).encode()


@both_databases
async def test_a_lost_webhook_is_found_in_stripe_s_list_and_the_invoice_paid(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """All of them were lost on their way; the job finds them, and nothing is doubled when it runs again."""
    connection = await stripe(client)
    sandbox.stripe.post.behaviour.drop = 100
    invoice = await an_invoice(client)
    await (await hosted(client, sandbox, await a_link(client, invoice))).pay()
    await sandbox.stripe.post.idle()
    assert {delivery.state for delivery in sandbox.stripe.post.deliveries} == {"lost"}
    assert (await read(client, "/api/inbox"))["items"] == []
    clock.advance(timedelta(minutes=16))
    counts = dict(await Scheduler(hub).run("missed-webhooks"))
    assert counts == {"lists": 1, "missed": len(sandbox.stripe.post.deliveries), "unread": 0}
    await work_off(hub)
    assert (await read(client, f"/api/invoices/{invoice['id']}"))["invoice"]["status"] == "paid"
    inbox = (await read(client, "/api/inbox"))["items"]
    assert {one["found_by"] for one in inbox} == {"event list"}
    (told,) = (await read(client, "/api/events", type="integration.webhooks_missed"))["items"]
    assert told["data"]["missed"] == counts["missed"]
    assert told["data"]["connection"]["id"] == connection["id"]
    clock.advance(timedelta(minutes=16))
    assert dict(await Scheduler(hub).run("missed-webhooks"))["missed"] == 0
    sandbox.stripe.post.behaviour.drop = 0
    for late in events_of(sandbox, "payment_intent.succeeded"):
        sandbox.stripe.resend(late["id"])
    await sandbox.stripe.post.idle()
    assert len((await read(client, "/api/inbox"))["items"]) == len(inbox)


async def test_a_list_that_cannot_be_read_is_said_and_read_later(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """The job does not fail for it."""
    await stripe(client)
    clock.advance(timedelta(hours=1))
    sandbox.stripe.faults.append(Fault(status=500, path="/v1/events"))
    assert dict(await Scheduler(hub).run("missed-webhooks")) == {"lists": 0, "missed": 0, "unread": 1}
    assert dict(await Scheduler(hub).run("missed-webhooks")) == {"lists": 1, "missed": 0, "unread": 0}


@both_databases
async def test_while_the_database_is_away_stripe_is_asked_to_come_again(
    client: Client, hub: Hub, sandbox: Sandbox, outside: Client, clock: MovingClock
) -> None:
    """503 with Retry-After, nothing kept; then it is new."""
    secret = await secret_of(hub, await stripe(client))

    async def rename(old: str, new: str) -> None:
        async with hub.database.writing() as connection:
            await connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
            await connection.commit()

    for table in ("inbox", "connections"):
        clock.advance(timedelta(seconds=2))  # who may have signed it is not remembered any more
        await rename(table, "away")
        answer = await bring(outside, secret, event(table), clock)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:problem:patchbay:inbox-unavailable"
        await rename("away", table)
        assert (await read(client, "/api/inbox"))["items"] == []
    answer = await bring(outside, secret, event(), clock)
    assert (answer.status_code, answer.json()) == (200, {"received": True, "duplicate": False})


async def test_what_is_odd_is_refused_by_name(
    client: Client, hub: Hub, sandbox: Sandbox, outside: Client, clock: MovingClock
) -> None:
    """A compressed body, one that is too large, headers beyond measure, a forgery, an unknown address."""
    connection = await stripe(client)
    secret = await secret_of(hub, connection)
    mine = f"{DOOR}/{connection['id']}"
    packed = await bring(outside, secret, gzip.compress(event()), clock, **{"content-encoding": "gzip"})
    assert packed.status_code == 415
    assert "Content-Encoding: gzip" in packed.json()["detail"]
    assert (await bring(outside, secret, event() + b" " * 1_048_577, clock)).status_code == 413
    assert (await bring(outside, secret, event(), clock, **{"x-much": "x" * 17_000})).status_code == 431
    assert (await bring(outside, "whsec_other", event(), clock)).status_code == 400
    assert (await bring(outside, secret, event(), clock, f"{DOOR}/con_none")).status_code == 404
    assert (await bring(outside, secret, event(), clock, "/api/integrations/none/webhook")).status_code == 404
    assert (await bring(outside, secret, b"\xff\xfe", clock)).status_code == 422
    assert (await read(client, "/api/inbox"))["items"] == []
    assert (await bring(outside, secret, event(), clock, mine, **{"content-encoding": "identity"})).status_code == 200
    assert (await bring(outside, secret, event(), clock, mine)).json() == {"received": True, "duplicate": True}


async def test_a_person_looks_at_one_skips_it_and_has_it_handled_again(
    client: Client, hub: Hub, sandbox: Sandbox, outside: Client, clock: MovingClock
) -> None:
    """With what went wrong, the exact bytes, and a line in the audit log for each."""
    secret = await secret_of(hub, await stripe(client))
    sandbox.stripe.faults.append(Fault(count=1, status=500, path="/v1/payment_intents"))
    await bring(outside, secret, event(), clock)
    await work_off(hub)
    (one,) = (await read(client, "/api/inbox", status="pending", object="pi_1"))["items"]
    assert one["object"] == "intent:pi_1"
    detail = await read(client, f"/api/inbox/{one['id']}")
    assert detail["webhook"]["error"].startswith("Stripe could not answer, and is asked again: ")
    assert "Traceback" not in detail["webhook"]["error"]
    assert "sk_test_integration" not in json.dumps(detail)
    assert detail["size"] == len(event())
    body = await client.get(f"/api/inbox/{one['id']}/body")
    assert (body.content, body.headers["content-type"]) == (event(), "application/octet-stream")
    assert body.headers["content-disposition"] == f'attachment; filename="{one["id"]}.bin"'
    assert (await client.post(f"/api/inbox/{one['id']}/skip", json={"reason": ""})).status_code == 422
    skipped = await made(client, f"/api/inbox/{one['id']}/skip", {"reason": "known trouble"}, status=200)
    assert (skipped["status"], skipped["error"]) == ("skipped", "Skipped by key:tests: known trouble")
    counted = await made(client, "/api/inbox/retry", {"provider": "stripe", "dry_run": True}, status=202)
    assert counted == {"matching": 1, "taken": 0}
    assert (await made(client, "/api/inbox/retry", {"type": "other"}, status=202))["taken"] == 0
    assert (await made(client, "/api/inbox/retry", {"object": "pi_1"}, status=202))["taken"] == 1
    for _ in range(HOLDING_TRIES):
        await work_off(hub)
        clock.advance(timedelta(minutes=5))
    (again,) = (await read(client, "/api/inbox"))["items"]
    assert again["status"] == "ignored"
    audit = [entry["action"] for entry in (await read(client, "/api/audit", limit=50))["items"]]
    assert [action for action in audit if action.startswith("inbox.")] == [
        "inbox.repeated", "inbox.skipped", "inbox.downloaded",
    ]  # fmt: skip


async def test_who_may_not_read_integrations_sees_nothing_of_it(
    client: Client, other_client: Client, hub: Hub, app: Any, organisation: str, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Neither without the scope nor from another organisation; and a moment needs a zone."""
    secret = await secret_of(hub, await stripe(client))
    await bring(client, secret, event(), clock)
    (one,) = (await read(client, "/api/inbox"))["items"]
    async with asking(app, await a_key(hub, organisation, frozenset({Scope.EVENTS_READ}))) as deaf:
        for path in ("", f"/{one['id']}", f"/{one['id']}/body"):
            assert (await deaf.get(f"/api/inbox{path}")).status_code == 403
    async with asking(app, await a_key(hub, organisation, frozenset({Scope.INTEGRATIONS_READ}))) as reader:
        assert (await reader.get(f"/api/inbox/{one['id']}/body")).status_code == 200
        assert (await reader.post(f"/api/inbox/{one['id']}/skip", json={"reason": "x"})).status_code == 403
    for path in (f"/{one['id']}", f"/{one['id']}/body"):
        assert (await other_client.get(f"/api/inbox{path}")).status_code == 404
    assert (await other_client.post(f"/api/inbox/{one['id']}/skip", json={"reason": "x"})).status_code == 404
    naive = await client.get("/api/inbox", params={"since": "2026-03-03T10:00:00"})
    assert naive.status_code == 422
    assert naive.json()["errors"][0]["field"] == "since"
    assert len((await read(client, "/api/inbox", since="2026-03-03T10:00:00Z"))["items"]) == 1
    assert (await read(client, "/api/inbox", until="2026-03-03T10:00:00Z"))["items"] == []
