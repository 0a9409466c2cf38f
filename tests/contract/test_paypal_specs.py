"""What we send to PayPal, and what its sandbox answers, against PayPal's own descriptions (OpenAPI, of 2024)."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from application.ports.payments import CheckoutOrder
from application.ports.payouts import PayoutOrder
from application.ports.recurring import Begun, PlanTerms, SubscriptionOrder
from domain.billing.plans import Interval
from domain.money import Money
from tests.contract.paypal_sandbox import ACCESS, CLIENT, Stage, staged
from tests.contract.stripe_sandbox import Exchange
from tests.specs import load, operation, problems, resolved

SPECS = {
    "/v2/checkout/": "paypal/checkout_orders_v2.slim.json",
    "/v2/payments/": "paypal/payments_payment_v2.slim.json",
    "/v1/billing/": "paypal/billing_subscriptions_v1.slim.json",
    "/v1/catalogs/": "paypal/catalogs_products_v1.slim.json",
    "/v1/notifications/": "paypal/notifications_webhooks_v1.slim.json",
    "/v1/reporting/": "paypal/reporting_transactions_v1.slim.json",
    "/v1/payments/payouts": "paypal/payments_payouts_batch_v1.slim.json",
}

# PayPal's descriptions name no answer for a request id that comes back with another request.
_NOT_DESCRIBED = "DUPLICATE_REQUEST_ID"
# Sent and answered by PayPal's own SDKs, and absent from the description: the list's next page.
_NOT_NAMED = {"skip"}


def order(stage: Stage, amount: Money, **more: Any) -> CheckoutOrder:
    """An order with everything that one can have."""
    given: dict[str, Any] = {
        "amount": amount,
        "description": "Invoice INV-1 & more <brackets> = ünïcode " + "x" * 200,
        "reference": "invoice_1",
        "success_url": "https://shop.example/paid",
        "cancel_url": "https://shop.example/back",
        "expires_at": stage.clock.now() + timedelta(hours=1),
        "customer_email": "pat@example.com",
        "customer_name": "Pat Payer",
        "metadata": {
            "patchbay_organisation": "org_01KDZ5W8Z8000000000000000A",
            "patchbay_invoice": "inv_01KDZ5W8Z8000000000000000B",
            "patchbay_checkout": "chk_01KDZ5W8Z8000000000000000C",
        },
    }
    return CheckoutOrder(**{**given, **more})


async def our_calls(stage: Stage) -> None:
    """Every call that the adapter can make."""
    payments = stage.payments
    await payments.account(ACCESS)
    hook, _ = await payments.register_webhook(ACCESS, "http://127.0.0.1:9/in/con_1", key="w")
    await payments.register_webhook(ACCESS, "http://127.0.0.1:9/in/con_1", key="w")
    page = await payments.create_checkout(ACCESS, order(stage, Money.of("125.00", "USD")), key="chk_1")
    done = await stage.paid(page, "chk_1")
    assert done.intent_reference
    closed = await payments.create_checkout(ACCESS, order(stage, Money.of("5", "HUF"), metadata={}), key="chk_2")
    await payments.expire_checkout(ACCESS, closed.reference)
    for number, reason in enumerate(("", "Too small, and a long story. " * 20)):
        await payments.refund(
            ACCESS, done.intent_reference, Money.of("1.50", "USD"), key=f"ref_{number}", reason=reason
        )
    await payments.fetch_intent(ACCESS, done.intent_reference)
    await payments.refunds_of(ACCESS, done.intent_reference)
    await payments.find_refund(ACCESS, done.intent_reference, "ref_1")
    await payments.find_payment(ACCESS, "chk_1")
    made = await payments.create_intent(ACCESS, Money.of("700", "JPY"), key="i", metadata={"a": "b"}, description="T")
    await payments.confirm_intent(ACCESS, made.reference, method="vault_good", key="ic")
    await payments.refund(ACCESS, made.reference, Money.of("100", "JPY"), key="ref_i")
    given_up = await payments.create_intent(ACCESS, Money.of("7.00", "EUR"), key="i2")
    await payments.cancel_intent(ACCESS, given_up.reference)
    await recurring(stage)
    await pay_out(stage)
    now = stage.clock.now()
    assert [e async for e in payments.events_between(ACCESS, now - timedelta(hours=3), now + timedelta(seconds=1))]
    assert [s async for s in payments.settled_between(ACCESS, now - timedelta(days=40), now + timedelta(seconds=1))]
    body = b'{"id":"WH-1","event_type":"X.Y","resource":{"n":1.0}}'
    headers = {name.lower(): value for name, value in stage.sandbox.seal(body, hook, now).items()}
    assert await payments.ask_whether_signed(ACCESS, hook, headers, body)
    await payments.remove_webhook(ACCESS, hook)
    await payments.remove_webhook(ACCESS, hook)


async def recurring(stage: Stage) -> None:
    """Plans and subscriptions, to their ends."""
    payments = stage.payments
    terms = PlanTerms("Basic", "For beginners", Money.of("9.00", "USD"), Interval.MONTH, 1, 14, "plan_1")
    plan = await payments.ensure_plan(ACCESS, terms, product=None, key="plan-1")
    other = await payments.ensure_plan(
        ACCESS,
        PlanTerms("Basic", "", Money.of("90.00", "USD"), Interval.YEAR, 1, 0, "plan_1"),
        product=plan.product,
        key="plan-2",
    )
    wanted = SubscriptionOrder(
        plan.reference,
        3,
        14,
        None,
        "pat@example.com",
        "Pat",
        "Basic",
        "https://shop.example/in",
        "https://shop.example/out",
        {"patchbay_organisation": "organisation_1"},
    )
    reference = ""
    for trial_days in (0, 14):
        begun = await payments.begin_subscription(
            ACCESS, SubscriptionOrder(*[*_fields(wanted)[:2], trial_days, *_fields(wanted)[3:]]), key=f"s{trial_days}"
        )
        reference = begun.reference or ""
        assert await payments.find_subscription(ACCESS, begun) is None
        await stage.http.post(f"{stage.base}/subscribe?ba_token={begun.reference}", data={"answer": "agree"})
        assert await payments.find_subscription(ACCESS, Begun(begun.reference, None, None))
    for step in ("renew", "fail"):
        await stage.control(f"subscriptions/{reference}/{step}")
    await payments.renewals_of(ACCESS, reference)
    change: Any = {"plan_reference": other.reference, "quantity": 2, "prorate": False, "at": stage.clock.now()}
    await payments.change_subscription(ACCESS, reference, **change, key="change")
    await payments.pause_subscription(ACCESS, reference, reason="", key="p")
    await payments.unpause_subscription(ACCESS, reference, reason="Back " * 60, key="u")
    for _ in range(2):
        await payments.cancel_subscription(ACCESS, reference, at_period_end=False, reason="", key="c")
    await payments.retire_plan(ACCESS, plan.reference)
    await payments.retire_plan(ACCESS, plan.reference)


async def pay_out(stage: Stage) -> None:
    """A payout that arrives and one that does not."""
    for number, state in enumerate(("SUCCESS", "FAILED")):
        wanted = PayoutOrder(Money.of("10.00", "USD"), {"email": "to@example.com"}, "For work", f"po_{number}")
        made = await stage.payments.create_payout(ACCESS, wanted, key=f"po-key-{number}")
        await stage.control(f"payouts/{made.reference}/settle", status=state)
        await stage.payments.fetch_payout(ACCESS, made.reference)
        await stage.payments.find_payout(ACCESS, f"po-key-{number}")


def _fields(wanted: SubscriptionOrder) -> list[Any]:
    return [getattr(wanted, field.name) for field in SubscriptionOrder.__attrs_attrs__]


async def refusals(stage: Stage) -> None:
    """Every kind of error that the sandbox answers."""
    usd = {"currency_code": "USD", "value": "10.00"}
    unit = {"amount": usd, "custom_id": "c"}
    created = (
        await stage.api("POST", "/v2/checkout/orders", {"intent": "CAPTURE", "purchase_units": [unit]}, key="r1")
    ).json()
    wrong_units: list[Any] = [
        {"amount": {"currency_code": "USD", "value": 10}},
        {"amount": {"currency_code": "USD", "value": "10.001"}},
        {"amount": {"currency_code": "HUF", "value": "10.50"}},
        {"amount": {"currency_code": "KWD", "value": "10"}},
        {"amount": {"currency_code": "USD", "value": "0"}},
        {"amount": {"currency_code": "USD", "value": "123456789"}},
        {"amount": usd, "custom_id": "x" * 128},
        {},
    ]
    for number, wrong in enumerate(wrong_units):
        asked = {"intent": "CAPTURE", "purchase_units": [wrong]}
        assert (await stage.api("POST", "/v2/checkout/orders", asked, key=f"r2-{number}")).status_code in (400, 422)
    for path in (f"/v2/checkout/orders/{created['id']}/capture", "/v2/checkout/orders/NOSUCH/capture"):
        assert (await stage.api("POST", path, {}, key="r3")).status_code in (404, 422)
    again = {"intent": "CAPTURE", "purchase_units": [{"amount": {**usd, "value": "11.00"}}]}
    assert (await stage.api("POST", "/v2/checkout/orders", again, key="r1")).status_code == 409
    await stage.agree(created["id"], "declined", status=200)
    await stage.api("POST", f"/v2/checkout/orders/{created['id']}/capture", {}, key="r4")
    await stage.agree(created["id"], "echeck", status=200)
    pending = (await stage.api("POST", f"/v2/checkout/orders/{created['id']}/capture", {}, key="r5")).json()
    capture = pending["purchase_units"][0]["payments"]["captures"][0]["id"]
    refund = f"/v2/payments/captures/{capture}/refund"
    assert (await stage.api("POST", refund, {}, key="r6")).status_code == 422
    await stage.control(f"captures/{capture}/complete")
    for amount in ({**usd, "value": "11.00"}, {**usd, "currency_code": "EUR"}, {**usd, "value": "-1.00"}):
        assert (await stage.api("POST", refund, {"amount": amount}, key=f"r7{amount}")).status_code == 422
    some = (await stage.api("POST", refund, {"amount": {**usd, "value": "2.00"}}, key="r8")).json()
    for status in ("PENDING", "FAILED"):
        await stage.control(f"refunds/{some['id']}/settle", status=status)
    await stage.api("GET", f"/v2/payments/refunds/{some['id']}")
    await stage.control(f"captures/{capture}/take_back")
    assert (await stage.api("POST", refund, {}, key="r9")).status_code == 422
    for path in (
        "/v2/payments/captures/NOSUCH",
        "/v2/payments/refunds/NOSUCH",
        "/v1/billing/subscriptions/I-NOSUCH",
        "/v1/billing/plans/P-NOSUCH",
        "/v1/payments/payouts/NOSUCH",
        "/v1/notifications/webhooks/NOSUCH",
        "/v1/notifications/webhooks-events/NOSUCH",
    ):
        assert (await stage.api("GET", path)).status_code == 404
    for path, body in (
        ("/v1/notifications/webhooks", {"url": "nowhere", "event_types": [{"name": "*"}]}),
        ("/v1/payments/payouts", {"sender_batch_header": {}, "items": [{"amount": {"currency": "USD", "value": "1"}}]}),
        ("/v1/billing/subscriptions", {"plan_id": "P-NOSUCH"}),
        ("/v1/billing/plans", {"product_id": "PROD-NOSUCH"}),
    ):
        assert (await stage.api("POST", path, body)).status_code in (400, 404, 422)
    events = stage.sandbox.books_of(CLIENT).events
    await stage.api("POST", f"/v1/notifications/webhooks-events/{events[0]['id']}/resend", {"webhook_ids": []})
    await stage.api("GET", "/v1/notifications/webhooks-events?page_size=2")
    await stage.api("GET", "/v1/notifications/webhooks")
    headers = {"Authorization": "Bearer nobody's"}
    for path in ("/v2/checkout/orders/X", "/v2/payments/captures/X", "/v1/billing/plans/X"):
        assert (await stage.http.get(f"{stage.base}{path}", headers=headers)).status_code == 401


def described(exchange: Exchange) -> tuple[str, dict[str, Any], str] | None:
    """The description that has an exchange's call, what it says of it, and the call's path there."""
    path = exchange.path.removeprefix("/paypal")
    for prefix, file in SPECS.items():
        if path.startswith(prefix):
            found = operation(file, exchange.method, path)
            assert found is not None, f"{exchange.method} {path} is not in {file}"
            return file, found, path
    return None


def body_schema(file: str, found: dict[str, Any]) -> dict[str, Any] | None:
    """What a request's body is to be."""
    content = resolved(file, found.get("requestBody") or {}).get("content") or {}
    return next((kind["schema"] for kind in content.values() if "schema" in kind), None)


def answer_schema(file: str, found: dict[str, Any], status: int) -> dict[str, Any] | None:
    """What an answer's body is to be; fails for a status that nothing is said about."""
    answers = found["responses"]
    assert str(status) in answers or "default" in answers, f"{status} is not described"
    content = resolved(file, answers.get(str(status)) or answers["default"]).get("content") or {}
    return next((kind["schema"] for kind in content.values() if "schema" in kind), None)


def strangers(file: str, schema: Mapping[str, Any], value: Any, where: str = "") -> Iterator[str]:
    """Fields that a schema has no name for, which jsonschema lets pass."""
    parts = list(_parts(file, dict(schema)))
    if isinstance(value, list):
        items = next((part["items"] for part in parts if "items" in part), None)
        for number, one in enumerate(value):
            yield from strangers(file, items or {}, one, f"{where}/{number}")
    if not isinstance(value, dict):
        return
    named: dict[str, Any] = {}
    for part in parts:
        named.update(part.get("properties") or {})
    if not named:
        return
    for name, inner in value.items():
        if name not in named:
            yield f"{where}/{name} is unknown"
        else:
            yield from strangers(file, named[name], inner, f"{where}/{name}")


def _parts(file: str, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all that it is put together from."""
    schema = resolved(file, schema)
    yield schema
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word) or ():
            yield from _parts(file, part)


async def played() -> list[Exchange]:
    """Everything that went over the wire."""
    async with staged() as stage:
        await our_calls(stage)
        assert len(stage.recorder.exchanges) > 60
        await refusals(stage)
        return list(stage.recorder.exchanges)


@pytest.fixture(scope="module")
def exchanges() -> list[Exchange]:
    """Played once for all tests here."""
    for file in SPECS.values():
        load(file)
    return asyncio.run(played())


def api_calls(exchanges: list[Exchange]) -> list[tuple[Exchange, str, dict[str, Any]]]:
    """Those that PayPal's descriptions have; the token, the pages, the certificates and the controls they have not."""
    found = [(one, described(one)) for one in exchanges if "/certs/" not in one.path]
    return [(one, known[0], known[1]) for one, known in found if known is not None]


def test_every_request_is_as_described(exchanges: list[Exchange]) -> None:
    """PayPal refuses a number where it wants a text; a field with a slip in its name it would pass over in silence."""
    wrong = []
    for exchange, file, found in api_calls(exchanges):
        schema = body_schema(file, found)
        if exchange.headers["user-agent"].startswith("python-httpx") and exchange.status >= 400:
            continue  # sent by hand, to be refused
        if schema is None:
            assert exchange.body in (b"", b"{}"), exchange.path
            continue
        if exchange.body:
            sent = json.loads(exchange.body)
            wrong += [f"{exchange.path}: {fault}" for fault in problems(file, schema, sent)]
            wrong += [f"{exchange.path}: {fault}" for fault in strangers(file, schema, sent)]
    assert wrong == []


def test_every_query_is_as_described(exchanges: list[Exchange]) -> None:
    """A misspelt filter would list everything."""
    for exchange, file, found in api_calls(exchanges):
        names = {resolved(file, one)["name"] for one in found.get("parameters") or ()} | _NOT_NAMED
        assert {name for name, _ in parse_qsl(exchange.query)} <= names, exchange.path


def test_every_answer_is_as_described(exchanges: list[Exchange]) -> None:
    """A sandbox that answers otherwise proves nothing about PayPal."""
    wrong = []
    statuses = set()
    for exchange, file, found in api_calls(exchanges):
        statuses.add(exchange.status)
        if exchange.status == 409 and exchange.json["name"] == _NOT_DESCRIBED:
            continue
        schema = answer_schema(file, found, exchange.status)
        if exchange.status == 204:
            assert exchange.answer == b""
        elif schema is not None:
            told = exchange.json
            wrong += [f"{exchange.method} {exchange.path} {exchange.status}: {f}" for f in problems(file, schema, told)]
            if exchange.status < 300:
                strange = strangers(file, schema, told)
                wrong += [f"{exchange.method} {exchange.path}: {fault}" for fault in strange]
    assert sorted(set(wrong)) == []
    assert statuses >= {200, 201, 202, 204, 400, 404, 409, 422}


def test_every_amount_is_a_text_with_the_decimals_that_paypal_takes(exchanges: list[Exchange]) -> None:
    """The description allows any number of decimals; PayPal refuses HUF, JPY and TWD with any, and others with three."""
    seen = set()
    for exchange, _, _ in api_calls(exchanges):
        if exchange.status < 300 and exchange.answer:
            for code, value in _amounts(exchange.json):
                seen.add(code)
                _, _, places = value.partition(".")
                assert len(places) == (0 if code in ("HUF", "JPY", "TWD") else 2), (code, value)
    assert seen >= {"USD", "HUF", "JPY", "EUR"}


def _amounts(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for one in node:
            yield from _amounts(one)
    elif isinstance(node, dict):
        code = node.get("currency_code") or node.get("currency")
        if code and "value" in node:
            assert isinstance(node["value"], str)
            yield str(code), node["value"]
        for one in node.values():
            yield from _amounts(one)


def test_whatever_changes_something_carries_a_request_id_where_paypal_takes_one(exchanges: list[Exchange]) -> None:
    """Without it a retry after a lost answer would take the money twice."""
    for exchange, file, found in api_calls(exchanges):
        names = {resolved(file, one)["name"] for one in found.get("parameters") or ()}
        if "PayPal-Request-Id" in names and exchange.status < 300:
            assert 1 <= len(exchange.headers.get("paypal-request-id", "")) <= 108, exchange.path
