"""The wire to a provider: each call takes a moment, may not arrive, may be answered in vain, and may be the hub's last."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any, TypeVar, final
from urllib.parse import unquote, urlsplit

import attrs

from application.ports.outgoing import ClientIdentity, Outgoing, Reply, Unreachable
from application.ports.payments import ProviderRefused, RetryLater
from tests.simulation.money.fuse import Fuse

T = TypeVar("T")

UNSENT, LOST, BROKEN = "unsent", "lost", "broken"
TROUBLES = (UNSENT, LOST, BROKEN)
"""A call that never arrives; one that is done and whose answer is lost; one that the provider breaks down at."""


@attrs.define
class Wire:
    """What may happen on the way. tick_s: calls take some of these. armed: troubles, and after how many more calls each
    strikes."""

    fuse: Fuse
    chance: random.Random
    tick_s: float
    armed: list[tuple[str, int]] = attrs.field(factory=list)
    refused: list[str] = attrs.field(factory=list)
    """Refunds that the provider was asked for and did not make; each says somewhere of which payment."""

    def trouble(self, kind: str, after: int) -> None:
        """One of the next calls has it."""
        self.armed.append((kind, after))

    async def through(self, call: Callable[[], Awaitable[T]], fail: Callable[[str], Exception]) -> T:
        """Make a call. `fail` makes what the caller sees of a trouble."""
        self.fuse.touch()
        trouble = self._strikes()
        await self._pause()
        if trouble in (UNSENT, BROKEN):
            raise fail(trouble)
        answer = await call()
        await self._pause()
        self.fuse.touch()
        if trouble == LOST:
            raise fail(trouble)
        return answer

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.randrange(5) * self.tick_s)

    def _strikes(self) -> str | None:
        struck: str | None = None
        waiting: list[tuple[str, int]] = []
        for kind, after in self.armed:
            if after <= 0 and struck is None:
                struck = kind
            else:
                waiting.append((kind, max(after - 1, 0)))
        self.armed = waiting
        return struck


@final
class InProcess(Outgoing):
    """An adapter's way to its sandbox, without a socket."""

    def __init__(self, app: Any, wire: Wire) -> None:
        self._app = app
        self._wire = wire

    async def check(self, url: str, *, field: str = "url") -> None:
        """Every address is the sandbox's."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout: timedelta,
        identity: ClientIdentity | None = None,
    ) -> Reply:
        """Send once."""

        async def call() -> Reply:
            reply = await answered(self._app, method, url, headers, body)
            if method == "POST" and "/refund" in url and 400 <= reply.status < 500:
                self._wire.refused.append(f"{url} {body.decode()}")
            return reply

        try:
            return await self._wire.through(call, lambda kind: _Trouble(kind, urlsplit(url).path))
        except _Trouble as trouble:
            if trouble.kind == BROKEN:
                return Reply(500, {}, b"{}", timedelta())
            raise Unreachable(f"{trouble.kind}: {trouble}", sent=trouble.kind == LOST) from trouble


async def answered(app: Any, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """What an ASGI application answers to one request."""
    parts = urlsplit(url)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "server": (parts.hostname, 80),
        "client": ("hub.example", 40_000),
        "root_path": "",
        "state": {},
    }
    asked = [{"type": "http.request", "body": body, "more_body": False}]
    told: list[Any] = []

    async def receive() -> Any:
        return asked.pop() if asked else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    await app(scope, receive, send)
    given = {name.decode().lower(): value.decode() for name, value in told[0]["headers"]}
    return Reply(told[0]["status"], given, b"".join(one.get("body", b"") for one in told[1:]), timedelta())


class _Trouble(Exception):
    def __init__(self, kind: str, path: str) -> None:
        super().__init__(path)
        self.kind = kind


class OverTheWire:
    """A provider in memory, as if it were far away."""

    def __init__(self, provider: Any, wire: Wire) -> None:
        self._provider, self._wire = provider, wire

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._provider, name)
        if not iscoroutinefunction(method):
            return method

        async def asked(*args: Any, **kwargs: Any) -> Any:
            try:
                return await method(*args, **kwargs)
            except ProviderRefused:
                if name == "refund":
                    self._wire.refused.append(f"{args[1:]}")
                raise

        async def called(*args: Any, **kwargs: Any) -> Any:
            return await self._wire.through(lambda: asked(*args, **kwargs), _as_the_port_says)

        return called


def _as_the_port_says(kind: str) -> RetryLater:
    return RetryLater(f"{kind} on the way", may_have_happened=kind != UNSENT)
