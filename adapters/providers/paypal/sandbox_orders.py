"""The sandbox's orders, captures and refunds (Orders v2, Payments v2)."""

import re
from datetime import timedelta

from adapters.providers.paypal import mapping
from adapters.providers.paypal.sandbox_books import (
    Books,
    Call,
    Json,
    amount_in,
    copied,
    fee_of,
    missing,
    refused,
    wrong,
)

GOOD, DECLINED, PENDING = "good", "declined", "echeck"
"""What a payer can choose to pay with."""
FUNDING = (GOOD, DECLINED, PENDING)
VAULTED_DECLINED, VAULTED_ASKS = "vault_declined", "vault_asks"
"""Vaulted methods that do not pay: one is declined, one needs its owner. Any other pays."""

OPEN_FOR = timedelta(hours=3)
_PATCHED = re.compile(r"/purchase_units/@reference_id=='([^']{1,256})'/(custom_id|description|invoice_id)")
_PAYER = {
    "email_address": "payer@example.com",
    "payer_id": "QYR5Z8XDVJNXQ",
    "name": {"given_name": "Pat", "surname": "Payer"},
}


def create(books: Books, call: Call) -> tuple[int, Json]:
    """POST /v2/checkout/orders."""
    asked = call.body if isinstance(call.body, dict) else {}
    if asked.get("intent") != "CAPTURE":
        raise wrong("INVALID_PARAMETER_VALUE" if "intent" in asked else "MISSING_REQUIRED_PARAMETER", "/intent")
    units = asked.get("purchase_units")
    if not isinstance(units, list) or not units:
        raise wrong("MISSING_REQUIRED_PARAMETER", "/purchase_units")
    if len(units) > 1:
        raise refused("UNSUPPORTED_PAYMENT_INSTRUCTION", "/purchase_units")
    unit = units[0]
    amount_in(unit.get("amount"), "/purchase_units/0/amount")
    for name in ("custom_id", "invoice_id", "description"):
        if name in unit and not 1 <= len(str(unit[name])) <= 127:
            raise wrong("INVALID_STRING_LENGTH", f"/purchase_units/0/{name}")
    number = unit.get("invoice_id")
    if number in books.captured_numbers:
        raise refused("DUPLICATE_INVOICE_ID", "/purchase_units/0/invoice_id")
    wallet = (asked.get("payment_source") or {}).get("paypal")
    context = (wallet or {}).get("experience_context") or asked.get("application_context") or {}
    order: Json = {
        "id": books.id(),
        "intent": "CAPTURE",
        "status": "PAYER_ACTION_REQUIRED" if wallet is not None else "CREATED",
        "purchase_units": [{"reference_id": "default", **copied(unit), "payee": {"merchant_id": "SNDBXMERCHANT"}}],
        "create_time": books.stamp(),
    }
    if wallet is not None:
        order["payment_source"] = {"paypal": {k: v for k, v in wallet.items() if k == "email_address"}}
    rel = "payer-action" if wallet is not None else "approve"
    order["links"] = [
        books.link(f"/v2/checkout/orders/{order['id']}", "self"),
        books.link(f"/checkoutnow?token={order['id']}", rel),
        books.link(f"/v2/checkout/orders/{order['id']}", "update", "PATCH"),
        books.link(f"/v2/checkout/orders/{order['id']}/capture", "capture", "POST"),
    ]
    books.orders[order["id"]] = order
    order["_back"] = (context.get("return_url"), context.get("cancel_url"))
    return 201, shown(order)


def fetch(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v2/checkout/orders/{id}."""
    return 200, shown(order_in(books, id_))


def patch(books: Books, call: Call, id_: str) -> tuple[int, None]:
    """PATCH /v2/checkout/orders/{id}: texts of the one purchase unit."""
    order = order_in(books, id_)
    if order["status"] == "COMPLETED":
        raise refused("ORDER_ALREADY_COMPLETED")
    for change in call.body if isinstance(call.body, list) else [{}]:
        found = _PATCHED.fullmatch(str(change.get("path")))
        unit = order["purchase_units"][0]
        if found is None:
            raise refused("NOT_PATCHABLE")
        if found[1] != unit["reference_id"]:
            raise refused("REFERENCE_ID_NOT_FOUND")
        if change.get("op") not in ("add", "replace"):
            raise wrong("INVALID_PATCH_OPERATION", "/op")
        if not 1 <= len(str(change.get("value") or "")) <= 127:
            raise wrong("INVALID_STRING_LENGTH", f"/{found[2]}")
        unit[found[2]] = change["value"]
    order["update_time"] = books.stamp()
    return 204, None


def approve(books: Books, order: Json, funding: str) -> None:
    """The payer agrees on the hosted page. Raises PayPalFault when there is nothing to agree to."""
    if order["status"] not in ("CREATED", "PAYER_ACTION_REQUIRED", "APPROVED"):
        raise refused("ORDER_ALREADY_CAPTURED")
    order["status"] = "APPROVED"
    order["payer"] = copied(_PAYER)
    order["payment_source"] = {"paypal": {"email_address": "payer@example.com", "account_id": "QYR5Z8XDVJNXQ"}}
    order["update_time"] = books.stamp()
    books.funding[order["id"]] = funding
    books.tell("CHECKOUT.ORDER.APPROVED", "checkout-order", shown(order), "An order has been approved by buyer")


def capture(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """POST /v2/checkout/orders/{id}/capture."""
    order = order_in(books, id_)
    if order["status"] == "COMPLETED":
        raise refused("ORDER_ALREADY_CAPTURED")
    source = ((call.body or {}).get("payment_source") or {}).get("paypal") or {}
    vaulted = source.get("vault_id")
    if vaulted == VAULTED_ASKS:
        raise refused("PAYER_ACTION_REQUIRED")
    if vaulted is None and order["status"] != "APPROVED":
        raise refused("ORDER_NOT_APPROVED")
    if vaulted == VAULTED_DECLINED or (vaulted is None and books.funding.get(id_) == DECLINED):
        if vaulted is None:
            order["status"] = "PAYER_ACTION_REQUIRED"
        raise refused("INSTRUMENT_DECLINED")
    unit = order["purchase_units"][0]
    if unit.get("invoice_id") in books.captured_numbers:
        raise refused("DUPLICATE_INVOICE_ID")
    made = _captured(books, order, unit, pending=books.funding.get(id_) == PENDING and vaulted is None)
    unit["payments"] = {"captures": [made]}
    order["status"] = "COMPLETED"
    order["update_time"] = books.stamp()
    if unit.get("invoice_id"):
        books.captured_numbers.add(unit["invoice_id"])
    return 201, shown(order)


def _captured(books: Books, order: Json, unit: Json, *, pending: bool) -> Json:
    id_ = books.id()
    made: Json = {
        "id": id_,
        "status": "PENDING" if pending else "COMPLETED",
        "amount": {name: unit["amount"][name] for name in ("currency_code", "value")},
        "final_capture": True,
        "seller_protection": {"status": "NOT_ELIGIBLE"},
        "supplementary_data": {"related_ids": {"order_id": order["id"]}},
        "create_time": books.stamp(),
        "update_time": books.stamp(),
        "links": [
            books.link(f"/v2/payments/captures/{id_}", "self"),
            books.link(f"/v2/payments/captures/{id_}/refund", "refund", "POST"),
            books.link(f"/v2/checkout/orders/{order['id']}", "up"),
        ],
    }
    made |= {name: unit[name] for name in ("custom_id", "invoice_id") if name in unit}
    books.captures[id_] = made
    if pending:
        made["status_details"] = {"reason": "ECHECK"}
        books.tell("PAYMENT.CAPTURE.PENDING", "capture", made, "Payment pending")
    else:
        complete(books, made)
    return made


def complete(books: Books, made: Json) -> None:
    """The money of a capture has come."""
    amount = mapping.from_paypal(made["amount"]["value"], made["amount"]["currency_code"])
    fee = fee_of(amount)
    made["status"] = "COMPLETED"
    made.pop("status_details", None)
    made["update_time"] = books.stamp()
    made["seller_receivable_breakdown"] = {
        "gross_amount": mapping.wire(amount),
        "paypal_fee": mapping.wire(fee),
        "net_amount": mapping.wire(amount - fee),
    }
    more = {"invoice_id": made.get("invoice_id"), "custom_field": made.get("custom_id")}
    order = mapping.order_id(made)
    if order:
        more |= {"paypal_reference_id": order, "paypal_reference_id_type": "ODR"}
    books.move("T0006", made["id"], amount, fee=fee, **{name: text for name, text in more.items() if text})
    total = f"{made['amount']['value']} {made['amount']['currency_code']}"
    books.tell("PAYMENT.CAPTURE.COMPLETED", "capture", made, f"Payment completed for {total}")


def deny(books: Books, made: Json) -> None:
    """The money of a pending capture does not come."""
    made["status"] = "DECLINED"
    made["update_time"] = books.stamp()
    books.captured_numbers.discard(made.get("invoice_id", ""))
    books.tell("PAYMENT.CAPTURE.DENIED", "capture", made, "Payment denied")


def fetch_capture(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v2/payments/captures/{id}."""
    return 200, copied(capture_in(books, id_))


def order_in(books: Books, id_: str) -> Json:
    """The order. One that nobody agreed to in time is gone."""
    order = books.orders.get(id_)
    made = mapping.moment(order["create_time"]) if order else None
    if order is None or made is None:
        raise missing("order_id")
    if order["status"] in ("CREATED", "PAYER_ACTION_REQUIRED") and made + OPEN_FOR <= books.now():
        raise missing("order_id")
    return order


def shown(thing: Json) -> Json:
    """As the API answers it: without what only the sandbox knows, and an order without what only its capture tells."""
    return _plain(thing)


def _plain(thing: Json) -> Json:
    made: Json = {name: copied(value) for name, value in thing.items() if not name.startswith("_")}
    for unit in made.get("purchase_units", ()):
        for inner in (unit.get("payments") or {}).get("captures", ()):
            inner.pop("supplementary_data", None)
    return made


def capture_in(books: Books, id_: str) -> Json:
    """The capture. Raises PayPalFault."""
    if id_ not in books.captures:
        raise missing("capture_id")
    return books.captures[id_]
