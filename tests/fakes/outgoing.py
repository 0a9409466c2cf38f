"""Outgoing requests that leave no machine: scripted, or handed to an application in this process."""

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final

import attrs
import httpx

from adapters.http.wire import field_lines
from application.ports.outgoing import AddressRefused, ClientIdentity, Outgoing, Reply, Unreachable


@attrs.frozen
class Request:
    """What was to be sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout: timedelta
    identity: ClientIdentity | None = None


def reply(status: int = 200, body: str | bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
    """An answer, in short."""
    raw = body.encode() if isinstance(body, str) else body
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return Reply(status, lower, raw[: 16 * 1024], timedelta(milliseconds=5))


@final
class FakeOutgoing(Outgoing):
    """Gives the scripted answers one by one (an exception is raised), then `otherwise` for ever.

    requests: what was sent. refused: hosts that `check` and `send` refuse.
    """

    def __init__(self, *script: Reply | Exception, otherwise: Reply | Exception | None = None) -> None:
        self.script: deque[Reply | Exception] = deque(script)
        self.otherwise = otherwise or reply(200, "ok")
        self.requests: list[Request] = []
        self.refused: set[str] = set()

    async def check(self, url: str, *, field: str = "url") -> None:
        """Refuse what is no http(s) address, and the hosts in `refused`."""
        _checked(url, self.refused, field)

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
        """The next of the script."""
        _checked(url, self.refused, "url")
        field_lines(headers)
        self.requests.append(Request(method, url, dict(headers), body, timeout, identity))
        answer = self.script.popleft() if self.script else self.otherwise
        if isinstance(answer, Exception):
            raise answer
        return answer


@final
class SandboxOutgoing(Outgoing):
    """Hands requests to an ASGI application, such as one with a sandbox's router. Every address is allowed."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app=app)

    async def check(self, url: str, *, field: str = "url") -> None:
        """Refuse what is no http(s) address."""
        _checked(url, set(), field)

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
        """Call the application. Raises Unreachable when it does not answer in time."""
        _checked(url, set(), "url")
        field_lines(headers)
        async with httpx.AsyncClient(transport=self._transport) as client:
            try:
                async with asyncio.timeout(timeout.total_seconds()):
                    answer = await client.request(method, url, headers=dict(headers), content=body)
            except TimeoutError as error:
                raise Unreachable(f"no answer within {timeout.total_seconds():g} s", timed_out=True) from error
        return reply(answer.status_code, answer.content, dict(answer.headers))


def _checked(url: str, refused: set[str], field: str) -> None:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressRefused("The address is malformed.", field=field) from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise AddressRefused("The address is not an http(s) address.", field=field)
    if parts.host in refused:
        raise AddressRefused(f"{parts.host} may not be reached.", field=field)
