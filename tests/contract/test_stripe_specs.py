"""What we send to Stripe, and what its sandbox answers, against two descriptions of Stripe's API.

The 2026 description was derived from the SDK that we use and has its version's names; the 2024 one is Stripe's own file
and knows limits and required fields that the other lacks. Where they disagree, 2026 is right, and the difference is
written down here.
"""

import json
import re
import typing
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Literal, NotRequired, Required, get_args, get_origin

import pytest
from stripe.params import DisputeListParams
from stripe.params.checkout import SessionCreateParams
from typing_extensions import is_typeddict

from adapters.providers.stripe.events import EVENTS
from adapters.providers.stripe.payments import StripePayments
from adapters.providers.stripe.sandbox_form import decode
from application.ports.payments import CheckoutOrder
from domain.money import Money
from tests.contract.stripe_billing_calls import all_of_billing, our_billing_calls
from tests.contract.stripe_sandbox import KEY, Exchange, Stage, staged
from tests.specs import component, load, operation, problems, resolved

NOW = "stripe/stripe_2026-10-28.endive.sdk-derived.slim.json"
THEN = "stripe/stripe_2024-04-10.slim.json"

# Values that 2026 has and 2024 did not: (object, field). `hosted_page` was called `hosted`.
_NEWER_VALUES = {("checkout.session", "ui_mode")}
# Objects that 2025 gave another shape: what was one field is another, and required ones went.
_RESHAPED = {"invoice", "invoiceitem", "line_item", "subscription", "subscription_item"}
# What we send that 2024 had not yet: our version, and the event for a refund that fails later.
_NEWER_REQUESTS = ("'2026-10-28.endive' is not one of", "'refund.failed' is not one of")
# Fields that Stripe answers though the SDK has no type for them (docs.stripe.com/api/errors, testing).
_UNTYPED = {"error.payment_intent", "payment_intent.next_action.use_stripe_sdk"}


async def our_calls(stage: Stage) -> None:
    """Every call that StripePayments can make."""
    payments, access = StripePayments(stage.base), {"secret_key": KEY}
    await stage.control("rate", per_second=100_000)
    try:
        await payments.account(access)
        hook, _ = await payments.register_webhook(access, "http://127.0.0.1:9/in/con_1", key="w")
        await payments.remove_webhook(access, hook)
        given_up = await payments.create_intent(access, Money.of("5.00", "USD"), key="given-up")
        await payments.cancel_intent(access, given_up.reference)
        order = CheckoutOrder(
            Money.of("125.00", "USD"),
            "Invoice INV-1 & more [brackets] = ünïcode",
            "chk_1",
            "https://shop.example/paid?id={CHECKOUT_SESSION_ID}",
            "https://shop.example/back",
            stage.clock.now() + timedelta(hours=1),
            "pat@example.com",
            {"patchbay_invoice": "inv_1", "empty name?": "x"},
        )
        page = await payments.create_checkout(access, order, key="s")
        await payments.create_checkout(
            access,
            CheckoutOrder(
                Money(500, order.amount.currency), "", "c", "https://a.example", "https://b.example", order.expires_at
            ),
            key="s2",
        )
        await payments.fetch_checkout(access, page.reference)
        await payments.expire_checkout(access, page.reference)
        customer = await payments.ensure_customer(
            access, our_reference="cl_1", email="a@b.example", name="Pat", key="c"
        )
        await payments.ensure_customer(access, our_reference="cl_2", email=None, name=None, key="c2")
        made = await payments.create_intent(
            access,
            order.amount,
            key="i",
            description="Things",
            customer_reference=customer.reference,
            metadata={"a": "b"},
        )
        await payments.create_intent(access, Money(5000, Money.of(1, "UGX").currency), key="i2")
        await payments.confirm_intent(access, made.reference, method="pm_card_visa", key="ic")
        await payments.fetch_intent(access, made.reference)
        for number, reason in enumerate(("", "duplicate", "too small")):
            await payments.refund(access, made.reference, Money.of("1.00", "USD"), key=f"r{number}", reason=reason)
        await payments.refunds_of(access, made.reference)
        now = stage.clock.now()
        assert [e async for e in payments.events_between(access, now - timedelta(hours=3), now + timedelta(seconds=1))]
        await our_billing_calls(stage, payments, access)
    finally:
        await payments.aclose()


async def everything(stage: Stage) -> None:
    """Every route of the sandbox, its events, and every kind of refusal."""
    await our_calls(stage)
    await all_of_billing(stage)
    intent: dict[str, Any] = {}
    for attempt in ("pm_card_chargeDeclined", "pm_card_authenticationRequired"):
        intent = (
            await stage.api("POST", "/v1/payment_intents", amount="2000", currency="eur", description="By hand")
        ).json()
        more = {"payment_method": attempt, "return_url": "https://a.example/back"}
        await stage.api("POST", f"/v1/payment_intents/{intent['id']}/confirm", **more)
    await stage.control(f"intents/{intent['id']}/authenticate", succeeded=True)
    manual = {"amount": "2000", "currency": "kwd", "capture_method": "manual", "confirm": "true"}
    manual |= {"payment_method": "pm_card_pendingRefund", "return_url": "https://a.example"}
    held = (await stage.api("POST", "/v1/payment_intents", **manual)).json()["id"]
    await stage.api("POST", f"/v1/payment_intents/{held}/capture", amount_to_capture="1500")
    refund = (await stage.api("POST", "/v1/refunds", payment_intent=held, amount="500")).json()["id"]
    await stage.control(f"refunds/{refund}/settle", status="failed")
    given_up = (await stage.api("POST", "/v1/payment_intents", amount="900", currency="jpy")).json()["id"]
    changes = {"amount": "1000", "metadata[a]": "b", "description": "New"}
    await stage.api("POST", f"/v1/payment_intents/{given_up}", **changes)
    await stage.api("POST", f"/v1/payment_intents/{given_up}/cancel", cancellation_reason="abandoned")
    customer = (await stage.api("POST", "/v1/customers", email="z@b.example")).json()["id"]
    await stage.api("POST", f"/v1/customers/{customer}", name="Zoe", description="")
    lines = {"line_items[0][price_data][currency]": "usd", "line_items[0][price_data][unit_amount]": "700"}
    lines |= {"line_items[0][price_data][product_data][name]": "Tea", "line_items[0][quantity]": "2", "mode": "payment"}
    form = {**lines, "success_url": "https://a.example", "customer": customer}
    session = (await stage.api("POST", "/v1/checkout/sessions", **form)).json()["id"]
    await stage.control(f"sessions/{session}/pay", card="4000000000000002")
    await stage.control(f"sessions/{session}/pay")
    expand = {"expand[0]": "payment_intent.latest_charge", "expand[1]": "customer", "expand[2]": "line_items"}
    charge = (await stage.api("GET", f"/v1/checkout/sessions/{session}", **expand)).json()["payment_intent"][
        "latest_charge"
    ]["id"]
    await stage.api("GET", f"/v1/checkout/sessions/{session}/line_items")
    await stage.api("GET", f"/v1/charges/{charge}", **{"expand[]": "refunds"})
    await stage.api("GET", f"/v1/refunds/{refund}", **{"expand[]": "charge"})
    hook = {"url": "http://127.0.0.1:9/in", "enabled_events[]": "*", "description": "All"}
    endpoint = (await stage.api("POST", "/v1/webhook_endpoints", **hook)).json()["id"]
    await stage.api("GET", f"/v1/webhook_endpoints/{endpoint}")
    await stage.api("DELETE", f"/v1/webhook_endpoints/{endpoint}")
    await stage.api("DELETE", f"/v1/customers/{customer}")
    await stage.api("GET", f"/v1/customers/{customer}")
    await stage.api("GET", "/v1/balance")
    for shelf in (
        "customers",
        "checkout/sessions",
        "payment_intents",
        "charges",
        "refunds",
        "events",
        "webhook_endpoints",
    ):
        await stage.api("GET", f"/v1/{shelf}", limit="100")
        await stage.api("GET", f"/v1/{shelf}/no_such")
        await stage.api("GET", f"/v1/{shelf}", limit="0")
    await stage.api("POST", "/v1/refunds", payment_intent=held, amount="999999")
    await stage.api("POST", "/v1/payment_intents", amount="1", currency="usd")
    await stage.api("POST", "/v1/payment_intents", amount="1000", currency="usd", colour="red")
    await stage.api("POST", "/v1/payment_intents", currency="usd")
    await stage.api("GET", "/v1/nowhere")
    await stage.api("GET", "/v1/account", key="pk_test_wrong")
    for status in (429, 500, 503):
        await stage.control("faults", status=status)
        await stage.api("GET", "/v1/account")


def api_calls(stage: Stage) -> list[Exchange]:
    """What went over the wire to the API, without the sandbox's own prefix."""
    return [exchange for exchange in stage.recorder.exchanges if exchange.path.startswith("/stripe/v1/")]


def coerced(path: str, schema: dict[str, Any], value: Any) -> Any:
    """A form's texts as the types that the schema has; what does not fit stays a text and fails the validation."""
    schema = resolved(path, schema)
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        tried = [coerced(path, variant, value) for variant in variants]
        return next((each for each, v in zip(tried, variants, strict=True) if not problems(path, v, each)), tried[0])
    kind = schema.get("type")
    if isinstance(value, dict):
        if kind == "array":
            return [coerced(path, schema.get("items", {}), value[name]) for name in sorted(value, key=int)]
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        rest = rest if isinstance(rest, dict) else {}
        return {name: coerced(path, known.get(name, rest), item) for name, item in value.items()}
    if kind == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def strangers(path: str, schema: dict[str, Any], value: Any, at: str) -> set[str]:
    """The names in `value` that the schema has not, as dotted paths. Free-form objects (metadata) have no names."""
    schema = resolved(path, schema)
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        fitting = [variant for variant in variants if not problems(path, variant, value)] or variants
        return min((strangers(path, variant, value, at) for variant in fitting), key=len)
    if isinstance(value, list):
        return set().union(*(strangers(path, schema.get("items", {}), item, at) for item in value))
    known = schema.get("properties")
    if not isinstance(value, dict) or not known:
        return set()
    found = {f"{at}.{name}" for name in value if name not in known}
    return found.union(*(strangers(path, known[n], item, f"{at}.{n}") for n, item in value.items() if n in known))


@cache
def sdk_schema(method: str, url: str) -> dict[str, Any] | None:
    """Parameters from the SDK's own types, where the derived description has taken those of something else of the same
    name: of a Financial Connections session, and of an Issuing dispute."""
    kinds = {("POST", "/v1/checkout/sessions"): SessionCreateParams, ("GET", "/v1/disputes"): DisputeListParams}
    return _typed(kinds[method, url]) if (method, url) in kinds else None


def _typed(hint: Any) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (NotRequired, Required):
        return _typed(args[0])
    if is_typeddict(hint):
        fields = {name: _typed(of) for name, of in _hints(hint).items()}
        return {
            "type": "object",
            "properties": fields,
            "required": sorted(hint.__required_keys__ & fields.keys()),
            "additionalProperties": False,
        }
    if origin is Literal:
        return {"enum": list(args)}
    if origin is list:
        return {"type": "array", "items": _typed(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _typed(args[1])}
    if args:
        return {"anyOf": [_typed(arg) for arg in args]}
    return {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}}.get(hint, {})


def _hints(typed: Any) -> dict[str, Any]:
    """The types of a TypedDict's fields. Names that the SDK imports for type checkers only count as dict."""
    missing: dict[str, Any] = {}
    while True:
        try:
            return typing.get_type_hints(typed, localns=missing, include_extras=True)
        except NameError as error:
            missing[str(error.name)] = dict


def request_problems(path: str, exchange: Exchange) -> list[str]:
    """What is wrong with a request by a description; empty if the description does not know the route."""
    url = exchange.path.removeprefix("/stripe")
    known = operation(path, exchange.method, url)
    if known is None:
        return []
    if exchange.method == "POST":
        schema = known["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        schema = (path == NOW and sdk_schema("POST", url)) or schema
        value = coerced(path, schema, decode(exchange.body.decode()))
    else:
        asked = [each for each in known.get("parameters", []) if each["in"] == "query"]
        schema = {"type": "object", "properties": {each["name"]: each["schema"] for each in asked}}
        schema = (path == NOW and sdk_schema("GET", url)) or schema
        value = coerced(path, schema, decode(exchange.query))
    unknown = [f"{name} is not a parameter" for name in sorted(strangers(path, schema, value, url))]
    found = [each for each in problems(path, schema, value) if path == NOW or not _newer(each)]
    return found + unknown


def _newer(problem: str) -> bool:
    return any(newer in problem for newer in _NEWER_REQUESTS)


def answer_problems(path: str, answer: Mapping[str, Any], status: int) -> list[str]:
    """What is wrong with an answer, or an object in one, by a description."""
    if status >= 400:
        return _object_problems(path, component(path, "error"), "error", answer)
    kind = answer["object"]
    if kind in ("list", "search_result"):
        assert set(answer) == {"object", "data", "has_more", "url"} | ({"next_page"} if kind != "list" else set())
        return [found for row in answer["data"] for found in answer_problems(path, row, status)]
    if answer.get("deleted"):
        # The derived description lacks these; Stripe's own file has them.
        return problems(THEN, component(THEN, f"deleted_{kind}"), answer)
    if path == THEN and kind in _RESHAPED:
        return []
    schemas = load(path)["components"]["schemas"]
    found = _object_problems(path, schemas[kind], kind, answer) if kind in schemas else []
    if kind == "event":
        found += answer_problems(path, answer["data"]["object"] | {"deleted": False}, status)
    return found


def _object_problems(path: str, schema: dict[str, Any], kind: str, value: Mapping[str, Any]) -> list[str]:
    value = {name: item for name, item in value.items() if (name, item) != ("deleted", False)}
    found = problems(path, schema, value)
    if path == THEN:
        return [each for each in found if (kind, each.split(":")[0]) not in _NEWER_VALUES]
    known_then = (
        strangers(THEN, component(THEN, kind), value, kind) if kind in load(THEN)["components"]["schemas"] else None
    )
    unknown = strangers(path, schema, value, kind)
    unknown = unknown if known_then is None else unknown & known_then
    odd = {name for name in unknown if not any(name.startswith(known) for known in _UNTYPED)}
    return found + [f"{name} is not a field" for name in sorted(odd)]


@pytest.mark.parametrize("path", [NOW, THEN])
async def test_every_request_of_ours_is_one_that_stripe_describes(path: str) -> None:
    """A misspelt or retired parameter would only be found by a customer."""
    async with staged() as stage:
        await our_calls(stage)
        calls = api_calls(stage)
    found = {f"{e.method} {e.path}": wrong for e in calls if (wrong := request_problems(path, e))}
    assert not found
    assert len({(e.method, re.sub(r"/[a-z]+_\w{14,}", "/{}", e.path)) for e in calls}) == 45
    assert {e.headers["stripe-version"] for e in calls} == {"2026-10-28.endive"}
    assert all("idempotency-key" in e.headers for e in calls if e.method == "POST")


@pytest.mark.parametrize("path", [NOW, THEN])
async def test_every_answer_of_the_sandbox_is_one_that_stripe_describes(path: str) -> None:
    """A sandbox that answers what Stripe never would proves nothing."""
    async with staged() as stage:
        await everything(stage)
        calls = api_calls(stage)
    found = [
        f"{e.method} {e.path} {e.status} {wrong}" for e in calls for wrong in answer_problems(path, e.json, e.status)
    ]
    assert not found
    assert {e.status for e in calls} == {200, 400, 401, 402, 404, 429, 500, 503}


async def test_every_event_that_we_ask_for_exists() -> None:
    """Stripe refuses the whole endpoint for one unknown type."""
    schema = resolved(NOW, load(NOW)["components"]["schemas"]["param_WebhookEndpointCreateParams"])
    allowed = json.dumps(schema["properties"]["enabled_events"])
    assert [name for name in EVENTS if f'"{name}"' not in allowed] == []


async def test_every_event_of_the_sandbox_exists() -> None:
    """And it makes those that the hub asks for, as far as they can happen in it."""
    async with staged() as stage:
        await everything(stage)
        made = {event["type"] for books in stage.sandbox.shops() for event in books.events.values()}
    allowed = json.dumps(load(NOW)["components"]["schemas"]["event"]["properties"]["type"])
    assert [name for name in made if f'"{name}"' not in allowed] == []
    impossible = {
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "payment_intent.processing",
    }
    assert set(EVENTS) - made == impossible


def test_the_judge_finds_what_is_wrong() -> None:
    """A judge that lets everything pass would make the tests above worthless."""

    def asked(path: str, form: str) -> list[str]:
        return request_problems(NOW, Exchange("POST", f"/stripe{path}", "", {}, form.encode(), 200, b""))

    assert asked("/v1/payment_intents", "amount=1&currency=usd") == []
    assert asked("/v1/payment_intents", "amount=many&currency=usd")
    assert asked("/v1/payment_intents", "amount=1")
    assert asked("/v1/payment_intents", "amount=1&currency=usd&payment_method_types[0]=card")
    assert asked("/v1/checkout/sessions", "mode=payment&line_items[0][quantity]=1&line_items[0][colour]=red")
    assert asked("/v1/checkout/sessions", "mode=payment&expires_at=soon")
    assert asked("/v1/checkout/sessions", "mode=payment&expires_at=5&metadata[a]=b") == []
    assert answer_problems(NOW, {"object": "refund", "id": "re_1"}, 200)
    assert answer_problems(NOW, {"error": {"type": "odd"}}, 400)
