"""What whoever holds a payment link sees: the way to the hosted page, or why there is none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from litestar import Controller, MediaType, Request, Response, get, head
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from application.billing.follow import Followed, FollowPaymentLink, ReturnFromCheckout
from application.billing.printing import PrintInvoice
from application.connections.connect import ProviderUnavailable
from application.ports.clock import Clock
from application.ports.leases import Held
from domain.billing.links import LinkAnswer
from domain.refusals import Invalid, NotFound, Refusal
from entrypoints.console.assets import Asset
from entrypoints.console.pages import TOKENS
from entrypoints.console.reader import Reader
from entrypoints.console.rendering import environment
from entrypoints.wiring import Hub

_HERE = Path(__file__).parent

STYLE = Asset.of("/pay/static/pay.css", "text/css", TOKENS, _HERE / "static" / "pay.css")
"""Of its own, so that the console can be kept from the outside world."""

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none';"
        " base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
    "X-Robots-Tag": "noindex, nofollow",
}
"""The address itself is the key to the page: it is kept from caches, search engines and the pages it leads to."""

LOOKS = (2, 3, 5, 5, 10, 10, 15, 15, 30, 30, 60, 60, 120)
"""Seconds between the waiting page's looks; after the last it stops and says so."""

_STATUS = {LinkAnswer.PAY: 200, LinkAnswer.PAID: 200, LinkAnswer.VOID: 410, LinkAnswer.EXPIRED: 410}

_environment = environment(_HERE / "templates")


class PayPages(Controller):
    """/pay/{token}"""

    path = "/pay"

    @get("/static/pay.css")
    async def style(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The pages' style sheet."""
        return STYLE.answer(request)

    @get("/{token:str}")
    async def follow(
        self,
        request: Request[Any, Any, Any],
        token: str,
        follow_payment_link: FollowPaymentLink,
        return_from_checkout: ReturnFromCheckout,
    ) -> Response[Any]:
        """Off to the hosted page, a choice of providers, or an answer to read. `with`: the provider that was chosen.
        `returned` and `cancelled` are how the hosted page sends people back; what else it says is never believed. A browser
        that only fetches ahead is refused: following opens one page and closes another."""
        if _is_prefetch(request):
            return Response(None, status_code=503, headers={**HEADERS, "Retry-After": "1"}, media_type=MediaType.HTML)
        if "returned" in request.query_params:
            return await _returned(request, token, follow_payment_link, return_from_checkout)
        if "cancelled" in request.query_params:
            return _offer(request, await follow_payment_link.look(token), left=True)
        try:
            seen = await follow_payment_link(token, request.query_params.get("with"))
        except Invalid:
            seen = await follow_payment_link.look(token)  # a provider that cannot be chosen: those that can are shown
        if seen.pay_at is None:
            return _offer(request, seen)
        return Redirect(seen.pay_at, status_code=303, headers=dict(HEADERS))

    @get("/{token:str}/invoice.pdf")
    async def paper(
        self,
        request: Request[Any, Any, Any],
        token: str,
        follow_payment_link: FollowPaymentLink,
        print_invoice: PrintInvoice,
    ) -> Response[Any]:
        """The invoice to keep."""
        seen = await follow_payment_link.look(token)
        if seen.answer not in (LinkAnswer.PAY, LinkAnswer.PAID):
            return _over(request, seen)
        printed = await print_invoice(seen.link.organisation_id, seen.invoice.id)
        named = f"attachment; filename*=UTF-8''{quote(printed.name, safe='')}"
        headers = {**HEADERS, "Content-Disposition": named}
        return Response(printed.content, headers=headers, media_type="application/pdf")

    @head("/{token:str}")
    async def peek(self, token: str, follow_payment_link: FollowPaymentLink) -> Response[None]:
        """For link checkers and mail scanners: nothing is opened."""
        seen = await follow_payment_link.look(token)
        return Response(None, status_code=_STATUS[seen.answer], headers=HEADERS, media_type=MediaType.HTML)


def _is_prefetch(request: Request[Any, Any, Any]) -> bool:
    """Whether nobody has clicked yet (the Sec-Purpose header of the Fetch standard, and what came before it)."""
    told = (request.headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return any("prefetch" in one.lower() or "preview" in one.lower() for one in told)


async def _returned(
    request: Request[Any, Any, Any], token: str, follow: FollowPaymentLink, return_from_checkout: ReturnFromCheckout
) -> Response[Any]:
    try:
        seen = await return_from_checkout(token)
    except Held:
        seen = await follow.look(token)  # its webhook is being handled at this moment
    if seen.answer is LinkAnswer.PAY and request.query_params.get("status") == "cancelled":
        return _offer(request, seen, left=True)  # how Flutterwave says it; it was asked, and knows of no payment
    if seen.answer is LinkAnswer.PAY:
        look = _look(request.query_params.get("look", ""))
        again_at = f"/pay/{quote(token, safe='')}?returned=1&look={look + 1}"
        again_in = LOOKS[look] if look < len(LOOKS) else None
        return _page(request, "waiting.html", seen=seen, again_at=again_at, again_in=again_in)
    return _over(request, seen, thanks=True)


def _look(given: str) -> int:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 4 else 0


def _offer(request: Request[Any, Any, Any], seen: Followed, *, left: bool = False) -> Response[Any]:
    """The invoice, and how it can be paid."""
    return (
        _page(request, "summary.html", seen=seen, left=left) if seen.answer is LinkAnswer.PAY else _over(request, seen)
    )


def _over(request: Request[Any, Any, Any], seen: Followed, *, thanks: bool = False) -> Response[Any]:
    """An answer to read: paid, void or expired."""
    if seen.answer is LinkAnswer.PAID:
        return _page(request, "paid.html", seen=seen, thanks=thanks)
    void = seen.answer is LinkAnswer.VOID
    return _page(request, "over.html", status=_STATUS[seen.answer], seen=seen, void=void)


def _page(request: Request[Any, Any, Any], template: str, *, status: int = 200, **context: object) -> Response[Any]:
    hub: Hub = request.app.state.hub
    now = hub.resolve(Clock).now()  # type: ignore[type-abstract]
    reader = Reader.asking(request.headers.get("accept-language", ""), now)
    html = _environment.get_template(template).render({"reader": reader, "style": STYLE, **context})
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=HEADERS)


def _sorry(
    request: Request[Any, Any, Any], status: int, title: str, text: str, *, again: bool = False, request_id: str = ""
) -> Response[Any]:
    token = request.path_params.get("token", "")
    try_again = f"/pay/{quote(str(token), safe='')}" if again else ""
    response = _page(
        request, "sorry.html", status=status, title=title, text=text, try_again=try_again, request_id=request_id
    )
    if again:
        response.headers["Retry-After"] = "30"
    return response


def on_refusal(request: Request[Any, Any, Any], error: Refusal | Held) -> Response[Any]:
    """An unknown link, or a provider that cannot be asked now."""
    if isinstance(error, NotFound):
        text = "Perhaps the address was cut off when it was copied. Please use the link from your mail."
        return _sorry(request, 404, "There is no such payment link", text)
    if isinstance(error, ProviderUnavailable | Held):
        text = "The payment page cannot be opened at the moment. Nothing was paid. Please try again in a minute."
        return _sorry(request, 503, "Please try again", text, again=True)
    structlog.get_logger("pay").warning("a payment link was refused", reason=error.reason)
    return _sorry(request, 503, "This cannot be paid at the moment", "Nothing was paid. Please try later.", again=True)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The framework said no."""
    return _sorry(request, error.status_code, "This did not work", "Please use the link from your mail.")


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Nobody expected this: the log has it, the reader gets the request's id."""
    structlog.get_logger("pay").error("unexpected error", exc_info=error)
    request_id = str(request.scope.get("request_id", ""))
    text = "Something went wrong on our side. Please try again in a minute."
    return _sorry(request, 500, "This did not work", text, again=True, request_id=request_id)


HANDLERS: ExceptionHandlersMap = {
    Refusal: on_refusal,
    Held: on_refusal,
    HTTPException: on_http,
    Exception: on_bug,
}
