"""Which requests the sandbox understands, which parameters each takes, and what it does."""

from collections.abc import Callable
from typing import Any

from adapters.providers.stripe import sandbox_balance as balance
from adapters.providers.stripe import sandbox_checkout as checkout
from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_objects as make
from adapters.providers.stripe import sandbox_payments as money
from adapters.providers.stripe import sandbox_renewals as renewals
from adapters.providers.stripe.sandbox_books import Books, merged, newest
from adapters.providers.stripe.sandbox_form import (
    Reader,
    StripeFault,
    email,
    flag,
    many,
    metadata,
    one_of,
    or_unset,
    table,
    text,
    url,
    whole,
)
from adapters.providers.stripe.sandbox_objects import Json
from adapters.providers.stripe.sandbox_route import PAGE, Act, Route, get_list, get_one, route
from adapters.providers.stripe.sandbox_routes_billing import BILLING

_PRICE = table(
    {
        "currency": text(3),
        "unit_amount": whole(0),
        "product_data": table({"name": text(), "description": text()}, ("name",)),
    },
    ("currency", "unit_amount", "product_data"),
)
_LINE = table({"price": text(), "price_data": _PRICE, "quantity": whole(1, 999_999)}, ("quantity",))
_CAPTURE = one_of("automatic", "automatic_async", "manual")
_SUFFIX = text(22)


def _create_customer(books: Books, _: str, given: Json) -> Json:
    given["metadata"] = merged({}, given.get("metadata"))
    customer = make.customer(books.id("cus_", 14), books.now(), books.live, given)
    books.customers[customer["id"]] = customer
    books.tell("customer.created", customer)
    return customer


def _update_customer(books: Books, id_: str, given: Json) -> Json:
    customer = books.find(books.customers, "customer", id_)
    settings = given.pop("invoice_settings", {})
    if "default_payment_method" in settings:
        methods.make_default(books, customer, settings["default_payment_method"])
    if "metadata" in given:
        given["metadata"] = merged(customer["metadata"], given["metadata"])
    before = {name: customer[name] for name, value in given.items() if customer[name] != value}
    customer.update(given)
    books.tell("customer.updated", customer, before)
    return customer


def _delete_customer(books: Books, id_: str, _: Json) -> Json:
    customer = books.find(books.customers, "customer", id_)
    for subscription in books.subscriptions.values():
        if subscription["customer"] == id_ and subscription["status"] not in renewals.OVER:
            renewals.cancel(books, subscription, {})
    for method in methods.of_customer(books, id_):
        methods.detach(books, method)
    books.tell("customer.deleted", customer)
    customer["deleted"] = True
    return {"id": id_, "object": "customer", "deleted": True}


def _get_customer(books: Books, id_: str, _: Json) -> Json:
    customer = books.customers.get(id_, {})
    if customer.get("deleted"):
        return {"id": id_, "object": "customer", "deleted": True}
    return books.find(books.customers, "customer", id_)


def _create_endpoint(books: Books, _: str, given: Json) -> Json:
    given["metadata"] = merged({}, given.get("metadata"))
    endpoint = make.webhook_endpoint(books.id("we_"), books.now(), books.live, given)
    books.endpoints[endpoint["id"]] = endpoint
    books.secrets[endpoint["id"]] = books.id("whsec_", 32)
    return {**endpoint, "secret": books.secrets[endpoint["id"]]}


def _delete_endpoint(books: Books, id_: str, _: Json) -> Json:
    books.find(books.endpoints, "webhook endpoint", id_)
    del books.endpoints[id_], books.secrets[id_]
    return {"id": id_, "object": "webhook_endpoint", "deleted": True}


def _lines(books: Books, id_: str, asked: Json) -> Json:
    books.find(books.sessions, "checkout.session", id_, param="session")
    return books.list_of(books.lines[id_], asked, f"/v1/checkout/sessions/{id_}/line_items")


def _events(books: Books, _: str, asked: Json) -> Json:
    if "type" in asked and "types" in asked:
        raise StripeFault("type and types exclude each other.", param="types")
    wanted = asked.get("types", [asked["type"]] if "type" in asked else None)
    rows = newest(books.events, lambda event: wanted is None or any(_is(event["type"], word) for word in wanted))
    return books.list_of(rows, asked, "/v1/events")


def _is(kind: str, asked: str) -> bool:
    return kind == asked or (asked.endswith(".*") and kind.startswith(asked[:-1]))


def _on_intent(act: Callable[[Books, Json, Json], Json]) -> Act:
    return lambda books, id_, given: act(books, books.find(books.intents, "payment_intent", id_, param="intent"), given)


_CUSTOMER: dict[str, Reader] = {
    "address": or_unset(
        table(dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), or_unset(text())))
    ),
    "description": or_unset(text()),
    "email": or_unset(email),
    "invoice_settings": table({"default_payment_method": or_unset(text())}),
    "metadata": metadata,
    "name": or_unset(text(256)),
    "phone": or_unset(text(20)),
    "preferred_locales": many(text(10)),
}
_INTENT: dict[str, Reader] = {
    "amount": whole(1),
    "capture_method": _CAPTURE,
    "currency": text(3),
    "customer": text(),
    "description": or_unset(text(1000)),
    "metadata": metadata,
    "payment_method": text(),
    "receipt_email": or_unset(email),
    "statement_descriptor_suffix": _SUFFIX,
}
_NEW_INTENT: dict[str, Reader] = {
    **_INTENT,
    "automatic_payment_methods": table({"enabled": flag, "allow_redirects": one_of("always", "never")}, ("enabled",)),
    "confirm": flag,
    "confirmation_method": one_of("automatic", "manual"),
    "off_session": flag,
    "setup_future_usage": one_of("off_session", "on_session"),
    "return_url": url,
}
_SESSION: dict[str, Reader] = {
    "cancel_url": url,
    "client_reference_id": text(200),
    "customer": text(),
    "customer_creation": one_of("always", "if_required"),
    "customer_email": email,
    "expires_at": whole(0),
    "line_items": many(_LINE, 100),
    "locale": text(10),
    "metadata": metadata,
    "mode": one_of("payment", "subscription"),
    "payment_intent_data": table(
        {
            "capture_method": _CAPTURE,
            "description": text(1000),
            "metadata": metadata,
            "receipt_email": email,
            "setup_future_usage": one_of("off_session", "on_session"),
            "statement_descriptor_suffix": _SUFFIX,
        }
    ),
    "subscription_data": table({"description": text(500), "metadata": metadata, "trial_period_days": whole(1, 730)}),
    "submit_type": one_of("auto", "book", "donate", "pay"),
    "success_url": url,
    "ui_mode": one_of("hosted_page"),
}
_REFUND: dict[str, Reader] = {
    "amount": whole(1),
    "charge": text(),
    "metadata": metadata,
    "payment_intent": text(),
    "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
}
_ENDPOINT: dict[str, Reader] = {
    "api_version": text(30),
    "description": or_unset(text()),
    "enabled_events": many(text(100), 500),
    "metadata": metadata,
    "url": url,
}
_REASON = one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")
_OF_INTENT: dict[str, Reader] = {"payment_intent": text(), "customer": text()}


def _session(books: Books, id_: str) -> Json:
    return books.find(books.sessions, "checkout.session", id_, param="session")


ROUTES: tuple[Route, ...] = (
    *BILLING,
    route("GET /v1/account", {}, lambda books, _, __: make.account(books.account, books.live)),
    route("POST /v1/customers", _CUSTOMER, _create_customer),
    route("GET /v1/customers", {**PAGE, "email": text(512)}, get_list("customers", "/v1/customers", "email")),
    route("GET /v1/customers/{}", {}, _get_customer),
    route("POST /v1/customers/{}", _CUSTOMER, _update_customer),
    route("DELETE /v1/customers/{}", {}, _delete_customer),
    route(
        "POST /v1/checkout/sessions",
        _SESSION,
        lambda books, _, given: checkout.create_session(books, given),
        ("mode", "line_items", "success_url"),
    ),
    route(
        "GET /v1/checkout/sessions",
        {**PAGE, **_OF_INTENT, "status": one_of("open", "complete", "expired")},
        get_list("sessions", "/v1/checkout/sessions", "payment_intent", "customer", "status"),
    ),
    route("GET /v1/checkout/sessions/{}", {}, lambda books, id_, _: _session(books, id_)),
    route(
        "POST /v1/checkout/sessions/{}/expire",
        {},
        lambda books, id_, _: checkout.expire(books, _session(books, id_)),
    ),
    route("GET /v1/checkout/sessions/{}/line_items", PAGE, _lines),
    route(
        "POST /v1/payment_intents",
        _NEW_INTENT,
        lambda books, _, given: money.create_intent(books, given),
        ("amount", "currency"),
    ),
    route(
        "GET /v1/payment_intents", {**PAGE, "customer": text()}, get_list("intents", "/v1/payment_intents", "customer")
    ),
    route("GET /v1/payment_intents/{}", {"client_secret": text()}, get_one("intents", "payment_intent", "intent")),
    route("POST /v1/payment_intents/{}", _INTENT, _on_intent(money.update_intent)),
    route(
        "POST /v1/payment_intents/{}/confirm", {"payment_method": text(), "return_url": url}, _on_intent(money.confirm)
    ),
    route("POST /v1/payment_intents/{}/capture", {"amount_to_capture": whole(1)}, _on_intent(money.capture)),
    route("POST /v1/payment_intents/{}/cancel", {"cancellation_reason": _REASON}, _on_intent(money.cancel)),
    route("GET /v1/charges", {**PAGE, **_OF_INTENT}, get_list("charges", "/v1/charges", "payment_intent", "customer")),
    route("GET /v1/charges/{}", {}, get_one("charges", "charge", "charge")),
    route("POST /v1/refunds", _REFUND, lambda books, _, given: money.create_refund(books, given)),
    route(
        "GET /v1/refunds",
        {**PAGE, "payment_intent": text(), "charge": text()},
        get_list("refunds", "/v1/refunds", "payment_intent", "charge"),
    ),
    route("GET /v1/refunds/{}", {}, get_one("refunds", "refund", "refund")),
    route("GET /v1/events", {**PAGE, "type": text(100), "types": many(text(100), 20)}, _events),
    route("GET /v1/events/{}", {}, get_one("events", "event", "id")),
    route("POST /v1/webhook_endpoints", _ENDPOINT, _create_endpoint, ("enabled_events", "url")),
    route("GET /v1/webhook_endpoints", PAGE, get_list("endpoints", "/v1/webhook_endpoints")),
    route("GET /v1/webhook_endpoints/{}", {}, get_one("endpoints", "webhook endpoint", "webhook_endpoint")),
    route("DELETE /v1/webhook_endpoints/{}", {}, _delete_endpoint),
)


def route_of(method: str, path: str) -> tuple[Route, str]:
    """The route and the id in the path. Raises StripeFault 404."""
    for known in ROUTES:
        if known.method == method and (found := known.pattern.fullmatch(path)):
            return known, (found.groups() or ("",))[0]
    raise StripeFault(f"There is nothing at {method} {path}.", status=404)


def answer(books: Books, found: Route, id_: str, tree: dict[str, Any]) -> Json:
    """Read the parameters, act, expand. Raises StripeFault."""
    given = found.read(tree, "")
    paths = given.pop("expand", [])
    pass_time(books)
    return books.expanded(found.act(books, id_, given), paths)


def pass_time(books: Books) -> None:
    """What happens by itself as time goes by: pages run out, periods end, payouts arrive."""
    checkout.run_out(books)
    renewals.run_on(books)
    balance.arrive(books)
