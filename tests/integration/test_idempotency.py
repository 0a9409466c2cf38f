"""A call with an Idempotency-Key that is made twice is done once, and answered the same."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from adapters.providers.stripe.sandbox_gate import Fault
from application.billing.subscriptions.renewals import SweepSubscriptions
from application.caller import Caller
from application.notifications.publish_events import Published, PublishEvents
from application.once import Once
from application.ports.leases import Leases
from application.ports.store import Store
from domain.work.kinds import KINDS
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, both_databases, everything_in, faults, made, read, rows, work_off
from tests.integration.things import (
    Page,
    a_client,
    a_conflict,
    a_difference,
    a_link,
    a_plan,
    a_reconciliation,
    a_subscription,
    a_token,
    an_endpoint,
    an_invoice,
    paid,
    smtp,
    stripe,
)
from tests.samples import whole

DEEDS = ("cancel", "change", "pause", "resume", "unpause")
"""What is done with a subscription."""

Call = tuple[str, dict[str, Any], dict[str, Any]]
"""A path, a body, and another body for the same path."""


class Calls:
    """For every route that takes the header, a call that works."""

    def __init__(self, client: Client, hub: Hub, box: Sandbox) -> None:
        self._client, self._hub, self._box = client, hub, box

    async def of(self, path: str) -> Call:
        """Raises KeyError for a route that nobody wrote down here."""
        plural = path.removeprefix("/api/").partition("/")[0]
        for kind in KINDS:
            if kind.plural == plural:
                return path, await whole(kind, self._neighbour), {"external_id": "other"}
        table: dict[str, Callable[[], Awaitable[Call]]] = {
            "/api/events": self._event,
            "/api/events/batch": self._batch,
            "/api/invoices": self._invoice,
            "/api/invoices/{invoice_id}/credit-notes": self._credit_note,
            "/api/invoices/{invoice_id}/payment-link": self._link,
            "/api/invoices/{invoice_id}/remind": self._remind,
            "/api/invoices/{invoice_id}/uncollectible": self._write_off,
            "/api/invoices/{invoice_id}/send": self._send,
            "/api/integrations": self._connection,
            "/api/integrations/{provider}/connect": self._connect,
            "/api/integrations/{provider}/payment-link": self._link_by_provider,
            "/api/integrations/notifications": self._notification,
            "/api/billing/clients/{client_id}/payment-methods/{method_id}/default": self._method,
            "/api/billing/checkout": self._checkout,
            "/api/billing/plans": self._plan,
            "/api/billing/subscription": self._subscribe,
            **{f"/api/billing/subscription/{deed}": partial(self._deed, deed) for deed in DEEDS},
            "/api/billing/reconciliations": self._reconciliation,
            "/api/billing/reconciliations/{reconciliation_id}/differences/{difference_id}/fix": self._fix,
            "/api/payments/payout": self._payout,
            "/api/payments/intent": self._intent,
            "/api/payments/invoice": self._invoice_there,
            "/api/payments/{payment_id}/refunds": self._refund,
            "/api/payments/{payment_id}/resolve": self._resolve,
            "/api/replays": self._replay,
            "/api/webhooks": self._endpoint,
            "/api/webhooks/{webhook_id}/poll/seek": self._seek,
        }
        return await table[path]()

    async def _neighbour(self, other: Any, given: dict[str, Any]) -> str:
        return str((await made(self._client, f"/api/{other.plural}", given))["id"])

    async def _event(self) -> Call:
        return "/api/events", {"type": "a.b", "data": {"x": "é\0💩"}}, {"type": "a.c"}

    async def _batch(self) -> Call:
        return "/api/events/batch", {"events": [{"type": "a.b"}, {"type": "a.c"}]}, {"events": [{"type": "a.b"}]}

    async def _replay(self) -> Call:
        await an_endpoint(self._client, self._box)
        await made(self._client, "/api/events", {"type": "a.b"})
        await work_off(self._hub)
        return "/api/replays", {"since": "2026-01-01T00:00:00Z"}, {"since": "2026-01-02T00:00:00Z"}

    async def _seek(self) -> Call:
        polled = await made(self._client, "/api/webhooks", {"mode": "poll"})
        path = f"/api/webhooks/{polled['id']}/poll/seek"
        return path, {"to": "2026-11-21T00:00:00Z"}, {"to": "2026-11-20T00:00:00Z"}

    async def _invoice(self) -> Call:
        line = {"description": "x", "unit_price": "10.00"}
        body = {"client_id": (await a_client(self._client))["id"], "currency": "USD", "lines": [line]}
        return "/api/invoices", body, {**body, "currency": "EUR"}

    async def _link(self) -> Call:
        invoice = await an_invoice(self._client)
        return f"/api/invoices/{invoice['id']}/payment-link", {}, {"provider": "stripe"}

    async def _credit_note(self) -> Call:
        bill = await paid(self._client, self._hub, self._box)
        path = f"/api/invoices/{bill['invoice']['id']}/credit-notes"
        return path, {"amount": "10.00", "refund": True}, {"amount": "20.00"}

    async def _opened(self) -> str:
        await smtp(self._client, self._box)
        invoice = await an_invoice(self._client)
        await made(self._client, f"/api/invoices/{invoice['id']}/payment-link", {})
        return f"/api/invoices/{invoice['id']}"

    async def _remind(self) -> Call:
        return f"{await self._opened()}/remind", {}, {"message": "Please pay."}

    async def _write_off(self) -> Call:
        return f"{await self._opened()}/uncollectible", {}, {"other": True}

    async def _link_by_provider(self) -> Call:
        mine, other = await an_invoice(self._client), await an_invoice(self._client)
        path = "/api/integrations/stripe/payment-link"
        return path, {"invoice_id": mine["id"]}, {"invoice_id": other["id"]}

    async def _send(self) -> Call:
        await smtp(self._client, self._box)
        invoice = await an_invoice(self._client)
        return f"/api/invoices/{invoice['id']}/send", {}, {"to": ["other@northwind.example"]}

    async def _connection(self) -> Call:
        fields = {"webhook_url": self._box.slack.webhook_url}
        return "/api/integrations", {"provider": "slack", "fields": fields}, {"provider": "slack", "fields": {}}

    async def _connect(self) -> Call:
        key = {"secret_key": "sk_test_second"}
        return "/api/integrations/stripe/connect", key, {"secret_key": "sk_test_third"}

    async def _notification(self) -> Call:
        body = {"name": "x", "platform": "discord", "events": ["no.such"], "webhook_url": self._box.discord.webhook_url}
        return "/api/integrations/notifications", body, {**body, "name": "y"}

    async def _intent(self) -> Call:
        return "/api/payments/intent", {"amount": "5.00", "currency": "USD"}, {"amount": "6.00", "currency": "USD"}

    async def _invoice_there(self) -> Call:
        body = {"invoice_id": (await an_invoice(self._client))["id"], "provider": "stripe"}
        return "/api/payments/invoice", body, {**body, "send": True}

    async def _method(self) -> Call:
        ada = (await a_client(self._client))["id"]
        (organisation,) = await self._hub.resolve(Store).organisations()  # type: ignore[type-abstract]
        kept = await a_token(self._hub, organisation.id, ada)
        return f"/api/billing/clients/{ada}/payment-methods/{kept}/default", {}, {"other": True}

    async def _plan(self) -> Call:
        price = [{"amount": "9.00", "currency": "USD"}]
        body = {"code": "other", "name": "Other", "interval": "week", "prices": price}
        return "/api/billing/plans", body, {**body, "name": "Another"}

    async def _subscribe(self) -> Call:
        await a_plan(self._client, code="subscribed")
        body = {"client_id": (await a_client(self._client))["id"], "plan": "subscribed", "currency": "USD"}
        return "/api/billing/subscription", body, {**body, "quantity": 2}

    async def _checkout(self) -> Call:
        body = {"client_id": (await a_client(self._client))["id"], "amount": "5.00", "currency": "USD"}
        return "/api/billing/checkout", body, {**body, "amount": "6.00"}

    async def _deed(self, deed: str) -> Call:
        """On a subscription that its client has agreed to, in a state in which it can be done."""
        await a_plan(self._client, code=f"to-{deed}")
        one = await a_subscription(self._client, plan=f"to-{deed}")
        await Page(one["url"], self._box).pay()
        await self._hub.resolve(SweepSubscriptions)()
        which = {"subscription_id": one["id"]}
        before = {"resume": ("cancel", {"at_period_end": True}), "unpause": ("pause", {})}
        if deed in before:
            first, more = before[deed]
            await made(self._client, f"/api/billing/subscription/{first}", {**which, **more}, status=200)
        if deed == "change":
            return f"/api/billing/subscription/{deed}", {**which, "quantity": 2}, {**which, "quantity": 3}
        return f"/api/billing/subscription/{deed}", which, {"client_id": one["client"]["id"]}

    async def _payout(self) -> Call:
        await paid(self._client, self._hub, self._box)
        body = {"provider": "stripe", "amount": "5.00", "currency": "USD"}
        return "/api/payments/payout", body, {**body, "amount": "6.00"}

    async def _reconciliation(self) -> Call:
        body = {"connection": "stripe", "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
        return "/api/billing/reconciliations", body, {**body, "until": "2026-01-03T00:00:00Z"}

    async def _fix(self) -> Call:
        run = await a_reconciliation(self._client)
        difference = await a_difference(self._hub, run["id"])
        path = f"/api/billing/reconciliations/{run['id']}/differences/{difference}/fix"
        return path, {"fix": "accepted", "note": "rounding"}, {"fix": "accepted", "note": "other"}

    async def _resolve(self) -> Call:
        payment = await a_conflict(self._client, self._hub, self._box)
        return f"/api/payments/{payment['id']}/resolve", {"resolution": "accept"}, {"resolution": "refund"}

    async def _refund(self) -> Call:
        bill = await paid(self._client, self._hub, self._box)
        return f"/api/payments/{bill['payments'][0]['id']}/refunds", {"amount": "10.00"}, {"amount": "20.00"}

    async def _endpoint(self) -> Call:
        url = self._box.receivers.url("app")
        return "/api/webhooks", {"url": url}, {"url": url, "name": "other"}


def taking_a_key(litestar: Litestar) -> list[str]:
    """The paths whose POST takes the header, as the document says."""
    document = litestar.openapi_schema.to_schema()
    return [
        path
        for path, operations in document["paths"].items()
        if any(p["name"] == "Idempotency-Key" for p in operations.get("post", {}).get("parameters", []))
    ]


@both_databases
async def test_the_same_call_again_gets_the_same_answer_and_does_nothing(
    client: Client, hub: Hub, litestar: Litestar, sandbox: Sandbox, subtests: pytest.Subtests
) -> None:
    """Byte for byte, on every route that takes the header; another body under the same key is refused."""
    await stripe(client)
    paths = taking_a_key(litestar)
    assert len(paths) >= 14 + len(KINDS)
    calls = Calls(client, hub, sandbox)
    for number, path in enumerate(paths):
        with subtests.test(path):
            place, body, other = await calls.of(path)
            if "webhook" in path or path.endswith("/connect") or path == "/api/integrations":
                await work_off(hub)
            key = {"Idempotency-Key": f"key-{number}"}
            first = await client.post(place, json=body, headers=key)
            assert first.is_success, first.text
            assert "idempotent-replayed" not in first.headers
            await work_off(hub)
            before = await rows(hub), len(sandbox.mail.mails)
            again = await client.post(place, json=body, headers=key)
            assert (again.status_code, again.content) == (first.status_code, first.content)
            assert again.headers["idempotent-replayed"] == "true"
            for header in ("etag", "location", "content-type"):
                assert again.headers.get(header) == first.headers.get(header), header
            reused = await client.post(place, json=other, headers=key)
            assert (reused.status_code, faults(reused)) == (422, {"Idempotency-Key"})
            await work_off(hub)
            assert (await rows(hub), len(sandbox.mail.mails)) == before
            if path == "/api/integrations/{provider}/connect":
                await client.delete(f"/api/integrations/{first.json()['id']}")  # one Stripe is enough for the others


@both_databases
async def test_while_a_call_is_being_done_the_same_one_waits_outside(
    client: Client, hub: Hub, organisation: str
) -> None:
    """409 says to come back: nothing is done twice, and nobody is told something that may yet fail."""
    leases = hub.resolve(Leases)  # type: ignore[type-abstract]
    key, body = {"Idempotency-Key": "mine"}, {"name": "Acme"}
    before = await rows(hub)
    async with leases.hold(f"once:{organisation}:mine", for_=timedelta(minutes=1)):
        answer = await client.post("/api/clients", json=body, headers=key)
        assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
        assert answer.json()["type"].endswith(":in-flight")
        assert "Idempotency-Key" in answer.json()["detail"]
        assert "once:" not in answer.text, "names of leases are our own"
        assert await rows(hub) == before
        other = await client.post("/api/clients", json=body, headers={"Idempotency-Key": "another"})
        assert other.status_code == 201
    assert (await client.post("/api/clients", json=body, headers=key)).status_code == 201


@both_databases
@pytest.mark.parametrize("path", ["/api/events", "/api/events/batch"])
async def test_the_same_events_at_once_are_kept_once_and_answered_alike(
    client: Client, hub: Hub, sandbox: Sandbox, path: str
) -> None:
    """Nobody is sent away: who comes while the events are being kept waits for that, and gets the first one's answer."""
    await an_endpoint(client, sandbox)
    before, key = await rows(hub), {"Idempotency-Key": "mine"}
    body: dict[str, Any] = {"type": "a.b"} if path == "/api/events" else {"events": [{"type": "a.b"}]}
    answers = await asyncio.gather(*(client.post(path, json=body, headers=key) for _ in range(10)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    after = await rows(hub)
    assert [after[table] - before[table] for table in ("events", "deliveries", "answers")] == [1, 1, 1]


@both_databases
async def test_ten_of_the_same_call_at_once_have_one_effect(client: Client, hub: Hub) -> None:
    """A host application that loses its patience and asks again, and again."""
    customer = await a_client(client)
    line = {"description": "x", "unit_price": "10.00"}
    body = {"client_id": customer["id"], "currency": "USD", "lines": [line]}
    key = {"Idempotency-Key": "impatient"}
    answers = await asyncio.gather(*(client.post("/api/invoices", json=body, headers=key) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    done = {answer.content for answer in answers if answer.status_code == 201}
    assert len(done) == 1
    assert len((await read(client, "/api/invoices"))["items"]) == 1


@both_databases
async def test_a_key_belongs_to_an_organisation(client: Client, other_client: Client) -> None:
    """Two that count 1, 2, 3 … do not get each other's answers."""
    key = {"Idempotency-Key": "1"}
    mine = await client.post("/api/events", json={"type": "a.b"}, headers=key)
    theirs = await other_client.post("/api/events", json={"type": "a.b"}, headers=key)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert "idempotent-replayed" not in theirs.headers
    assert mine.json()["id"] != theirs.json()["id"]


async def test_a_key_belongs_to_a_path(client: Client) -> None:
    """The same key and body on another path is another call."""
    key, body = {"Idempotency-Key": "x"}, {"name": "Acme"}
    assert (await client.post("/api/clients", json=body, headers=key)).status_code == 201
    assert (await client.post("/api/companies", json=body, headers=key)).status_code == 422


async def test_a_call_that_was_refused_may_be_mended_under_the_same_key(client: Client, hub: Hub) -> None:
    """Nothing was done, so nothing is kept."""
    key = {"Idempotency-Key": "x"}
    before = await rows(hub)
    assert (await client.post("/api/events", json={"type": "no type"}, headers=key)).status_code == 422
    assert await rows(hub) == before
    assert (await client.post("/api/events", json={"type": "a.b"}, headers=key)).status_code == 201


async def test_kept_answers_are_sealed(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    """One of them holds a signing secret, which is not to be found in the database's file."""
    key = {"Idempotency-Key": "x"}
    body = {"url": sandbox.receivers.url("app"), "headers": {"X-Token": "tok-CANARY-123"}}
    first = await client.post("/api/webhooks", json=body, headers=key)
    secret = first.json()["secret"]
    again = await client.post("/api/webhooks", json=body, headers=key)
    assert again.json()["secret"] == secret
    stored = everything_in(tmp_path)
    assert first.json()["id"].encode() in stored
    assert secret.encode() not in stored
    assert secret.removeprefix("whsec_").encode() not in stored
    assert b"CANARY" not in stored


async def test_no_effect_without_its_answer(client: Client, hub: Hub, sandbox: Sandbox, litestar: Litestar) -> None:
    """Where the answer cannot be kept the effect is undone, so that a crash between the two cannot be."""
    calls = Calls(client, hub, sandbox)
    table = [await calls.of(path) for path in ("/api/events", "/api/invoices", "/api/webhooks", "/api/clients")]
    before = await rows(hub)
    async with hub.database.writing() as connection:
        cut = "CREATE TRIGGER power_cut BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'power cut'); END"
        await connection.execute(text(cut))
        await connection.commit()
    for path, body, _ in table:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": path})
        assert answer.status_code == 500
        assert "power cut" not in answer.text
    assert await rows(hub) == before
    async with hub.database.writing() as connection:
        await connection.execute(text("DROP TRIGGER power_cut"))
        await connection.commit()
    for path, body, _ in table:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": path})
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)


@both_databases
async def test_a_crash_at_the_commit_leaves_neither_effect_nor_answer(hub: Hub, organisation: str) -> None:
    """The event, its deliveries and the kept answer are one transaction."""

    def full(connection: Any) -> None:
        connection.connection.rollback()  # as the database does then
        raise OperationalError("COMMIT", {}, Exception("the disk is full"))

    engine = hub.database._direct or hub.database.engine.sync_engine  # which of them commits events
    before = await rows(hub)
    once = Once("key", "hash", lambda _: (201, b"{}", {}))
    event.listen(engine, "commit", full)
    with pytest.raises(OperationalError):
        await hub.resolve(PublishEvents).one(Caller(organisation, "tests"), Published("a.b", {}), once)
    event.remove(engine, "commit", full)
    assert await rows(hub) == before


async def test_a_refund_that_was_declined_is_not_shown_as_on_its_way(
    client: Client, hub: Hub, sandbox: Sandbox
) -> None:
    """It was kept as asked for before the provider said no; the same call later is refused with the same words."""
    await stripe(client)
    bill = await paid(client, hub, sandbox)
    path, key = f"/api/payments/{bill['payments'][0]['id']}/refunds", {"Idempotency-Key": "x"}
    sandbox.stripe.faults.append(Fault(path="/v1/refunds", status=400))
    first = await client.post(path, json={"amount": "10.00"}, headers=key)
    assert first.status_code == 409
    again = await client.post(path, json={"amount": "10.00"}, headers=key)
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert {**again.json(), "request_id": ""} == {**first.json(), "request_id": ""}


async def test_an_invoice_s_link_survives_a_lost_answer(client: Client, sandbox: Sandbox) -> None:
    """Also without a key: an invoice has one live link for each provider."""
    await stripe(client)
    invoice = await an_invoice(client)
    assert await a_link(client, invoice) == await a_link(client, invoice)
