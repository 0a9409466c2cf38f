"""One POST to an incoming webhook, and what its answer means."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import attrs

from application.ports.outgoing import AddressRefused, Outgoing, Reply, Unreachable
from domain.notifications.attempts import KEPT_BODY, Outcome, Verdict

_HEADERS = {"content-type": "application/json; charset=utf-8"}

_VERDICTS: Mapping[int, Verdict] = {
    400: Verdict.REFUSED,  # invalid_payload, invalid_blocks, no_text, user_not_found
    401: Verdict.REFUSED,
    403: Verdict.REFUSED,  # action_prohibited, invalid_token
    404: Verdict.GONE,  # no_service, no_team, channel_not_found
    410: Verdict.GONE,  # channel_is_archived
    413: Verdict.REFUSED,
}
"""What stays as it is however long one waits (docs.slack.dev, messaging/sending-messages-using-incoming-webhooks,
"Handling errors"); any other status may pass."""

_GONE = frozenset("no_service no_service_id no_team channel_not_found channel_is_archived team_disabled".split())


@attrs.frozen
class SlackWebhook:
    """Posts payloads to webhooks. `timeout` is for the whole exchange."""

    _outgoing: Outgoing
    _timeout: timedelta

    async def post(self, url: str, payload: Mapping[str, Any]) -> Outcome:
        """Post once. The webhook's address is a secret: it stands nowhere in the outcome."""
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        outcome = Outcome(Verdict.RETRY, timedelta(), request_headers=_HEADERS, request_body=_capped(body.encode()))
        try:
            reply = await self._outgoing.send("POST", url, headers=_HEADERS, body=body.encode(), timeout=self._timeout)
        except AddressRefused as refused:
            return attrs.evolve(outcome, verdict=Verdict.REFUSED, error=_hidden(refused.reason, url))
        except Unreachable as unreachable:
            spent = self._timeout if unreachable.timed_out else timedelta()
            return attrs.evolve(outcome, duration=spent, error=_hidden(unreachable.reason, url))
        return attrs.evolve(outcome, **_read(reply, url))


def _read(reply: Reply, url: str) -> dict[str, Any]:
    text = _hidden(_capped(reply.body), url)
    word = text.strip()
    verdict, error = _VERDICTS.get(reply.status, Verdict.RETRY), f"Slack answered {reply.status}: {word[:200]}"
    if 200 <= reply.status < 300:
        verdict, error = _accepted(word)
    elif word in _GONE:
        verdict = Verdict.GONE
    return {
        "verdict": verdict,
        "error": error or None,
        "status": reply.status,
        "duration": reply.duration,
        "headers": {name: _hidden(value, url) for name, value in reply.headers.items()},
        "body": text,
        "retry_after": _retry_after(reply) if verdict is Verdict.RETRY else None,
    }


def _accepted(word: str) -> tuple[Verdict, str]:
    """Slack says "ok"; a page that greets every visitor with 200 is not Slack, and nobody has read the message."""
    if word == "ok" or word.replace(" ", "").startswith('{"ok":true'):
        return Verdict.DELIVERED, ""
    return Verdict.REFUSED, "The address answered, but not with Slack's 'ok': is it the URL of an incoming webhook?"


def _retry_after(reply: Reply) -> timedelta | None:
    """`Retry-After`, in whole seconds as Slack gives it (docs.slack.dev, apis/web-api/rate-limits)."""
    seconds = reply.headers.get("retry-after", "").strip()
    return timedelta(seconds=int(seconds)) if seconds.isascii() and seconds.isdigit() and len(seconds) < 8 else None


def _capped(body: bytes) -> str:
    return body[:KEPT_BODY].decode("utf-8", "replace" if len(body) <= KEPT_BODY else "ignore")


def _hidden(text: str, url: str) -> str:
    """The text without the webhook's address, or the parts of it that are a secret."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""
    for secret in (url, path, path.rsplit("/", 1)[-1]):
        if len(secret) > 5:
            text = text.replace(secret, "•••")
    return text
