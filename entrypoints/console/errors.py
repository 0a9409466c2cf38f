"""When a page cannot be shown: the same refusals as the API's, as pages."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from application.ports.leases import Held
from domain.organisations import Unauthenticated
from domain.refusals import NotFound, Refusal
from entrypoints.console.pages import Notice, Page, status_of
from entrypoints.console.session import sign_in_first

_TITLES = {
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not possible now",
    413: "Too large",
    422: "Not valid",
    503: "Not available now",
}


def on_unauthenticated(request: Request[Any, Any, Any], _: Unauthenticated) -> Response[Any]:
    """Sign in first, then come back."""
    return Page.of(request).go(sign_in_first(request))


def on_refusal(request: Request[Any, Any, Any], error: Refusal | Held) -> Response[Any]:
    """A rule said no, and no form was there to show it at."""
    status = status_of(error)
    text = error.reason if isinstance(error, Refusal) else Notice.of(error).text
    if isinstance(error, NotFound):
        text = "There is no such thing here: it was removed, or the address is mistyped."
    return _page(request, status, text)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The framework said no."""
    text = "Something in the request does not fit." if error.status_code < 500 else _BUG
    return _page(request, error.status_code, text)


_BUG = "Something went wrong on our side. The log has it, under the id below."


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Nobody expected this: the log has it, the reader gets the request's id."""
    structlog.get_logger("console").error("unexpected error", exc_info=error, path=request.url.path)
    return _page(request, 500, _BUG)


def _page(request: Request[Any, Any, Any], status: int, text: str) -> Response[str]:
    return Page.of(request)("error.html", status=status, title=_TITLES.get(status, "Sorry"), text=text, code=status)


HANDLERS: ExceptionHandlersMap = {
    Unauthenticated: on_unauthenticated,
    Refusal: on_refusal,
    Held: on_refusal,
    HTTPException: on_http,
    Exception: on_bug,
}
