"""POST /api/events and /api/events/batch without the framework: nine tenths of a request's cost was its handler path.

Only the usual goes through here: a good key, plain JSON that fits. Whatever is unusual, every error and every repetition
goes on to the application behind, which has kept nothing of it yet, and answers as all other routes do.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import attrs
import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Send

from application.caller import Caller
from application.notifications.publish_events import Published, PublishEvents
from application.organisations.keys import RecogniseKey
from application.ports.store import Answer
from application.ports.vault import Vault
from domain.organisations import ApiKey, Scope
from domain.refusals import Refusal
from entrypoints.api.bodies import DEEPEST
from entrypoints.api.events import MAX_BATCH, EventPublished, EventsPublished, all_shown, shown
from entrypoints.api.idempotency import keyed
from entrypoints.wiring import Hub

ONE, MANY = "/api/events", "/api/events/batch"
MAX_ONE = 1024 * 1024

KEY_FRESH_S = 1.0
"""How long a key that was recognised is taken for good: a revoked one is refused after that at the latest."""

_KEYS_REMEMBERED = 1_000
_HEADERS = [(b"content-type", b"application/json")]


@attrs.define(eq=False)
class HotDoor:
    """An ASGI application in front of another."""

    _behind: ASGIApp
    _publish: PublishEvents
    _recognise: RecogniseKey
    _vault: Vault
    _keys: OrderedDict[bytes, tuple[float, ApiKey]] = attrs.field(factory=OrderedDict, init=False, repr=False)
    _asking: dict[bytes, "asyncio.Task[ApiKey | None]"] = attrs.field(factory=dict, init=False, repr=False)
    _one: Any = attrs.field(factory=lambda: msgspec.json.Decoder(EventPublished), init=False)
    _many: Any = attrs.field(factory=lambda: msgspec.json.Decoder(EventsPublished), init=False)
    _encode: Any = attrs.field(factory=lambda: msgspec.json.Encoder().encode, init=False)

    @classmethod
    def before(cls, behind: ASGIApp, hub: Hub) -> "HotDoor":
        """The door of this hub."""
        vault: Vault = hub.resolve(Vault)  # type: ignore[type-abstract]
        return cls(behind, hub.resolve(PublishEvents), hub.resolve(RecogniseKey), vault)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Take the request, or pass it on."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST" or scope["path"] not in (ONE, MANY):
            await self._behind(scope, receive, send)
            return
        many = scope["path"] == MANY
        request = _Request.of(scope, MAX_BATCH if many else MAX_ONE)
        key = None if request is None else await self._key(request.authorization)
        if request is None or key is None:
            await self._behind(scope, receive, send)
            return
        read = await read_body(receive, MAX_BATCH if many else MAX_ONE)
        answer = None if read.body is None else await self._answer(scope["path"], request, key, read.body)
        if answer is None:
            await self._behind(scope, read.again, send)
            return
        scope["hot"] = True
        headers = [*_HEADERS, (b"content-length", str(len(answer)).encode())]
        start: Any = {"type": "http.response.start", "status": 201, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    async def _answer(self, path: str, request: "_Request", key: ApiKey, body: bytes) -> bytes | None:
        """What is answered, or None for what is to be passed on; then nothing was kept."""
        caller = Caller(key.organisation_id, f"key:{key.name}")
        many = path == MANY
        try:
            told: Sequence[EventPublished] = self._many.decode(body).events if many else (self._one.decode(body),)
            published = [one for one in map(self._published, told) if one is not None]
            if len(published) < len(told):
                return None
            given = keyed(caller, self._vault, "POST", path, body, request.key)
            view: Any = all_shown if many else shown
            events = await self._publish(caller, published, given.once(view))
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, Refusal):
            return None
        return None if isinstance(events, Answer) else self._encode(view(events))

    def _published(self, told: EventPublished) -> Published | None:
        """The event with its data as text again, or None if it may be nested too deeply."""
        data = self._encode(told.data)
        if data.count(b"[") + data.count(b"{") > DEEPEST:
            return None
        return Published(told.type, told.data, told.occurred_at, told.deliver_at, told.expires_at, data)

    async def _key(self, authorization: bytes) -> ApiKey | None:
        """The key, if it is good and may publish."""
        known = self._keys.get(authorization)
        now = time.monotonic()
        if known is not None and now - known[0] < KEY_FRESH_S:
            return known[1]
        asking = self._asking.get(authorization)
        if asking is None:  # of many requests at once, one asks
            asking = self._asking[authorization] = asyncio.create_task(self._ask(authorization, now))
            asking.add_done_callback(lambda _: self._asking.pop(authorization))
        return await asyncio.shield(asking)

    async def _ask(self, authorization: bytes, now: float) -> ApiKey | None:
        kind, _, text = authorization.decode("latin-1").partition(" ")
        try:
            key = await self._recognise(text.strip()) if kind.lower() == "bearer" else None
            if key is not None:
                key.require(Scope.EVENTS_WRITE)
        except Refusal:
            key = None
        self._keys.pop(authorization, None)
        if key is not None:
            self._keys[authorization] = (now, key)
            if len(self._keys) > _KEYS_REMEMBERED:
                self._keys.popitem(last=False)
        return key


@attrs.frozen
class _Request:
    """What of a request's head counts here."""

    authorization: bytes
    key: str | None

    @classmethod
    def of(cls, scope: Any, most: int) -> "_Request | None":
        """None for a request that has something unusual in its head."""
        if scope.get("query_string"):
            return None
        authorization, key = b"", None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"idempotency-key":
                if key is not None or not value.isascii():
                    return None
                key = value.decode()
            elif (
                (name == b"content-type" and value.partition(b";")[0].strip().lower() != b"application/json")
                or (name == b"content-length" and (not value.isdigit() or int(value) > most))
                or name in (b"cookie", b"if-match")
            ):
                return None
        return cls(authorization, key) if authorization else None


@attrs.define
class Body:
    """A body that was read; None if it is too large or the client hung up. `again` gives it once more, and what follows."""

    body: bytes | None
    _messages: list[Message]
    _receive: Receive

    async def again(self) -> Any:
        """As the server's own."""
        return self._messages.pop(0) if self._messages else await self._receive()


async def read_body(receive: Receive, most: int) -> Body:
    """A request's body of at most `most` bytes."""
    messages: list[Any] = []
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            return Body(None, messages, receive)
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            return Body(None, messages, receive)
        if not message.get("more_body", False):
            return Body(chunks[0] if len(chunks) == 1 else b"".join(chunks), messages, receive)
