"""Outgoing webhooks: the nine paths, and what a receiver sees, checked by other people's verifier."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.sandbox.receiver import Received
from application.notifications.deliver_due import DeliverDue
from application.ports.dispatch import Dispatch
from domain.notifications.schedule import DEFAULT, JITTER
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from entrypoints.worker import Worker
from tests.integration.conftest import (
    Client,
    MovingClock,
    both_databases,
    everything_in,
    faults,
    made,
    read,
    rows,
    until,
    work_off,
)
from tests.integration.things import an_endpoint, an_event


def got(box: Sandbox, name: str = "app") -> list[Received]:
    """What a receiver received, oldest first."""
    return list(box.receivers.receiver(name).received)


def verified(secret: str, request: Received) -> Any:
    """The body, if the other verifier takes it. Raises WebhookVerificationError."""
    return Webhook(secret).verify(request.body, dict(request.headers))


async def the_delivery(client: Client, event: Any, destination: str | None = None) -> Any:
    """The only delivery of an event (to one destination)."""
    query = {"event_id": event["id"], **({"destination_id": destination} if destination else {})}
    (delivery,) = (await read(client, "/api/deliveries", **query))["items"]
    return delivery


@both_databases
async def test_an_endpoint_lives_through_its_nine_paths(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """List, catalogue, create, read, change, remove, rotate, deliveries, test: as endpoints.csv has them."""
    assert (await read(client, "/api/webhooks"))["items"] == []
    assert len(await read(client, "/api/webhooks/events")) > 40
    body = {"url": sandbox.receivers.url("app"), "name": " Back office ", "events": ["invoice.*"], "timeout_s": 5}
    created = await made(client, "/api/webhooks", body)
    assert created["secret"].startswith("whsec_")
    assert (created["name"], created["status"], created["active"]) == ("Back office", "active", True)
    path = f"/api/webhooks/{created['id']}"
    shown = await read(client, path)
    assert shown == {**created, "secret": None}
    assert (await read(client, "/api/webhooks"))["items"] == [shown]
    changed = await client.put(path, json={"events": ["*"]}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json() == {
        **shown, "events": ["*"], "version": 2, "updated_at": changed.json()["updated_at"],
    }  # fmt: skip
    rotated = await made(client, f"{path}/regenerate-secret", status=200)
    assert rotated["secret"] != created["secret"]
    assert [secret["expires_at"] is None for secret in rotated["secrets"]] == [True, False]
    history = await read(client, f"{path}/deliveries")
    assert (history["items"], history["success_rate"]) == ([], None)
    tested = await made(client, f"{path}/test", status=200)
    assert tested["delivered"]
    assert (await client.delete(path)).status_code == 204
    for method, gone in (("GET", path), ("PUT", path), ("DELETE", path), ("POST", f"{path}/test")):
        answer = await client.request(method, gone, json=None if method in ("GET", "DELETE") else {})
        assert answer.status_code == 404
    # Its history stays.
    assert (await read(client, "/api/deliveries", destination_id=created["id"]))["items"] != []


async def test_a_delivery_verifies_and_is_recorded(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """By PyPI's standardwebhooks, with the secret that was shown once; any change to it is noticed."""
    endpoint = await an_endpoint(client, sandbox, headers={"X-Token": "tok-CANARY"})
    event = await an_event(client, "invoice.paid", invoice={"number": "INV-1", "note": "Grüße 👋"})
    await work_off(hub)
    (request,) = got(sandbox)
    assert verified(endpoint["secret"], request)["data"] == event["data"]
    assert request.headers["webhook-id"] == event["id"]
    assert request.headers["x-token"] == "tok-CANARY"
    assert request.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(request.body + b" ", dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(request.body, {**request.headers, "webhook-id": "evt_other"})
    delivery = await the_delivery(client, event)
    shown = await read(client, f"/api/deliveries/{delivery['id']}")
    (attempt,) = shown["attempts"]
    assert (attempt["number"], attempt["verdict"], attempt["status"], attempt["error"]) == (1, "delivered", 200, None)
    assert json.loads(attempt["request_body"])["data"] == event["data"]
    assert attempt["request_headers"]["webhook-id"] == event["id"]
    assert json.loads(attempt["response_body"]) == {"ok": True}
    assert shown["event"] == event
    # What the endpoint's own headers hold is nobody's business, in no answer.
    assert "CANARY" not in json.dumps(shown)
    assert endpoint["has_headers"]


@both_databases
async def test_a_failing_receiver_is_tried_on_the_stated_schedule(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Twelve attempts over three days, each within the jitter of its wait; then it is given up, with its history."""
    endpoint = await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"fail_next": 100, "status": 500})  # 503 would ask for a pause of its own
    event = await an_event(client)
    began = clock.now()
    for number, wait in enumerate(DEFAULT.delays, 1):
        await work_off(hub)
        delivery = await the_delivery(client, event)
        assert (delivery["attempts"], delivery["status"], delivery["last_status"]) == (number, "pending", 500)
        due = datetime.fromisoformat(delivery["due_at"])
        asked = due - clock.now()
        slack = timedelta(seconds=2)  # what this machine may have been busy for
        assert wait * (1 - JITTER) - slack <= asked <= wait * (1 + JITTER)
        assert await hub.resolve(DeliverDue)() == 0, "nothing is tried before its time"
        clock.advance(due - clock.now() + timedelta(milliseconds=1))
    await work_off(hub)
    delivery = await the_delivery(client, event)
    assert (delivery["attempts"], delivery["status"], delivery["due_at"]) == (12, "failed", None)
    assert timedelta(hours=60) < clock.now() - began < timedelta(hours=96)
    attempts = (await read(client, f"/api/deliveries/{delivery['id']}"))["attempts"]
    assert [attempt["number"] for attempt in attempts] == list(range(1, 13))
    assert {attempt["verdict"] for attempt in attempts} == {"retry"}
    requests = got(sandbox)
    assert len(requests) == 12
    assert {request.headers["webhook-id"] for request in requests} == {event["id"]}
    assert all(request.verified for request in requests), "each is signed at its own moment"
    shown = await read(client, f"/api/webhooks/{endpoint['id']}")
    assert (shown["status"], shown["consecutive_failures"]) == ("active", 1)


async def test_the_worker_tries_again_by_itself(client: Client, hub: Hub, sandbox: Sandbox, worker: Worker) -> None:
    """In the background, in real time: a failure, then success a second later."""
    await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"fail_next": 1, "status": 500})
    event = await an_event(client)

    async def delivered() -> bool:
        delivery = await the_delivery(client, event)
        return bool(delivery["status"] == "delivered" and delivery["attempts"] == 2)

    await until(delivered, "the second attempt")
    first, second = got(sandbox)
    assert timedelta(seconds=0.7) < second.at - first.at < timedelta(seconds=5)
    assert await worker.drain(timedelta(seconds=5))


async def test_retry_after_is_honoured(client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock) -> None:
    """A receiver that says when it will be back is left alone until then."""
    await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"fail_next": 1, "status": 429, "retry_after": 120})
    event = await an_event(client)
    await work_off(hub)
    delivery = await the_delivery(client, event)
    asked = datetime.fromisoformat(delivery["due_at"]) - clock.now()
    assert timedelta(seconds=118) < asked < timedelta(seconds=145)
    (attempt,) = (await read(client, f"/api/deliveries/{delivery['id']}"))["attempts"]
    assert attempt["retry_after_s"] == 120


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
async def test_nothing_but_2xx_is_a_delivery(client: Client, hub: Hub, sandbox: Sandbox, status: int) -> None:
    """Redirects are not followed either: they would lead past the check of the address."""
    await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"fail_next": 1, "status": status})
    event = await an_event(client)
    await hub.resolve(DeliverDue)()
    delivery = await the_delivery(client, event)
    assert (delivery["status"], delivery["last_status"], delivery["attempts"]) == ("pending", status, 1)
    assert str(status) in delivery["last_error"]
    assert len(got(sandbox)) == 1


async def test_a_receiver_that_does_not_answer_is_given_its_time_only(
    client: Client, hub: Hub, sandbox: Sandbox
) -> None:
    """`timeout_s` bounds an attempt; another endpoint is not held up by it."""
    slow = await an_endpoint(client, sandbox, "slow", timeout_s=1)
    quick = await an_endpoint(client, sandbox, "quick")
    sandbox.receivers.control("slow", {"hang": True})
    event = await an_event(client)
    await hub.resolve(DeliverDue)()
    sandbox.receivers.control("slow", {"hang": False})
    assert (await the_delivery(client, event, quick["id"]))["status"] == "delivered"
    delivery = await the_delivery(client, event, slow["id"])
    assert (delivery["status"], delivery["last_status"]) == ("pending", None)
    (attempt,) = (await read(client, f"/api/deliveries/{delivery['id']}"))["attempts"]
    assert 900 < attempt["duration_ms"] < 4000


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_while(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """So a receiver can change over without losing a delivery; when the grace is over, the old one is worth nothing."""
    endpoint = await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"secret": None})
    path = f"/api/webhooks/{endpoint['id']}/regenerate-secret"
    second = (await made(client, path, {"grace_seconds": 600}, status=200))["secret"]
    await an_event(client)
    await work_off(hub)
    (request,) = got(sandbox)
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    assert verified(endpoint["secret"], request) == verified(second, request)
    third = (await made(client, path, {"grace_seconds": 0}, status=200))["secret"]
    await an_event(client)
    await work_off(hub)
    request = got(sandbox)[-1]
    assert len(request.headers["webhook-signature"].split(" ")) == 1, "a grace of nothing ends every older secret"
    verified(third, request)
    for old in (endpoint["secret"], second):
        with pytest.raises(WebhookVerificationError):
            verified(old, request)
    fourth = (await made(client, path, {"grace_seconds": 60}, status=200))["secret"]
    clock.advance(timedelta(seconds=61))
    await an_event(client)
    await work_off(hub)
    request = got(sandbox)[-1]
    verified(fourth, request)
    with pytest.raises(WebhookVerificationError):
        verified(third, request)
    for grace in (-1, 604801, "soon", 1.5):
        answer = await client.post(path, json={"grace_seconds": grace})
        assert (answer.status_code, faults(answer)) == (422, {"grace_seconds"}), grace


@both_databases
async def test_a_receiver_that_is_gone_is_not_called_again(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """410 switches the endpoint off at once, cancels what waits for it, and is told to the others."""
    endpoint = await an_endpoint(client, sandbox, "leaving")
    await an_endpoint(client, sandbox, "staying", events=["webhook.disabled"])
    sandbox.receivers.control("leaving", {"fail_next": 1, "status": 500})
    waiting = await an_event(client)
    await hub.resolve(DeliverDue)()
    sandbox.receivers.control("leaving", {"gone": True})
    event = await an_event(client)
    await work_off(hub)
    shown = await read(client, f"/api/webhooks/{endpoint['id']}")
    assert (shown["status"], shown["active"]) == ("disabled", False)
    assert "410" in shown["reason"]
    assert (await the_delivery(client, event))["status"] == "failed"
    assert (await the_delivery(client, waiting))["status"] == "cancelled"
    assert await the_deliveries_of_a_new_event(client) == []
    (told,) = got(sandbox, "staying")
    assert json.loads(told.body)["data"]["endpoint"]["id"] == endpoint["id"]
    assert len(got(sandbox, "leaving")) == 2
    tested = await client.post(f"/api/webhooks/{endpoint['id']}/test")
    assert tested.status_code == 409
    again = await client.post(f"/api/deliveries/{(await the_delivery(client, event))['id']}/retry")
    assert (again.status_code, "Switch it on" in again.json()["detail"]) == (409, True)
    # A person switches it on again.
    sandbox.receivers.control("leaving", {"gone": False})
    on = await client.put(f"/api/webhooks/{endpoint['id']}", json={"active": True})
    assert (on.json()["status"], on.json()["reason"], on.json()["consecutive_failures"]) == ("active", None, 0)
    assert len(await the_deliveries_of_a_new_event(client)) == 1


async def the_deliveries_of_a_new_event(client: Client) -> list[Any]:
    """To whom it goes."""
    event = await an_event(client)
    items: list[Any] = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
    return items


async def test_ten_failures_in_a_row_switch_an_endpoint_off(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Given up for good, that is; one delivery between them would have started the count anew."""
    endpoint = await an_endpoint(client, sandbox, events=["order.*"])
    await an_endpoint(client, sandbox, "told", events=["webhook.disabled"])
    path = f"/api/webhooks/{endpoint['id']}"
    sandbox.receivers.control("app", {"fail_next": 1000, "status": 500})

    async def fail_for_good(count: int) -> None:
        for _ in range(count):
            await an_event(client, "order.placed")
        dispatch: Dispatch = hub.resolve(Dispatch)  # type: ignore[type-abstract]
        while (due := await dispatch.next_due()) is not None:  # also when the breaker lets one attempt through
            clock.advance(max(due - clock.now(), timedelta()) + timedelta(milliseconds=1))
            await work_off(hub)

    await fail_for_good(9)
    shown = await read(client, path)
    assert (shown["status"], shown["consecutive_failures"]) == ("active", 9)
    sandbox.receivers.control("app", {"fail_next": 0})
    clock.advance(timedelta(minutes=11))  # the breaker is open for ten at most
    await an_event(client, "order.placed")
    await work_off(hub)
    assert (await read(client, path))["consecutive_failures"] == 0
    sandbox.receivers.control("app", {"fail_next": 1000})
    await fail_for_good(10)
    shown = await read(client, path)
    assert shown["status"] == "disabled"
    assert "10 deliveries in a row" in shown["reason"]
    assert len(got(sandbox, "told")) == 1
    history = await read(client, f"{path}/deliveries")
    assert (history["statistics"]["failed"], history["statistics"]["delivered"]) == (19, 1)
    assert history["success_rate"] == 0.05


@both_databases
async def test_a_delivery_is_sent_again_by_hand(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """A new delivery of the same event with the same message id: the receiver can tell that it has it already."""
    endpoint = await an_endpoint(client, sandbox)
    event = await an_event(client)
    first = await the_delivery(client, event)
    early = await client.post(f"/api/deliveries/{first['id']}/retry")
    assert (early.status_code, "on its way" in early.json()["detail"]) == (409, True)
    await work_off(hub)
    again = await made(client, f"/api/deliveries/{first['id']}/retry", status=202)
    assert (again["replay_of"], again["message_id"], again["status"]) == (first["id"], event["id"], "pending")
    await work_off(hub)
    one, two = got(sandbox)
    assert (one.headers["webhook-id"], one.body) == (two.headers["webhook-id"], two.body)
    assert verified(endpoint["secret"], two)
    shown = await read(client, f"/api/deliveries/{again['id']}")
    assert shown["delivery"]["status"] == "delivered"
    assert len(shown["attempts"]) == 1
    actions = [entry["action"] for entry in (await read(client, "/api/audit"))["items"]]
    assert "delivery.sent_again" in actions


async def test_a_test_send_is_one_attempt_now(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """With the catalogue's sample, marked as a test; what fails is shown, and not retried."""
    endpoint = await an_endpoint(client, sandbox, events=["invoice.overdue"])
    other = await an_endpoint(client, sandbox, "other")
    path = f"/api/webhooks/{endpoint['id']}/test"
    tested = await made(client, path, status=200)
    assert (tested["delivered"], tested["attempt"]["status"]) == (True, 200)
    assert tested["delivery"]["event_type"] == "invoice.overdue"
    (request,) = got(sandbox)
    assert verified(endpoint["secret"], request)["data"]["test"] is True
    assert got(sandbox, "other") == []
    sandbox.receivers.control("app", {"fail_next": 1, "status": 500})
    tested = await made(client, path, {"event_type": "my.own"}, status=200)
    assert (tested["delivered"], tested["attempt"]["status"]) == (False, 500)
    assert tested["delivery"]["status"] == "failed"
    await work_off(hub)
    assert len(got(sandbox)) == 2
    wrong = await client.post(path, json={"event_type": "no type"})
    assert wrong.status_code == 422
    for endpoint_id, expected in ((endpoint["id"], 2), (other["id"], 0)):
        items = (await read(client, f"/api/webhooks/{endpoint_id}/deliveries"))["items"]
        assert len(items) == expected


@both_databases
async def test_the_history_is_filtered_paged_and_counted(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """What a person looks at when something did not arrive."""
    endpoint = await an_endpoint(client, sandbox)
    path = f"/api/webhooks/{endpoint['id']}/deliveries"
    for type_ in ("a.b", "a.b", "c.d"):
        await an_event(client, type_)
    await work_off(hub)
    sandbox.receivers.control("app", {"fail_next": 1})
    await an_event(client, "c.d")
    await work_off(hub)
    history = await read(client, path)
    assert history["statistics"] == {
        "pending": 1, "delivered": 3, "failed": 0, "cancelled": 0, "expired": 0, "waiting": 0
    }  # fmt: skip
    assert history["success_rate"] == 1.0
    assert [d["event_type"] for d in history["items"]] == ["c.d", "c.d", "a.b", "a.b"]
    assert len((await read(client, path, status="pending"))["items"]) == 1
    assert len((await read(client, path, status="delivered", event_type="c.d"))["items"]) == 1
    page = await read(client, path, limit=3)
    rest = await read(client, path, limit=3, cursor=page["next_cursor"])
    assert [d["id"] for d in page["items"] + rest["items"]] == [d["id"] for d in history["items"]]
    assert rest["next_cursor"] is None


@both_databases
async def test_a_paused_or_removed_endpoint_is_not_called(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Pausing keeps new events away; what already waits for a removed one is cancelled."""
    endpoint = await an_endpoint(client, sandbox)
    path = f"/api/webhooks/{endpoint['id']}"
    paused = await client.put(path, json={"active": False})
    assert (paused.json()["status"], paused.json()["active"]) == ("paused", False)
    assert await the_deliveries_of_a_new_event(client) == []
    await client.put(path, json={"active": True})
    event = await an_event(client)
    assert (await client.delete(path)).status_code == 204
    await work_off(hub)
    assert (await the_delivery(client, event))["status"] == "cancelled"
    assert got(sandbox) == []


async def test_an_endpoint_s_faults_are_named(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """On creating and on changing alike, and nothing is kept."""
    endpoint = await an_endpoint(client, sandbox)
    url = sandbox.receivers.url("app")
    before = await rows(hub)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"url": 5}, "url"),
        ({"url": ""}, "url"),
        ({"url": "x" * 2001}, "url"),
        ({"events": []}, "events"),
        ({"events": ["**"]}, "events.0"),
        ({"events": ["invoice.paid", "No"]}, "events.1"),
        ({"events": "invoice.paid"}, "events"),
        ({"name": "x" * 201}, "name"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": 31}, "timeout_s"),
        ({"timeout_s": 10**30}, "timeout_s"),
        ({"headers": {"Host": "x"}}, "headers.Host"),
        ({"headers": {"webhook-signature": "x"}}, "headers.webhook-signature"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers.X-A"),
        ({"headers": {"X-A": "é"}}, "headers.X-A"),
        ({"headers": {f"X-{n}": "x" for n in range(21)}}, "headers"),
        ({"nonsense": 1}, "nonsense"),
    )
    for body, field in cases:
        for method, path, whole in (
            ("POST", "/api/webhooks", {"url": url, **body}),
            ("PUT", f"/api/webhooks/{endpoint['id']}", body),
        ):
            answer = await client.request(method, path, json=whole)
            assert (answer.status_code, faults(answer)) == (422, {field}), (method, str(body)[:80], answer.text)
    assert await rows(hub) == before


async def test_a_signing_secret_is_shown_once_and_kept_sealed(
    client: Client, hub: Hub, sandbox: Sandbox, tmp_path: Any
) -> None:
    """Not in lists, not in deliveries, not in the audit trail, not in the database's file."""
    endpoint = await an_endpoint(client, sandbox)
    rotated = await made(client, f"/api/webhooks/{endpoint['id']}/regenerate-secret", status=200)
    await an_event(client)
    await work_off(hub)
    (delivery,) = (await read(client, "/api/deliveries"))["items"]
    shown = [
        (await client.get(path)).text
        for path in (
            "/api/webhooks", f"/api/webhooks/{endpoint['id']}", f"/api/deliveries/{delivery['id']}", "/api/audit",
            "/api/events",
        )
    ]  # fmt: skip
    stored = everything_in(tmp_path)
    for secret in (endpoint["secret"], rotated["secret"]):
        assert not any(secret in text for text in shown)
        assert secret.removeprefix("whsec_").encode() not in stored
