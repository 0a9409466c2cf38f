"""Signing in and out, and what every page and every form asks of a session before anything else."""

import hmac
import ipaddress
from collections import deque
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import attrs
from litestar import Controller, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from application.caller import Caller
from application.organisations.people import RecogniseSession, SignIn
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from domain.organisations import SESSION_LIFE, Role, Session, Unauthenticated
from domain.refusals import Forbidden, NotFound
from entrypoints.console.pages import Form, Notice, Page
from entrypoints.settings import Settings
from entrypoints.wiring import Hub

HOME = "/console"
SIGN_IN = "/console/sign-in"
SIGN_OUT = "/console/sign-out"

MOST_TRIES = 10
WITHIN = timedelta(minutes=5)
_MOST_ADDRESSES = 10_000

_READING = ("GET", "HEAD", "OPTIONS")


async def recognise(connection: ASGIConnection, handler: BaseRouteHandler) -> None:  # type: ignore[type-arg]
    """Guard of every page: raises Unauthenticated unless someone is signed in, or the page is public."""
    if handler.opt.get("public"):
        return
    hub: Hub = connection.app.state.hub
    token = connection.cookies.get(_name("session", hub.settings))
    if not token:
        raise Unauthenticated("Please sign in.")
    try:
        visitor = await hub.resolve(RecogniseSession)(token)
    except NotFound as gone:
        raise Unauthenticated("Please sign in.") from gone
    connection.state["visitor"] = visitor
    connection.state["caller"] = Caller(visitor.organisation.id, f"user:{visitor.user.email}")


async def check_form(request: Request[Any, Any, Any]) -> None:
    """Before every page that changes something: raises Forbidden unless the form is this session's and the person may."""
    if request.method in _READING or request.route_handler.opt.get("public"):
        return
    visitor = request.state["visitor"]
    form = await Form.of(request)
    if not _same(form.text("csrf"), visitor.session.csrf):
        raise Forbidden("This form is not from your present session. Go back, reload the page and try again.")
    if visitor.user.role is Role.VIEWER and request.url.path != SIGN_OUT:
        raise Forbidden("Your role lets you look at everything and change nothing.")


def own_path(path: str | None) -> str:
    """Where to go after signing in: a page of the console, or its first one for anything else."""
    harmless = path is not None and path.isascii() and path.isprintable() and "\\" not in path
    if path is not None and harmless and (path == HOME or path.startswith((f"{HOME}/", f"{HOME}?"))):
        return path
    return HOME


def sign_in_first(request: Request[Any, Any, Any]) -> str:
    """The address of the sign-in page that leads back here."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or path == HOME:
        return SIGN_IN
    return f"{SIGN_IN}?{urlencode({'next': path})}"


@attrs.define
class Throttle:
    """Counts sign-in tries by address, in memory. A try counts from its beginning, so that many at once do not slip by."""

    _tries: dict[str, deque[datetime]] = attrs.field(factory=dict)

    def begin(self, address: str, now: datetime) -> timedelta | None:
        """Count a try. Returns how long to wait instead, when there were too many."""
        tries = self._tries.pop(address, deque())
        while tries and tries[0] <= now - WITHIN:
            tries.popleft()
        self._tries[address] = tries  # at the end: the front is who tried longest ago
        while len(self._tries) > _MOST_ADDRESSES:
            del self._tries[next(iter(self._tries))]
        if len(tries) >= MOST_TRIES:
            return tries[0] + WITHIN - now
        tries.append(now)
        return None

    def forget(self, address: str) -> None:
        """The try was right."""
        self._tries.pop(address, None)


class SignInPages(Controller):
    """The door."""

    @get("/sign-in", public=True)
    async def show(
        self, page: Page, settings: Settings, ids: Ids, recognise_session: RecogniseSession
    ) -> Response[str]:
        """The form; whoever is signed in goes on at once."""
        following = own_path(page.choice("next"))
        token = page.request.cookies.get(_name("session", settings))
        if token and await _signed_in(recognise_session, token):
            return page.go(following)
        return _form(page, settings, ids, following)

    @post("/sign-in", public=True)
    async def sign_in(
        self, page: Page, form: Form, settings: Settings, ids: Ids, clock: Clock, store: Store, sign_in: SignIn
    ) -> Response[str]:
        """A new session; the one the browser had before ends."""
        following = own_path(form.text("next"))
        email = form.text("email")
        expected = page.request.cookies.get(_name("form", settings), "")
        if not expected or not _same(form.text("csrf"), expected):
            notice = Notice("care", "The page was open for too long, or cookies are switched off. Please try again.")
            return _form(page, settings, ids, following, email=email, notice=notice, status=403)
        throttle = _throttle(page.request)
        address = _address(page.request)
        wait = throttle.begin(address, clock.now())
        if wait is not None:
            minutes = max(1, -(-int(wait.total_seconds()) // 60))
            text = f"Too many tries from this address. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
            response = _form(page, settings, ids, following, email=email, notice=Notice("bad", text), status=429)
            response.headers["Retry-After"] = str(max(1, int(wait.total_seconds())))
            return response
        try:
            signed_in = await sign_in(email.lower(), form.all("password")[0] if form.all("password") else "")
        except Unauthenticated as refused:
            notice = Notice("bad", refused.reason)
            return _form(page, settings, ids, following, email=email, notice=notice, status=401)
        throttle.forget(address)
        earlier = page.request.cookies.get(_name("session", settings))
        if earlier:
            await store.remove_session(Session.id_of(earlier))
        response = page.go(following)
        _set(response, "session", signed_in.token, settings, for_=SESSION_LIFE)
        _set(response, "form", "", settings, for_=timedelta())
        return response

    @post("/sign-out")
    async def sign_out(self, page: Page, store: Store, settings: Settings) -> Response[str]:
        """The session ends here and now, also for a copy of its cookie."""
        assert page.visitor is not None, "the guard let them in"
        await store.remove_session(page.visitor.session.id)
        response = page.go(SIGN_IN)
        _set(response, "session", "", settings, for_=timedelta())
        return response


def _form(
    page: Page,
    settings: Settings,
    ids: Ids,
    following: str,
    *,
    email: str = "",
    notice: Notice | None = None,
    status: int = 200,
) -> Response[str]:
    """The form with a token that its cookie repeats: a page of someone else's can send neither."""
    name = _name("form", settings)
    token = page.request.cookies.get(name) or ids.token(24)
    response = page(
        "sign_in.html", status=status, notice=notice, form_token=token, following=following, email=email[:320]
    )
    _set(response, "form", token, settings, for_=timedelta(hours=2))
    return response


async def _signed_in(recognise_session: RecogniseSession, token: str) -> bool:
    try:
        await recognise_session(token)
    except (Unauthenticated, NotFound):
        return False
    return True


def _name(what: str, settings: Settings) -> str:
    # Over TLS the prefix keeps other hosts of the domain from planting a cookie (RFC 6265bis §4.1.3.2).
    return f"__Host-patchbay-{what}" if settings.secure_cookies else f"patchbay-{what}"


def _set(response: Response[Any], what: str, value: str, settings: Settings, *, for_: timedelta) -> None:
    response.set_cookie(
        Cookie(
            key=_name(what, settings),
            value=value,
            path="/",
            max_age=int(for_.total_seconds()),
            httponly=True,
            secure=settings.secure_cookies,
            samesite="lax",
        )
    )


def _throttle(request: Request[Any, Any, Any]) -> Throttle:
    state = request.app.state
    if not hasattr(state, "sign_in_throttle"):
        state.sign_in_throttle = Throttle()
    throttle: Throttle = state.sign_in_throttle
    return throttle


def _address(request: Request[Any, Any, Any]) -> str:
    """Whose tries are counted together: an IPv4 address, or an IPv6 network of 64 bits, which one person has."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
