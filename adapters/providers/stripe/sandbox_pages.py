"""The sandbox's hosted pages: where a payer pays, and where a bank asks who they are. They work without JavaScript."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from babel.numbers import get_currency_symbol
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from adapters.providers.stripe import sandbox_checkout as checkout
from adapters.providers.stripe import sandbox_invoices as bills
from adapters.providers.stripe.amounts import from_stripe
from adapters.providers.stripe.sandbox_books import Books
from adapters.providers.stripe.sandbox_cards import CARDS, Card, card_of
from adapters.providers.stripe.sandbox_controlled import Controlled
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_EXPIRY = re.compile(r"(\d\d?)\s*/\s*(?:20)?(\d\d)", re.ASCII)
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_START = {"email": "", "card": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "", "name": ""}


def page_routes(sandbox: Controlled) -> list[HTTPRouteHandler]:
    """The handlers."""

    @get("/c/pay/{id_:str}")
    async def show(id_: FromPath[str]) -> Response[Any]:
        books, session = _found(sandbox, "sessions", id_)
        if session is None or books is None:
            return _closed("missing", 404)
        if session["status"] != "open":
            return _closed(session["status"], 200 if session["status"] == "complete" else 410, session)
        return _form(books, session, {**_START, "email": _known_email(books, session)}, {}, "")

    @post("/c/pay/{id_:str}")
    async def pay(request: Request[Any, Any, Any], id_: FromPath[str]) -> Response[Any]:
        books, session = _found(sandbox, "sessions", id_)
        if session is None or books is None:
            return _closed("missing", 404)
        if session["status"] != "open":
            return _closed(session["status"], 200 if session["status"] == "complete" else 410, session)
        sent = {name: str(value).strip() for name, value in (await request.form()).items() if name in _START}
        given = {**dict.fromkeys(_START, ""), **sent}
        card, faults = _read(given, books.now())
        if card is None or faults:
            return _form(books, session, given, faults, "", status=422)
        try:
            checkout.pay(books, session, card, given)
        except StripeFault as fault:
            return _form(books, session, given, {}, fault.message, status=fault.status)
        finally:
            sandbox.flush(books)
        if session["status"] == "complete":
            return Redirect(_with_id(session["success_url"], id_), status_code=303)
        asks = f"{urlsplit(books.public_url).path}/stripe/c/authenticate/{checkout.intent_of(books, session)}"
        return Redirect(asks, status_code=303)

    @get("/c/authenticate/{id_:str}")
    async def ask(id_: FromPath[str]) -> Response[Any]:
        books, intent = _found(sandbox, "intents", id_)
        if intent is None or books is None:
            return _closed("missing", 404)
        if intent["status"] != "requires_action":
            return _closed("answered", 410)
        card = books.cards[id_]
        return _page("authenticate.html", total=_shown(intent["amount"], intent["currency"]), last4=card.last4)

    @post("/c/authenticate/{id_:str}")
    async def answer(request: Request[Any, Any, Any], id_: FromPath[str]) -> Response[Any]:
        books, intent = _found(sandbox, "intents", id_)
        if intent is None or books is None:
            return _closed("missing", 404)
        if intent["status"] != "requires_action":
            return _closed("answered", 410)
        back = (intent["next_action"].get("redirect_to_url") or {}).get("return_url") or ""
        owner = checkout.session_of(books, id_)
        try:
            session = checkout.authenticate(books, intent, (await request.form()).get("answer") == "complete")
        except StripeFault as fault:
            if owner is None:
                return Redirect(_returned(back, intent, "failed"), status_code=303)
            known = {**_START, "email": (owner["customer_details"] or {}).get("email") or ""}
            place = f"{urlsplit(books.public_url).path}/stripe/c/pay/{owner['id']}"
            return _form(books, owner, known, {}, fault.message, status=402, action=place)
        finally:
            sandbox.flush(books)
        if session is None:
            return Redirect(_returned(back, intent, "succeeded"), status_code=303)
        return Redirect(_with_id(session["success_url"], session["id"]), status_code=303)

    @get("/c/invoice/{id_:str}")
    async def show_invoice(id_: FromPath[str]) -> Response[Any]:
        books, invoice = _found(sandbox, "invoices", id_)
        return _closed("missing", 404) if books is None or invoice is None else _bill(invoice)

    @post("/c/invoice/{id_:str}")
    async def pay_invoice(id_: FromPath[str]) -> Response[Any]:
        books, invoice = _found(sandbox, "invoices", id_)
        if books is None or invoice is None:
            return _closed("missing", 404)
        if invoice["status"] == "open":
            bills.collect(books, invoice, CARDS["4242424242424242"])
            sandbox.flush(books)
        return _bill(invoice)

    return [show, pay, ask, answer, show_invoice, pay_invoice]


def _found(sandbox: Controlled, shelf: str, id_: str) -> tuple[Books, Json] | tuple[None, None]:
    try:
        return sandbox.holder(shelf, id_)
    except StripeFault:
        return None, None


def _read(given: Mapping[str, str], now: int) -> tuple[Card | None, dict[str, str]]:
    """The card, and what is wrong with which field."""
    faults = {}
    if not _EMAIL.fullmatch(given["email"]):
        faults["email"] = "Enter an e-mail address such as you@example.com."
    card = card_of(given["card"].replace(" ", "").replace("-", ""))
    if card is None:
        faults["card"] = "The card number is incomplete or mistyped."
    expiry = _EXPIRY.fullmatch(given["expiry"])
    today = datetime.fromtimestamp(now, UTC)
    if not expiry or not 1 <= int(expiry[1]) <= 12:
        faults["expiry"] = "Enter the expiry date as MM / YY."
    elif (2000 + int(expiry[2]), int(expiry[1])) < (today.year, today.month):
        faults["expiry"] = "The card has expired."
    digits = card.cvc_digits if card else 3
    if not re.fullmatch(rf"[0-9]{{{digits}}}", given["cvc"]):
        faults["cvc"] = f"The security code has {digits} digits."
    if not given["name"]:
        faults["name"] = "Enter the name on the card."
    return card, faults


def _form(
    books: Books,
    session: Json,
    given: Mapping[str, str],
    faults: Mapping[str, str],
    declined: str,
    *,
    status: int = 200,
    action: str = "",
) -> Response[Any]:
    currency = session["currency"]
    lines = [
        {
            "name": line["description"],
            "quantity": line["quantity"],
            "each": _shown(line["price"]["unit_amount"], currency),
            "total": _shown(line["amount_total"], currency),
        }
        for line in books.lines[session["id"]]
    ]
    return _page(
        "pay.html",
        status,
        action=action,
        lines=lines,
        total=_shown(session["amount_total"], currency),
        afterwards=_afterwards(books, session),
        cancel_url=session["cancel_url"],
        given=given,
        faults=faults,
        declined=declined,
        live=session["livemode"],
    )


def _afterwards(books: Books, session: Json) -> str:
    """What is charged again and again; nothing on a page for one payment."""
    line = books.lines[session["id"]][0]
    recurring = line["price"]["recurring"]
    if recurring is None:
        return ""
    amount = _shown(line["price"]["unit_amount"] * line["quantity"], session["currency"])
    count, interval = recurring["interval_count"], recurring["interval"]
    return f"{amount} every {interval if count == 1 else f'{count} {interval}s'}"


def _bill(invoice: Json) -> Response[Any]:
    currency = invoice["currency"]
    lines = [{"name": row["description"], "total": _shown(row["amount"], currency)} for row in invoice["lines"]["data"]]
    total = _shown(invoice["amount_due"], currency)
    return _page("invoice.html", number=invoice["number"], state=invoice["status"], lines=lines, total=total)


def _closed(why: str, status: int, session: Json | None = None) -> Response[Any]:
    back = session["cancel_url"] if session and why == "expired" else None
    if session and why == "complete":
        back = _with_id(session["success_url"], session["id"])
    return _page("closed.html", status, why=why, back=back)


def _page(name: str, status: int = 200, **values: Any) -> Response[Any]:
    text = _TEMPLATES.get_template(name).render(**values)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)


def _known_email(books: Books, session: Json) -> str:
    known = session["customer_email"] or books.customers.get(session["customer"] or "", {}).get("email")
    return known or ""


def _shown(amount: int, currency: str) -> str:
    """With all of the currency's decimals: babel's own format rounds MGA and some others to whole units."""
    money = from_stripe(amount, currency)
    symbol = get_currency_symbol(money.currency.code, locale="en_US")
    if money.amount < 0:
        return f"−{_shown(-amount, currency)}"
    return f"{symbol}{chr(160) if symbol[-1].isalpha() else ''}{Decimal(money.decimal):,}"


def _with_id(url: str, session_id: str) -> str:
    return url.replace("{CHECKOUT_SESSION_ID}", session_id)


def _returned(url: str, intent: Json, status: str) -> str:
    asked = {
        "payment_intent": intent["id"],
        "payment_intent_client_secret": intent["client_secret"],
        "redirect_status": status,
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"
