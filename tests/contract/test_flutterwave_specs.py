"""What we send to Flutterwave, and what its sandbox answers, against a description of the v3 API.

The description was derived from Flutterwave's Node SDK and its documented samples; Flutterwave's own file could not be had.
What it leaves out, and we use, is listed here with where it is documented.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs

from adapters.providers.flutterwave.off_session import MOBILE_MONEY
from adapters.providers.flutterwave.payments import FlutterwavePayments
from application.ports.payments import CheckoutOrder, ProviderRefused
from application.ports.payouts import PayoutOrder
from application.ports.recurring import PlanTerms
from domain.billing.plans import Interval
from domain.money import Money
from tests.contract.flutterwave_sandbox import KEY, Stage, staged
from tests.contract.stripe_sandbox import Exchange, Mailbox, served
from tests.specs import component, load, operation, problems, resolved

V3 = "flutterwave/flutterwave_v3.slim.json"
ACCESS = {"secret_key": KEY}

REQUESTS_BEYOND = {
    # developer.flutterwave.com/docs, refunds: "comments", beside the amount.
    ("POST /transactions/{id}/refund", "comments"),
    # developer.flutterwave.com/reference/endpoints/tokenized-charge: the object for additional payment information.
    ("POST /tokenized-charges", "meta"),
    # The description's own sample of GET /transfers: "beneficiary_name is required".
    ("POST /transfers", "beneficiary_name"),
    # developer.flutterwave.com/reference, create a transfer: for GHS, UGX, RWF and TZS banks (GET /banks/{id}/branches).
    ("POST /transfers", "destination_branch_code"),
}
"""(route, field) that we send and the description does not have."""

REFUND = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "amount_refunded": {"type": "number"},
        "status": {"type": "string"},
        "flw_ref": {"type": "string"},
        "comment": {"type": "string"},
        "settlement_id": {"type": "string"},
        "meta": {},
        "created_at": {"type": "string"},
        "account_id": {"type": "integer"},
        "transaction_id": {"type": "integer"},
    },
    "required": ["id", "amount_refunded", "status", "comment", "created_at", "transaction_id"],
}
"""A row of GET /refunds, of which the description has the envelope only (flutterwaveinc.mintlify.app, api-reference,
transactions, get-all-refunds)."""

_ROUTES = re.compile(r"/[0-9]+(?=/|$)")


async def our_calls(stage: Stage) -> None:
    """Every call that FlutterwavePayments can make."""
    payments = FlutterwavePayments(stage.base, stage.clock)
    now = stage.clock.now()
    order = CheckoutOrder(
        Money.of("125.55", "NGN"),
        "Invoice INV-1 & more [brackets] = ünïcode",
        "inv_1",
        "https://shop.example/paid?returned=1",
        "https://shop.example/back",
        now + timedelta(hours=23),
        "pat@example.com",
        {"patchbay_invoice": "inv_1"},
        customer_name="Pat Payer",
        save_method=True,
    )
    try:
        await payments.account(ACCESS)
        page = await payments.create_checkout(ACCESS, order, key="chk_1")
        await payments.create_checkout(ACCESS, attrs.evolve(order, save_method=False, customer_name=None), key="chk_2")
        await payments.fetch_checkout(ACCESS, "chk_1")
        await stage.control("pages/chk_1/pay", card="5258585922666506")
        await payments.find_payment(ACCESS, "chk_1")
        await stage.control("pages/chk_1/pay")
        intent = await payments.find_payment(ACCESS, "chk_1")
        assert intent is not None
        await payments.expire_checkout(ACCESS, "chk_1", url=page.url)
        await payments.fetch_intent(ACCESS, intent.reference)
        refund = await payments.refund(ACCESS, intent.reference, Money.of("25.05", "NGN"), key="ref_1", reason="Late")
        await payments.refunds_of(ACCESS, intent.reference)
        await payments.find_refund(ACCESS, intent.reference, refund.key or "")
        await payments.find_refund(ACCESS, intent.reference, "never asked for")
        charged = {"customer_reference": None, "customer_email": "pat@example.com"}
        await payments.charge(
            ACCESS, order.amount, method=intent.method_reference or "", key="chg_1", metadata=order.metadata, **charged
        )
        for amount, method in (
            ("500 UGX", "MTN:256780000011"),
            ("10.50 GHS", "MTN:233547000011"),
            ("5 XOF", "ORANGE:2250000011:CI"),
        ):
            major, _, code = amount.partition(" ")
            await payments.charge(ACCESS, Money.of(major, code), method=f"{MOBILE_MONEY}{method}", key=code, **charged)
        terms = PlanTerms("Care", "", order.amount, Interval.MONTH, 1, 0, "plan_1")
        plan = await payments.ensure_plan(ACCESS, terms, product=None, key="plan")
        await payments.ensure_plan(ACCESS, terms, product=None, key="plan")
        await payments.retire_plan(ACCESS, plan.reference)
        destination = {
            "account_bank": "044",
            "account_number": "0690000031",
            "beneficiary_name": "Ada Obi",
            "destination_branch_code": "GH190101",
        }
        sent = await payments.create_payout(
            ACCESS, PayoutOrder(Money.of("10.55", "NGN"), destination, "Week 12", "pot_1"), key="pot_1"
        )
        await payments.fetch_payout(ACCESS, sent.reference)
        await payments.find_payout(ACCESS, "pot_1")
        async for _ in payments.settled_between(ACCESS, now - timedelta(days=1), now + timedelta(days=1)):
            pass
    finally:
        await payments.aclose()


async def everything(stage: Stage) -> None:
    """And what goes wrong."""
    await our_calls(stage)
    payments = FlutterwavePayments(stage.base, stage.clock)
    try:
        for call in (payments.fetch_intent(ACCESS, "987"), payments.fetch_payout(ACCESS, "987")):
            try:
                await call
            except ProviderRefused as refused:
                assert refused.missing  # noqa: PT017
    finally:
        await payments.aclose()
    await stage.api("GET", "/balances")
    await stage.api("GET", "/payment-plans/987")
    await stage.api("POST", "/payments", amount="many")
    await stage.api("POST", "/payments/link/disable", link="https://nowhere.example/x")
    await stage.api("POST", "/charges", query={"type": "mpesa"}, amount=1)
    await stage.api("GET", "/bills")
    await stage.api("GET", "/balances", key="sk_test_of_somebody_else")
    await stage.control("faults", status=500, path="/v3/balances")
    await stage.api("GET", "/balances")
    await stage.control("rate", per_second=0)
    await stage.api("GET", "/balances")


def calls_of(stage: Stage) -> list[Exchange]:
    """Those of the API, not of the pages and controls."""
    return [e for e in stage.recorder.exchanges if e.path.startswith("/flutterwave/v3/") and "/hosted/" not in e.path]


def url_of(exchange: Exchange) -> str:
    """As the description has it."""
    return exchange.path.removeprefix("/flutterwave/v3")


def strangers(schema: dict[str, Any], value: Any, at: str) -> set[str]:
    """The names in `value` that the schema has not. `meta` is free."""
    schema = resolved(V3, schema)
    if isinstance(value, list):
        return set().union(*(strangers(schema.get("items", {}), item, at) for item in value))
    known = schema.get("properties")
    if not isinstance(value, dict) or not known or at.endswith(".meta"):
        return set()
    found = {f"{at}.{name}" for name in value if name not in known}
    return found.union(*(strangers(known[n], item, f"{at}.{n}") for n, item in value.items() if n in known))


def request_problems(exchange: Exchange) -> list[str]:
    """What is wrong with a request."""
    url = url_of(exchange)
    known = operation(V3, exchange.method, url)
    if known is None:
        return [f"{exchange.method} {url} is not described"]
    route = f"{exchange.method} {_ROUTES.sub('/{id}', url)}"
    query = dict(each.partition("=")[::2] for each in exchange.query.split("&") if each)
    found = [
        f"{name} is not a parameter"
        for name in query.keys() - {p["name"] for p in known.get("parameters", []) if p["in"] == "query"}
    ]
    if exchange.method == "GET":
        return found
    body = json.loads(exchange.body)
    if route == "POST /charges":
        schema = known["x-request-schemas"].get(query["type"])
        if schema is None:
            return [f"{query['type']} is no kind of charge"]
    else:
        schema = known["requestBody"]["content"]["application/json"]["schema"]
    unknown = {name for name in strangers(schema, body, "") if (route, name.removeprefix(".")) not in REQUESTS_BEYOND}
    return [*found, *problems(V3, schema, body), *(f"{name} is not a field" for name in sorted(unknown))]


def answer_problems(exchange: Exchange) -> list[str]:
    """What is wrong with an answer."""
    body = exchange.json
    if exchange.status >= 400:
        return problems(V3, component(V3, "Error"), body)
    url = url_of(exchange)
    known = operation(V3, exchange.method, url)
    if known is None:
        return [f"{exchange.method} {url} is not described"]
    if body["status"] != "success" or not isinstance(body["message"], str):
        return ["the envelope is wrong"]
    if url == "/refunds":
        return [
            wrong for row in body["data"] for wrong in (*problems(V3, REFUND, row), *strangers(REFUND, row, "refund"))
        ]
    schema = known["responses"]["200"]["content"]["application/json"]["schema"]
    if re.fullmatch(r"/transfers/[0-9]+", url):
        # Described by the sample of another route; a transfer is described where they are listed.
        rows = operation(V3, "GET", "/transfers")
        assert rows is not None
        listed = rows["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"]
        schema = {"type": "object", "properties": {"data": listed["items"]}}
    unknown = strangers(schema, {name: body[name] for name in ("data", "meta") if name in body}, "")
    return [*problems(V3, schema, body), *(f"{name} is not a field" for name in sorted(unknown - {".meta"}))]


def wrong_with(found: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Only what is wrong."""
    return {name: wrong for name, wrong in found.items() if wrong}


async def test_every_request_of_ours_is_one_that_is_described() -> None:
    """A misspelt or retired parameter would only be found by a customer."""
    async with staged() as stage:
        await our_calls(stage)
        calls = calls_of(stage)
    assert wrong_with({f"{e.method} {e.path} {e.body!r}": request_problems(e) for e in calls}) == {}
    assert {f"{e.method} {_ROUTES.sub('/{id}', url_of(e))}" for e in calls} == {
        "GET /payment-plans",
        "GET /refunds",
        "GET /transactions",
        "GET /transactions/verify_by_reference",
        "GET /transactions/{id}/verify",
        "GET /transfers",
        "GET /transfers/{id}",
        "POST /charges",
        "POST /payment-plans",
        "POST /payments",
        "POST /payments/link/disable",
        "POST /tokenized-charges",
        "POST /transactions/{id}/refund",
        "POST /transfers",
        "PUT /payment-plans/{id}/cancel",
    }
    assert {e.headers["authorization"] for e in calls} == {f"Bearer {KEY}"}


async def test_amounts_go_out_as_plain_numbers() -> None:
    """A double's noise (125.55000000000001) would be refused, or charged."""
    async with staged() as stage:
        await our_calls(stage)
        sent = [re.search(rb'"amount":([^,}]+)', e.body) for e in calls_of(stage) if b'"amount"' in e.body]
    assert {found[1] for found in sent if found} == {b"125.55", b"25.05", b"500", b"10.5", b"5", b"10.55"}


async def test_every_answer_of_the_sandbox_is_one_that_is_described() -> None:
    """A sandbox that answers what Flutterwave never would proves nothing."""
    async with staged() as stage:
        await everything(stage)
        calls = calls_of(stage)
    found = {f"{e.method} {e.path} {e.status} {n}": answer_problems(e) for n, e in enumerate(calls)}
    assert wrong_with(found) == {}
    assert {e.status for e in calls} == {200, 400, 401, 404, 429, 500}


async def test_every_webhook_of_the_sandbox_is_one_that_is_described() -> None:
    """The parts that the hub reads, and those that people see in the inbox."""
    mailbox = Mailbox()
    async with staged() as stage, served(mailbox) as url:
        stage.sandbox.set_webhook(KEY, url, "hash")
        await our_calls(stage)
        await stage.control("settle")
        await stage.sandbox.post.idle()
    schema = load(V3)["webhooks"]["event"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {event["event"] for event in mailbox.events} == {"charge.completed", "transfer.completed"}
    for event in mailbox.events:
        assert problems(V3, schema, event) == []
        if event["event"] == "charge.completed":
            assert strangers(schema, event, "") <= {".meta_data"}
            assert "token" not in json.dumps(event)
    assert all(headers["verif-hash"] == "hash" for headers, _ in mailbox.got)


def test_the_judge_finds_what_is_wrong() -> None:
    """A judge that lets everything pass would make the tests above worthless."""

    def asked(path: str, **body: Any) -> list[str]:
        return request_problems(Exchange("POST", f"/flutterwave/v3{path}", "", {}, json.dumps(body).encode(), 200, b""))

    good = {"tx_ref": "t", "amount": 1, "redirect_url": "https://a.example", "customer": {"email": "a@b.example"}}
    assert asked("/payments", **good) == []
    assert asked("/payments", **{**good, "customer": {}})
    assert asked("/payments", **good, session_duration=1441)
    assert asked("/payments", **good, colour="red")
    assert asked("/transactions/1/refund", amount="5")
    assert asked("/nowhere", amount=5)
    answered = Exchange("GET", "/flutterwave/v3/transactions/1/verify", "", {}, b"", 200, b"")
    for data in ({"id": True}, {"colour": "red"}):
        body = json.dumps({"status": "success", "message": "", "data": data}).encode()
        assert answer_problems(attrs.evolve(answered, answer=body))
    assert answer_problems(attrs.evolve(answered, status=400, answer=b'{"status": "odd"}'))
