"""Which requests the sandbox understands, which parameters each takes, and what it does."""

import re
from collections.abc import Callable
from typing import Any

import attrs

from adapters.providers.stripe import sandbox_checkout as checkout
from adapters.providers.stripe import sandbox_objects as make
from adapters.providers.stripe import sandbox_payments as money
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

Act = Callable[[Books, str, Json], Json]
"""Given the shop, the id in the path (or nothing) and the parameters that were read; gives the answer's body."""

_EXPAND: dict[str, Reader] = {"expand": many(text(200))}
_PAGE: dict[str, Reader] = {
    **_EXPAND,
    "limit": whole(1, 100),
    "starting_after": text(),
    "ending_before": text(),
    "created": lambda value, at: (
        whole(0)(value, at)
        if isinstance(value, str)
        else table(dict.fromkeys(("gt", "gte", "lt", "lte"), whole(0)))(value, at)
    ),
}
_PRICE = table(
    {
        "currency": text(3),
        "unit_amount": whole(0),
        "product_data": table({"name": text(), "description": text()}, ("name",)),
    },
    ("currency", "unit_amount", "product_data"),
)
_LINE = table({"price_data": _PRICE, "quantity": whole(1, 999_999)}, ("price_data", "quantity"))
_CAPTURE = one_of("automatic", "automatic_async", "manual")
_SUFFIX = text(22)


@attrs.frozen
class Route:
    """One method and path."""

    method: str
    pattern: re.Pattern[str]
    read: Reader
    act: Act


def _create_customer(books: Books, _: str, given: Json) -> Json:
    given["metadata"] = merged({}, given.get("metadata"))
    customer = make.customer(books.id("cus_", 14), books.now(), books.live, given)
    books.customers[customer["id"]] = customer
    books.tell("customer.created", customer)
    return customer


def _update_customer(books: Books, id_: str, given: Json) -> Json:
    customer = books.find(books.customers, "customer", id_)
    if "metadata" in given:
        given["metadata"] = merged(customer["metadata"], given["metadata"])
    before = {name: customer[name] for name, value in given.items() if customer[name] != value}
    customer.update(given)
    books.tell("customer.updated", customer, before)
    return customer


def _delete_customer(books: Books, id_: str, _: Json) -> Json:
    customer = books.find(books.customers, "customer", id_)
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


def _balance(books: Books, _: str, __: Json) -> Json:
    held: dict[str, int] = {}
    for charge in books.charges.values():
        if charge["captured"]:
            held[charge["currency"]] = held.get(charge["currency"], 0) + charge["amount"] - charge["amount_refunded"]
    return make.balance(held, books.live)


def _events(books: Books, _: str, asked: Json) -> Json:
    if "type" in asked and "types" in asked:
        raise StripeFault("type and types exclude each other.", param="types")
    wanted = asked.get("types", [asked["type"]] if "type" in asked else None)
    rows = newest(books.events, lambda event: wanted is None or any(_is(event["type"], word) for word in wanted))
    return books.list_of(rows, asked, "/v1/events")


def _is(kind: str, asked: str) -> bool:
    return kind == asked or (asked.endswith(".*") and kind.startswith(asked[:-1]))


def _get(shelf: str, kind: str, param: str) -> Act:
    return lambda books, id_, _: books.find(getattr(books, shelf), kind, id_, param=param)


def _list(shelf: str, path: str, *filters: str) -> Act:
    def act(books: Books, _: str, asked: Json) -> Json:
        picked = {name: asked[name] for name in filters if name in asked}
        rows = newest(getattr(books, shelf), lambda row: all(row[name] == value for name, value in picked.items()))
        return books.list_of(rows, asked, path)

    return act


def _on_intent(act: Callable[[Books, Json, Json], Json]) -> Act:
    return lambda books, id_, given: act(books, books.find(books.intents, "payment_intent", id_, param="intent"), given)


def _route(line: str, fields: dict[str, Reader], act: Act, required: tuple[str, ...] = ()) -> Route:
    method, path = line.split()
    return Route(method, re.compile(path.replace("{}", "([^/]+)")), table({**_EXPAND, **fields}, required), act)


_CUSTOMER: dict[str, Reader] = {
    "address": or_unset(
        table(dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), or_unset(text())))
    ),
    "description": or_unset(text()),
    "email": or_unset(email),
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
    "return_url": url,
}
_SESSION: dict[str, Reader] = {
    "cancel_url": url,
    "client_reference_id": text(200),
    "customer": text(),
    "customer_email": email,
    "expires_at": whole(0),
    "line_items": many(_LINE, 100),
    "locale": text(10),
    "metadata": metadata,
    "mode": one_of("payment"),
    "payment_intent_data": table(
        {
            "capture_method": _CAPTURE,
            "description": text(1000),
            "metadata": metadata,
            "receipt_email": email,
            "statement_descriptor_suffix": _SUFFIX,
        }
    ),
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
    _route("GET /v1/account", {}, lambda books, _, __: make.account(books.account, books.live)),
    _route("GET /v1/balance", {}, _balance),
    _route("POST /v1/customers", _CUSTOMER, _create_customer),
    _route("GET /v1/customers", {**_PAGE, "email": text(512)}, _list("customers", "/v1/customers", "email")),
    _route("GET /v1/customers/{}", {}, _get_customer),
    _route("POST /v1/customers/{}", _CUSTOMER, _update_customer),
    _route("DELETE /v1/customers/{}", {}, _delete_customer),
    _route(
        "POST /v1/checkout/sessions",
        _SESSION,
        lambda books, _, given: checkout.create_session(books, given),
        ("mode", "line_items", "success_url"),
    ),
    _route(
        "GET /v1/checkout/sessions",
        {**_PAGE, **_OF_INTENT, "status": one_of("open", "complete", "expired")},
        _list("sessions", "/v1/checkout/sessions", "payment_intent", "customer", "status"),
    ),
    _route("GET /v1/checkout/sessions/{}", {}, lambda books, id_, _: _session(books, id_)),
    _route(
        "POST /v1/checkout/sessions/{}/expire",
        {},
        lambda books, id_, _: checkout.expire(books, _session(books, id_)),
    ),
    _route("GET /v1/checkout/sessions/{}/line_items", _PAGE, _lines),
    _route(
        "POST /v1/payment_intents",
        _NEW_INTENT,
        lambda books, _, given: money.create_intent(books, given),
        ("amount", "currency"),
    ),
    _route(
        "GET /v1/payment_intents", {**_PAGE, "customer": text()}, _list("intents", "/v1/payment_intents", "customer")
    ),
    _route("GET /v1/payment_intents/{}", {"client_secret": text()}, _get("intents", "payment_intent", "intent")),
    _route("POST /v1/payment_intents/{}", _INTENT, _on_intent(money.update_intent)),
    _route(
        "POST /v1/payment_intents/{}/confirm", {"payment_method": text(), "return_url": url}, _on_intent(money.confirm)
    ),
    _route("POST /v1/payment_intents/{}/capture", {"amount_to_capture": whole(1)}, _on_intent(money.capture)),
    _route("POST /v1/payment_intents/{}/cancel", {"cancellation_reason": _REASON}, _on_intent(money.cancel)),
    _route("GET /v1/charges", {**_PAGE, **_OF_INTENT}, _list("charges", "/v1/charges", "payment_intent", "customer")),
    _route("GET /v1/charges/{}", {}, _get("charges", "charge", "charge")),
    _route("POST /v1/refunds", _REFUND, lambda books, _, given: money.create_refund(books, given)),
    _route(
        "GET /v1/refunds",
        {**_PAGE, "payment_intent": text(), "charge": text()},
        _list("refunds", "/v1/refunds", "payment_intent", "charge"),
    ),
    _route("GET /v1/refunds/{}", {}, _get("refunds", "refund", "refund")),
    _route("GET /v1/events", {**_PAGE, "type": text(100), "types": many(text(100), 20)}, _events),
    _route("GET /v1/events/{}", {}, _get("events", "event", "id")),
    _route("POST /v1/webhook_endpoints", _ENDPOINT, _create_endpoint, ("enabled_events", "url")),
    _route("GET /v1/webhook_endpoints", _PAGE, _list("endpoints", "/v1/webhook_endpoints")),
    _route("GET /v1/webhook_endpoints/{}", {}, _get("endpoints", "webhook endpoint", "webhook_endpoint")),
    _route("DELETE /v1/webhook_endpoints/{}", {}, _delete_endpoint),
)


def route_of(method: str, path: str) -> tuple[Route, str]:
    """The route and the id in the path. Raises StripeFault 404."""
    for route in ROUTES:
        if route.method == method and (found := route.pattern.fullmatch(path)):
            return route, (found.groups() or ("",))[0]
    raise StripeFault(f"There is nothing at {method} {path}.", status=404)


def answer(books: Books, route: Route, id_: str, tree: dict[str, Any]) -> Json:
    """Read the parameters, act, expand. Raises StripeFault."""
    given = route.read(tree, "")
    paths = given.pop("expand", [])
    checkout.run_out(books)
    return books.expanded(route.act(books, id_, given), paths)
