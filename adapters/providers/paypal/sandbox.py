"""PayPal, emulated: enough of its API, its hosted pages and its webhooks for a demo and for tests. All in memory.

Its answers are checked against PayPal's own descriptions by tests/contract/test_paypal_specs.py. What it cannot do, it
refuses as unknown rather than pretend.
"""

import asyncio
import base64
import binascii
import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from litestar import MediaType, Request, Response, Router, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from adapters.providers.paypal import sandbox_seal as seal
from adapters.providers.paypal.certificates import AUTHORITY, PATH
from adapters.providers.paypal.sandbox_books import Books, Call, Json, PayPalFault, copied, missing
from adapters.providers.paypal.sandbox_control import control_routes
from adapters.providers.paypal.sandbox_hooks import verifier, wants
from adapters.providers.paypal.sandbox_pages import page_routes
from adapters.providers.paypal.sandbox_routes import answer
from adapters.sandbox.faults import Fault, Faults, Pace
from adapters.sandbox.post import RETRIES, Letter, Post
from application.ports.clock import Clock
from application.ports.ids import Ids

_TOKEN_LASTS = timedelta(hours=9)


class PayPalSandbox:
    """PayPal for one process; hand it to `sandbox_router`, and close it with `aclose`.

    Args:
        public_url: where this process is reached, without a slash at the end; everything is under `/paypal`.
        per_second: calls a second for each application before 429.
        retries: seconds between tries of a webhook.
    """

    def __init__(
        self, clock: Clock, ids: Ids, public_url: str, *, per_second: int = 200, retries: Sequence[float] = RETRIES
    ) -> None:
        self._clock = clock
        self._ids = ids
        self.public_url = public_url.rstrip("/")
        self.post = Post(clock, retries)
        self.faults = Faults()
        self.pace = Pace(per_second)
        self.revoked: set[str] = set()
        self._tokens: dict[str, tuple[str, datetime]] = {}
        self._books: dict[str, Books] = {}
        self._root: seal.Issued | None = None
        self._signer: seal.Issued | None = None
        self._own = {
            ("POST", "/v1/notifications/verify-webhook-signature"): verifier(self.signer, self.certificate_url)
        }

    def authority(self) -> seal.Issued:
        """The sandbox's own root."""
        self._root = self._root or seal.authority(self._clock.now())
        return self._root

    def signer(self) -> seal.Issued:
        """What webhooks are signed with."""
        self._signer = self._signer or seal.issue(self.authority(), self._clock.now())
        return self._signer

    def certificate_url(self) -> str:
        """Where the certificate is."""
        return f"{self.public_url}/paypal{self.certificate_path()}"

    def certificate_path(self) -> str:
        """Below `/paypal`; another after each start, as the certificate is."""
        return f"{PATH}CERT-{self.signer().certificate.serial_number:x}"

    def token(self, authorization: str, form: Mapping[str, str]) -> tuple[int, Json]:
        """POST /v1/oauth2/token: any client id is a merchant's, with any secret."""
        try:
            user, _, secret = (
                base64.b64decode(authorization.removeprefix("Basic "), validate=True).decode().partition(":")
            )
        except (binascii.Error, UnicodeDecodeError):
            user = secret = ""
        if not user or not secret or user in self.revoked:
            return 401, {"error": "invalid_client", "error_description": "The client is not known."}
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type", "error_description": "Only client_credentials."}
        text = f"A21AA{self._ids.token(32)}"
        self._tokens[text] = (user, self._clock.now() + _TOKEN_LASTS)
        return 200, {
            "scope": "https://uri.paypal.com/services/payments/payment",
            "access_token": text,
            "token_type": "Bearer",
            "app_id": f"APP-{user[:17]}",
            "expires_in": int(_TOKEN_LASTS.total_seconds()),
            "nonce": self._ids.token(16),
        }

    async def call(self, call: Call) -> tuple[int, Any, Mapping[str, str], bool]:
        """Answer one request to the API: status, body, headers, and whether the answer is never sent."""
        debug = {"Paypal-Debug-Id": self._ids.token(9)}
        try:
            books = self._admitted(call)
            fault = self.faults.due(call.path)
            if fault is not None and fault.status and not fault.after_work:
                raise _ordered(fault)
            if fault is not None and fault.delay_ms:
                await asyncio.sleep(fault.delay_ms / 1000)
            status, body = self._once(books, call)
            self.flush(books)
            if fault is not None and fault.status and fault.after_work:
                raise _ordered(fault)
        except PayPalFault as refusal:
            again = {} if refusal.links is None else {"links": refusal.links}
            retry = {"Retry-After": refusal.field} if refusal.status in (429, 503) and refusal.field else {}
            return refusal.status, {**_error(refusal, debug["Paypal-Debug-Id"]), **again}, {**debug, **retry}, False
        return status, body, debug, bool(fault and fault.timeout)

    def _admitted(self, call: Call) -> Books:
        kind, _, text = call.headers.get("authorization", "").partition(" ")
        user, until = self._tokens.get(text, ("", self._clock.now()))
        if kind != "Bearer" or not user or user in self.revoked or until <= self._clock.now():
            raise PayPalFault(401, "AUTHENTICATION_FAILURE")
        if not self.pace.admits(user):
            raise PayPalFault(429, "RATE_LIMIT_REACHED", message="Too many requests.")
        return self.books_of(user)

    def _once(self, books: Books, call: Call) -> tuple[int, Any]:
        """The answer; to a request id that was used, the earlier one. Only what was done is remembered."""
        key = call.headers.get("paypal-request-id") if call.method == "POST" else None
        if key is None:
            return answer(books, call, self._own)
        place = (call.method, call.path, key)
        known = books.answered.get(place)
        if known is not None:
            if known[0] != call.body:
                raise PayPalFault(409, "DUPLICATE_REQUEST_ID", message="The request id was used for another request.")
            return known[1], copied(known[2])
        status, body = answer(books, call, self._own)
        books.answered[place] = (copied(call.body), status, copied(body))
        return status, body

    def books_of(self, client_id: str) -> Books:
        """The account of an application."""
        if client_id not in self._books:
            self._books[client_id] = Books(client_id, self._clock, self._ids, lambda: self.public_url)
        return self._books[client_id]

    def holder(self, shelf: str, id_: str) -> tuple[Books, Json]:
        """The account that has an object, and the object: for pages and controls, which know no token. Raises PayPalFault."""
        for books in self._books.values():
            if id_ in getattr(books, shelf):
                return books, getattr(books, shelf)[id_]
        raise missing(shelf)

    def accounts(self) -> tuple[Books, ...]:
        """Every account so far."""
        return tuple(self._books.values())

    def flush(self, books: Books) -> None:
        """Send what a change made known, as one burst."""
        burst, books.unsent = books.unsent, []
        self.post.send(
            self._letter(event, webhook)
            for webhook in list(books.webhooks.values())
            for event in burst
            if wants(webhook, event["event_type"])
        )

    def reset(self) -> None:
        """Forget everything but the certificates."""
        self._books.clear()
        self._tokens.clear()
        self.revoked.clear()
        self.faults.reset()
        self.pace.reset()
        self.post.reset()

    async def aclose(self) -> None:
        """Stop sending."""
        await self.post.aclose()

    def seal(self, body: bytes, webhook_id: str, at: datetime) -> dict[str, str]:
        """The headers of a webhook."""
        id_ = f"{self._ids.token(12)}"
        return seal.headers(self.signer(), self.certificate_url(), id_, at, webhook_id, body)

    def _letter(self, event: Json, webhook: Json) -> Letter:
        body = json.dumps(event, separators=(",", ":")).encode()

        def sealed(now: datetime) -> tuple[Mapping[str, str], bytes]:
            more = {"Content-Type": "application/json", "User-Agent": "PayPal/AUHD-sandbox"}
            return {**more, **self.seal(body, webhook["id"], now)}, body

        return Letter(event["id"], event["event_type"], webhook["id"], webhook["url"], sealed)


def sandbox_router(sandbox: PayPalSandbox) -> Router:
    """Everything under `/paypal`: the API (`/v1`, `/v2`), the hosted pages and the controls (`/_sandbox`)."""

    async def api(request: Request[Any, Any, Any], version: str, rest: str) -> Response[Any]:
        raw = await request.body()
        path = f"/{version}/{rest.strip('/')}"
        headers = {name.lower(): value for name, value in request.headers.items()}
        if path == "/v1/oauth2/token":
            status, told = sandbox.token(headers.get("authorization", ""), dict(parse_qsl(raw.decode("latin-1"))))
            return _json(status, told, {})
        if path.startswith(PATH):
            # Litestar would send everything beside a route of its own under the same folder to nobody.
            return _certificate(sandbox, path)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return _json(400, {"name": "INVALID_REQUEST", "details": [{"issue": "MALFORMED_REQUEST_JSON"}]}, {})
        call = Call(request.method, path, dict(request.query_params.items()), body, raw, headers)
        given, answered, more, hangs = await sandbox.call(call)
        if hangs:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_gone(request), timeout=120)
        return _json(given, answered, more)

    methods = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PATCH, HttpMethod.DELETE]

    @route("/v1/{rest:path}", http_method=methods, status_code=200, include_in_schema=False)
    async def first(request: Request[Any, Any, Any], rest: FromPath[str]) -> Response[Any]:
        return await api(request, "v1", rest)

    @route("/v2/{rest:path}", http_method=methods, status_code=200, include_in_schema=False)
    async def second(request: Request[Any, Any, Any], rest: FromPath[str]) -> Response[Any]:
        return await api(request, "v2", rest)

    return Router(
        path="/paypal",
        route_handlers=[first, second, *page_routes(sandbox), *control_routes(sandbox)],
        include_in_schema=False,
    )


def _json(status: int, body: Any, headers: Mapping[str, str]) -> Response[Any]:
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    return Response(content, status_code=status, headers=dict(headers), media_type=MediaType.JSON)


def _certificate(sandbox: PayPalSandbox, path: str) -> Response[Any]:
    files = {AUTHORITY: sandbox.authority, sandbox.certificate_path(): sandbox.signer}
    if path not in files:
        return _json(404, {"name": "RESOURCE_NOT_FOUND"}, {})
    return Response(files[path]().pem, media_type="application/x-pem-file")


def _ordered(fault: Fault) -> PayPalFault:
    status = fault.status or 500
    names = {429: "RATE_LIMIT_REACHED", 503: "SERVICE_UNAVAILABLE", 500: "INTERNAL_SERVER_ERROR"}
    after = None if fault.retry_after is None else str(fault.retry_after)
    return PayPalFault(status, names.get(status, "INVALID_REQUEST"), field=after)


def _error(refusal: PayPalFault, debug: str) -> Json:
    body: Json = {"name": refusal.name, "debug_id": debug}
    if refusal.message:
        body["message"] = refusal.message
    if refusal.issue:
        detail = {"issue": refusal.issue}
        if refusal.field:
            detail |= {"field": refusal.field, "location": "body"}
        body["details"] = [detail]
    return body


async def _gone(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
