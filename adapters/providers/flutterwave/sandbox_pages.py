"""The sandbox's hosted page: card, mobile money or bank transfer. It works without JavaScript."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from adapters.providers.flutterwave import sandbox_pay as pay
from adapters.providers.flutterwave.mapping import MOBILE_MONEY
from adapters.providers.flutterwave.sandbox_cards import card_of
from adapters.providers.flutterwave.sandbox_control import Controlled
from adapters.providers.flutterwave.sandbox_shop import Account, Json, Page, Refused

_PHONE = re.compile(r"[0-9]{6,15}", re.ASCII)
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
_START = {"method": "card", "card": "5531 8866 5214 2950", "phone": "233547000011", "amount": ""}


def page_routes(sandbox: Controlled) -> list[HTTPRouteHandler]:
    """The handlers."""

    @get("/v3/hosted/pay/{token:str}")
    async def show(token: FromPath[str]) -> Response[Any]:
        found = sandbox.page(token)
        if found is None:
            return _closed("missing", 404)
        account, page = found
        why = _why_closed(account, page)
        if why is not None:
            return _closed(why, 200 if why in ("paid", "pending") else 410, page, _last(account, page))
        return _form(page, _START, {}, "")

    @post("/v3/hosted/pay/{token:str}")
    async def take(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[Any]:
        found = sandbox.page(token)
        if found is None:
            return _closed("missing", 404)
        account, page = found
        why = _why_closed(account, page)
        if why is not None:
            return _closed(why, 200 if why in ("paid", "pending") else 410, page, _last(account, page))
        sent = {name: str(value).strip() for name, value in (await request.form()).items() if name in _START}
        given = {**_START, **sent}
        faults = _faults(page, given)
        if faults:
            return _form(page, given, faults, "", status=422)
        try:
            made = _pay(account, page, given)
        except Refused as refused:
            return _form(page, given, {}, refused.message, status=refused.status)
        finally:
            sandbox.flush(account)
        if made["status"] == "pending":
            # Nobody is sent back: the payer looks at the telephone and closes the window.
            return _closed("pending", 200, page)
        return Redirect(pay.back(page, "successful", made), status_code=303)

    return [show, take]


def _pay(account: Account, page: Page, given: Mapping[str, str]) -> Json:
    if given["method"] == "mobile_money":
        return pay.by_mobile_money(account, page, given["phone"])
    if given["method"] == "bank_transfer":
        return pay.by_bank_transfer(account, page, Decimal(given["amount"] or page.amount))
    card = card_of(given["card"].replace(" ", ""))
    assert card is not None, "checked by _faults"
    return pay.by_card(account, page, card)


def _faults(page: Page, given: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with which field."""
    if given["method"] not in _methods(page):
        return {"method": "Choose how to pay."}
    if given["method"] == "card" and card_of(given["card"].replace(" ", "")) is None:
        return {"card": "The card number is incomplete."}
    if given["method"] == "mobile_money" and not _PHONE.fullmatch(given["phone"]):
        return {"phone": "Enter the telephone number with digits only."}
    if given["method"] == "bank_transfer" and given["amount"]:
        try:
            amount = Decimal(given["amount"])
        except InvalidOperation:
            return {"amount": "Enter an amount such as 125.00."}
        if not amount.is_finite() or not 0 < amount < 10**9:
            return {"amount": "Enter an amount such as 125.00."}
    return {}


def _methods(page: Page) -> tuple[str, ...]:
    if page.options == "card":
        return ("card",)
    mobile = ("mobile_money",) if page.currency in MOBILE_MONEY else ()
    return ("card", *mobile, "bank_transfer")


def _why_closed(account: Account, page: Page) -> str | None:
    why = account.closed(page)
    if why is None and account.taken(page.tx_ref):
        last = _last(account, page)
        return "pending" if last and last["status"] == "pending" else "paid"
    return why


def _last(account: Account, page: Page) -> Json | None:
    return next(iter(account.with_reference(page.tx_ref)), None)


def _form(
    page: Page, given: Mapping[str, str], faults: Mapping[str, str], declined: str, *, status: int = 200
) -> Response[Any]:
    return _page(
        "pay.html",
        status,
        total=_total(page),
        title=page.title,
        cancel_url=pay.back(page, "cancelled"),
        methods=_methods(page),
        given={**given, "amount": given["amount"] or str(page.amount)},
        faults=faults,
        declined=declined,
    )


def _closed(why: str, status: int, page: Page | None = None, last: Json | None = None) -> Response[Any]:
    back = pay.back(page, "successful", last) if page and why == "paid" and last else None
    return _page("closed.html", status, why=why, back=back, total=_total(page) if page else "")


def _total(page: Page) -> str:
    return f"{page.currency} {page.amount:,}"


def _page(name: str, status: int = 200, **values: Any) -> Response[Any]:
    text = _TEMPLATES.get_template(name).render(**values)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)
