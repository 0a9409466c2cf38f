"""The sandbox's refunds, and payments that a bank takes back (Payments v2)."""

from adapters.providers.paypal import mapping
from adapters.providers.paypal.sandbox_books import Books, Call, Json, amount_in, copied, missing, refused
from adapters.providers.paypal.sandbox_orders import capture_in, shown
from domain.money import Money


def refund(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """POST /v2/payments/captures/{id}/refund."""
    made = capture_in(books, id_)
    asked = call.body if isinstance(call.body, dict) else {}
    if made["status"] == "PENDING":
        raise refused("PENDING_CAPTURE")
    if made["status"] not in ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"):
        raise refused("REFUND_NOT_ALLOWED")
    if (made.get("status_details") or {}).get("reason") == "CHARGEBACK":
        raise refused("REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK")
    whole = mapping.from_paypal(made["amount"]["value"], made["amount"]["currency_code"])
    left = whole - _back(books, id_, whole)
    amount = amount_in(asked["amount"], "/amount") if asked.get("amount") else left
    if amount.currency != whole.currency:
        raise refused("REFUND_CAPTURE_CURRENCY_MISMATCH", "/amount/currency_code")
    if not left:
        raise refused("CAPTURE_FULLY_REFUNDED")
    if left < amount:
        raise refused("REFUND_AMOUNT_EXCEEDED", "/amount/value")
    rid = books.id()
    row: Json = {
        "id": rid,
        "status": "COMPLETED",
        "amount": mapping.wire(amount),
        "seller_payable_breakdown": {
            "gross_amount": mapping.wire(amount),
            "paypal_fee": mapping.wire(Money.zero(amount.currency)),
            "net_amount": mapping.wire(amount),
            "total_refunded_amount": mapping.wire(whole - left + amount),
        },
        "create_time": books.stamp(),
        "update_time": books.stamp(),
        "links": [
            books.link(f"/v2/payments/refunds/{rid}", "self"),
            books.link(f"/v2/payments/captures/{id_}", "up"),
        ],
    }
    row |= {name: asked[name] for name in ("custom_id", "invoice_id", "note_to_payer") if asked.get(name)}
    books.refunds[rid] = {**row, "_of": id_}
    _mark_refunded(books, made, whole)
    order = books.orders.get(mapping.order_id(made) or "")
    if order is not None:
        order["purchase_units"][0]["payments"].setdefault("refunds", []).append(row)
    away = Money(-amount.amount, amount.currency)
    books.move("T1107", rid, away, paypal_reference_id=id_, paypal_reference_id_type="TXN")
    books.tell("PAYMENT.CAPTURE.REFUNDED", "refund", row, "A capture was refunded")
    return 201, copied(row)


def settle_refund(books: Books, id_: str, status: str) -> Json:
    """A refund turns out otherwise: PENDING, FAILED, CANCELLED or COMPLETED."""
    row = books.refunds.get(id_)
    if row is None:
        raise missing("refund_id")
    row["status"] = status
    if status in ("FAILED", "CANCELLED"):
        for line in books.moves:
            if line["transaction_id"] == id_:
                line["transaction_status"] = "D"
    made = books.captures[row["_of"]]
    order = books.orders.get(mapping.order_id(made) or "")
    for listed in order["purchase_units"][0]["payments"].get("refunds", ()) if order else ():
        if listed["id"] == id_:
            listed["status"] = status
    whole = mapping.from_paypal(made["amount"]["value"], made["amount"]["currency_code"])
    _mark_refunded(books, made, whole)
    if status == "FAILED":
        books.tell("PAYMENT.REFUND.FAILED", "refund", shown(row), "A refund failed")
    return shown(row)


def take_back(books: Books, id_: str) -> None:
    """The payer's bank takes a payment back."""
    made = capture_in(books, id_)
    made["status_details"] = {"reason": "CHARGEBACK"}
    amount = mapping.from_paypal(made["amount"]["value"], made["amount"]["currency_code"])
    away = Money(-amount.amount, amount.currency)
    books.move("T1201", books.id(), away, paypal_reference_id=id_, paypal_reference_id_type="TXN")
    dispute = {
        "dispute_id": books.id(12, "PP-D-"),
        "status": "OPEN",
        "reason": "UNAUTHORISED",
        "dispute_amount": mapping.wire(amount),
        "disputed_transactions": [{"seller_transaction_id": id_}],
    }
    books.tell("CUSTOMER.DISPUTE.CREATED", "dispute", dispute, "A dispute was opened")
    books.tell("PAYMENT.CAPTURE.REVERSED", "capture", made, "A payment was reversed")


def fetch_refund(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v2/payments/refunds/{id}."""
    if id_ not in books.refunds:
        raise missing("refund_id")
    return 200, shown(books.refunds[id_])


def _back(books: Books, capture_id: str, whole: Money) -> Money:
    """What has gone back of a capture, and stayed there."""
    counted = [one for one in books.refunds.values() if one["_of"] == capture_id]
    back = Money.zero(whole.currency)
    for one in counted:
        if one["status"] in ("COMPLETED", "PENDING"):
            back += mapping.from_paypal(one["amount"]["value"], one["amount"]["currency_code"])
    return back


def _mark_refunded(books: Books, made: Json, whole: Money) -> None:
    back = _back(books, made["id"], whole)
    made["status"] = "REFUNDED" if back == whole else "PARTIALLY_REFUNDED" if back else "COMPLETED"
    made["update_time"] = books.stamp()
