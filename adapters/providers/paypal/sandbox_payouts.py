"""The sandbox's payouts and its list of transactions (Payouts v1, Reporting v1)."""

from datetime import timedelta
from typing import Any

from adapters.providers.paypal import mapping
from adapters.providers.paypal.sandbox_books import (
    Books,
    Call,
    Json,
    PayPalFault,
    amount_in,
    copied,
    fee_of,
    wrong,
)
from domain.money import Money

ITEM_STATES = (
    "SUCCESS", "FAILED", "PENDING", "UNCLAIMED", "RETURNED", "ONHOLD", "BLOCKED", "REFUNDED", "REVERSED"
)  # fmt: skip
_EVENTS = {
    "SUCCESS": "SUCCEEDED", "FAILED": "FAILED", "UNCLAIMED": "UNCLAIMED", "RETURNED": "RETURNED", "ONHOLD": "HELD",
    "BLOCKED": "BLOCKED", "REFUNDED": "REFUNDED",
}  # fmt: skip
_WINDOW = timedelta(days=31)
MOST_LISTED = 10_000


def create(books: Books, call: Call) -> tuple[int, Json]:
    """POST /v1/payments/payouts: a batch of one."""
    asked = call.body if isinstance(call.body, dict) else {}
    header, items = asked.get("sender_batch_header"), asked.get("items")
    if not isinstance(header, dict) or not isinstance(items, list) or len(items) != 1:
        raise PayPalFault(
            400, "VALIDATION_ERROR", "MISSING_REQUIRED_PARAMETER", field="items", message="One item, please."
        )
    number = header.get("sender_batch_id")
    for batch in books.payouts.values():
        if number and batch["batch_header"]["sender_batch_header"].get("sender_batch_id") == number:
            known = books.link(f"/v1/payments/payouts/{batch['batch_header']['payout_batch_id']}", "self")
            raise PayPalFault(400, "USER_BUSINESS_ERROR", message="The batch number was used before.", links=[known])
    item = items[0]
    if not item.get("receiver"):
        raise PayPalFault(400, "VALIDATION_ERROR", "MISSING_REQUIRED_PARAMETER", field="receiver", message="To whom?")
    amount = amount_in(item.get("amount"), "items[0].amount", currency="currency")
    id_, item_id = books.id(13), books.id(13)
    fee = {"currency": amount.currency.code, "value": mapping.to_paypal(fee_of(amount))}
    batch = {
        "batch_header": {
            "payout_batch_id": id_,
            "batch_status": "PENDING",
            "time_created": books.stamp(),
            "sender_batch_header": {"sender_batch_id": number} if number else {},
            "amount": item["amount"],
            "fees": fee,
        },
        "items": [
            {
                "payout_item_id": item_id,
                "payout_batch_id": id_,
                "transaction_status": "PENDING",
                "payout_item_fee": fee,
                "payout_item": {"recipient_type": "EMAIL", **copied(item)},
                "links": [books.link(f"/v1/payments/payouts-item/{item_id}", "item")],
            }
        ],
        "links": [books.link(f"/v1/payments/payouts/{id_}", "self")],
    }
    books.payouts[id_] = batch
    header_only = {
        name: batch["batch_header"][name] for name in ("payout_batch_id", "batch_status", "sender_batch_header")
    }
    books.tell(
        "PAYMENT.PAYOUTSBATCH.PROCESSING",
        "payouts",
        {"batch_header": batch["batch_header"]},
        "A batch is being paid out",
    )
    return 201, {"batch_header": copied(header_only), "links": copied(batch["links"])}


def fetch(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v1/payments/payouts/{id}."""
    return 200, copied(batch_in(books, id_))


def settle(books: Books, batch: Json, status: str) -> None:
    """The batch is done, and its item stands so."""
    header, item = batch["batch_header"], batch["items"][0]
    header["batch_status"] = "SUCCESS"
    header["time_completed"] = item["time_processed"] = books.stamp()
    item["transaction_status"] = status
    item["transaction_id"] = item.get("transaction_id") or books.id()
    amount = mapping.from_paypal(item["payout_item"]["amount"]["value"], item["payout_item"]["amount"]["currency"])
    if status in ("FAILED", "RETURNED", "BLOCKED"):
        item["errors"] = {
            "name": "RECEIVER_UNREGISTERED",
            "message": "The receiver has no account.",
            "debug_id": books.id(13),
        }
    if status == "SUCCESS":
        fee = mapping.from_paypal(item["payout_item_fee"]["value"], item["payout_item_fee"]["currency"])
        number = item["payout_item"].get("sender_item_id")
        more = {"custom_field": number} if number else {}
        books.move("T0001", item["transaction_id"], Money(-amount.amount, amount.currency), fee=fee, **more)
    if status in _EVENTS:
        books.tell(f"PAYMENT.PAYOUTS-ITEM.{_EVENTS[status]}", "payouts_item", item, "A payout has moved")


def batch_in(books: Books, id_: str) -> Json:
    """The batch. Raises PayPalFault."""
    if id_ not in books.payouts:
        raise PayPalFault(404, "INVALID_RESOURCE_ID", message="There is no such batch.")
    return books.payouts[id_]


def transactions(books: Books, call: Call) -> tuple[int, Json]:
    """GET /v1/reporting/transactions."""
    begin, end = (mapping.moment(call.query.get(name)) for name in ("start_date", "end_date"))
    if begin is None or end is None:
        raise wrong("MISSING_REQUIRED_PARAMETER", "start_date")
    if end - begin > _WINDOW:
        raise PayPalFault(400, "INVALID_REQUEST", message="The dates are more than 31 days apart.")
    size, number = int(call.query.get("page_size", 100)), int(call.query.get("page", 1))
    if not 1 <= size <= 500:
        raise PayPalFault(400, "INVALID_REQUEST", message="A page has 1 to 500 transactions.")
    found = [info for info in books.moves if _within(info, begin, end)]
    if len(found) > MOST_LISTED:
        raise PayPalFault(400, "RESULTSET_TOO_LARGE", message="There are more than 10,000 transactions.")
    pages = max(-(-len(found) // size), 1)
    if number > pages:
        raise PayPalFault(400, "INVALID_REQUEST", message="There is no such page.")
    some = found[(number - 1) * size : number * size]
    body: dict[str, Any] = {
        "account_number": "SNDBXMERCHANT",
        "start_date": call.query["start_date"],
        "end_date": call.query["end_date"],
        "last_refreshed_datetime": books.stamp(),
        "page": number,
        "total_items": len(found),
        "total_pages": pages,
        "links": [books.link("/v1/reporting/transactions", "self")],
    }
    if some:
        body["transaction_details"] = [{"transaction_info": copied(info)} for info in some]
    return 200, body


def _within(info: Json, begin: Any, end: Any) -> bool:
    at = mapping.moment(info["transaction_initiation_date"])
    return at is not None and begin <= at <= end
