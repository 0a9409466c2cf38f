"""Everything an endpoint can be set to, over HTTP: kept, shown, delivered so; and what is secret, never shown."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from application.notifications.deliver_due import DeliverDue
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.contract.certificates import Authority
from tests.integration.conftest import (
    HOST,
    Client,
    MovingClock,
    Ports,
    both_databases,
    everything_in,
    faults,
    made,
    read,
    served,
    work_off,
)
from tests.integration.things import an_endpoint, an_event

EVERYTHING: dict[str, Any] = {
    "name": "All of it",
    "events": ["order.*"],
    "timeout_s": 7,
    "envelope": "cloudevents-binary",
    "template": '{"order": "{{data.id}}"}',
    "template_type": "application/json",
    "filter": "data.amount >= 10",
    "signature": "stripe",
    "signature_header": "acme-signature",
    "retries": [1, 60],
    "retries_by_type": {"order.placed": [5]},
    "expires_after_s": 3600,
    "fifo": True,
    "rate_limit": 50,
    "rate_period_s": 2,
}


@both_databases
async def test_everything_can_be_set_is_shown_and_delivered_so(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """And a preview of the event, before it is told, is what then arrives."""
    body = {**EVERYTHING, "url": sandbox.receivers.url("app"), "headers": {"X-Token": "tok-CANARY"}}
    endpoint = await made(client, "/api/webhooks", body)
    path = f"/api/webhooks/{endpoint['id']}"
    shown = await read(client, path)
    assert {name: shown[name] for name in EVERYTHING} == EVERYTHING
    assert shown["headers"] == {"X-Token": "set"}
    assert shown == {**endpoint, "secret": None}
    await an_event(client, "order.placed", id="A-1", amount=9)
    event = await an_event(client, "order.placed", id="A-2", amount=10)
    previewed = await made(client, "/api/webhooks/preview", {"id": endpoint["id"], "event_id": event["id"]}, status=200)
    await work_off(hub)
    (request,) = sandbox.receivers.receiver("app").received
    assert request.body.decode() == previewed["body"] == '{"order":"A-2"}'
    assert previewed["size"] == len(request.body)
    assert request.headers["ce-id"] == previewed["headers"]["ce-id"] == event["id"]
    assert (request.headers["x-token"], previewed["headers"]["X-Token"]) == ("tok-CANARY", "•••")
    stamp = dict(part.split("=", 1) for part in request.headers["acme-signature"].split(","))
    signed = hmac.new(endpoint["secret"].encode(), f"{stamp['t']}.".encode() + request.body, hashlib.sha256)
    assert stamp["v1"] == signed.hexdigest()
    assert "CANARY" not in json.dumps([shown, previewed, await read(client, "/api/webhooks")])


async def test_one_field_changes_and_null_clears(client: Client, sandbox: Sandbox) -> None:
    """All others stay, also those that are not shown."""
    body = {**EVERYTHING, "url": sandbox.receivers.url("app"), "headers": {"X-Token": "t"}}
    endpoint = await made(client, "/api/webhooks", body)
    path = f"/api/webhooks/{endpoint['id']}"
    changed = (await client.put(path, json={"rate_limit": 60})).json()
    stays = {k: v for k, v in endpoint.items() if k not in ("secret", "version", "updated_at", "rate_limit")}
    assert {k: changed[k] for k in stays} == stays
    assert changed["rate_limit"] == 60
    cleared = (await client.put(path, json=dict.fromkeys((*EVERYTHING, "headers"), None))).json()
    usual = await made(client, "/api/webhooks", {"url": endpoint["url"]})
    assert {name: cleared[name] for name in EVERYTHING} == {name: usual[name] for name in EVERYTHING}
    assert (cleared["headers"], cleared["has_headers"]) == ({}, False)
    named = (await client.put(path, json={"template_name": "slack-incoming"})).json()
    templates = {one["name"]: one for one in await read(client, "/api/webhooks/templates")}
    assert named["template"] == templates["slack-incoming"]["template"]
    assert len(templates) == 5


WRONG: tuple[tuple[dict[str, Any], set[str]], ...] = (
    ({"mode": "pull"}, {"mode"}),
    ({"mode": "poll", "fifo": True}, {"url", "fifo"}),
    ({"envelope": "letter"}, {"envelope"}),
    ({"template": "{{data.x"}, {"template"}),
    ({"template": "x" * 70_000}, {"template"}),
    ({"template": "{{id}}" * 501}, {"template"}),
    ({"template": "x", "template_type": "multipart/mixed"}, {"template_type"}),
    ({"template_name": "nobody"}, {"template_name"}),
    ({"filter": "data.amount >"}, {"filter"}),
    ({"filter": "(" * 100}, {"filter"}),
    ({"filter": 5}, {"filter"}),
    ({"signature": "none"}, {"signature"}),
    ({"signature": "stripe", "signature_header": "content-type"}, {"signature_header"}),
    ({"retries": [0]}, {"retries"}),
    ({"retries": ["x"]}, {"retries.0"}),
    ({"retries": [1] * 31}, {"retries"}),
    ({"retries_by_type": {"*": [10**9]}}, {"retries_by_type.*"}),
    ({"expires_after_s": -1}, {"expires_after_s"}),
    ({"expires_after_s": 1.5}, {"expires_after_s"}),
    ({"fifo": "yes"}, {"fifo"}),
    ({"rate_limit": 10_001}, {"rate_limit"}),
    ({"rate_limit": 1, "rate_period_s": 3601}, {"rate_period_s"}),
    ({"rate_period_s": 1}, {"rate_period_s"}),
    ({"headers": {"Content-Length": "0"}}, {"headers.Content-Length"}),
    ({"headers": {"X": "a\nb"}}, {"headers.X"}),
    ({"timeout_s": 31}, {"timeout_s"}),
    ({"oauth": {"token_url": "https://x.example/"}}, {"oauth.client_id"}),
    ({"oauth": {"token_url": "http://10.0.0.1/", "client_id": "a", "client_secret": "b"}}, {"oauth.token_url"}),
    ({"oauth": {"token_url": "ftp://x/", "client_id": "a", "client_secret": "b"}}, {"oauth.token_url"}),
    ({"identity": {"certificate": "x", "key": "y"}}, {"identity.certificate"}),
    ({"identity": {"certificate": "x"}}, {"identity.key"}),
    ({"surprise": 1}, {"surprise"}),
)


async def test_each_wrong_field_is_named(client: Client, sandbox: Sandbox, subtests: pytest.Subtests) -> None:
    """When an endpoint is made and when it is changed, and nothing of a refused request is kept."""
    url = sandbox.receivers.url("app")
    endpoint = await made(client, "/api/webhooks", {"url": url})
    before = await read(client, f"/api/webhooks/{endpoint['id']}")
    for body, fields in WRONG:
        with subtests.test(str(body)[:80]):
            created = await client.post("/api/webhooks", json={"url": url, **body})
            assert (created.status_code, faults(created)) == (422, fields), created.text
            changed = await client.put(f"/api/webhooks/{endpoint['id']}", json=body)
            assert (changed.status_code, faults(changed)) == (422, fields - {"url"}), changed.text
    assert len((await read(client, "/api/webhooks"))["items"]) == 1
    assert await read(client, f"/api/webhooks/{endpoint['id']}") == before


async def test_a_client_certificate_has_to_fit_its_key(client: Client, tmp_path: Path, ports: Ports) -> None:
    """One that could not be used is refused when it is set, not when it is needed; it is nowhere in the clear."""
    one, other = Authority().identity(), Authority().identity()
    body = {"url": f"https://{HOST}:{ports.box}/", "identity": {"certificate": one.certificate, "key": one.key}}
    endpoint = await made(client, "/api/webhooks", body)
    assert endpoint["identity"] == {"certificate": "set", "key": "set"}
    secret = "".join(one.key.splitlines()[1:-1])[:40].encode()
    assert secret not in everything_in(tmp_path)
    for wrong, fields in (
        ({**body, "identity": {"certificate": one.certificate, "key": other.key}}, {"identity.key"}),
        ({**body, "url": f"http://{HOST}:{ports.box}/"}, {"identity"}),
    ):
        answer = await client.post("/api/webhooks", json=wrong)
        assert (answer.status_code, faults(answer)) == (422, fields)
        assert "PRIVATE" not in answer.text


async def test_an_endpoint_that_is_the_hub_is_refused(client: Client, hub: Hub) -> None:
    """It would be told of its own events for ever."""
    answer = await client.post("/api/webhooks", json={"url": f"{hub.settings.public_url}/api/events"})
    assert (answer.status_code, faults(answer)) == (422, {"url"})
    assert "feed itself" in answer.text


class OAuthWorld:
    """A token server and a receiver that wants its tokens, on one port."""

    def __init__(self) -> None:
        self.good, self.issued = "", 0
        self.asked: list[tuple[dict[str, str], dict[str, list[str]]]] = []
        self.received: list[dict[str, str]] = []
        self.refuse = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status = 200
        answer: dict[str, object] = {}
        if scope["path"] == "/token":
            self.asked.append((headers, parse_qs(body.decode())))
            if self.refuse:
                status, answer = 401, {"error": "invalid_client"}
            else:
                self.issued += 1
                self.good = f"tok-CANARY-{self.issued}"
                answer = {"access_token": self.good, "token_type": "Bearer", "expires_in": 3600}
        else:
            self.received.append(headers)
            status = 200 if headers.get("authorization") == f"Bearer {self.good}" else 401
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def test_an_endpoint_that_wants_tokens_gets_them(
    client: Client, hub: Hub, ports: Ports, clock: MovingClock, tmp_path: Path
) -> None:
    """One token for many deliveries, another when the receiver refuses it; neither it nor the secret is in any record."""
    world = OAuthWorld()
    base = f"http://{HOST}:{ports.box}"
    async with served(world, ports.box):
        oauth = {"token_url": f"{base}/token", "client_id": "hub", "client_secret": "s3cret-CANARY", "scope": "a b"}
        endpoint = await made(client, "/api/webhooks", {"url": f"{base}/hook", "oauth": oauth, "retries": []})
        assert endpoint["oauth"] == {**oauth, "client_secret": "set", "audience": None, "auth": "basic"}
        for _ in range(3):
            await an_event(client, "order.placed")
        await work_off(hub)
        assert (len(world.asked), len(world.received)) == (1, 3)
        headers, form = world.asked[0]
        assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"hub:s3cret-CANARY"
        assert form == {"grant_type": ["client_credentials"], "scope": ["a b"]}
        world.good = "revoked"
        clock.advance(timedelta(minutes=1))
        event = await an_event(client, "order.placed")
        await work_off(hub)
        (delivery,) = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
        assert (delivery["status"], world.issued) == ("delivered", 2)
        world.good, world.refuse = "revoked", True
        clock.advance(timedelta(minutes=1))
        event = await an_event(client, "order.placed")
        await work_off(hub)
        (delivery,) = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
        shown = await read(client, f"/api/deliveries/{delivery['id']}")
        assert "does not accept this client id and secret" in delivery["last_error"]
        assert shown["attempts"][0]["request_headers"]["authorization"] == "•••"
    assert b"CANARY" not in everything_in(tmp_path)


async def test_how_an_endpoint_fares_is_shown(client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock) -> None:
    """The breaker, how near it is to being switched off, and for what everything else waits."""
    endpoint = await an_endpoint(client, sandbox, fifo=True)
    path = f"/api/webhooks/{endpoint['id']}"
    well = {
        "breaker": "closed", "paused_until": None, "consecutive_failures": 0, "consecutive_failed_attempts": 0,
        "failing_since": None, "towards_off_percent": 0,
    }  # fmt: skip
    assert (endpoint["health"], endpoint["head"]) == (well, None)
    sandbox.receivers.control("app", {"fail_next": 100, "status": 500})
    first = await an_event(client)
    await an_event(client)
    for _ in range(5):
        await hub.resolve(DeliverDue)()
        clock.advance(timedelta(seconds=40) if _ < 3 else timedelta(minutes=7) if _ == 3 else timedelta())
    shown = await read(client, path)
    assert (shown["health"]["breaker"], shown["health"]["consecutive_failed_attempts"]) == ("open", 5)
    assert shown["health"]["paused_until"] is not None
    assert shown["health"]["failing_since"] is not None
    (delivery,) = (await read(client, "/api/deliveries", event_id=first["id"]))["items"]
    head = shown["head"]
    assert (head["delivery_id"], head["attempts"], head["waiting_since"]) == (delivery["id"], 5, delivery["created_at"])
    assert head["next_attempt_at"] is not None
    assert (await read(client, "/api/webhooks"))["items"] == [shown]
    clock.advance(timedelta(days=2, hours=12))
    assert (await read(client, path))["health"]["towards_off_percent"] == 50


async def test_a_preview_says_what_is_wrong(client: Client, subtests: pytest.Subtests) -> None:
    """By the names of its own fields."""
    for body, fields in (
        ({"event": {"type": "No"}}, {"event.type"}),
        ({"event": {"data": {}}}, {"event.type"}),
        ({"event": {"type": "a.b"}, "event_type": "a.b"}, {"event"}),
        ({"event_type": "nope"}, {"event_type"}),
        ({"template": "{{"}, {"template"}),
        ({"filter": "="}, {"filter"}),
        ({"template_name": "x"}, {"template_name"}),
        ({"surprise": 1}, {"surprise"}),
    ):
        with subtests.test(str(body)):
            answer = await client.post("/api/webhooks/preview", json=body)
            assert (answer.status_code, faults(answer)) == (422, fields), answer.text
    for body in ({"id": "wh_nobody"}, {"event_id": "evt_nobody"}):
        assert (await client.post("/api/webhooks/preview", json=body)).status_code == 404


async def test_a_preview_without_an_endpoint_is_signed_with_the_sample_secret(client: Client) -> None:
    """And explains the filter, comparison by comparison."""
    body = {
        "event": {"type": "order.placed", "data": {"amount": 3}},
        "filter": "data.amount >= 10 or data.vip",
        "template": "{{data.amount}} {{data.nmae}}",
    }
    shown = await made(client, "/api/webhooks/preview", body, status=200)
    assert (shown["accepted"], shown["body"], shown["missing"]) == (False, "3 ", ["data.nmae"])
    assert shown["why"][0] == {"text": "data.amount >= 10", "values": {"data.amount": "3"}, "holds": False}
    assert shown["sample_secret"].startswith("whsec_")
    assert shown["headers"]["webhook-signature"].startswith("v1,")
    assert shown["media_type"] == shown["headers"]["content-type"] == "text/plain; charset=utf-8"
    assert (await read(client, "/api/events"))["items"] == []
