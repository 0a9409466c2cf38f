"""Stripe, emulated: enough of its API, its hosted page and its webhooks for a demo and for tests. All in memory.

Its answers are checked against Stripe's own descriptions by tests/contract/test_stripe_specs.py, and its manners by the
official SDK in tests/contract/test_stripe_sdk.py. What it cannot do, it refuses as unknown rather than pretend.
"""

import asyncio
import base64
import binascii
import contextlib
import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
from litestar import MediaType, Request, Response, Router, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from adapters.providers.stripe import webhook
from adapters.providers.stripe.client import API_VERSION
from adapters.providers.stripe.sandbox_books import Books, wants
from adapters.providers.stripe.sandbox_control import control_routes
from adapters.providers.stripe.sandbox_form import StripeFault, decode
from adapters.providers.stripe.sandbox_gate import Answer, Call, Fault, Idempotency, RateLimit
from adapters.providers.stripe.sandbox_objects import Json
from adapters.providers.stripe.sandbox_pages import page_routes
from adapters.providers.stripe.sandbox_payments import settle_refund
from adapters.providers.stripe.sandbox_routes import answer, pass_time, route_of
from adapters.sandbox.post import RETRIES, Letter, Post
from application.ports.clock import Clock
from application.ports.ids import Ids

_KEY = re.compile(r"(?:sk|rk)_(test|live)_(?:5(1[A-Za-z0-9]{15}))?[A-Za-z0-9_]*")
"""In a real key, the account's id follows the 5."""
_VERSION = re.compile(r"20\d\d-\d\d-\d\d(\.[a-z_]+)?", re.ASCII)
_SWEEP = 1.0


class StripeSandbox:
    """Stripe for one process; hand it to `sandbox_router`, and close it with `aclose`.

    Args:
        public_url: where this process is reached, without a slash at the end; hosted pages are under `/stripe`.
        per_second: calls a second for each key before 429.
        retries: seconds between tries of a webhook.
        refunds_settle: how long a refund that begins pending, or is to fail, takes.
    """

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        public_url: str,
        *,
        per_second: int = 100,
        retries: Sequence[float] = RETRIES,
        refunds_settle: timedelta = timedelta(seconds=2),
    ) -> None:
        self._clock = clock
        self._ids = ids
        self.public_url = public_url.rstrip("/")
        self._settle = refunds_settle
        self._chores: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.post = Post(clock, retries)
        self.faults: deque[Fault] = deque()
        self.limit = RateLimit(per_second)
        self.revoked: set[str] = set()
        self._idempotency = Idempotency(clock)
        self._books: dict[tuple[str, bool], Books] = {}

    async def call(self, call: Call) -> Answer:
        """Answer one request to the API."""
        request_id = f"req_{self._ids.token(10).replace('-', 'a').replace('_', 'b')}"
        try:
            given = await self._admitted(call, request_id)
        except StripeFault as fault:
            given = Answer(fault.status, fault.body(), fault.headers)
        headers = {"Request-Id": request_id, **given.headers}
        headers.setdefault("Stripe-Version", call.headers.get("stripe-version", API_VERSION))
        if given.status >= 400 and isinstance(given.body.get("error"), dict):
            log = f"https://dashboard.stripe.com/test/logs/{request_id}"
            given = attrs.evolve(given, body={"error": {**given.body["error"], "request_log_url": log}})
        return attrs.evolve(given, headers=headers)

    def books_of(self, key: str) -> Books:
        """The shop of a secret key: the one that the key names, else one shop for all other keys."""
        found = _KEY.fullmatch(key)
        if not found:
            raise StripeFault("The API key is not a secret key (sk_… or rk_…).", status=401)
        if key in self.revoked:
            raise StripeFault("The API key has expired.", status=401, code="api_key_expired")
        shop = (f"acct_{found[2] or '1SandboxShop00001'}", found[1] == "live")
        if shop not in self._books:
            self._books[shop] = Books(*shop, self._clock, self._ids, self.public_url)
        return self._books[shop]

    def holder(self, shelf: str, id_: str) -> tuple[Books, Json]:
        """The shop that has an object, and the object: for pages and controls, which know no key. 404 otherwise."""
        for books in self._books.values():
            if id_ in getattr(books, shelf):
                pass_time(books)
                self.flush(books)
                return books, getattr(books, shelf)[id_]
        raise StripeFault(f"The sandbox has no {id_!r}.", status=404, code="resource_missing", param="id")

    def shops(self) -> tuple[Books, ...]:
        """Every shop so far."""
        return tuple(self._books.values())

    def flush(self, books: Books, *, request_id: str | None = None, key: str | None = None) -> None:
        """Send what a change made known, as one burst, and let its refunds take their course."""
        burst, books.unsent = books.unsent, []
        for event in burst:
            event["request"] = {"id": request_id, "idempotency_key": key}
            if event["type"] == "refund.created":
                self._later(books, event["data"]["object"]["id"])
        self.post.send(
            _letter(books, event, endpoint)
            for endpoint in list(books.endpoints.values())
            for event in burst
            if wants(endpoint, event["type"])
        )

    def resend(self, event_id: str) -> int:
        """Send an event again to whoever wants it; says to how many."""
        books, event = self.holder("events", event_id)
        to = [endpoint for endpoint in books.endpoints.values() if wants(endpoint, event["type"])]
        self.post.send(_letter(books, event, endpoint) for endpoint in to)
        return len(to)

    def reset(self) -> None:
        """Forget everything."""
        for chore in self._chores:
            chore.cancel()
        self._books.clear()
        self.faults.clear()
        self.revoked.clear()
        self.limit.reset()
        self._idempotency = Idempotency(self._clock)
        self.post.reset()

    async def aclose(self) -> None:
        """Stop everything that is under way."""
        chores = [*self._chores, *([self._sweeper] if self._sweeper else [])]
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await self.post.aclose()

    async def _admitted(self, call: Call, request_id: str) -> Answer:
        self._sweeper = self._sweeper or asyncio.create_task(self._sweep())
        key = _secret_key(call.headers)
        books = self.books_of(key)
        self.limit.spend(key)
        version = call.headers.get("stripe-version", API_VERSION)
        if not _VERSION.fullmatch(version):
            raise StripeFault(f"{version!r} is not an API version.")
        fault = self._fault(call.path)
        if fault and not fault.after_work and fault.status:
            raise fault.refusal()
        found, id_ = route_of(call.method, call.path)
        tree = decode(call.query if call.method != "POST" else call.body.decode("utf-8", "replace"))
        slot = self._idempotency.slot(books, call, tree)
        if slot and slot.answer:
            return slot.answer.replayed()
        try:
            if fault and fault.delay_ms:
                await asyncio.sleep(fault.delay_ms / 1000)
            try:
                given = Answer(200, answer(books, found, id_, tree))
            except StripeFault as refusal:
                given = Answer(refusal.status, refusal.body(), refusal.headers)
            self._idempotency.keep(slot, given, request_id)
        finally:
            self._idempotency.leave(slot)
        self.flush(books, request_id=request_id, key=call.headers.get("idempotency-key"))
        if fault and fault.timeout:
            return attrs.evolve(given, hangs=True)
        if fault and fault.after_work and fault.status:
            raise fault.refusal()
        return given

    def _fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if path.startswith(fault.path):
                fault.count -= 1
                if fault.count <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def _later(self, books: Books, refund_id: str) -> None:
        async def settle() -> None:
            await asyncio.sleep(self._settle.total_seconds())
            settle_refund(books, books.refunds[refund_id])
            self.flush(books)

        refund = books.refunds[refund_id]
        begins, ends = books.cards[refund["charge"]].refund
        if begins != ends:
            chore = asyncio.create_task(settle())
            self._chores.add(chore)
            chore.add_done_callback(self._chores.discard)

    async def _sweep(self) -> None:
        """A page whose time is up says so even if nobody looks at it."""
        while True:
            await asyncio.sleep(_SWEEP)
            for books in self.shops():
                pass_time(books)
                self.flush(books)


def sandbox_router(sandbox: StripeSandbox) -> Router:
    """Everything under `/stripe`: the API (`/v1`), the hosted pages (`/c`) and the controls (`/_sandbox`)."""

    @route(
        "/v1/{rest:path}",
        http_method=[HttpMethod.GET, HttpMethod.POST, HttpMethod.DELETE],
        include_in_schema=False,
        status_code=200,
    )
    async def api(request: Request[Any, Any, Any], rest: FromPath[str]) -> Response[bytes]:
        """Every call of Stripe's API."""
        given = await sandbox.call(
            Call(
                request.method,
                f"/v1/{rest.strip('/')}",
                str(request.url.query),
                await request.body(),
                {name.lower(): value for name, value in request.headers.items()},
            )
        )
        if given.hangs:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_gone(request), timeout=120)
        body = json.dumps(given.body, indent=2).encode()
        return Response(body, status_code=given.status, headers=dict(given.headers), media_type=MediaType.JSON)

    return Router(
        path="/stripe",
        route_handlers=[api, *page_routes(sandbox), *control_routes(sandbox)],
        include_in_schema=False,
    )


def _letter(books: Books, event: Json, endpoint: Json) -> Letter:
    """An event on its way to an endpoint."""

    def seal(now: datetime) -> tuple[Mapping[str, str], bytes]:
        body = json.dumps(event, indent=2).encode()
        at = int(now.timestamp())
        return {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (sandbox)",
            webhook.HEADER: f"t={at},v1={webhook.signature(books.secrets[endpoint['id']], at, body)}",
        }, body

    def delivered() -> None:
        event["pending_webhooks"] = max(event["pending_webhooks"] - 1, 0)

    return Letter(event["id"], event["type"], endpoint["id"], endpoint["url"], seal, delivered)


async def _gone(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _secret_key(headers: Mapping[str, str]) -> str:
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            value = ""
    if kind.lower() not in ("bearer", "basic") or not value.strip():
        raise StripeFault("No API key was given; send it as Authorization: Bearer.", status=401)
    return value.strip()
