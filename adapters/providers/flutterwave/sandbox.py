"""Flutterwave, emulated: enough of its v3 API, its hosted page and its webhooks for a demo and for tests. All in memory.

Its answers are checked against the description of the API by tests/contract/test_flutterwave_specs.py. What it cannot do,
it refuses as unknown rather than pretend.
"""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
from litestar import MediaType, Request, Response, Router, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from adapters.providers.flutterwave import webhook
from adapters.providers.flutterwave.sandbox_control import control_routes
from adapters.providers.flutterwave.sandbox_pages import page_routes
from adapters.providers.flutterwave.sandbox_routes import answer
from adapters.providers.flutterwave.sandbox_shop import Account, Json, Page, Refused
from adapters.sandbox.faults import Fault, Faults, Pace
from adapters.sandbox.post import RETRIES, Letter, Post
from application.ports.clock import Clock
from application.ports.ids import Ids

_KEY = re.compile(r"FLWSECK(_TEST)?-(?:acct([0-9]{1,9})-)?[A-Za-z0-9_-]+")
"""A key may name its account, for tests with several; all others are one account's."""
_FIRST = 5_000_001


@attrs.frozen
class Answer:
    """One HTTP answer. hangs: it is never sent."""

    status: int
    body: Json
    headers: Mapping[str, str] = attrs.field(factory=dict)
    hangs: bool = False


class FlutterwaveSandbox:
    """Flutterwave for one process; hand it to `sandbox_router`, and close it with `aclose`.

    Args:
        public_url: where this process is reached, without a slash at the end; everything is under `/flutterwave`.
        per_second: calls a second for each key before 429.
        retries: seconds between tries of a webhook. Flutterwave's own are half an hour apart.
        settles: how long what waits takes: mobile money, transfers, pending refunds.
    """

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        public_url: str,
        *,
        per_second: int = 100,
        retries: Sequence[float] = RETRIES,
        settles: timedelta = timedelta(seconds=4),
    ) -> None:
        self._clock = clock
        self._ids = ids
        self.public_url = public_url.rstrip("/")
        self._settles = settles
        self._chores: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(_FIRST)
        self.post = Post(clock, retries)
        self.faults = Faults()
        self.pace = Pace(per_second)
        self.revoked: set[str] = set()
        self.accounts: dict[tuple[int, bool], Account] = {}

    def account_of(self, key: str) -> Account:
        """The account of a secret key. Raises Refused 401."""
        found = _KEY.fullmatch(key)
        if not found or key in self.revoked:
            raise Refused("Invalid authorization key", status=401)
        which = (int(found[2] or 1_000_001), found[1] is None)
        if which not in self.accounts:
            self.accounts[which] = Account(*which, self._clock, self._ids, lambda: next(self._numbers))
        return self.accounts[which]

    def set_webhook(self, key: str, url: str, secret_hash: str, version: str = "v3") -> None:
        """What a person does in the dashboard. version: `v3` sends the hash itself, `v4` signs the body with it."""
        self.account_of(key).hook = (url, secret_hash, version)

    def page(self, token: str) -> tuple[Account, Page] | None:
        """A hosted page, and whose it is."""
        return next(((one, one.pages[token]) for one in self.accounts.values() if token in one.pages), None)

    async def call(self, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Answer one request to the API. headers: lower-case names."""
        try:
            return await self._admitted(method, path, query, body, headers)
        except Refused as refused:
            return Answer(refused.status, refused.body())

    def flush(self, account: Account) -> None:
        """Send what a change made known, and let what waits come out in its time."""
        burst, account.unsent = account.unsent, []
        account.sent += [event for event in burst if event not in account.sent]
        if account.hook is not None:
            hook = account.hook
            self.post.send(_letter(event, *hook) for event in burst)
        if account.waiting:
            self._later(account)

    def reset(self) -> None:
        """Forget everything, except what the dashboards say of webhooks."""
        for chore in self._chores:
            chore.cancel()
        hooks = {which: account.hook for which, account in self.accounts.items()}
        self.accounts.clear()
        for (number, live), hook in hooks.items():
            self.accounts[number, live] = account = Account(
                number, live, self._clock, self._ids, lambda: next(self._numbers)
            )
            account.hook = hook
        self.revoked.clear()
        self.faults.reset()
        self.pace.reset()
        self.post.reset()

    async def aclose(self) -> None:
        """Stop everything that is under way."""
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self.post.aclose()

    async def _admitted(self, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise Refused("Authorization required", status=401)
        account = self.account_of(key.strip())
        if not self.pace.admits(key):
            raise Refused("Too many requests, please try again later", status=429)
        fault = self.faults.due(path)
        if fault and not fault.after_work and fault.status:
            return _broken(fault)
        try:
            given = json.loads(body) if body else {}
        except ValueError as error:
            raise Refused("Request body is not valid JSON") from error
        if not isinstance(given, dict):
            raise Refused("Request body must be an object")
        if fault and fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        try:
            made = Answer(200, answer(account, self.public_url, method, path, query, given))
        except Refused as refused:
            made = Answer(refused.status, refused.body())
        self.flush(account)
        if fault and fault.timeout:
            return attrs.evolve(made, hangs=True)
        return _broken(fault) if fault and fault.after_work and fault.status else made

    def _later(self, account: Account) -> None:
        async def settle(waiting: list[Any]) -> None:
            await asyncio.sleep(self._settles.total_seconds())
            for each in waiting:
                if each in account.waiting:
                    account.waiting.remove(each)
                    each()
            self.flush(account)

        chore = asyncio.create_task(settle(list(account.waiting)))
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)


def sandbox_router(sandbox: FlutterwaveSandbox) -> Router:
    """Everything under `/flutterwave`: the API (`/v3`), the hosted pages (`/v3/hosted`) and the controls (`/_sandbox`)."""

    @route(
        "/v3/{rest:path}",
        http_method=[HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE],
        include_in_schema=False,
        status_code=200,
    )
    async def api(request: Request[Any, Any, Any], rest: FromPath[str]) -> Response[bytes]:
        """Every call of the API."""
        given = await sandbox.call(
            request.method,
            f"/v3/{rest.strip('/')}",
            str(request.url.query),
            await request.body(),
            {name.lower(): value for name, value in request.headers.items()},
        )
        if given.hangs:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_gone(request), timeout=120)
        body = json.dumps(given.body).encode()
        return Response(body, status_code=given.status, headers=dict(given.headers), media_type=MediaType.JSON)

    return Router(
        path="/flutterwave",
        route_handlers=[api, *page_routes(sandbox), *control_routes(sandbox)],
        include_in_schema=False,
    )


def _broken(fault: Fault) -> Answer:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    refused = Refused(f"The sandbox was told to answer {fault.status}", status=fault.status or 500)
    return Answer(refused.status, refused.body(), headers)


def _letter(event: Json, url: str, secret_hash: str, version: str) -> Letter:
    """An event on its way."""
    body = json.dumps(event).encode()
    header = (
        {webhook.SIGNATURE_HEADER: webhook.signature(secret_hash, body)}
        if version == "v4"
        else {webhook.HASH_HEADER: secret_hash}
    )

    def seal(now: datetime) -> tuple[Mapping[str, str], bytes]:
        return {"Content-Type": "application/json", "User-Agent": "Flutterwave/1.0 (sandbox)", **header}, body

    return Letter(f"{event['event']}/{event['data']['id']}", event["event"], url, url, seal)


async def _gone(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
