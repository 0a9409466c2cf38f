"""Whatever is wrong with a request is said clearly, naming the field; nothing is written then, and nothing is sent."""

import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from domain.inbox import HOLDING_TRIES
from entrypoints.sandbox import Sandbox
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
    rows,
    work_off,
)
from tests.integration.things import (
    a_client,
    a_link,
    a_notification,
    an_endpoint,
    an_event,
    an_invoice,
    hosted,
    secret_of,
    signed,
    slack,
    smtp,
    stripe,
)

JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def nothing_happens(hub: Hub, box: Sandbox | None = None) -> AsyncIterator[None]:
    """Inside, no row comes or goes, and no call reaches a provider."""

    def sent() -> list[int]:
        if box is None:
            return []
        shelves = ("sessions", "intents", "refunds", "events", "endpoints")
        objects = [sum(len(getattr(books, shelf)) for books in box.stripe.shops()) for shelf in shelves]
        receivers = [len(receiver.received) for receiver in box.receivers.receivers.values()]
        return [*objects, *receivers, len(box.slack.messages), len(box.discord.messages), len(box.mail.mails)]

    await work_off(hub)
    before = await rows(hub), sent()
    yield
    await work_off(hub)
    assert (await rows(hub), sent()) == before


@both_databases
async def test_an_invoice_s_faults_are_named(client: Client, hub: Hub, subtests: pytest.Subtests) -> None:
    """Money is read exactly or not at all."""
    customer = await a_client(client)
    good = {"client_id": customer["id"], "currency": "USD", "lines": [{"description": "x", "unit_price": "10.00"}]}

    def line(**more: Any) -> dict[str, Any]:
        return {"lines": [{"description": "x", "unit_price": "10.00", **more}]}

    cases: dict[str, tuple[dict[str, Any], str]] = {
        "unknown currency": ({"currency": "XYZ"}, "currency"),
        "no currency at all": ({"currency": ""}, "currency"),
        "a number for a currency": ({"currency": 840}, "currency"),
        "negative price": (line(unit_price="-1.00"), "lines.0.unit_price"),
        "too many decimals": (line(unit_price="10.005"), "lines.0.unit_price"),
        "decimals in yen": ({"currency": "JPY", **line(unit_price="10.5")}, "lines.0.unit_price"),
        "four decimals in dinar": ({"currency": "KWD", **line(unit_price="1.0001")}, "lines.0.unit_price"),
        "an exponent": (line(unit_price="1e3"), "lines.0.unit_price"),
        "a comma": (line(unit_price="1,000.00"), "lines.0.unit_price"),
        "another script's digits": (line(unit_price="١٠"), "lines.0.unit_price"),
        "not a number": (line(unit_price="NaN"), "lines.0.unit_price"),
        "a JSON number": (line(unit_price=10), "lines.0.unit_price"),
        "a very long price": (line(unit_price="9" * 39), "lines.0.unit_price"),
        "a longer one still": (line(unit_price="9" * 4000), "lines.0.unit_price"),
        "more than can be kept": (line(unit_price="9999999999999.99", quantity=1_000_000), "lines"),
        "nothing to pay": (line(unit_price="0.00"), "lines"),
        "no lines": ({"lines": []}, "lines"),
        "too many lines": ({"lines": [{"description": "x", "unit_price": "1"}] * 101}, "lines"),
        "no quantity": (line(quantity=0), "lines.0.quantity"),
        "half a quantity": (line(quantity=0.5), "lines.0.quantity"),
        "a huge quantity": (line(quantity=10**30), "lines.0.quantity"),
        "no description": (line(description=""), "lines.0.description"),
        "an unknown field": ({"currencies": "USD"}, "currencies"),
        "an unknown field in a line": (line(price="1"), "lines.0.price"),
        "no such day": ({"due_on": "2026-02-30"}, "due_on"),
        "no such client": ({"client_id": "client_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "client_id"),
        "an endless client": ({"client_id": "x" * 5000}, "client_id"),
        "a client with NUL": ({"client_id": "client_\0"}, "client_id"),
        "a list for a client": ({"client_id": ["x"]}, "client_id"),
        "a description with NUL": (line(description="a\0b"), "lines.0.description"),
        "a memo with a control character": ({"memo": "a\x07b"}, "memo"),
        "a day in the first year": ({"due_on": "0001-01-01"}, "due_on"),
        "a day in the last year": ({"due_on": "9999-12-31"}, "due_on"),
        "an endless memo": ({"memo": "x" * 2001}, "memo"),
    }
    async with nothing_happens(hub):
        for name, (change, field) in cases.items():
            with subtests.test(name):
                answer = await client.post("/api/invoices", json={**good, **change})
                assert answer.status_code == 422, answer.text
                assert faults(answer) == {field}
        with subtests.test("every price that is wrong is named at once"):
            wrong = [{"description": "x", "unit_price": price} for price in ("1.234", "5", "-1")]
            answer = await client.post("/api/invoices", json={**good, "lines": wrong})
            assert faults(answer) == {"lines.0.unit_price", "lines.2.unit_price"}


async def test_an_amount_over_the_provider_s_maximum_is_refused(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Stripe charges at most 999,999.99 USD. The draft is written all the same, for several payments may pay it; the link
    says what could not be paid by it."""
    await stripe(client)
    before = await an_invoice(client, price="1000000.00")
    async with nothing_happens(hub, sandbox):
        for door in ("/api/integrations/stripe/payment-link", f"/api/invoices/{before['id']}/payment-link"):
            answer = await client.post(door, json={"invoice_id": before["id"]} if "stripe" in door else {})
            assert (answer.status_code, faults(answer)) == (422, {"invoice_id"})
            assert "999" in answer.json()["detail"]
        for amount in ("1000000.00", "0", "-5", "0.001", "abc"):
            answer = await client.post("/api/payments/intent", json={"amount": amount, "currency": "USD"})
            assert (answer.status_code, faults(answer)) == (422, {"amount"}), amount
        answer = await client.post("/api/payments/intent", json={"amount": "5", "currency": "XYZ"})
        assert (answer.status_code, faults(answer)) == (422, {"currency"})
        answer = await client.post("/api/payments/intent", json={"amount": "5"})
        assert (answer.status_code, faults(answer)) == (422, {"amount"})


async def test_a_body_that_is_no_json_of_ours_is_refused(client: Client, hub: Hub, subtests: pytest.Subtests) -> None:
    """Each with its own status, on a route that reads a struct, one that reads any object, and a record's."""
    deep = b'{"type":"a.b","data":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    sly = b'{"type":"a.b","data":{"x":"[[[\\"[[[",' + b'"y":{' * 70 + b"}" * 70 + b"}}"
    cases: tuple[tuple[str, bytes, dict[str, str], int], ...] = (
        ("cut off", b'{"type":', JSON, 400),
        ("two objects", b"{}{}", JSON, 400),
        ("a single quote", b"{'a':1}", JSON, 400),
        ("a bare word", b"nonsense", JSON, 400),
        ("NaN", b'{"data":{"x":NaN}}', JSON, 400),
        ("a number beyond all", b'{"data":{"x":1e999}}', JSON, 400),
        ("five thousand digits", b'{"data":{"x":' + b"9" * 5000 + b"}}", JSON, 400),
        ("half a surrogate pair", b'{"data":{"x":"\\ud800"}}', JSON, 400),
        ("not UTF-8", b'{"type":"\xff\xfe"}', JSON, 400),
        ("nested without end", deep, JSON, 400),
        ("nested too deep, with brackets in texts", sly, JSON, 400),
        ("text", b'{"type":"a.b"}', {"Content-Type": "text/plain"}, 415),
        ("a form", b"type=a.b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("MessagePack", b"\x80", {"Content-Type": "application/msgpack"}, 415),
        ("a list", b"[]", JSON, 422),
        ("null", b"null", JSON, 422),
        ("a text", b'"text"', JSON, 422),
        ("nothing", b"", JSON, 422),
        ("five megabytes", b'{"type":"a.b","data":{"x":"' + b"x" * 5_000_000 + b'"}}', JSON, 413),
    )
    async with nothing_happens(hub):
        for path in ("/api/events", "/api/clients", "/api/webhooks", "/api/integrations/slack/connect"):
            for name, body, headers, status in cases:
                with subtests.test(name, path=path):
                    answer = await client.post(path, content=body, headers=headers)
                    assert answer.status_code == status, answer.text[:300]
                    assert faults(answer) == ({"body"} if status == 422 and path != "/api/events" else faults(answer))


async def test_a_large_body_is_refused_while_it_comes(client: Client, hub: Hub) -> None:
    """Without a Content-Length, and at the public doors too: nobody fills the memory."""
    fed = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal fed
        while fed < 50_000_000:
            fed += 100_000
            yield b"x" * 100_000

    async with nothing_happens(hub):
        for path in ("/api/events", "/api/webhooks/stripe", "/api/integrations/stripe/webhook/con_x"):
            fed = 0
            answer = await client.post(path, content=endless(), headers=JSON)
            assert answer.status_code == 413
            assert faults(answer) == set()
            answer = await client.post(path, content=b"x" * 5_000_000, headers=JSON)
            assert answer.status_code == 413


async def test_the_last_of_two_equal_keys_counts(client: Client) -> None:
    """As most readers of JSON do (RFC 8259, 4, leaves it open): what is answered is what was kept."""
    answer = await client.post("/api/events", content=b'{"type":"a.b","type":"c.d","data":{"x":1,"x":2}}', headers=JSON)
    assert answer.status_code == 201
    kept = await read(client, f"/api/events/{answer.json()['id']}")
    assert (kept["type"], kept["data"]) == ("c.d", {"x": 2})


@both_databases
async def test_odd_but_valid_json_comes_back_as_it_was(client: Client) -> None:
    """An event's data is the sender's own: NUL, large numbers and every script come through, on both databases."""
    data = {"a\0b": "c\0d", "": 1, "big": 10**40, "small": 5e-324, "emoji": "👩‍🚀", "deep": [[[[{"x": [None, True]}]]]]}
    answer = await client.post("/api/events", content=json.dumps({"type": "a.b", "data": data}), headers=JSON)
    assert answer.status_code == 201, answer.text
    assert (await read(client, f"/api/events/{answer.json()['id']}"))["data"] == data


@both_databases
async def test_moments_that_no_calendar_holds_are_refused(client: Client, hub: Hub) -> None:
    """A zone can carry the first and the last year out of the calendar: kept, such a row could never be read again."""
    async with nothing_happens(hub):
        for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-01-01", "yesterday", ""):
            answer = await client.post("/api/events", json={"type": "a.b", "occurred_at": moment})
            assert (answer.status_code, faults(answer)) == (422, {"occurred_at"}), moment
            body = {"name": "x", "scopes": ["events:read"], "expires_at": moment}
            answer = await client.post("/api/keys", json=body)
            assert (answer.status_code, faults(answer)) == (422, {"expires_at"}), moment
        naive = await client.post("/api/events", json={"type": "a.b", "occurred_at": "2026-01-01T00:00:00"})
        assert (naive.status_code, faults(naive)) == (422, {"occurred_at"})


async def test_query_parameters_and_headers_are_checked(client: Client, hub: Hub, subtests: pytest.Subtests) -> None:
    """A list that ignores what it does not understand would show the wrong things."""
    cases = (
        ("/api/events?limit=0", "limit"),
        ("/api/events?limit=201", "limit"),
        ("/api/events?limit=-1", "limit"),
        ("/api/events?limit=abc", "limit"),
        ("/api/events?limit=1.5", "limit"),
        ("/api/events?limit=99999999999999999999999999", "limit"),
        ("/api/events?cursor=!!!!", "cursor"),
        ("/api/events?cursor=abc", "cursor"),
        ("/api/events?cursor=AAAA", "cursor"),
        ("/api/events?cursor=%00", "cursor"),
        ("/api/events?cursor=%F0%9F%92%A9", "cursor"),
        ("/api/events?cursor=" + "QUFB" * 2000, "cursor"),
        ("/api/invoices?status=nonsense", "status"),
        ("/api/deliveries?status=nonsense", "status"),
        ("/api/clients?limit=0", "limit"),
        ("/api/audit?limit=0", "limit"),
    )
    async with nothing_happens(hub):
        for path, field in cases:
            with subtests.test(path[:60]):
                answer = await client.get(path)
                assert (answer.status_code, faults(answer)) == (422, {field})
        for key in ("", "x" * 256, b"caf\xc2\x85"):
            with subtests.test("Idempotency-Key", key=key[:9]):
                headers = {"Idempotency-Key": key}
                answer = await client.post("/api/events", json={"type": "a.b"}, headers=headers)  # type: ignore[arg-type]
                assert (answer.status_code, faults(answer)) == (422, {"Idempotency-Key"})
        for version in ("abc", '"', "-1", "1.0", "١", "9" * 5000):
            with subtests.test("If-Match", version=version[:9]):
                headers = {"If-Match": version.encode()}
                answer = await client.patch("/api/invoices/inv_x", json={}, headers=headers)  # type: ignore[arg-type]
                assert (answer.status_code, faults(answer)) == (422, {"If-Match"})


@both_databases
async def test_ids_that_cannot_be_are_not_found(client: Client, hub: Hub) -> None:
    """Endless, with NUL, half a surrogate pair, another script, up the folders: 404, whatever the database thinks."""
    scripts = ("%F0%9F%92%A9", "%ff", "%ED%A0%80", "%25")
    ids = (*scripts, "x" * 5000, "%00", "inv_%00", "..%2F..%2Fetc", "con_" + "9" * 60, "' OR 1=1")
    async with nothing_happens(hub):
        for base in ("invoices", "webhooks", "deliveries", "integrations", "payments", "events", "clients", "notes"):
            for id_ in ids:
                answer = await client.get(f"/api/{base}/{id_}")
                assert answer.status_code == 404, (base, id_, answer.text)
                assert faults(answer) == set()
        for id_ in ids:
            for method, path in (
                ("DELETE", f"/api/keys/{id_}"),
                ("DELETE", f"/api/integrations/notifications/{id_}"),
                ("POST", f"/api/inbox/{id_}/retry"),
                ("POST", f"/api/deliveries/{id_}/retry"),
                ("POST", f"/api/integrations/{id_}/webhook"),
                ("POST", f"/api/integrations/stripe/webhook/{id_}"),
                ("GET", f"/api/integrations/{id_}/status"),
                ("GET", f"/api/integrations/stripe/payment-link/{id_}"),
            ):
                answer = await client.request(method, path)
                assert answer.status_code == 404, (method, path, answer.text)
    page = await client.get("/pay/%00")
    assert page.status_code == 404


async def test_a_stale_change_is_refused(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """If-Match names the version that was read; the version in the way is said. Providers are not asked either."""
    invoice = await an_invoice(client)
    endpoint = await an_endpoint(client, sandbox)
    connection = await stripe(client)
    record = await a_client(client)
    changes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("PATCH", f"/api/invoices/{invoice['id']}", {"memo": "changed"}),
        ("PUT", f"/api/webhooks/{endpoint['id']}", {"name": "changed"}),
        ("PATCH", f"/api/integrations/{connection['id']}", {"fields": {"secret_key": "sk_test_other"}}),
        ("PUT", "/api/integrations/stripe/settings", {"fields": {"secret_key": "sk_test_other"}}),
        ("PATCH", f"/api/clients/{record['id']}", {"name": "changed"}),
    )
    sandbox.stripe.faults.clear()
    async with nothing_happens(hub, sandbox):
        for method, path, body in changes:
            answer = await client.request(method, path, json=body, headers={"If-Match": '"7"'})
            assert answer.status_code == 412, (path, answer.text)
            assert faults(answer) == {"If-Match"}
            assert "version 1" in answer.json()["detail"]
    for method, path, body in changes[:3]:
        answer = await client.request(method, path, json=body, headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.headers["etag"]) == (200, '"2"'), answer.text


async def test_no_address_in_a_private_network_is_taken(
    client: Client, hub: Hub, sandbox: Sandbox, subtests: pytest.Subtests
) -> None:
    """In every place where one can be typed, however it is spelled. Only what the operator allows is let through."""
    endpoint = await an_endpoint(client, sandbox)
    hook = await slack(client, sandbox)
    mailer = await smtp(client, sandbox)
    urls = (
        "http://127.0.0.1/x",
        f"http://127.0.0.1:{hub.settings.port}/api/keys",  # the hub itself
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "https://192.168.1.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[fd00::1]/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0.0.0.0/",
        "http://100.64.0.1/",
        "http://user:secret@198.51.100.7/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "not a url",
        "http://exa mple.com/",
    )
    notification = {"name": "x", "platform": "slack", "events": ["*"]}
    async with nothing_happens(hub, sandbox):
        for url in urls:
            for method, path, body, field in (
                ("POST", "/api/webhooks", {"url": url}, "url"),
                ("PUT", f"/api/webhooks/{endpoint['id']}", {"url": url}, "url"),
                ("POST", "/api/integrations/slack/connect", {"webhook_url": url}, "webhook_url"),
                ("POST", "/api/integrations/discord/connect", {"webhook_url": url}, "webhook_url"),
                ("POST", "/api/integrations", {"provider": "slack", "fields": {"webhook_url": url}}, "webhook_url"),
                ("PATCH", f"/api/integrations/{hook['id']}", {"fields": {"webhook_url": url}}, "webhook_url"),
                ("PUT", "/api/integrations/slack/settings", {"fields": {"webhook_url": url}}, "webhook_url"),
                ("POST", "/api/integrations/notifications", {**notification, "webhook_url": url}, "webhook_url"),
            ):
                with subtests.test(url, path=path):
                    answer = await client.request(method, path, json=body)
                    assert (answer.status_code, faults(answer)) == (422, {field}), answer.text
                    assert "secret" not in answer.text
        for host in ("127.0.0.1", "10.0.0.1", "::1", "localhost", "169.254.169.254", "a/b", "x@127.0.0.1", "[::1]"):
            server = {"host": host, "port": "25", "sender": "billing@studio.example"}
            for method, path, body in (
                ("POST", "/api/integrations/smtp/connect", server),
                ("PATCH", f"/api/integrations/{mailer['id']}", {"fields": {"host": host, "port": "25"}}),
            ):
                with subtests.test(host, path=path):
                    answer = await client.request(method, path, json=body)
                    assert (answer.status_code, faults(answer)) == (422, {"host"}), answer.text
        for port in ("0", "65536", "abc", "-1", "٢٥", "9" * 5000):
            server = {"host": "x.example", "port": port, "sender": "billing@studio.example"}
            answer = await client.post("/api/integrations/smtp/connect", json=server)
            assert (answer.status_code, faults(answer)) == (422, {"port"}), port


async def test_wrong_fields_of_a_connection_are_named(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """All of them, and never with the secret in the answer."""
    async with nothing_happens(hub, sandbox):
        for provider, body, fields in (
            ("stripe", {}, {"secret_key"}),
            ("stripe", {"secret_key": "pk_test_SECRET"}, {"secret_key"}),
            ("stripe", {"secret_key": {"SECRET": 1}}, {"secret_key"}),
            ("stripe", {"secret_key": "sk_test_SECRET", "webhook_secret": "SECRET"}, {"webhook_secret"}),
            ("stripe", {"secret_key": "sk_test_SECRET", "nonsense": "SECRET"}, {"nonsense"}),
            ("stripe", {"secret_key": "sk_test_SECRETé"}, {"secret_key"}),
            ("stripe", {"secret_key": "sk_test_SECRET", "name": "x" * 201}, {"name"}),
            ("stripe", {"secret_key": "sk_test_SECRET", "name": 5.5}, {"name"}),
            ("slack", {}, {"webhook_url"}),
            ("smtp", {"password": "SECRET"}, {"host", "sender"}),
            ("smtp", {"host": "x.example", "sender": "x", "security": "SECRET"}, {"security"}),
        ):
            answer = await client.post(f"/api/integrations/{provider}/connect", json=body)
            assert (answer.status_code, faults(answer)) == (422, fields), (provider, body, answer.text)
            assert "SECRET" not in answer.text
        assert (await client.post("/api/integrations/nonsense/connect", json={})).status_code == 404


async def test_a_webhook_with_a_wrong_signature_is_refused(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock, subtests: pytest.Subtests
) -> None:
    """Missing, malformed, of another secret, of another body, stale, from the future: 400, and nothing is kept."""
    connection = await stripe(client)
    secret = await secret_of(hub, connection)
    body = json.dumps({"id": "evt_1", "object": "event", "type": "x", "data": {"object": {"object": "x"}}}).encode()
    now = clock.now().timestamp()
    good = signed(secret, body, now)
    v1 = good["Stripe-Signature"].partition("v1=")[2]
    cases = {
        "none": {**good, "Stripe-Signature": ""},
        "no time": {**good, "Stripe-Signature": f"v1={v1}"},
        "two times": {**good, "Stripe-Signature": f"t={int(now)},t={int(now)},v1={v1}"},
        "another scheme": {**good, "Stripe-Signature": f"t={int(now)},v0={v1}"},
        "nonsense": {**good, "Stripe-Signature": "nonsense"},
        "another secret": signed("whsec_other", body, now),
        "another body": signed(secret, body + b" ", now),
        "stale": signed(secret, body, now - 301),
        "from the future": signed(secret, body, now + 330),
        "an endless time": {**good, "Stripe-Signature": f"t={'9' * 5000},v1={v1}"},
        "another time": {**good, "Stripe-Signature": f"t={int(now) - 1},v1={v1}"},
    }
    del (cases["none"])["Stripe-Signature"]
    doors = ("integrations/stripe/webhook", "billing/webhooks/stripe", "payments/stripe/webhook", "webhooks/stripe")
    own = f"integrations/stripe/webhook/{connection['id']}"
    async with nothing_happens(hub, sandbox):
        for name, headers in cases.items():
            for door in (*doors, own):
                with subtests.test(name, door=door):
                    answer = await client.post(f"/api/{door}", content=body, headers=headers)
                    assert answer.status_code == 400, answer.text
                    assert faults(answer) == set()
                    assert answer.json()["type"].endswith(":signature")
                    assert secret not in answer.text
        for name, wrong in {
            "no JSON": b"nonsense",
            "no object": b"[]",
            "no event": b'{"object":"charge"}',
            "no data": b'{"object":"event","id":"evt_1","type":"x"}',
            "no id": b'{"object":"event","type":"x","data":{"object":{"object":"x"}}}',
            "not UTF-8": b"\xff",
            "nested without end": b"[" * 100_000,
        }.items():
            with subtests.test(name):
                answer = await client.post(f"/api/{own}", content=wrong, headers=signed(secret, wrong, now))
                assert (answer.status_code, faults(answer)) == (422, {"body"}), answer.text
        for path in ("/api/integrations/slack/webhook", "/api/integrations/nonsense/webhook"):
            assert (await client.post(path, content=body, headers=good)).status_code == 404


@both_databases
async def test_a_webhook_for_an_unknown_session_is_kept_as_ignored(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """It is signed, so it is Stripe's: the inbox says why nothing came of it, and there is no payment."""
    connection = await stripe(client)
    secret = await secret_of(hub, connection)
    session = {"id": "cs_test_unknown", "object": "checkout.session", "payment_intent": "pi_unknown", "metadata": {}}
    event = {
        "id": "evt_unknown",
        "object": "event",
        "type": "checkout.session.completed",
        "created": int(clock.now().timestamp()),
        "livemode": False,
        "data": {"object": session},
    }
    body = json.dumps(event).encode()
    answer = await client.post(
        "/api/integrations/stripe/webhook", content=body, headers=signed(secret, body, clock.now().timestamp())
    )
    assert (answer.status_code, answer.json()) == (200, {"received": True, "duplicate": False})
    await work_off(hub)
    (received,) = (await read(client, "/api/inbox"))["items"]
    assert (received["status"], received["tries"]) == ("pending", 1)
    for _ in range(HOLDING_TRIES - 1):
        clock.advance(timedelta(minutes=5))
        await work_off(hub)
    (received,) = (await read(client, "/api/inbox"))["items"]
    assert (received["status"], received["tries"]) == ("ignored", HOLDING_TRIES)
    assert "cs_test_unknown" in received["error"]
    assert (await read(client, "/api/billing/payments"))["items"] == []
    again = await made(client, f"/api/inbox/{received['id']}/retry", status=202)
    assert again["status"] == "pending"


async def test_an_expired_key_opens_nothing(hub: Hub, app: Any, organisation: str, clock: MovingClock) -> None:
    """From its moment on, and it is said when that was."""
    key = await a_key(hub, organisation, expires_at=clock.now() + timedelta(minutes=1))
    async with asking(app, key) as client:
        assert (await client.get("/api/events")).status_code == 200
        clock.advance(timedelta(minutes=2))
        before = await rows(hub)
        answer = await client.post("/api/events", json={"type": "a.b"})
        assert answer.status_code == 401
        assert "expired on" in answer.json()["detail"]
        assert await rows(hub) == before


async def test_unknown_paths_and_methods_are_problems_too(client: Client) -> None:
    """A client that reads problem+json can read every error."""
    for method, path, status in (("GET", "/api/nonsense", 404), ("PUT", "/api/events", 405), ("GET", "/nonsense", 404)):
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert faults(answer) == set()


# A random walk over everything


class Nonsense:
    """Random bodies, some of which a schema of the document would let through. The same seed, the same bodies."""

    def __init__(self, document: dict[str, Any], seed: int, ids: list[str]) -> None:
        self._random = random.Random(seed)
        self._shapes = document["components"]["schemas"]
        self._ids = ids

    def text(self) -> Any:
        """A text, likely or not."""
        return self._random.choice(
            (
                "", "x", "USD", "10.00", "-1", "stripe", "slack", "smtp", "invoice.paid", "invoice.*", "*", "a" * 300,
                "\0", "💩", "ada@example.com", "2026-11-01", "2026-11-01T00:00:00Z", "9999-12-31T23:59:59-12:00",
                "https://example.com", "http://127.0.0.1/", "' OR 1=1", "[", "{}", "null", "whsec_AAAA", "sk_test_x",
                *self._ids,
            )
        )  # fmt: skip

    def scalar(self) -> Any:
        """Anything without parts."""
        return self._random.choice((None, True, False, 0, 1, -1, 10**18, 10**30, 0.5, 1e308, self.text(), self.text()))

    def anything(self, depth: int = 0) -> Any:
        """Anything."""
        roll = self._random.random()
        if depth > 3 or roll < 0.6:
            return self.scalar()
        count = self._random.randint(0, 3)
        if roll < 0.8:
            return [self.anything(depth + 1) for _ in range(count)]
        return {str(self.text()): self.anything(depth + 1) for _ in range(count)}

    def fitting(self, schema: dict[str, Any], depth: int = 0) -> Any:
        """What the schema asks for, more or less: one in twelve parts is nonsense."""
        if self._random.random() < 1 / 12 or depth > 6:
            return self.anything(depth)
        if "$ref" in schema:
            return self.fitting(self._shapes[schema["$ref"].rpartition("/")[2]], depth)
        for word in ("oneOf", "anyOf", "allOf"):
            if word in schema:
                return self.fitting(self._random.choice(schema[word]), depth)
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        if schema.get("examples") and self._random.random() < 0.5:
            return self._random.choice(list(schema["examples"]))
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            count = self._random.randint(schema.get("minItems", 0), 3)
            return [self.fitting(schema.get("items", {}), depth + 1) for _ in range(count)]
        if kind in ("integer", "number"):
            return self._random.choice((0, 1, 5, 60, 10**6, -3, schema.get("minimum", 2), schema.get("maximum", 3)))
        if kind == "boolean":
            return self._random.random() < 0.5
        return None if kind == "null" else self.text()

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        needed = set(schema.get("required", ()))
        body = {
            name: self.fitting(shape, depth + 1)
            for name, shape in schema.get("properties", {}).items()
            if (name in needed and self._random.random() < 0.95) or self._random.random() < 0.4
        }
        if schema.get("additionalProperties") or self._random.random() < 0.05:
            body[str(self.text())] = self.anything(depth + 1)
        return body

    def spoiled(self, body: bytes) -> bytes:
        """The same bytes, some of them others."""
        spoiled = bytearray(body)
        for _ in range(self._random.randint(1, 4)):
            spoiled[self._random.randrange(len(spoiled))] = self._random.randrange(256)
        return bytes(spoiled)

    def chance(self, of: float) -> bool:
        """Whether it happens."""
        return self._random.random() < of


FUZZ_SECONDS = 4.0
FUZZ_SEED = 20260102


@both_databases
async def test_no_request_is_ever_our_fault(client: Client, hub: Hub, litestar: Litestar, sandbox: Sandbox) -> None:
    """Well- and ill-formed bodies to every route of the document, over and over: whatever the answer, it is no 5xx.

    What the providers cannot do now is a 503 with that name; everything else of the kind is a bug.
    """
    document = litestar.openapi_schema.to_schema()
    await stripe(client)
    await smtp(client, sandbox)
    bill = await an_invoice(client)
    link = await a_link(client, bill)
    await hosted(client, sandbox, link)
    endpoint = await an_endpoint(client, sandbox)
    notification = await a_notification(client, sandbox)
    event = await an_event(client)
    intent = await made(client, "/api/payments/intent", {"amount": "5.00", "currency": "USD"})
    ids = [thing["id"] for thing in (bill, endpoint, notification, event, intent["payment"], bill["client"])]
    key_id = (await read(client, "/api/keys"))["items"][0]["id"]
    nonsense = Nonsense(document, FUZZ_SEED, ids)
    deadline = time.monotonic() + FUZZ_SECONDS
    calls, statuses = 0, set()
    while time.monotonic() < deadline or calls < 300:
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                answer = await _fuzzed(client, nonsense, method, path, operation, key_id)
                assert answer is None or answer.status_code < 500 or answer.json()["type"].endswith("-unavailable"), (
                    method, answer.request.url, answer.request.content, answer.text,
                )  # fmt: skip
                calls += answer is not None
                statuses.add(answer.status_code if answer is not None else 0)
        if calls % 7 == 0:
            await work_off(hub)
    await work_off(hub)
    for listing in ("events", "deliveries", "invoices", "webhooks", "integrations", "keys", "clients", "audit"):
        await read(client, f"/api/{listing}", limit=200)
    assert {200, 201, 400, 404, 422} <= statuses


async def _fuzzed(
    client: Client, nonsense: Nonsense, method: str, path: str, operation: dict[str, Any], keep: str
) -> httpx.Response | None:
    place = path
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            text = str(nonsense.text()).replace("/", "%2F").replace("\0", "%00").replace("?", "%3F") or "x"
            place = place.replace("{" + parameter["name"] + "}", text)
    if keep in place or place.startswith("/api/keys/"):
        return None  # the key that asks
    query = {
        parameter["name"]: str(nonsense.fitting(parameter.get("schema", {})))
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and nonsense.chance(0.3)
    }
    headers = {**JSON}
    if nonsense.chance(0.1):
        headers["Idempotency-Key"] = str(nonsense.fitting({"enum": ["a", "b", "c"]}))
    if nonsense.chance(0.1):
        headers["If-Match"] = '"1"'
    content: bytes | None = None
    for media in operation.get("requestBody", {}).get("content", {}).values():
        content = json.dumps(nonsense.fitting(media["schema"])).encode()
        if nonsense.chance(0.1):
            content = nonsense.spoiled(content)
    headers = {name: value for name, value in headers.items() if value.isascii() and value.isprintable()}
    return await client.request(method.upper(), place, params=query, content=content, headers=headers)
