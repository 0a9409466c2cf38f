"""One Execute Webhook request, and what its answer means; the rate limits that Discord announces are kept."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs

from application.ports.clock import Clock
from application.ports.outgoing import AddressRefused, Outgoing, Reply, Unreachable
from domain.notifications.attempts import KEPT_BODY, Outcome, Verdict

_HEADERS = {"content-type": "application/json"}

_VERDICTS: Mapping[int, Verdict] = {
    400: Verdict.REFUSED,
    401: Verdict.REFUSED,
    403: Verdict.REFUSED,
    404: Verdict.GONE,  # the webhook was deleted; asking on counts towards a ban (developers/topics/rate-limits)
    413: Verdict.REFUSED,
}
"""What stays as it is however long one waits; any other status may pass."""

_UNKNOWN_CHANNEL = 10003
"""The thread of the target is gone, not the webhook (developers/topics/opcodes-and-status-codes, "JSON")."""

_LONGEST = timedelta(days=1)
_EVERYWHERE = ""
"""The key under which a global limit is remembered."""


@attrs.frozen
class DiscordWebhook:
    """Posts to webhooks. `timeout` is for the whole exchange.

    What Discord says of its limits is remembered per webhook, in this process alone: a webhook whose bucket is empty is
    left alone until the bucket is full again. Too many refused requests get the address of the hub banned.
    """

    _outgoing: Outgoing
    _clock: Clock
    _timeout: timedelta
    _quiet_until: dict[str, datetime] = attrs.field(factory=dict, init=False, repr=False)

    async def post(self, url: str, payload: Mapping[str, Any], *, thread_id: str | None = None) -> Outcome:
        """Post once, or not at all while a limit runs. The webhook's address stands nowhere in the outcome."""
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        outcome = Outcome(Verdict.RETRY, timedelta(), request_headers=_HEADERS, request_body=_capped(body))
        try:
            wait = self._still_quiet(url)
        except ValueError:  # "http://[": not even an address
            return attrs.evolve(outcome, verdict=Verdict.REFUSED, error="The webhook's URL is malformed.")
        if wait:
            error = f"Not sent: Discord's rate limit for this webhook is used up for {wait.total_seconds():.1f} s."
            return attrs.evolve(outcome, error=error, retry_after=wait)
        try:
            reply = await self._outgoing.send(
                "POST", _waiting(url, thread_id), headers=_HEADERS, body=body, timeout=self._timeout
            )
        except AddressRefused as refused:
            return attrs.evolve(outcome, verdict=Verdict.REFUSED, error=_hidden(refused.reason, url))
        except Unreachable as unreachable:
            spent = self._timeout if unreachable.timed_out else timedelta()
            return attrs.evolve(outcome, duration=spent, error=_hidden(unreachable.reason, url))
        said = _json(reply.body)
        self._remember(url, reply, said)
        return attrs.evolve(outcome, **_read(reply, said, url))

    def _still_quiet(self, url: str) -> timedelta | None:
        now = self._clock.now()
        until = max((self._quiet_until.get(key, now) for key in (_webhook(url), _EVERYWHERE)), default=now)
        return until - now if until > now else None

    def _remember(self, url: str, reply: Reply, said: Mapping[str, Any]) -> None:
        now = self._clock.now()
        for key in [key for key, until in self._quiet_until.items() if until <= now]:
            del self._quiet_until[key]
        wait = _retry_after(reply, said) if reply.status == 429 else None
        if wait is None and reply.headers.get("x-ratelimit-remaining") == "0":
            wait = _seconds(reply.headers.get("x-ratelimit-reset-after"))
        if wait:
            everywhere = reply.status == 429 and said.get("global") is True
            self._quiet_until[_EVERYWHERE if everywhere else _webhook(url)] = now + wait


def _read(reply: Reply, said: Mapping[str, Any], url: str) -> dict[str, Any]:
    verdict, error = _VERDICTS.get(reply.status, Verdict.RETRY), _error(reply, said)
    if reply.status == 204 or (200 <= reply.status < 300 and reply.body.lstrip().startswith(b"{")):
        verdict, error = Verdict.DELIVERED, ""
    elif 200 <= reply.status < 300:
        verdict = Verdict.REFUSED
        error = "The address answered, but not with a Discord message: is it the URL of a webhook?"
    elif reply.status == 404 and said.get("code") == _UNKNOWN_CHANNEL:
        verdict = Verdict.REFUSED
    return {
        "verdict": verdict,
        "error": _hidden(error, url) or None,
        "status": reply.status,
        "duration": reply.duration,
        "headers": {name: _hidden(value, url) for name, value in reply.headers.items()},
        "body": _hidden(_capped(reply.body), url),
        "retry_after": _retry_after(reply, said) if verdict is Verdict.RETRY else None,
    }


def _error(reply: Reply, said: Mapping[str, Any]) -> str:
    message = said.get("message") or reply.body[:200].decode("utf-8", "replace").strip()
    details = "; ".join(_details(said.get("errors"), ""))
    return f"Discord answered {reply.status}: {message}{f' ({details})' if details else ''}"[:1000]


def _details(errors: Any, path: str) -> Iterator[str]:
    """The leaves of Discord's nested errors, such as `embeds.0.title: Must be 256 or fewer in length.`"""
    if not isinstance(errors, Mapping):
        return
    for key, inner in errors.items():
        if key != "_errors":
            yield from _details(inner, f"{path}.{key}" if path else str(key))
            continue
        for leaf in inner if isinstance(inner, list) else ():
            if isinstance(leaf, Mapping):
                yield f"{path}: {leaf.get('message')}"


def _retry_after(reply: Reply, said: Mapping[str, Any]) -> timedelta | None:
    """The body's `retry_after` (seconds, with decimals), else the header (whole seconds; Cloudflare sends only it)."""
    return (
        _seconds(said.get("retry_after"))
        or _seconds(reply.headers.get("retry-after"))
        or _seconds(reply.headers.get("x-ratelimit-reset-after") if reply.status == 429 else None)
    )


def _seconds(value: Any) -> timedelta | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return timedelta(seconds=seconds) if 0 <= seconds <= _LONGEST.total_seconds() else None


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, Mapping) else {}


def _waiting(url: str, thread_id: str | None) -> str:
    """The address with `wait=true`: without it, Discord says nothing of a message that it did not keep."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), "wait": "true", **({"thread_id": thread_id} if thread_id else {})}
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def _webhook(url: str) -> str:
    return urlsplit(url).path.rstrip("/")


def _capped(body: bytes) -> str:
    return body[:KEPT_BODY].decode("utf-8", "replace" if len(body) <= KEPT_BODY else "ignore")


def _hidden(text: str, url: str) -> str:
    """The text without the webhook's address, or the parts of it that are a secret."""
    path = _webhook(url)
    for secret in (url, path, path.rsplit("/", 1)[-1]):
        if len(secret) > 5:
            text = text.replace(secret, "•••")
    return text
