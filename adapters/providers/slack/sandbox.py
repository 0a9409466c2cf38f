"""Slack's incoming webhooks, emulated: as strict with blocks as Slack is, and with a page that shows the channel."""

import json
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import attrs
from litestar import MediaType, Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody

from adapters.providers.slack import limits
from adapters.providers.slack.sandbox_blocks import faults_of
from adapters.providers.slack.sandbox_page import channel_page
from adapters.sandbox.mishaps import Mishaps
from application.ports.clock import Clock
from application.ports.ids import Ids
from domain.refusals import Invalid

_KEPT = 500
"""Messages remembered; the oldest give way."""

_FAILURES: Mapping[int, str] = {
    400: "invalid_payload",
    403: "action_prohibited",
    404: "channel_not_found",
    410: "channel_is_archived",
    429: "rate_limited",
    500: "rollup_error",
}
"""What Slack says with a status (messaging/sending-messages-using-incoming-webhooks, "Handling errors")."""


@attrs.frozen
class Posted:
    """A message as it was posted."""

    id: str
    at: datetime
    channel: str
    payload: Mapping[str, Any]


@attrs.define
class _Hook:
    channel: str
    revoked: bool = False
    room: float = 0.0
    filled_at: datetime | None = None


@attrs.define
class SlackSandbox:
    """A workspace with incoming webhooks, in memory. One webhook, `webhook_url`, exists from the start.

    public_url: where the sandbox is reached, without a slash at the end. burst: messages a webhook takes at once before
    one a second is kept to; None for no rate limit.
    """

    _clock: Clock
    _ids: Ids
    public_url: str
    burst: int | None = None
    messages: deque[Posted] = attrs.field(factory=lambda: deque(maxlen=_KEPT), init=False)
    mishaps: Mishaps = attrs.field(factory=Mishaps, init=False)
    _hooks: dict[str, _Hook] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._hooks["patchbay-sandbox"] = _Hook("#billing")

    @property
    def webhook_url(self) -> str:
        """The webhook that is there from the start; it posts to #billing."""
        return self._url("patchbay-sandbox")

    def add_webhook(self, channel: str) -> str:
        """A new webhook for a channel; returns its URL."""
        token = self._ids.token()
        self._hooks[token] = _Hook(channel)
        return self._url(token)

    def receive(self, token: str, content_type: str, body: bytes) -> tuple[int, str, dict[str, str]]:
        """Take one request; returns (status, body, headers) as Slack would answer."""
        failure = self.mishaps.next_failure()
        if failure:
            return failure, _FAILURES.get(failure, "server_error"), self._wait_header()
        hook = self._hooks.get(token)
        if hook is None or hook.revoked:
            return 404, "no_service", {}
        if not self._admits(hook):
            return 429, "rate_limited", {"retry-after": "1"}
        payload = _payload(content_type, body)
        fault = "invalid_payload" if payload is None else faults_of(payload)
        if payload is None or fault:
            return 400, fault, {}
        self.messages.append(Posted(self._ids.new("message"), self._clock.now(), hook.channel, payload))
        return 200, "ok", {}

    def control(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Obey {fail_next, status, retry_after, delay_ms, hang, revoke: token, create: channel, burst, reset}.

        Returns what came of it: `webhook_url` of a created webhook, else of the first. Raises Invalid.
        """
        if told.get("reset"):
            self.messages.clear()
            self.mishaps.reset()
            for hook in self._hooks.values():
                hook.revoked, hook.filled_at = False, None
        self.mishaps.plan(told)
        if "burst" in told:
            burst = told["burst"]
            if burst is not None and (isinstance(burst, bool) or not isinstance(burst, int) or burst < 1):
                raise Invalid.field("burst", "burst is a number from 1, or null for no limit.")
            self.burst = burst
        if told.get("revoke") in self._hooks:
            self._hooks[told["revoke"]].revoked = True
        created = self.add_webhook(str(told["create"])) if told.get("create") else self.webhook_url
        return {"webhook_url": created, "messages": len(self.messages)}

    def _url(self, token: str) -> str:
        return f"{self.public_url}/slack/services/T0SANDBOX/B0SANDBOX/{token}"

    def _wait_header(self) -> dict[str, str]:
        wait = self.mishaps.retry_after
        return {} if wait is None else {"retry-after": f"{max(1, round(wait))}"}

    def _admits(self, hook: _Hook) -> bool:
        """A bucket of `burst` messages that fills by one a second."""
        if self.burst is None:
            return True
        now = self._clock.now()
        if hook.filled_at is None:
            hook.room, hook.filled_at = float(self.burst), now
        gained = (now - hook.filled_at) / timedelta(seconds=1) * limits.MESSAGES_PER_SECOND
        hook.room, hook.filled_at = min(float(self.burst), hook.room + gained), now
        if hook.room < 1:
            return False
        hook.room -= 1
        return True


def _payload(content_type: str, body: bytes) -> dict[str, Any] | None:
    """JSON, or a form whose `payload` is JSON; None for anything else."""
    try:
        text = body.decode("utf-8")
        if content_type.startswith("application/x-www-form-urlencoded"):
            text = parse_qs(text).get("payload", [""])[0]
        payload = json.loads(text)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def sandbox_router(sandbox: SlackSandbox) -> Router:
    """The webhooks, a page, and the control."""

    @post("/slack/services/{team:str}/{service:str}/{token:str}", status_code=200)
    async def receive(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[str]:
        await sandbox.mishaps.hold_up()
        status, text, headers = sandbox.receive(token, request.headers.get("content-type", ""), await request.body())
        return Response(text, status_code=status, headers=headers, media_type=MediaType.TEXT)

    @post("/slack/_sandbox", status_code=200)
    async def control(data: JSONBody[dict[str, Any]]) -> Response[dict[str, Any]]:
        try:
            return Response(sandbox.control(data))
        except Invalid as invalid:
            return Response({"error": invalid.reason}, status_code=400)

    @get("/slack/_sandbox/messages")
    async def messages() -> list[dict[str, Any]]:
        return [
            {"id": each.id, "at": each.at.isoformat(), "channel": each.channel, "payload": each.payload}
            for each in sandbox.messages
        ]

    @get("/slack")
    async def show() -> Response[str]:
        return channel_page([(each.at, each.channel, each.payload) for each in sandbox.messages])

    return Router("/", route_handlers=[receive, control, messages, show], include_in_schema=False)
