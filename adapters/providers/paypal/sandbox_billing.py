"""The sandbox's subscriptions (Subscriptions v1). Time passes on request."""

from datetime import datetime, timedelta
from typing import Any

from adapters.providers.paypal import mapping
from adapters.providers.paypal.sandbox_books import (
    Books,
    Call,
    Json,
    copied,
    fee_of,
    missing,
    refused,
    wrong,
)
from domain.money import Money

_RETRY = timedelta(days=5)
_SUBSCRIBER = {"email_address": "payer@example.com", "payer_id": "QYR5Z8XDVJNXQ", "name": {"given_name": "Pat"}}


def create_subscription(books: Books, call: Call) -> tuple[int, Json]:
    """POST /v1/billing/subscriptions."""
    asked = _object(call)
    plan = books.plans.get(asked.get("plan_id", ""))
    if plan is None:
        raise missing("plan_id")
    if plan["status"] != "ACTIVE":
        raise refused("PLAN_STATUS_INVALID", "/plan_id")
    _check_quantity(asked.get("quantity", "1"), plan)
    start = mapping.moment(asked["start_time"]) if asked.get("start_time") else books.now()
    if start is None or start < books.now():
        raise wrong("INVALID_PARAMETER_VALUE", "/start_time")
    context = asked.get("application_context") or {}
    id_ = books.id(12, "I-")
    made: Json = {
        "id": id_,
        "status": "APPROVAL_PENDING",
        "status_update_time": books.stamp(),
        "plan_id": plan["id"],
        "plan_overridden": False,
        "start_time": mapping.stamp(start),
        "quantity": asked.get("quantity", "1"),
        "create_time": books.stamp(),
        "update_time": books.stamp(),
        "links": [
            books.link(f"/subscribe?ba_token={id_}", "approve"),
            books.link(f"/v1/billing/subscriptions/{id_}", "self"),
        ],
        "_back": (context.get("return_url"), context.get("cancel_url")),
    }
    if asked.get("custom_id"):
        made["custom_id"] = asked["custom_id"]
    if asked.get("subscriber"):
        made["subscriber"] = copied(asked["subscriber"])
    books.subscriptions[id_] = made
    books.sales[id_] = []
    books.tell("BILLING.SUBSCRIPTION.CREATED", "subscription", _shown(made), "Subscription created")
    return 201, _shown(made)


def fetch_subscription(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v1/billing/subscriptions/{id}, with its plan on request."""
    made = _shown(_subscription(books, id_))
    if "plan" in call.query.get("fields", ""):
        made["plan"] = copied(books.plans[made["plan_id"]])
    return 200, made


def revise(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """POST /v1/billing/subscriptions/{id}/revise: done once the payer agrees on the hosted page."""
    made = _subscription(books, id_)
    if made["status"] not in ("ACTIVE", "SUSPENDED"):
        raise refused("SUBSCRIPTION_STATUS_INVALID")
    asked = _object(call)
    plan = books.plans.get(asked.get("plan_id") or made["plan_id"])
    if plan is None:
        raise missing("plan_id")
    if plan["product_id"] != books.plans[made["plan_id"]]["product_id"]:
        raise refused("PLAN_PRODUCT_NOT_COMPATIBLE", "/plan_id")
    _check_quantity(asked.get("quantity", "1"), plan)
    wanted = {"plan_id": plan["id"], "quantity": asked.get("quantity", made["quantity"])}
    made["_wanted"] = wanted
    approve = books.link(f"/subscribe?ba_token={id_}", "approve")
    return 200, {**wanted, "plan_overridden": False, "links": [approve]}


def move(books: Books, call: Call, id_: str, verb: str) -> tuple[int, None]:
    """POST /v1/billing/subscriptions/{id}/suspend, activate or cancel."""
    made = _subscription(books, id_)
    if verb != "activate" and not _object(call).get("reason"):
        raise wrong("MISSING_REQUIRED_PARAMETER", "/reason")
    allowed, status, event = {
        "suspend": (("ACTIVE",), "SUSPENDED", "SUSPENDED"),
        "activate": (("SUSPENDED",), "ACTIVE", "ACTIVATED"),
        "cancel": (("ACTIVE", "SUSPENDED"), "CANCELLED", "CANCELLED"),
    }[verb]
    if made["status"] not in allowed:
        raise refused("SUBSCRIPTION_CANNOT_BE_ACTIVATED" if verb == "activate" else "SUBSCRIPTION_STATUS_INVALID")
    if verb == "activate":
        made["billing_info"]["failed_payments_count"] = 0
    _status(books, made, status, event)
    return 204, None


def transactions(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v1/billing/subscriptions/{id}/transactions."""
    _subscription(books, id_)
    begin, end = (mapping.moment(call.query.get(name)) for name in ("start_time", "end_time"))
    if begin is None or end is None:
        raise wrong("MISSING_REQUIRED_PARAMETER", "start_time")
    found = [sale for sale in books.sales[id_] if begin <= _at(sale["time"]) <= end]
    path = f"/v1/billing/subscriptions/{id_}/transactions"
    return 200, {"transactions": copied(found), "total_items": len(found), "links": [books.link(path, "self")]}


def agree(books: Books, made: Json) -> None:
    """The payer agrees on the hosted page: to the subscription, or to a change of it."""
    wanted = made.pop("_wanted", None)
    if wanted is not None:
        made.update(wanted)
        made["update_time"] = books.stamp()
        books.tell("BILLING.SUBSCRIPTION.UPDATED", "subscription", _shown(made), "Subscription updated")
        return
    if made["status"] != "APPROVAL_PENDING":
        raise refused("SUBSCRIPTION_STATUS_INVALID")
    made["subscriber"] = {**copied(_SUBSCRIBER), **{k: v for k, v in made.get("subscriber", {}).items() if v}}
    begins = _at(made["start_time"])
    zero = mapping.wire(Money.zero(_price(books, made).currency))
    made["billing_info"] = {
        "outstanding_balance": zero,
        "cycle_executions": [{"tenure_type": "REGULAR", "sequence": 1, "cycles_completed": 0, "total_cycles": 0}],
        "failed_payments_count": 0,
        "next_billing_time": mapping.stamp(begins),
    }
    made["links"] = [link for link in made["links"] if link["rel"] != "approve"]
    _status(books, made, "ACTIVE", "ACTIVATED")
    if begins <= books.now():
        charge(books, made)


def charge(books: Books, made: Json) -> Json:
    """The next charge goes well."""
    if made["status"] != "ACTIVE":
        raise refused("SUBSCRIPTION_STATUS_INVALID")
    amount, billing = _price(books, made), made["billing_info"]
    fee = fee_of(amount)
    id_ = books.id()
    due = max(_at(billing["next_billing_time"]), books.now())
    sale = {
        "id": id_,
        "status": "COMPLETED",
        "amount_with_breakdown": {
            "gross_amount": mapping.wire(amount),
            "fee_amount": mapping.wire(fee),
            "net_amount": mapping.wire(amount - fee),
        },
        "payer_email": made["subscriber"]["email_address"],
        "time": books.stamp(),
    }
    books.sales[made["id"]].append(sale)
    billing["last_payment"] = {"amount": mapping.wire(amount), "time": books.stamp()}
    billing["failed_payments_count"] = 0
    billing["cycle_executions"][0]["cycles_completed"] += 1
    billing["next_billing_time"] = mapping.stamp(_next(due, books.plans[made["plan_id"]]))
    made["update_time"] = books.stamp()
    books.captures[id_] = {
        "id": id_,
        "status": "COMPLETED",
        "amount": mapping.wire(amount),
        "final_capture": True,
        "seller_receivable_breakdown": {
            "gross_amount": mapping.wire(amount),
            "paypal_fee": mapping.wire(fee),
            "net_amount": mapping.wire(amount - fee),
        },
        "create_time": books.stamp(),
        "update_time": books.stamp(),
        "links": [books.link(f"/v2/payments/captures/{id_}", "self")],
        **({"custom_id": made["custom_id"]} if "custom_id" in made else {}),
    }
    books.move("T0002", id_, amount, fee=fee, **({"custom_field": made["custom_id"]} if "custom_id" in made else {}))
    books.tell("PAYMENT.SALE.COMPLETED", "sale", _sale(books, made, id_, amount), "Payment completed")
    return sale


def fail(books: Books, made: Json) -> Json:
    """The next charge fails; too many failures suspend the subscription."""
    if made["status"] != "ACTIVE":
        raise refused("SUBSCRIPTION_STATUS_INVALID")
    amount, billing = _price(books, made), made["billing_info"]
    sale = {
        "id": books.id(),
        "status": "DECLINED",
        "amount_with_breakdown": {"gross_amount": mapping.wire(amount)},
        "payer_email": made["subscriber"]["email_address"],
        "time": books.stamp(),
    }
    books.sales[made["id"]].append(sale)
    billing["failed_payments_count"] += 1
    billing["outstanding_balance"] = mapping.wire(amount)
    billing["last_failed_payment"] = {
        "amount": mapping.wire(amount),
        "time": books.stamp(),
        "reason_code": "PAYER_CANNOT_PAY",
        "next_payment_retry_time": mapping.stamp(books.now() + _RETRY),
    }
    made["update_time"] = books.stamp()
    books.tell("BILLING.SUBSCRIPTION.PAYMENT.FAILED", "subscription", _shown(made), "Payment failed")
    preferences = books.plans[made["plan_id"]]["payment_preferences"]
    threshold = preferences.get("payment_failure_threshold", 0)
    if threshold and billing["failed_payments_count"] >= threshold:
        _status(books, made, "SUSPENDED", "SUSPENDED")
    return sale


def expire(books: Books, made: Json) -> None:
    """It ends by itself."""
    _status(books, made, "EXPIRED", "EXPIRED")


def subscription_in(books: Books, id_: str) -> Json:
    """The subscription. Raises PayPalFault."""
    return _subscription(books, id_)


def _sale(books: Books, made: Json, id_: str, amount: Money) -> Json:
    """A charge as its webhook tells it: in the manner of PayPal's first API."""
    wired = mapping.wire(amount)
    return {
        "id": id_,
        "state": "completed",
        "amount": {"total": wired["value"], "currency": wired["currency_code"]},
        "billing_agreement_id": made["id"],
        **({"custom": made["custom_id"]} if "custom_id" in made else {}),
        "create_time": books.stamp(),
        "update_time": books.stamp(),
        "links": [books.link(f"/v1/payments/sale/{id_}", "self")],
    }


def _status(books: Books, made: Json, status: str, event: str) -> None:
    made["status"] = status
    made["status_update_time"] = made["update_time"] = books.stamp()
    if status in ("CANCELLED", "EXPIRED"):
        made.get("billing_info", {}).pop("next_billing_time", None)
    books.tell(f"BILLING.SUBSCRIPTION.{event}", "subscription", _shown(made), f"Subscription {event.lower()}")


def _price(books: Books, made: Json) -> Money:
    cycle = next(c for c in books.plans[made["plan_id"]]["billing_cycles"] if c["tenure_type"] == "REGULAR")
    price = cycle["pricing_scheme"]["fixed_price"]
    return mapping.from_paypal(price["value"], price["currency_code"]) * int(made["quantity"])


def _next(at: datetime, plan: Json) -> datetime:
    frequency = next(c for c in plan["billing_cycles"] if c["tenure_type"] == "REGULAR")["frequency"]
    unit, count = frequency["interval_unit"], frequency.get("interval_count", 1)
    if unit in ("DAY", "WEEK"):
        return at + timedelta(days=count * (7 if unit == "WEEK" else 1))
    months = at.month - 1 + count * (12 if unit == "YEAR" else 1)
    first = at.replace(year=at.year + months // 12, month=months % 12 + 1, day=1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(at.day, last.day))


def _check_quantity(quantity: Any, plan: Json) -> None:
    if not isinstance(quantity, str) or not quantity.isdigit() or int(quantity) < 1:
        raise wrong("INVALID_PARAMETER_SYNTAX", "/quantity")
    if int(quantity) > 1 and not plan.get("quantity_supported"):
        raise refused("SUBSCRIPTION_CANNOT_HAVE_QUANTITY", "/quantity")


def _subscription(books: Books, id_: str) -> Json:
    if id_ not in books.subscriptions:
        raise missing("subscription_id")
    return books.subscriptions[id_]


def _object(call: Call) -> Json:
    return call.body if isinstance(call.body, dict) else {}


def _at(text: str) -> datetime:
    at = mapping.moment(text)
    assert at is not None
    return at


def _shown(made: Json) -> Any:
    return copied({name: value for name, value in made.items() if not name.startswith("_")})
