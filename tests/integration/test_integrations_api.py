"""Connections to providers and the notifications that go over them, against the sandbox."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapters.providers.stripe import sandbox_checkout as checkout
from adapters.providers.stripe.sandbox_cards import card_of
from adapters.providers.stripe.sandbox_gate import Fault
from domain.notifications.schedule import DEFAULT
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import (
    Client,
    MovingClock,
    both_databases,
    everything_in,
    faults,
    made,
    read,
    rows,
    work_off,
)
from tests.integration.things import a_notification, an_endpoint, an_event, an_invoice, slack, smtp, stripe


def kinds(told: list[Any]) -> list[str]:
    """The types of some events, oldest first."""
    return [event["type"] for event in reversed(told)]


@both_databases
async def test_stripe_is_connected_with_a_pasted_key(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """The key is tried, the webhook registered, everything secret sealed; the answer names what is kept, not what it is."""
    connection = await stripe(client)
    assert (connection["provider"], connection["status"], connection["live"]) == ("stripe", "connected", False)
    assert connection["account"]
    assert connection["secrets"] == ["secret_key", "webhook_secret"]
    (books,) = sandbox.stripe.shops()
    (registered,) = books.endpoints.values()
    assert registered["url"] == f"{hub.settings.public_url}/api/integrations/stripe/webhook/{connection['id']}"
    status = await read(client, "/api/integrations/stripe/status")
    assert (status["configured"], status["connected"], status["live"]) == (True, True, False)
    assert status["connections"] == [connection]
    for name in (connection["id"], "stripe"):
        assert await read(client, f"/api/integrations/{name}") == connection
    assert kinds((await read(client, "/api/events"))["items"]) == ["integration.connected"]


async def test_a_wrong_key_is_named_and_nothing_is_kept(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Whether it looks wrong or Stripe says so."""
    sandbox.stripe.revoked.add("sk_test_revoked")
    before = await rows(hub)
    for path, body in (
        ("/api/integrations/stripe/connect", {"secret_key": "sk_test_revoked"}),
        ("/api/integrations", {"provider": "stripe", "fields": {"secret_key": "sk_test_revoked"}}),
    ):
        answer = await client.post(path, json=body)
        assert (answer.status_code, faults(answer)) == (422, {"secret_key"})
        assert "does not accept this key" in answer.json()["detail"]
        assert "revoked" not in answer.text
    sandbox.stripe.faults.append(Fault(path="/v1/account", status=500))
    away = await client.post("/api/integrations/stripe/connect", json={"secret_key": "sk_test_x"})
    assert (away.status_code, away.headers["retry-after"]) == (503, "30")
    sandbox.stripe.faults.append(Fault(path="/v1/webhook_endpoints", status=400))
    unwanted = await client.post("/api/integrations/stripe/connect", json={"secret_key": "sk_test_x"})
    assert (unwanted.status_code, faults(unwanted)) == (422, {"webhook_secret"})
    assert await rows(hub) == before


async def test_a_connection_is_tested_and_its_trouble_noted(client: Client, sandbox: Sandbox) -> None:
    """By its id, by its provider, or named in the body; a key that was revoked shows in status and list."""
    connection = await stripe(client)
    by_id, by_slug = f"/api/integrations/{connection['id']}/test", "/api/integrations/stripe/test"
    for path, body in ((by_id, None), (by_slug, None), ("/api/integrations/test", {"connection": "stripe"})):
        result = await made(client, path, body, status=200)
        assert (result["ok"], result["connection"]["status"]) == (True, "connected"), path
        assert result["connection"]["last_used_at"]
    sandbox.stripe.revoked.add("sk_test_integration")
    result = await made(client, by_slug, status=200)
    assert (result["ok"], result["connection"]["status"]) == (False, "failing")
    assert "connect again" in result["detail"]
    status = await read(client, "/api/integrations/stripe/status")
    assert (status["configured"], status["connected"]) == (True, False)
    assert status["last_error"] == result["detail"]
    (listed,) = (await read(client, "/api/integrations"))["items"]
    assert (listed["status"], listed["last_error"]) == ("failing", result["detail"])
    sandbox.stripe.revoked.clear()
    assert (await made(client, by_id, status=200))["connection"]["status"] == "connected"


@both_databases
async def test_a_connection_is_changed_paused_and_forgotten(
    client: Client, hub: Hub, sandbox: Sandbox, tmp_path: Any
) -> None:
    """A new key is tried before it takes the place of the one that works; disconnecting forgets what was sealed."""
    connection = await stripe(client)
    path = f"/api/integrations/{connection['id']}"
    renamed = await client.patch(path, json={"name": "Stripe, test mode"}, headers={"If-Match": '"1"'})
    assert (renamed.json()["name"], renamed.headers["etag"]) == ("Stripe, test mode", '"2"')
    sandbox.stripe.revoked.add("sk_test_wrong")
    for method, place in (("PATCH", path), ("PUT", "/api/integrations/stripe/settings")):
        wrong = await client.request(method, place, json={"fields": {"secret_key": "sk_test_wrong"}})
        assert (wrong.status_code, faults(wrong)) == (422, {"secret_key"})
        unknown = await client.request(method, place, json={"fields": {"nonsense": "x"}})
        assert (unknown.status_code, faults(unknown)) == (422, {"nonsense"})
    assert (await made(client, f"{path}/test", status=200))["ok"], "the key that worked is still there"
    changed = await client.put("/api/integrations/stripe/settings", json={"fields": {"publishable_key": "pk_test_1"}})
    assert changed.json()["settings"] == {"publishable_key": "pk_test_1"}
    cleared = await client.put("/api/integrations/stripe/settings", json={"fields": {"publishable_key": None}})
    assert cleared.json()["settings"] == {}
    paused = await client.patch(path, json={"active": False})
    assert (paused.json()["status"], paused.json()["connected"]) == ("paused", False)
    invoice = await an_invoice(client)
    for place, body in (
        (f"/api/invoices/{invoice['id']}/payment-link", {}),
        ("/api/integrations/stripe/payment-link", {"invoice_id": invoice["id"]}),
        ("/api/payments/intent", {"invoice_id": invoice["id"]}),
    ):
        assert (await client.post(place, json=body)).status_code == 409, place
    assert (await client.patch(path, json={"active": True})).json()["status"] == "connected"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await read(client, "/api/integrations"))["items"] == []
    assert (await client.delete("/api/integrations/stripe/disconnect")).status_code == 404
    status = await read(client, "/api/integrations/stripe/status")
    assert (status["configured"], status["connections"]) == (False, [])
    again = await stripe(client)
    assert again["id"] != connection["id"]
    assert (await client.delete("/api/integrations/stripe/disconnect")).status_code == 204


async def test_two_connections_to_one_provider_are_named_by_id(client: Client, sandbox: Sandbox) -> None:
    """A provider's slug that could mean either is refused, and both are named."""
    one, two = await stripe(client, "sk_test_one"), await stripe(client, "sk_test_two")
    for method, path, body in (
        ("GET", "/api/integrations/stripe", None),
        ("POST", "/api/integrations/stripe/test", {}),
        ("PUT", "/api/integrations/stripe/settings", {"fields": {}}),
        ("DELETE", "/api/integrations/stripe/disconnect", None),
    ):
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 409, path
        assert one["id"] in answer.json()["detail"]
        assert two["id"] in answer.json()["detail"]
    assert len((await read(client, "/api/integrations/stripe/status"))["connections"]) == 2
    invoice = await an_invoice(client)
    unnamed = await made(client, f"/api/invoices/{invoice['id']}/payment-link", {})
    assert (unnamed["provider"], unnamed["connection_id"]) == ("", ""), "the payer chooses"
    link = await made(client, f"/api/invoices/{invoice['id']}/payment-link", {"provider": two["id"]})
    assert link["connection_id"] == two["id"]


async def test_the_catalogue_says_what_to_type(client: Client, sandbox: Sandbox) -> None:
    """Enough to build a form from: labels, what is secret, what is needed; and what is configured already."""
    await slack(client, sandbox)
    catalogue = {entry["slug"]: entry for entry in await read(client, "/api/integrations/catalog")}
    assert set(catalogue) == {"discord", "flutterwave", "paypal", "slack", "smtp", "stripe"}
    assert {slug for slug, entry in catalogue.items() if entry["configured"]} == {"slack"}
    key = next(field for field in catalogue["stripe"]["fields"] if field["name"] == "secret_key")
    assert (key["secret"], key["required"], bool(key["label"])) == (True, True, True)
    assert catalogue["smtp"]["offers"] == ["mail", "messages"]
    assert (await client.get("/api/integrations/nonsense/status")).status_code == 404


async def test_no_secret_is_ever_shown_again(client: Client, hub: Hub, sandbox: Sandbox, tmp_path: Any) -> None:
    """Not in an answer, an event, the audit trail, or an error; in the database only sealed."""
    secrets = {
        "sk_test_CANARYstripe", "whsec_CANARYhook", "CANARYpassword",
        sandbox.slack.webhook_url, sandbox.discord.webhook_url,
    }  # fmt: skip
    await an_endpoint(client, sandbox)
    keys = {"secret_key": "sk_test_CANARYstripe", "webhook_secret": "whsec_CANARYhook"}
    shown = [json.dumps(await made(client, "/api/integrations/stripe/connect", keys))]
    shown.append(json.dumps(await slack(client, sandbox)))
    shown.append(json.dumps(await smtp(client, sandbox, username="studio", password="CANARYpassword")))
    body = {"name": "x", "platform": "discord", "events": ["*"], "webhook_url": sandbox.discord.webhook_url}
    notification = await made(client, "/api/integrations/notifications", body)
    shown.append(json.dumps(notification))
    tested = await client.post(f"/api/integrations/notifications/{notification['id']}/test")
    shown.append(tested.text)
    await work_off(hub)
    (failed,) = [(await client.post("/api/integrations/smtp/test")).text]
    shown.append(failed)
    paths = [
        "integrations",
        "integrations/catalog",
        "integrations/notifications",
        "events",
        "audit",
        "deliveries",
        "inbox",
    ]
    paths += [f"integrations/{slug}/status" for slug in ("stripe", "slack", "discord", "smtp")]
    deliveries = (await read(client, "/api/deliveries", limit=200))["items"]
    paths += [f"deliveries/{delivery['id']}" for delivery in deliveries]
    shown += [(await client.get(f"/api/{path}")).text for path in paths]
    for secret in secrets:
        assert not [text[:200] for text in shown if secret in text or secret.rpartition("/")[2] in text], secret
    stored = everything_in(tmp_path)
    if stored:  # a SQLite file
        assert b"studio" in stored
        for secret in secrets:
            assert secret.encode() not in stored


# Notifications


async def test_a_notification_is_made_changed_tested_and_removed(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """With a webhook URL of its own; the same path with an id changes it."""
    path = "/api/integrations/notifications"
    body = {"name": "#billing", "platform": "slack", "events": ["invoice.*"], "webhook_url": sandbox.slack.webhook_url}
    created = await client.post(path, json=body)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    notification = created.json()
    assert (await read(client, path))["items"] == [notification]
    changed = await client.post(
        path, json={"id": notification["id"], "name": "#money", "platform": "slack", "events": ["payment.*"]}
    )
    assert (changed.status_code, changed.json()["name"], changed.json()["events"]) == (200, "#money", ["payment.*"])
    assert changed.json()["connection_id"] == notification["connection_id"]
    assert len((await read(client, path))["items"]) == 1
    tested = await made(client, f"{path}/{notification['id']}/test", status=200)
    assert (tested["delivered"], tested["delivery"]["event_type"].partition(".")[0]) == (True, "payment")
    tested = await made(client, f"{path}/{notification['id']}/test", {"event_type": "invoice.overdue"}, status=200)
    assert tested["delivered"]
    assert len(sandbox.slack.messages) == 2
    assert "blocks" in sandbox.slack.messages[0].payload
    await an_event(client, "payment.received")
    assert (await client.delete(f"{path}/{notification['id']}")).status_code == 204
    await work_off(hub)
    assert len(sandbox.slack.messages) == 2, "what still waited was cancelled"
    assert (await client.post(f"{path}/{notification['id']}/test")).status_code == 404


async def test_an_event_reaches_every_channel_that_wants_it(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Blocks in Slack, an embed in Discord, HTML and text by mail."""
    path = "/api/integrations/notifications"
    for platform, url in (("slack", sandbox.slack.webhook_url), ("discord", sandbox.discord.webhook_url)):
        body: dict[str, Any] = {"name": platform, "platform": platform, "events": ["invoice.paid"], "webhook_url": url}
        await made(client, path, body)
    await smtp(client, sandbox)
    body = {"name": "office", "platform": "smtp", "events": ["*"], "target": {"to": ["office@studio.example"]}}
    await made(client, path, body)
    sample = next(e for e in await read(client, "/api/webhooks/events") if e["name"] == "invoice.paid")["sample"]
    await an_event(client, "invoice.paid", **sample)
    await an_event(client, "order.shipped")
    await work_off(hub)
    (in_slack,), (in_discord,) = sandbox.slack.messages, sandbox.discord.messages
    assert in_slack.payload["blocks"][0]["type"] == "header"
    assert in_discord.request["embeds"]
    number = sample["invoice"]["number"]
    mails = [mail for mail in sandbox.mail.mails if number in mail.as_json()["subject"] + str(mail.part("plain"))]
    (mail,) = mails
    assert mail.recipients == ("office@studio.example",)
    for text in (json.dumps(in_slack.payload), json.dumps(in_discord.request), mail.part("html"), mail.part("plain")):
        assert number in str(text)
    assert {d["status"] for d in (await read(client, "/api/deliveries"))["items"]} == {"delivered"}


async def test_a_preview_shows_the_message_and_sends_nothing(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """With the catalogue's sample or data of one's own, and how near it comes to each limit."""
    path = "/api/integrations/notifications/preview"
    before = await rows(hub)
    for platform in ("slack", "discord", "smtp"):
        preview = await made(client, path, {"platform": platform}, status=200)
        assert (preview["platform"], bool(preview["payload"])) == (platform, True)
        assert preview["meters"]
        assert all(0 <= meter["used"] <= meter["limit"] for meter in preview["meters"])
        assert preview["shortened"] == []
    long = {"platform": "slack", "event_type": "my.own", "data": {"text": "x" * 20_000}}
    preview = await made(client, path, long, status=200)
    assert all(meter["used"] <= meter["limit"] for meter in preview["meters"])
    odd: tuple[dict[str, Any], ...] = (
        {"invoice": 5}, {"invoice": {"total": "x"}}, {"payment": [1]}, {"invoice": None}, {"a": {"b": {}}}
    )  # fmt: skip
    for data in odd:
        await made(client, path, {"platform": "slack", "data": data}, status=200)
    assert (await client.post(path, json={"platform": "stripe"})).status_code == 404
    wrong = await client.post(path, json={"platform": "slack", "event_type": "no type"})
    assert wrong.status_code == 422
    assert (await rows(hub), len(sandbox.slack.messages)) == (before, 0)


async def test_a_notification_s_faults_are_named(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """And no connection is left behind for a configuration that was refused."""
    await smtp(client, sandbox)
    url = sandbox.slack.webhook_url
    good = {"name": "x", "platform": "slack", "events": ["*"], "webhook_url": url}
    mail = {"name": "x", "platform": "smtp", "events": ["*"]}
    before = await rows(hub)
    cases: tuple[tuple[dict[str, Any], int, set[str]], ...] = (
        ({**good, "platform": "stripe"}, 422, {"platform"}),
        ({**good, "platform": "nonsense"}, 404, set()),
        ({**good, "events": []}, 422, {"events"}),
        ({**good, "events": ["No"]}, 422, {"events.0"}),
        ({**good, "name": ""}, 422, {"name"}),
        ({**good, "name": "   "}, 422, {"name"}),
        ({**good, "target": {"to": ["a@b.example"]}}, 422, {"target.to"}),
        ({**good, "id": "ntf_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, 404, set()),
        ({"name": "x", "platform": "slack", "events": ["*"]}, 422, {"platform"}),
        ({**mail, "target": {}}, 422, {"target.to"}),
        ({**mail, "target": {"to": []}}, 422, {"target.to"}),
        ({**mail, "target": {"to": ["nobody"]}}, 422, {"target.to.0"}),
        ({**mail, "target": {"to": ["localhost"]}}, 422, {"target.to.0"}),
        ({**mail, "target": {"to": ["a@b.example", "a b@c.example"]}}, 422, {"target.to.1"}),
        ({**mail, "target": {"to": ["a@b.example\r\nBcc: c@d.example"]}}, 422, {"target.to.0"}),
        ({**mail, "target": {"to": ["a@b.example"], "cc": []}}, 422, {"target.cc"}),
        (
            {**mail, "target": {"to": ["a@b.example"]}, "connection_id": "con_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
            422,
            {"connection_id"},
        ),
    )
    for body, status, fields in cases:
        answer = await client.post("/api/integrations/notifications", json=body)
        assert (answer.status_code, faults(answer)) == (status, fields), (body, answer.text)
        assert await rows(hub) == before, body


@both_databases
async def test_a_channel_that_is_gone_is_switched_off(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Slack says that the webhook was revoked: the configuration rests, its connection shows why, others are told."""
    notification = await a_notification(client, sandbox)
    await an_endpoint(client, sandbox, events=["integration.failing"])
    sandbox.slack.control({"revoke": "patchbay-sandbox"})
    await an_event(client)
    await work_off(hub)
    (shown,) = (await read(client, "/api/integrations/notifications"))["items"]
    assert (shown["is_active"], bool(shown["reason"])) == (False, True)
    connection = await read(client, f"/api/integrations/{notification['connection_id']}")
    assert (connection["status"], bool(connection["last_error"])) == ("failing", True)
    (told,) = sandbox.receivers.receiver("app").received
    assert json.loads(told.body)["type"] == "integration.failing"


async def test_a_channel_in_trouble_is_tried_again(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Slack's server errors and rate limits, Discord's and the mail server's 4xx: retried like any delivery."""
    await a_notification(client, sandbox)
    body: dict[str, Any] = {
        "name": "d",
        "platform": "discord",
        "events": ["*"],
        "webhook_url": sandbox.discord.webhook_url,
    }
    await made(client, "/api/integrations/notifications", body)
    await smtp(client, sandbox)
    body = {"name": "m", "platform": "smtp", "events": ["*"], "target": {"to": ["office@studio.example"]}}
    await made(client, "/api/integrations/notifications", body)
    await work_off(hub)
    sandbox.slack.messages.clear()
    sandbox.discord.messages.clear()
    for box, status in ((sandbox.slack, 500), (sandbox.discord, 429), (sandbox.mail, 451)):
        box.control({"fail_next": 1, "status": status})
    event = await an_event(client, "order.shipped")
    await work_off(hub)
    deliveries = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
    assert [(d["status"], d["attempts"]) for d in deliveries] == [("pending", 1)] * 3
    clock.advance(DEFAULT.delays[0] * 2 + timedelta(seconds=2))
    await work_off(hub)
    deliveries = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
    assert [(d["status"], d["attempts"]) for d in deliveries] == [("delivered", 2)] * 3


async def test_disconnecting_stops_what_goes_over_it(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """The notification rests with its reason, and what waited is cancelled."""
    notification = await a_notification(client, sandbox)
    event = await an_event(client, "order.shipped")
    assert (await client.delete(f"/api/integrations/{notification['connection_id']}")).status_code == 204
    await work_off(hub)
    assert len(sandbox.slack.messages) == 0
    (shown,) = (await read(client, "/api/integrations/notifications"))["items"]
    assert (shown["is_active"], shown["reason"]) == (False, "its connection was disconnected")
    (delivery,) = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
    assert delivery["status"] == "cancelled"


@pytest.mark.parametrize("path", ["connect", "status", "settings", "test", "disconnect"])
async def test_an_unknown_provider_is_not_found(client: Client, path: str) -> None:
    """On every path that takes a slug."""
    method = {"status": "GET", "settings": "PUT", "disconnect": "DELETE"}.get(path, "POST")
    bodies: dict[str, dict[str, Any]] = {"settings": {"fields": {}}, "connect": {}}
    body = bodies.get(path)
    answer = await client.request(method, f"/api/integrations/nonsense/{path}", json=body)
    assert answer.status_code == 404
    assert "nonsense" in answer.json()["detail"]


async def test_a_key_of_another_account_leaves_no_page_that_could_be_paid_unseen(
    client: Client, hub: Hub, sandbox: Sandbox
) -> None:
    """The former account's page is closed with the former key; what was paid there is refunded there, or refused saying so."""
    connection = await stripe(client)
    paid, unpaid = await an_invoice(client), await an_invoice(client)
    (former,) = sandbox.stripe.shops()
    paths = [
        urlsplit((await made(client, f"/api/invoices/{bill['id']}/payment-link", {}))["url"]).path
        for bill in (paid, unpaid)
    ]
    assert [(await client.get(path)).status_code for path in paths] == [303, 303]
    first, second = former.sessions
    card = card_of("4242424242424242")
    assert card is not None
    checkout.pay(former, former.sessions[first], card, {"email": "payer@example.com", "name": "Pat Payer"})
    changed = await client.patch(
        f"/api/integrations/{connection['id']}", json={"fields": {"secret_key": "sk_live_other"}}
    )
    assert (changed.status_code, changed.json()["live"]) == (200, True)
    assert [former.sessions[one]["status"] for one in (first, second)] == ["complete", "expired"]
    bill = await read(client, f"/api/invoices/{paid['id']}")
    assert bill["invoice"]["status"] == "paid", "what was paid before the change is learned with the former key"
    answer = await client.post(f"/api/payments/{bill['payments'][0]['id']}/refunds", json={"amount": "1.00"})
    assert answer.status_code == 409
    assert "another account" in answer.json()["detail"]
    assert (await client.get(paths[1])).status_code == 303, "the link opens a page in the new account"
