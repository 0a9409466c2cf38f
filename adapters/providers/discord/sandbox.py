"""Discord's webhooks, emulated: its limits, its rate-limit headers and its nested errors, and a page of the channel."""

import json
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody

from adapters.providers.discord import limits
from adapters.providers.discord.sandbox_embeds import faults_of, message_of
from adapters.providers.discord.sandbox_page import channel_page
from adapters.sandbox.mishaps import Mishaps
from application.ports.clock import Clock
from application.ports.ids import Ids
from domain.refusals import Invalid

_KEPT = 500
"""Messages remembered; the oldest give way."""

_EPOCH_MS = 1_420_070_400_000
"""Discord's first moment, from which its ids count (developers/reference, "Snowflakes")."""

_CHANNEL = "1000000000000000001"
_FIRST_HOOK, _FIRST_TOKEN = "1000000000000000002", "patchbay-sandbox"

_FAILURES: Mapping[int, tuple[str, int]] = {
    400: ("Invalid Form Body", 50035),
    401: ("401: Unauthorized", 0),
    403: ("Missing Access", 50001),
    404: ("Unknown Webhook", 10015),
    500: ("500: Internal Server Error", 0),
}
"""(message, code) with a status (developers/topics/opcodes-and-status-codes, "JSON")."""

Answer = tuple[int, Any, dict[str, str]]
"""(status, JSON body or None, headers)."""


@attrs.frozen
class Posted:
    """A message as Discord keeps it, and as it was sent."""

    at: datetime
    request: Mapping[str, Any]
    message: Mapping[str, Any]


@attrs.define
class _Hook:
    token: str
    name: str
    revoked: bool = False
    used: int = 0
    window_ends: datetime | None = None


@attrs.define
class DiscordSandbox:
    """A server with one channel and its webhooks, in memory. One webhook, `webhook_url`, exists from the start.

    public_url: where the sandbox is reached, without a slash at the end. limited: keep to five messages in two seconds
    for each webhook, as Discord does.
    """

    _clock: Clock
    _ids: Ids
    public_url: str
    limited: bool = True
    messages: deque[Posted] = attrs.field(factory=lambda: deque(maxlen=_KEPT), init=False)
    mishaps: Mishaps = attrs.field(factory=Mishaps, init=False)
    _hooks: dict[str, _Hook] = attrs.field(factory=dict, init=False, repr=False)
    _count: int = attrs.field(default=0, init=False)
    _global: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._hooks[_FIRST_HOOK] = _Hook(_FIRST_TOKEN, "Billing")

    @property
    def webhook_url(self) -> str:
        """The webhook that is there from the start."""
        return self._url(_FIRST_HOOK)

    def add_webhook(self, name: str) -> str:
        """A new webhook with a name of its own; returns its URL."""
        id_ = self._snowflake()
        self._hooks[id_] = _Hook(self._ids.token(), name)
        return self._url(id_)

    def receive(self, id_: str, token: str, body: bytes, *, wait: bool) -> Answer:
        """Take one Execute Webhook request."""
        failure = self.mishaps.next_failure()
        if failure == 429:
            return self._slow_down(self.mishaps.retry_after or 1.0, {}, everywhere=self._global)
        if failure:
            message, code = _FAILURES.get(failure, (f"{failure}: Server Error", 0))
            return failure, {"message": message, "code": code}, {}
        hook = self._hooks.get(id_)
        if hook is None or hook.revoked:
            return 404, {"message": "Unknown Webhook", "code": 10015}, {}
        if hook.token != token:
            return 401, {"message": "Invalid Webhook Token", "code": 50027}, {}
        admitted, headers = self._meter(id_, hook)
        if not admitted:
            return self._slow_down(float(headers["x-ratelimit-reset-after"]), headers)
        return self._keep(id_, hook, body, headers, wait=wait)

    def control(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Obey {fail_next, status, retry_after, global, delay_ms, hang, revoke: id or token, create: name, limited,
        reset}. Returns `webhook_url` of a created webhook, else of the first. Raises Invalid.
        """
        if told.get("reset"):
            self.messages.clear()
            self.mishaps.reset()
            for hook in self._hooks.values():
                hook.revoked, hook.window_ends = False, None
        self.mishaps.plan(told)
        self._global = bool(told.get("global", self._global and not told.get("reset")))
        self.limited = bool(told.get("limited", self.limited))
        for id_, hook in self._hooks.items():
            hook.revoked = hook.revoked or told.get("revoke") in (id_, hook.token)
        created = self.add_webhook(str(told["create"])) if told.get("create") else self.webhook_url
        return {"webhook_url": created, "messages": len(self.messages)}

    def _keep(self, id_: str, hook: _Hook, body: bytes, headers: dict[str, str], *, wait: bool) -> Answer:
        try:
            request = json.loads(body)
        except ValueError:
            return 400, {"message": "The request body contains invalid JSON.", "code": 50109}, headers
        fault = faults_of(request)
        if fault:
            return 400, fault, headers
        now = self._clock.now()
        message = message_of(
            request, id_=self._snowflake(), at=now, channel_id=_CHANNEL, webhook_id=id_, name=hook.name
        )
        self.messages.append(Posted(now, request, message))
        return (200, message, headers) if wait else (204, None, headers)

    def _meter(self, id_: str, hook: _Hook) -> tuple[bool, dict[str, str]]:
        """Count the request against its bucket; the headers tell what is left (developers/topics/rate-limits)."""
        now = self._clock.now()
        if hook.window_ends is None or hook.window_ends <= now:
            hook.used, hook.window_ends = 0, now + timedelta(seconds=limits.BUCKET_SECONDS)
        admitted = not self.limited or hook.used < limits.BUCKET
        hook.used += admitted and self.limited
        return admitted, {
            "x-ratelimit-limit": str(limits.BUCKET),
            "x-ratelimit-remaining": str(limits.BUCKET - hook.used),
            "x-ratelimit-reset": f"{hook.window_ends.timestamp():.3f}",
            "x-ratelimit-reset-after": f"{(hook.window_ends - now).total_seconds():.3f}",
            "x-ratelimit-bucket": f"webhook{id_[-4:]}",
        }

    def _slow_down(self, seconds: float, headers: dict[str, str], *, everywhere: bool = False) -> Answer:
        scope = "global" if everywhere else "user"
        told = {**headers, "retry-after": str(max(1, -int(-seconds // 1))), "x-ratelimit-scope": scope}
        if everywhere:
            told["x-ratelimit-global"] = "true"
        body = {"message": "You are being rate limited.", "retry_after": seconds, "global": everywhere, "code": 0}
        return 429, body, told

    def _url(self, id_: str) -> str:
        return f"{self.public_url}/discord/api/webhooks/{id_}/{self._hooks[id_].token}"

    def _snowflake(self) -> str:
        self._count += 1
        return str((int(self._clock.now().timestamp() * 1000) - _EPOCH_MS << 22) + self._count)


def sandbox_router(sandbox: DiscordSandbox) -> Router:
    """The webhooks, a page, and the control."""

    @post(
        ["/discord/api/webhooks/{id_:str}/{token:str}", "/discord/api/v10/webhooks/{id_:str}/{token:str}"],
        status_code=200,
    )
    async def receive(request: Request[Any, Any, Any], id_: FromPath[str], token: FromPath[str]) -> Response[Any]:
        await sandbox.mishaps.hold_up()
        wait = request.query_params.get("wait", "").lower() in ("true", "1")
        status, body, headers = sandbox.receive(id_, token, await request.body(), wait=wait)
        return Response(body, status_code=status, headers=headers)

    @post("/discord/_sandbox", status_code=200)
    async def control(data: JSONBody[dict[str, Any]]) -> Response[dict[str, Any]]:
        try:
            return Response(sandbox.control(data))
        except Invalid as invalid:
            return Response({"error": invalid.reason}, status_code=400)

    @get("/discord/_sandbox/messages")
    async def messages() -> list[dict[str, Any]]:
        return [
            {"at": each.at.isoformat(), "request": each.request, "message": each.message} for each in sandbox.messages
        ]

    @get("/discord")
    async def show() -> Response[str]:
        return channel_page([(each.at, each.message) for each in sandbox.messages])

    return Router("/", route_handlers=[receive, control, messages, show], include_in_schema=False)
