"""Which requests the sandbox understands, what each must say, and what it does."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs

from adapters.providers.flutterwave import sandbox_pay as pay
from adapters.providers.flutterwave.mapping import CURRENCIES, MOBILE_MONEY
from adapters.providers.flutterwave.sandbox_shop import LARGEST, Account, Json, Page, Refused, ends, number

_PAGE = 20
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@attrs.frozen
class Asked:
    """A request, read. id: from the path, or nothing."""

    account: Account
    public_url: str
    id: str
    query: Mapping[str, str]
    body: Json


Act = Callable[[Asked], Json]


def answer(account: Account, public_url: str, method: str, path: str, query: str, body: Json) -> Json:
    """The envelope of the answer. Raises Refused; 404 for what Flutterwave does not know, or the sandbox does not do."""
    for verb, pattern, act in _ROUTES:
        found = re.fullmatch(pattern, path) if verb == method else None
        if found:
            id_ = found[1] if found.groups() else ""
            return act(Asked(account, public_url, id_, dict(parse_qsl(query)), body))
    raise Refused(f"Cannot {method} {path}", status=404)


def done(message: str, data: object = None, **more: object) -> Json:
    """A success."""
    return {"status": "success", "message": message, "data": data, **more}


def _open_page(asked: Asked) -> Json:
    given = asked.body
    customer = given.get("customer")
    email = customer.get("email") if isinstance(customer, dict) else None
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        raise Refused("customer.email is required")
    url = urlsplit(_text(given, "redirect_url", 2000))
    if url.scheme not in ("http", "https"):
        raise Refused("redirect_url must be a valid url")
    minutes, tries = given.get("session_duration", 1440), given.get("max_retry_attempt", 3)
    if type(minutes) is not int or not 1 <= minutes <= 1440 or type(tries) is not int or tries < 1:
        raise Refused("session_duration or max_retry_attempt is invalid")
    token = asked.account.hexes(20)
    asked.account.pages[token] = Page(
        token,
        _text(given, "tx_ref", 100),
        _amount(given),
        _currency(given, "NGN"),
        given["redirect_url"],
        {
            "email": email,
            "name": (customer or {}).get("name") or "Anonymous customer",
            "phone_number": (customer or {}).get("phonenumber"),
        },
        str((given.get("customizations") or {}).get("title") or "Payment"),
        given.get("meta") or {},
        str(given.get("payment_options") or ""),
        ends(minutes, asked.account.clock.now()),
        tries,
    )
    return done("Hosted Link", {"link": f"{asked.public_url}/flutterwave/v3/hosted/pay/{token}"})


def _disable(asked: Asked) -> Json:
    page = asked.account.pages.get(_text(asked.body, "link", 2000).rsplit("/", 1)[-1])
    if page is None:
        raise Refused("Payment link not found", status=404)
    if page.disabled:
        raise Refused("Payment link has already been disabled")
    page.disabled = True
    return {"status": "success", "message": "Payment link has been disabled successfully"}


def _verify(asked: Asked) -> Json:
    return done("Transaction fetched successfully", asked.account.transaction(asked.id))


def _verify_by_reference(asked: Asked) -> Json:
    found = asked.account.with_reference(asked.query.get("tx_ref", ""))
    if not found:
        raise Refused("No transaction was found for this id")
    return done("Transaction fetched successfully", found[0])


def _transactions(asked: Asked) -> Json:
    wanted = asked.query.get("tx_ref")
    rows = [
        {
            **{k: v for k, v in one.items() if k not in ("customer", "card", "meta")},
            "account": None,
            "customer_name": one["customer"]["name"],
            "customer_email": one["customer"]["email"],
        }
        for one in reversed(asked.account.transactions.values())
        if wanted in (None, one["tx_ref"])
    ]
    return _listed(asked, "Transactions fetched", rows)


def _refund(asked: Asked) -> Json:
    transaction = asked.account.transaction(asked.id)
    amount = _amount(asked.body) if "amount" in asked.body else Decimal(str(transaction["amount"]))
    made = asked.account.refund(transaction, amount, str(asked.body.get("comments") or ""))
    shown = {
        "id": made["id"],
        "account_id": made["account_id"],
        "tx_id": made["transaction_id"],
        "flw_ref": made["flw_ref"],
        "wallet_id": 74_639,
        "amount_refunded": made["amount_refunded"],
        "status": made["status"],
        "destination": "payment_source",
        "meta": made["meta"],
        "created_at": made["created_at"],
    }
    return done("Transaction refund initiated", shown)


def _refunds(asked: Asked) -> Json:
    wanted = asked.query.get("id")
    rows = [one for one in asked.account.refunds.values() if wanted in (None, str(one["transaction_id"]))]
    return _listed(asked, "Refunds fetched", reversed(rows))


def _resend(asked: Asked) -> Json:
    transaction = asked.account.transaction(asked.id)
    asked.account.unsent += [one for one in asked.account.sent if one["data"].get("id") == transaction["id"]]
    return done("hook sent", "hook sent")


def _charge_token(asked: Asked) -> Json:
    given = asked.body
    for name in ("token", "email", "narration", "tx_ref"):
        _text(given, name, 300)
    _amount(given)
    _currency(given, None)
    made = pay.by_token(asked.account, given)
    hidden = ("meta", "amount_settled")
    return done("Charge successful", {**{k: v for k, v in made.items() if k not in hidden}, "redirect_url": "N/A"})


def _charge(asked: Asked) -> Json:
    kind, given = asked.query.get("type", ""), asked.body
    for name in ("email", "tx_ref", "phone_number"):
        _text(given, name, 100)
    amount, currency = _amount(given), _currency(given, None)
    if MOBILE_MONEY.get(currency) != kind:
        raise Refused(f"{kind} is not available in {currency}")
    if kind == "mpesa" and amount != amount.to_integral_value():
        raise Refused("amount must be a whole number")
    if kind == "mobile_money_franco" and not given.get("country"):
        raise Refused("country is required")
    made = pay.by_telephone(asked.account, kind, given)
    names = ("id", "tx_ref", "flw_ref", "status", "amount", "currency", "auth_model", "processor_response")
    data = {**{name: made[name] for name in names}, "charge_type": "normal"}
    return done("Charge initiated", data)


def _send_transfer(asked: Asked) -> Json:
    given = asked.body
    for name, most in (("account_bank", 100), ("account_number", 20), ("narration", 100), ("reference", 100)):
        _text(given, name, most)
    _amount(given)
    _currency(given, None)
    if not given.get("beneficiary_name"):
        raise Refused("beneficiary_name is required")
    return done("Transfer Queued Successfully", asked.account.transfer(given))


def _transfer(asked: Asked) -> Json:
    found = asked.account.transfers.get(int(asked.id))
    if found is None:
        raise Refused("No transfer was found for this id", status=404)
    return done("Transfer fetched", found)


def _transfers(asked: Asked) -> Json:
    wanted = asked.query.get("reference")
    rows = [one for one in reversed(asked.account.transfers.values()) if wanted in (None, one["reference"])]
    return _listed(asked, "Transfers fetched", rows)


def _make_plan(asked: Asked) -> Json:
    given = asked.body
    if given.get("interval") not in ("daily", "weekly", "monthly", "quarterly", "yearly"):
        raise Refused("interval is invalid")
    id_ = asked.account.next_id()
    asked.account.plans[id_] = made = {
        "id": id_,
        "name": _text(given, "name", 150),
        "amount": number(_amount(given)),
        "interval": given["interval"],
        "duration": 0,
        "status": "active",
        "currency": _currency(given, "NGN"),
        "plan_token": f"rpp_{asked.account.hexes(20)}",
        "created_at": asked.account.now(),
    }
    return done("Payment plan created", made)


def _plan(asked: Asked) -> Json:
    found = asked.account.plans.get(int(asked.id))
    if found is None:
        raise Refused("Payment plan not found", status=404)
    return found


def _cancel_plan(asked: Asked) -> Json:
    found = _plan(asked)
    found["status"] = "cancelled"
    return done("Payment plan cancelled", found)


def _balances(asked: Asked) -> Json:
    rows = [
        {"currency": code, "available_balance": number(held), "ledger_balance": number(held)}
        for code, held in asked.account.balances.items()
    ]
    return done("Wallet balances fetched", rows)


_ROUTES: tuple[tuple[str, str, Act], ...] = (
    ("POST", "/v3/payments", _open_page),
    ("POST", "/v3/payments/link/disable", _disable),
    ("GET", "/v3/transactions", _transactions),
    ("GET", "/v3/transactions/verify_by_reference", _verify_by_reference),
    ("GET", "/v3/transactions/([0-9]+)/verify", _verify),
    ("POST", "/v3/transactions/([0-9]+)/refund", _refund),
    ("POST", "/v3/transactions/([0-9]+)/resend-hook", _resend),
    ("GET", "/v3/refunds", _refunds),
    ("POST", "/v3/tokenized-charges", _charge_token),
    ("POST", "/v3/charges", _charge),
    ("POST", "/v3/transfers", _send_transfer),
    ("GET", "/v3/transfers", _transfers),
    ("GET", "/v3/transfers/([0-9]+)", _transfer),
    ("POST", "/v3/payment-plans", _make_plan),
    ("GET", "/v3/payment-plans", lambda asked: _listed(asked, "Payment plans fetched", asked.account.plans.values())),
    ("GET", "/v3/payment-plans/([0-9]+)", lambda asked: done("Payment plan fetched", _plan(asked))),
    ("PUT", "/v3/payment-plans/([0-9]+)/cancel", _cancel_plan),
    ("GET", "/v3/balances", _balances),
)


def _listed(asked: Asked, message: str, rows: Iterable[Json]) -> Json:
    """A page of the rows that were made on the days asked for."""
    first, last = _day(asked, "from", date.min), _day(asked, "to", date.max)
    kept = [row for row in rows if first <= date.fromisoformat(row["created_at"][:10]) <= last]
    page = asked.query.get("page", "1")
    if not page.isdigit() or int(page) < 1:
        raise Refused("page must be a positive number")
    begin = (int(page) - 1) * _PAGE
    info = {"total": len(kept), "current_page": int(page), "total_pages": -(-len(kept) // _PAGE)}
    return done(message, kept[begin : begin + _PAGE], meta={"page_info": info})


def _day(asked: Asked, name: str, default: date) -> date:
    try:
        return date.fromisoformat(asked.query[name]) if name in asked.query else default
    except ValueError as error:
        raise Refused(f"{name} must be a date") from error


def _text(given: Mapping[str, Any], name: str, most: int) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"{name} is required")
    if len(value) > most:
        raise Refused(f"{name} length must be less than or equal to {most} characters long")
    return value


def _amount(given: Mapping[str, Any]) -> Decimal:
    value = given.get("amount")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("amount must be a number")
    amount = Decimal(str(value))
    if not 0 < amount <= LARGEST:
        raise Refused("amount must be greater than 0 and within your transaction limit")
    return amount


def _currency(given: Mapping[str, Any], default: str | None) -> str:
    code = given.get("currency", default)
    if code not in CURRENCIES:
        raise Refused(f"Currency {code} is not supported")
    return str(code)
