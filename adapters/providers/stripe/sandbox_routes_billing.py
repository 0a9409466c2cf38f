"""The sandbox's routes for kept methods, plans, subscriptions, bills, payouts, disputes and the balance."""

from collections.abc import Callable

from adapters.providers.stripe import sandbox_balance as balance
from adapters.providers.stripe import sandbox_invoices as bills
from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_objects as make
from adapters.providers.stripe import sandbox_prices as prices
from adapters.providers.stripe import sandbox_renewals as renewals
from adapters.providers.stripe import sandbox_subscriptions as subscriptions
from adapters.providers.stripe.sandbox_books import Books, newest
from adapters.providers.stripe.sandbox_form import (
    Reader,
    StripeFault,
    flag,
    many,
    metadata,
    one_of,
    or_unset,
    table,
    text,
    whole,
)
from adapters.providers.stripe.sandbox_objects import Json
from adapters.providers.stripe.sandbox_route import PAGE, Act, get_list, get_one, route

_SEARCH: dict[str, Reader] = {"query": text(1000), "limit": whole(1, 100), "page": text()}
_RECURRING = table(
    {"interval": one_of("day", "week", "month", "year"), "interval_count": whole(1, 1095)}, ("interval",)
)
_PRICE: dict[str, Reader] = {
    "active": flag,
    "currency": text(3),
    "lookup_key": text(200),
    "metadata": metadata,
    "nickname": text(),
    "product": text(),
    "recurring": _RECURRING,
    "unit_amount": whole(0),
}
_PRODUCT: dict[str, Reader] = {"active": flag, "description": or_unset(text()), "metadata": metadata, "name": text(250)}
_ITEM = table({"id": text(), "price": text(), "quantity": whole(1, 999_999)})
_DETAILS = table({"comment": or_unset(text()), "feedback": or_unset(text())})
_PRORATED = one_of("always_invoice", "create_prorations", "none")
_INCOMPLETE = one_of("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete")
_SUBSCRIPTION: dict[str, Reader] = {
    "cancel_at_period_end": flag,
    "cancellation_details": _DETAILS,
    "default_payment_method": text(),
    "description": or_unset(text(500)),
    "items": many(_ITEM, 1),
    "metadata": metadata,
    "pause_collection": or_unset(table({"behavior": one_of("keep_as_draft", "mark_uncollectible", "void")})),
    "payment_behavior": _INCOMPLETE,
    "proration_behavior": _PRORATED,
    "proration_date": whole(0),
}
_NEW_SUBSCRIPTION: dict[str, Reader] = {
    "customer": text(),
    "default_payment_method": text(),
    "description": text(500),
    "items": many(_ITEM, 1),
    "metadata": metadata,
    "payment_behavior": one_of("allow_incomplete", "default_incomplete"),
    "trial_period_days": whole(1, 730),
}
_INVOICE: dict[str, Reader] = {
    "auto_advance": flag,
    "collection_method": one_of("charge_automatically", "send_invoice"),
    "currency": text(3),
    "customer": text(),
    "days_until_due": whole(0),
    "description": text(),
    "due_date": whole(0),
    "metadata": metadata,
    "pending_invoice_items_behavior": one_of("exclude", "include"),
}
_INVOICE_ITEM: dict[str, Reader] = {
    "amount": whole(),
    "currency": text(3),
    "customer": text(),
    "description": text(),
    "invoice": text(),
    "metadata": metadata,
}
_PREVIEW: dict[str, Reader] = {
    "subscription": text(),
    "subscription_details": table(
        {"items": many(_ITEM, 1), "proration_behavior": _PRORATED, "proration_date": whole(0)}
    ),
}
_PAYOUT: dict[str, Reader] = {
    "amount": whole(1),
    "currency": text(3),
    "description": text(),
    "metadata": metadata,
    "method": one_of("standard"),
    "statement_descriptor": text(22),
}


def _on(shelf: str, kind: str, act: Callable[[Books, Json, Json], Json]) -> Act:
    """What is done to the thing whose id is in the path."""
    return lambda books, id_, given: act(books, books.find(getattr(books, shelf), kind, id_), given)


def _search(shelf: str, path: str) -> Act:
    return lambda books, _, asked: books.search(newest(getattr(books, shelf)), asked, path)


def _prices(books: Books, _: str, asked: Json) -> Json:
    wanted = asked.pop("lookup_keys", None)
    rows = newest(books.prices, lambda row: wanted is None or row["lookup_key"] in wanted)
    rows = [row for row in rows if all(row[name] == asked[name] for name in ("active", "product") if name in asked)]
    return books.list_of(rows, asked, "/v1/prices")


def _attach(books: Books, id_: str, given: Json) -> Json:
    return methods.attach(books, methods.chosen(books, id_, given["customer"]), given["customer"])


def _methods_of(books: Books, id_: str, asked: Json) -> Json:
    books.find(books.customers, "customer", id_)
    return books.list_of(methods.of_customer(books, id_), asked, f"/v1/customers/{id_}/payment_methods")


def _methods(books: Books, _: str, asked: Json) -> Json:
    rows = methods.of_customer(books, asked["customer"])
    return books.list_of(rows, asked, "/v1/payment_methods")


def _subscriptions(books: Books, _: str, asked: Json) -> Json:
    """Without a status, those that have not ended; `all` are all."""
    status = asked.get("status")

    def wanted(row: Json) -> bool:
        if status is None:
            return row["status"] not in renewals.OVER
        return status == "all" or row["status"] == status or (status == "ended" and row["status"] in renewals.OVER)

    rows = [row for row in newest(books.subscriptions, wanted) if asked.get("customer") in (None, row["customer"])]
    price = asked.get("price")
    rows = [row for row in rows if price in (None, row["items"]["data"][0]["price"]["id"])]
    return books.list_of(rows, asked, "/v1/subscriptions")


def _invoices(books: Books, _: str, asked: Json) -> Json:
    def of(row: Json) -> str | None:
        details = (row["parent"] or {}).get("subscription_details") or {}
        found: str | None = details.get("subscription")
        return found

    rows = newest(books.invoices, lambda row: asked.get("subscription") in (None, of(row)))
    rows = [row for row in rows if all(row[name] == asked[name] for name in ("customer", "status") if name in asked)]
    return books.list_of(rows, asked, "/v1/invoices")


def _create_invoice(books: Books, _: str, given: Json) -> Json:
    """A draft by hand. One that is to be sent says when it is due."""
    sent = given.get("collection_method") == "send_invoice"
    days = given.pop("days_until_due", None)
    if sent and (days is None) == ("due_date" not in given):
        raise StripeFault("One of due_date and days_until_due is needed.", param="days_until_due")
    if days is not None:
        given["due_date"] = books.now() + days * renewals.DAY
    if given.get("due_date", books.now()) < books.now():
        raise StripeFault("due_date must be in the future.", param="due_date")
    given.pop("pending_invoice_items_behavior", None)
    return bills.draft(books, {"currency": "usd", **given, "reason": "manual"})


def _invoice_lines(books: Books, id_: str, asked: Json) -> Json:
    invoice = books.find(books.invoices, "invoice", id_)
    return books.list_of(invoice["lines"]["data"], asked, f"/v1/invoices/{id_}/lines")


def _preview(books: Books, _: str, given: Json) -> Json:
    of = books.find(books.subscriptions, "subscription", given["subscription"], param="subscription")
    return subscriptions.preview(books, of, given)


def _disputes(books: Books, _: str, asked: Json) -> Json:
    rows = newest(books.disputes)
    for name in ("payment_intent", "charge"):
        rows = [row for row in rows if asked.get(name) in (None, row[name])]
    return books.list_of(rows, asked, "/v1/disputes")


BILLING = (
    route("GET /v1/customers/search", _SEARCH, _search("customers", "/v1/customers/search"), ("query",)),
    route("GET /v1/payment_intents/search", _SEARCH, _search("intents", "/v1/payment_intents/search"), ("query",)),
    route("GET /v1/customers/{}/payment_methods", {**PAGE, "type": text()}, _methods_of),
    route("GET /v1/payment_methods", {**PAGE, "customer": text(), "type": text()}, _methods, ("customer",)),
    route("GET /v1/payment_methods/{}", {}, get_one("methods", "PaymentMethod")),
    route("POST /v1/payment_methods/{}/attach", {"customer": text()}, _attach, ("customer",)),
    route(
        "POST /v1/payment_methods/{}/detach",
        {},
        _on("methods", "PaymentMethod", lambda books, method, _: methods.detach(books, method)),
    ),
    route("POST /v1/products", _PRODUCT, lambda books, _, given: prices.create_product(books, given), ("name",)),
    route("GET /v1/products", PAGE, get_list("products", "/v1/products")),
    route("GET /v1/products/{}", {}, get_one("products", "product")),
    route("POST /v1/products/{}", _PRODUCT, _on("products", "product", prices.update)),
    route(
        "POST /v1/prices",
        _PRICE,
        lambda books, _, given: prices.create_price(books, given),
        ("currency", "product", "unit_amount"),
    ),
    route("GET /v1/prices", {**PAGE, "active": flag, "lookup_keys": many(text(200), 10), "product": text()}, _prices),
    route("GET /v1/prices/{}", {}, get_one("prices", "price")),
    route(
        "POST /v1/prices/{}",
        {"active": flag, "metadata": metadata, "nickname": text()},
        _on("prices", "price", prices.update),
    ),
    route(
        "POST /v1/subscriptions",
        _NEW_SUBSCRIPTION,
        lambda books, _, given: subscriptions.create(books, given),
        ("customer", "items"),
    ),
    route("GET /v1/subscriptions", {**PAGE, "customer": text(), "price": text(), "status": text()}, _subscriptions),
    route("GET /v1/subscriptions/{}", {}, get_one("subscriptions", "subscription")),
    route("POST /v1/subscriptions/{}", _SUBSCRIPTION, _on("subscriptions", "subscription", subscriptions.update)),
    route(
        "DELETE /v1/subscriptions/{}",
        {"cancellation_details": _DETAILS},
        _on("subscriptions", "subscription", renewals.cancel),
    ),
    route(
        "POST /v1/subscriptions/{}/pause",
        {},
        _on("subscriptions", "subscription", lambda books, row, _: subscriptions.pause(books, row)),
    ),
    route(
        "POST /v1/subscriptions/{}/resume",
        {},
        _on("subscriptions", "subscription", lambda books, row, _: subscriptions.resume(books, row)),
    ),
    route("POST /v1/invoices", _INVOICE, _create_invoice, ("customer",)),
    route(
        "GET /v1/invoices",
        {**PAGE, "customer": text(), "status": text(), "subscription": text()},
        _invoices,
    ),
    route("POST /v1/invoices/create_preview", _PREVIEW, _preview, ("subscription",)),
    route("GET /v1/invoices/{}", {}, get_one("invoices", "invoice")),
    route("GET /v1/invoices/{}/lines", PAGE, _invoice_lines),
    route(
        "POST /v1/invoices/{}/finalize",
        {"auto_advance": flag},
        _on("invoices", "invoice", lambda books, row, _: bills.finalize(books, row)),
    ),
    route("POST /v1/invoices/{}/pay", {"payment_method": text()}, _on("invoices", "invoice", bills.pay)),
    route("POST /v1/invoices/{}/send", {}, _on("invoices", "invoice", lambda books, row, _: bills.send(books, row))),
    route("POST /v1/invoices/{}/void", {}, _on("invoices", "invoice", lambda books, row, _: bills.void(books, row))),
    route(
        "POST /v1/invoiceitems",
        _INVOICE_ITEM,
        lambda books, _, given: bills.add_item(books, given),
        ("amount", "currency", "customer", "invoice"),
    ),
    route(
        "GET /v1/invoiceitems", {**PAGE, "invoice": text()}, get_list("invoice_items", "/v1/invoiceitems", "invoice")
    ),
    route("GET /v1/invoiceitems/{}", {}, get_one("invoice_items", "invoiceitem")),
    route(
        "GET /v1/invoice_payments",
        {**PAGE, "invoice": text()},
        get_list("invoice_payments", "/v1/invoice_payments", "invoice"),
    ),
    route(
        "POST /v1/payouts",
        _PAYOUT,
        lambda books, _, given: balance.create_payout(books, given),
        ("amount", "currency"),
    ),
    route("GET /v1/payouts", {**PAGE, "status": text()}, get_list("payouts", "/v1/payouts", "status")),
    route("GET /v1/payouts/{}", {}, get_one("payouts", "payout")),
    route(
        "POST /v1/payouts/{}/cancel",
        {},
        _on("payouts", "payout", lambda books, row, _: balance.end_payout(books, row, "canceled")),
    ),
    route("GET /v1/balance", {}, lambda books, _, __: make.balance(balance.available(books), books.live)),
    route(
        "GET /v1/balance_transactions",
        {**PAGE, "source": text(), "type": text()},
        get_list("transactions", "/v1/balance_transactions", "source", "type"),
    ),
    route("GET /v1/balance_transactions/{}", {}, get_one("transactions", "balance transaction")),
    route("GET /v1/disputes", {**PAGE, "charge": text(), "payment_intent": text()}, _disputes),
    route("GET /v1/disputes/{}", {}, get_one("disputes", "dispute")),
)
