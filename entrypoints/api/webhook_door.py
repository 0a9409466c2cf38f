"""Providers' webhooks without the framework: verify, keep, answer, and nothing else on the way.

Only what is kept, or cannot be kept now, is answered here. Every refusal goes on to the application behind, which has
kept nothing of it, refuses it again, and answers as all other routes do.
"""

import re
from typing import Any

import attrs
import msgspec
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Send

from application.inbox.receive import ReceiveWebhook
from application.ports.inbox import InboxUnavailable
from domain.refusals import Refusal
from entrypoints.api.errors import PROBLEM_JSON, Problem
from entrypoints.api.hot_door import read_body
from entrypoints.api.inbound import OTHER_ADDRESSES, RETRY_AFTER_S, UNAVAILABLE, Taken, refuse_odd_headers
from entrypoints.wiring import Hub

MAX_BODY = 1024 * 1024
"""As app.MAX_BODY; a larger one is refused by the application behind."""

_PATH = re.compile(r"/api/integrations/([A-Za-z0-9_-]{1,60})/webhook(?:/([A-Za-z0-9_]{1,64}))?/?")


@attrs.define(eq=False)
class WebhookDoor:
    """An ASGI application in front of another."""

    _behind: ASGIApp
    _receive: ReceiveWebhook

    @classmethod
    def before(cls, behind: ASGIApp, hub: Hub) -> "WebhookDoor":
        """The door of this hub."""
        return cls(behind, hub.resolve(ReceiveWebhook))

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Take the webhook, or pass it on."""
        where = _addressed(scope) if scope["type"] == ScopeType.HTTP and scope["method"] == "POST" else None
        if where is None:
            await self._behind(scope, receive, send)
            return
        read = await read_body(receive, MAX_BODY)
        answer = None if read.body is None else await self._take(*where, scope, read.body)
        if answer is None:
            await self._behind(scope, read.again, send)
            return
        status, headers, body = answer
        scope["hot"] = True
        scope["path_template"] = _template(where[1], scope["path"])
        start: Any = {"type": "http.response.start", "status": status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _take(
        self, provider: str, connection_id: str | None, scope: Any, body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """The answer, or None for what is to be passed on; then nothing was kept."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            refuse_odd_headers(scope["headers"])
            taken = await self._receive(provider, headers, body, connection_id=connection_id)
        except InboxUnavailable as error:
            status, name, title = UNAVAILABLE
            told = Problem(
                f"urn:problem:patchbay:{name}", title, status, str(error), request_id=str(scope.get("request_id", ""))
            )
            extra = [(b"retry-after", str(RETRY_AFTER_S).encode())]
            return _made(status, PROBLEM_JSON, msgspec.json.encode(told), extra)
        except (HTTPException, Refusal):
            return None
        return _made(200, "application/json", msgspec.json.encode(Taken(received=True, duplicate=taken.duplicate)))


def _made(
    status: int, kind: str, body: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    plain = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    return status, [*plain, *(extra or [])], body


def _template(connection_id: str | None, path: str) -> str:
    """The route's pattern, for the metrics: no connection's id in a label."""
    if path in OTHER_ADDRESSES:
        return path
    return "/api/integrations/{provider}/webhook" + ("/{connection_id}" if connection_id else "")


def _addressed(scope: Any) -> tuple[str, str | None] | None:
    """The provider and the connection that a path names."""
    path = scope["path"]
    if path in OTHER_ADDRESSES:
        return OTHER_ADDRESSES[path], None
    found = _PATH.fullmatch(path)
    return (found[1], found[2]) if found else None
