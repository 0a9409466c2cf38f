"""What whoever runs the hub sees of it, and what nobody sees: the secrets."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from adapters.logs import configure_logs
from adapters.providers.stripe.sandbox_gate import Fault
from application.organisations.people import FoundOrganisation
from entrypoints.sandbox import Sandbox
from entrypoints.scheduler import Scheduler
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from entrypoints.worker import Worker
from tests.integration.conftest import Client, a_key, asking, everything_in, made, read, until, work_off
from tests.integration.things import a_link, an_endpoint, an_event, an_invoice, hosted, paid, smtp, stripe

NOBODY = {"Authorization": ""}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, by whomever, as JSON; down to debug."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure_logs(json=True, level="debug", stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, logging.raiseExceptions = handlers, True
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """The log, each line read."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def metric(text: str, name: str, **labels: str) -> float:
    """One sample of Prometheus's text."""
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}(?:{{(.*)}})? ([0-9.e+-]+)", line)
        if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
            return float(found[2])
    raise LookupError(f"{name} {labels}")


async def test_alive_and_ready_ask_for_no_key(client: Client, hub: Hub, tmp_path: Path) -> None:
    """A load balancer has none. Ready means that the database answers; alive, that restarting would not help."""
    for path in ("/livez", "/readyz"):
        answer = await client.get(path, headers=NOBODY)
        assert (answer.status_code, answer.text) == (200, "ok")
    await hub.database.close()
    database, elsewhere = tmp_path / "patchbay.db", tmp_path / "elsewhere.db"
    database.rename(elsewhere)
    database.mkdir()
    alive, ready = await client.get("/livez", headers=NOBODY), await client.get("/readyz", headers=NOBODY)
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert str(tmp_path) not in ready.text
    database.rmdir()
    elsewhere.rename(database)
    assert (await client.get("/readyz", headers=NOBODY)).status_code == 200


async def test_metrics_count_without_naming_anybody(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, organisation: str
) -> None:
    """Requests by route pattern, deliveries, the inbox, jobs; no ids, URLs or customers in any label."""
    await stripe(client)
    endpoint = await an_endpoint(client, sandbox)
    invoice = await an_invoice(client)
    await client.get(f"/api/invoices/{invoice['id']}")
    await client.get("/api/invoices/inv_nonsense")
    await client.get("/nonsense/" + "x" * 50)
    page = await hosted(client, sandbox, await a_link(client, invoice))
    await page.pay()
    await sandbox.stripe.post.idle()
    await Scheduler(hub).run("retention")
    sandbox.receivers.control("app", {"fail_next": 1})
    await work_off(hub)
    shown = await client.get("/metrics", headers=NOBODY)
    assert shown.headers["content-type"].startswith("text/plain")
    told = shown.text
    route = "/api/invoices/{invoice_id}"
    assert metric(told, "patchbay_http_requests_total", method="GET", route=route, status="200") == 1
    assert metric(told, "patchbay_http_requests_total", method="GET", route=route, status="404") == 1
    assert metric(told, "patchbay_http_requests_total", route="unmatched", status="404") == 1
    assert metric(told, "patchbay_http_request_seconds_count", method="GET", route=route) == 2
    assert metric(told, "patchbay_deliveries_pending") == 1
    assert metric(told, "patchbay_inbox", state="pending") == 0
    assert metric(told, "patchbay_jobs_total", job="retention", outcome="done") == 1
    token = page.url.rpartition("/")[2]
    for private in (organisation, invoice["id"], endpoint["id"], "northwind", token, "127.0.0.1", "x" * 50):
        assert private not in told


async def test_metrics_may_ask_for_a_token(environment: dict[str, str], hub: Hub, app: Any, litestar: Any) -> None:
    """Where they can be reached from outside."""
    settings = Settings.read({**environment, "PATCHBAY_METRICS_TOKEN": "metrics-CANARY"})
    litestar.dependencies["settings"].value = settings
    async with asking(app, None) as client:
        assert (await client.get("/metrics")).status_code == 401
        for wrong in ("Bearer x", "Bearer ", "metrics-CANAR", "Bearer é"):
            answer = await client.get("/metrics", headers={"Authorization": wrong.encode()})  # type: ignore[arg-type]
            assert (answer.status_code, "CANARY" in answer.text) == (401, False)
        right = await client.get("/metrics", headers={"Authorization": "Bearer metrics-CANARY"})
        assert right.status_code == 200


async def test_the_log_tells_requests_and_deliveries_apart(
    logged: io.StringIO, client: Client, hub: Hub, sandbox: Sandbox
) -> None:
    """One JSON object a line; a request's lines carry its id, which its answer names; an attempt's the delivery's."""
    await an_endpoint(client, sandbox)
    answer = await client.post("/api/events", json={"type": "a.b"})
    request_id = answer.headers["x-request-id"]
    given = await client.get("/api/events", headers={"X-Request-Id": "from-the-proxy-1"})
    assert given.headers["x-request-id"] == "from-the-proxy-1"
    forged = await client.get("/api/events", headers={"X-Request-Id": 'x" y{}'})
    assert forged.headers["x-request-id"].startswith("req_")
    sandbox.receivers.control("app", {"fail_next": 1})
    await work_off(hub)
    await client.get("/livez")
    (delivery,) = (await read(client, "/api/deliveries"))["items"]
    told = lines(logged)
    for line in told:
        assert {"event", "level", "logger", "timestamp"} <= set(line)
    (mine,) = [line for line in told if line.get("request_id") == request_id]
    assert (mine["event"], mine["method"], mine["route"], mine["status"]) == ("request", "POST", "/api/events", 201)
    assert [line["route"] for line in told if line.get("request_id") == "from-the-proxy-1"] == ["/api/events"]
    (attempt,) = [line for line in told if line.get("delivery_id") == delivery["id"]]
    assert (attempt["status"], attempt["attempt"], attempt["event_type"]) == (503, 1, "a.b")
    assert not [line for line in told if line.get("route") == "/livez"], "nobody reads those"


async def test_a_bug_is_found_by_the_id_in_its_answer(
    logged: io.StringIO, app: Any, hub: Hub, organisation: str
) -> None:
    """The caller learns the id and nothing else; the log has the traceback under it."""
    async with asking(app, await a_key(hub, organisation)) as client:
        async with hub.database.writing() as connection:
            await connection.execute(text("DROP TABLE audit"))
            await connection.commit()
        answer = await client.get("/api/audit")
    assert answer.status_code == 500
    body = answer.json()
    assert "audit" not in body["detail"]
    assert "sqlite" not in answer.text.lower()
    (line,) = [line for line in lines(logged) if line["level"] == "error"]
    assert line["request_id"] == body["request_id"]
    assert "no such table" in line["exception"]


SECRETS = {
    "stripe_key": "sk_test_CANARYstripekey01",
    "stripe_hook": "whsec_CANARYstripehook02",
    "smtp_password": "CANARYsmtppassword03",
    "header": "CANARYcustomheader04",
}


async def test_no_secret_is_seen_anywhere(
    logged: io.StringIO, client: Client, hub: Hub, sandbox: Sandbox, live: str, tmp_path: Path, app: Any
) -> None:
    """Canaries in every place for a secret, through the whole story with its failures: in nothing logged at any level,
    in no answer but the one that shows it once, in no audit row, and in the database's file only sealed."""
    founded = await hub.resolve(FoundOrganisation)(name="Canary", email="c@studio.example", password="CANARYconsole05!")
    key = await made(client, "/api/keys", {"name": "app", "scopes": ["events:read", "events:write"]})
    await made(
        client, "/api/integrations/stripe/connect",
        {"secret_key": SECRETS["stripe_key"], "webhook_secret": SECRETS["stripe_hook"]},
    )  # fmt: skip
    await smtp(client, sandbox, username="studio", password=SECRETS["smtp_password"])
    for platform, url in (("slack", sandbox.slack.webhook_url), ("discord", sandbox.discord.webhook_url)):
        body = {"name": platform, "platform": platform, "events": ["*"], "webhook_url": url}
        await made(client, "/api/integrations/notifications", body)
    endpoint = await an_endpoint(client, sandbox, headers={"Authorization": f"Bearer {SECRETS['header']}"})
    bill = await paid(client, hub, sandbox)
    link = bill["links"][0]["url"].rpartition("/")[2]

    # Everything that goes wrong on the way
    for box in (sandbox.slack, sandbox.discord, sandbox.mail):
        box.control({"fail_next": 3, "status": 500 if box is not sandbox.mail else 451})
    sandbox.receivers.control("app", {"fail_next": 2, "status": 500})
    await an_event(client, "order.shipped")
    sandbox.stripe.faults.append(Fault(path="/v1/refunds", status=500))
    payment = bill["payments"][0]["id"]
    answers = [
        await client.post(f"/api/payments/{payment}/refunds", json={"amount": "1.00"}),
        await client.post("/api/integrations/stripe/connect", json={"secret_key": "sk_live_CANARYwrong06é"}),
        await client.post("/api/integrations/stripe/connect", content=b'{"secret_key":"sk_live_CANARYbroken07'),
        await client.post(
            "/api/integrations/slack/connect", json={"webhook_url": "https://user:CANARYurl08@x.example"}
        ),
        await client.post(
            "/api/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": "t=1,v1=CANARYsignature09"}
        ),
        await client.get(
            "/api/events", headers={"Authorization": "Bearer pb_01K9ZZZZZZZZZZZZZZZZZZZZZZ_CANARYunknown10"}
        ),
        await client.post("/api/invoices/x/send", json={"to": ["CANARY"]}),
    ]
    sandbox.stripe.revoked.add(SECRETS["stripe_key"])
    answers += [await client.post("/api/integrations/stripe/test"), await client.post("/api/integrations/smtp/test")]
    async with asking(app, key["key"]) as other:
        answers += [await other.get("/api/events"), await other.get("/api/keys")]
    await work_off(hub)
    async with Client(base_url=live) as browser:
        form = {"email": "c@studio.example", "password": "CANARYwrongpass11"}
        answers += [
            await browser.get("/console", follow_redirects=True),
            await browser.post("/console/sign-in", data=form),
        ]
        answers += [await browser.get(f"/pay/{link}")]
    deliveries = (await read(client, "/api/deliveries", limit=200))["items"]
    paths = [f"deliveries/{each['id']}" for each in deliveries]
    paths += ["integrations", "integrations/notifications", "webhooks", f"webhooks/{endpoint['id']}", "keys", "events"]
    paths += ["audit?limit=200", "inbox", "deliveries", "integrations/stripe/status", "integrations/smtp/status"]
    answers += [await client.get(f"/api/{path}") for path in paths]

    tokens = [url.rpartition("/")[2] for url in (sandbox.slack.webhook_url, sandbox.discord.webhook_url)]
    secrets = {*SECRETS.values(), key["key"], endpoint["secret"], founded.password, *tokens}
    typed = {
        "CANARYwrong06",
        "CANARYbroken07",
        "CANARYurl08",
        "CANARYsignature09",
        "CANARYunknown10",
        "CANARYwrongpass11",
    }
    log, shown = logged.getvalue(), "\n".join(answer.text for answer in answers)
    stored = everything_in(tmp_path)
    assert b"Northwind" in stored
    assert "order.shipped" in shown
    assert '"delivery_id"' in log
    for secret in secrets | typed:
        assert secret not in log, secret
        assert secret not in shown, secret
        assert secret.encode() not in stored, secret
    assert link not in log, "who has the link can see the invoice"
    authorization = client.headers["Authorization"].removeprefix("Bearer ")
    assert authorization not in log + shown
    assert authorization.encode() not in stored


async def test_stopping_finishes_what_is_under_way(
    logged: io.StringIO, hub: Hub, client: Client, sandbox: Sandbox
) -> None:
    """A worker that is told to stop in the middle of an attempt records it: nothing is sent twice for a restart."""
    await an_endpoint(client, sandbox)
    sandbox.receivers.control("app", {"delay_ms": 300})
    event = await an_event(client)
    running = Worker(hub)
    task = asyncio.create_task(running.run())

    async def arrived() -> bool:
        return len(sandbox.receivers.receiver("app").received) == 1

    await until(arrived, "the attempt")
    running.stop()
    await task
    (delivery,) = (await read(client, "/api/deliveries", event_id=event["id"]))["items"]
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
