"""The sandbox's hosted pages: where a payer agrees to an order or to a subscription. They work without JavaScript."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect
from markupsafe import Markup

from adapters.providers.paypal import sandbox_billing as billing
from adapters.providers.paypal import sandbox_orders as orders
from adapters.providers.paypal.sandbox_books import Books, Json, PayPalFault
from adapters.sandbox.page import page

_WORDS = {
    orders.GOOD: "Pay with the balance",
    orders.DECLINED: "Pay with a card that is declined",
    orders.PENDING: "Pay from a bank account (takes days)",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Shown(Protocol):
    """What the pages need of the sandbox."""

    def holder(self, shelf: str, id_: str) -> tuple[Books, Json]:
        """The account that has an object, and the object."""

    def flush(self, books: Books) -> None:
        """Send what a change made known."""


def page_routes(sandbox: Shown) -> list[HTTPRouteHandler]:
    """The handlers."""

    @get("/checkoutnow")
    async def show(request: Request[Any, Any, Any]) -> Response[Any]:
        books, order = _found(sandbox, "orders", request.query_params.get("token", ""))
        if books is None or order is None or order["status"] == "COMPLETED":
            return _closed()
        amount = order["purchase_units"][0]["amount"]
        what = order["purchase_units"][0].get("description", "")
        return _asks(
            what, f"{amount['value']} {amount['currency_code']}", {word: _WORDS[word] for word in orders.FUNDING}
        )

    @post("/checkoutnow")
    async def answer(request: Request[Any, Any, Any]) -> Response[Any]:
        books, order = _found(sandbox, "orders", request.query_params.get("token", ""))
        if books is None or order is None:
            return _closed()
        chosen = str((await request.form()).get("answer") or "")
        back, given_up = order["_back"]
        token = {"token": order["id"]}
        if chosen not in orders.FUNDING:
            return _leave(given_up, token)
        return _agree(
            sandbox, books, lambda: orders.approve(books, order, chosen), back, {**token, "PayerID": "QYR5Z8XDVJNXQ"}
        )

    @get("/subscribe")
    async def show_subscription(request: Request[Any, Any, Any]) -> Response[Any]:
        books, made = _found(sandbox, "subscriptions", request.query_params.get("ba_token", ""))
        if books is None or made is None or (made["status"] != "APPROVAL_PENDING" and "_wanted" not in made):
            return _closed()
        plan = books.plans[(made.get("_wanted") or made)["plan_id"]]
        price = plan["billing_cycles"][0]["pricing_scheme"]["fixed_price"]
        return _asks(plan["name"], f"{price['value']} {price['currency_code']}", {"agree": "Agree and subscribe"})

    @post("/subscribe")
    async def answer_subscription(request: Request[Any, Any, Any]) -> Response[Any]:
        books, made = _found(sandbox, "subscriptions", request.query_params.get("ba_token", ""))
        if books is None or made is None:
            return _closed()
        back, given_up = made["_back"]
        told = {"subscription_id": made["id"], "ba_token": made["id"]}
        if (await request.form()).get("answer") != "agree":
            return _leave(given_up, told)
        return _agree(sandbox, books, lambda: billing.agree(books, made), back, told)

    return [show, answer, show_subscription, answer_subscription]


def _agree(
    sandbox: Shown, books: Books, work: Callable[[], None], back: str | None, told: Mapping[str, str]
) -> Response[Any]:
    try:
        work()
    except PayPalFault:
        return _closed()
    finally:
        sandbox.flush(books)
    return _leave(back, told)


def _leave(url: str | None, told: Mapping[str, str]) -> Response[Any]:
    if not url:
        return _html(page("Sandbox", Markup('<p class="card">Done. This page can be closed.</p>')))
    return Redirect(f"{url}{'&' if '?' in url else '?'}{urlencode(told)}", status_code=303)


def _asks(what: str, total: str, answers: Mapping[str, str]) -> Response[Any]:
    rows = Markup().join(
        Markup('<p><button type="submit" name="answer" value="{}">{}</button></p>').format(*row)
        for row in answers.items()
    )
    form = Markup(
        '<article><h2>{}</h2><p>{}</p><form method="post">{}'
        '<p><button type="submit" name="answer" value="cancel">Cancel and return</button></p></form></article>'
    )
    return _html(page("PayPal sandbox", form.format(total, what, rows)))


def _closed() -> Response[Any]:
    text = Markup('<p class="card">There is nothing to agree to here. It was paid, or its time is over.</p>')
    return _html(page("PayPal sandbox", text), 404)


def _html(made: Response[str], status: int = 200) -> Response[Any]:
    return Response(made.content, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)


def _found(sandbox: Shown, shelf: str, id_: str) -> tuple[Books, Json] | tuple[None, None]:
    try:
        return sandbox.holder(shelf, id_)
    except PayPalFault:
        return None, None
