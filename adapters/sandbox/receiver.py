"""The host application's side of the hub's webhooks: takes what comes, checks its signature, fails when told to."""

import base64
import binascii
import hashlib
import hmac
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody
from markupsafe import Markup

from adapters.sandbox.mishaps import Mishaps
from adapters.sandbox.page import empty, joined, moment, page
from application.ports.clock import Clock
from application.ports.ids import Ids
from domain.refusals import Invalid

_KEPT = 500
"""Requests remembered for each receiver; the oldest give way."""

_TOLERANCE = timedelta(minutes=5)
"""How far a signature's time may be off (Standard Webhooks, "Verifying webhook authenticity")."""


@attrs.frozen
class Received:
    """One request. verified: whether its signature holds; None if no secret was set. status: what it was answered."""

    id: str
    at: datetime
    headers: Mapping[str, str]
    body: bytes
    verified: bool | None
    reason: str
    status: int | None

    def as_json(self) -> dict[str, Any]:
        """For a test to read. `body` as text; `body_base64` byte for byte."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "headers": dict(self.headers),
            "body": self.body.decode("utf-8", "replace"),
            "body_base64": base64.b64encode(self.body).decode(),
            "verified": self.verified,
            "reason": self.reason,
            "status": self.status,
        }


@attrs.define
class Receiver:
    """One receiver: its secret, what goes wrong with it, and what came."""

    name: str
    secret: str | None = None
    gone: bool = False
    mishaps: Mishaps = attrs.field(factory=Mishaps)
    received: deque[Received] = attrs.field(factory=lambda: deque(maxlen=_KEPT))


@attrs.define
class ReceiverSandbox:
    """Receivers by name; one comes into being when it is first called or controlled."""

    _clock: Clock
    _ids: Ids
    public_url: str
    receivers: dict[str, Receiver] = attrs.field(factory=dict, init=False)

    def url(self, name: str) -> str:
        """Where the receiver of this name is called."""
        return f"{self.public_url}/receiver/{name}"

    def receiver(self, name: str) -> Receiver:
        """The receiver of this name."""
        return self.receivers.setdefault(name, Receiver(name))

    async def take(self, name: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        """Record a request and say what to answer: (status, headers). What hangs is recorded before it hangs."""
        receiver = self.receiver(name)
        verified, reason = None, "no secret is set"
        if receiver.secret is not None:
            reason = signature_fault(receiver.secret, headers, body, self._clock.now())
            verified = not reason
        failure = 410 if receiver.gone else receiver.mishaps.next_failure()
        status = failure or (401 if verified is False else 200)
        hangs = receiver.mishaps.hang
        receiver.received.append(
            Received(
                self._ids.new("received"), self._clock.now(), dict(headers), body, verified, reason,
                None if hangs else status,
            )
        )  # fmt: skip
        await receiver.mishaps.hold_up()
        wait = receiver.mishaps.retry_after
        return status, {"retry-after": f"{wait:g}"} if failure and wait is not None else {}

    def control(self, name: str, told: Mapping[str, Any]) -> None:
        """Obey {secret, fail_next, status, retry_after, delay_ms, hang, gone, reset}. Raises Invalid."""
        receiver = self.receiver(name)
        if told.get("reset"):
            receiver.mishaps.reset()
            self.receivers[name] = receiver = Receiver(name)
        if "secret" in told:
            secret = told["secret"]
            if secret is not None and (not isinstance(secret, str) or _key(secret) is None):
                raise Invalid.field("secret", "A secret is whsec_ and base64, or null.")
            receiver.secret = secret
        receiver.gone = bool(told.get("gone", receiver.gone))
        receiver.mishaps.plan(told)


def signature_fault(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """Why the request does not hold by Standard Webhooks (v1, HMAC-SHA256 over `id.timestamp.body`); "" if it does.

    headers: lower-case names.
    """
    key, id_ = _key(secret), headers.get("webhook-id", "")
    at, signatures = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not (key and id_ and at and signatures):
        return "webhook-id, webhook-timestamp or webhook-signature is missing"
    if not (at.isascii() and at.isdigit() and len(at) < 12):
        return "webhook-timestamp is not a number of seconds"
    if abs(now.timestamp() - int(at)) > _TOLERANCE.total_seconds():
        return "webhook-timestamp is more than five minutes off"
    wanted = base64.b64encode(hmac.digest(key, f"{id_}.{at}.".encode() + body, hashlib.sha256))
    given = [each.removeprefix("v1,").encode() for each in signatures.split(" ") if each.startswith("v1,")]
    return "" if any(hmac.compare_digest(wanted, each) for each in given) else "no v1 signature fits"


def _key(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def receiver_router(sandbox: ReceiverSandbox) -> Router:
    """The receivers, their control, and a page."""

    @post("/receiver/{name:str}", status_code=200)
    async def take(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[dict[str, Any]]:
        headers = {key.lower(): value for key, value in request.headers.items()}
        status, extra = await sandbox.take(name, headers, await request.body())
        return Response({"ok": status == 200}, status_code=status, headers=extra)

    @post("/receiver/{name:str}/_sandbox", status_code=200)
    async def control(name: FromPath[str], data: JSONBody[dict[str, Any]]) -> Response[dict[str, Any]]:
        try:
            sandbox.control(name, data)
        except Invalid as invalid:
            return Response({"error": invalid.reason}, status_code=400)
        receiver = sandbox.receiver(name)
        return Response({"url": sandbox.url(name), "received": len(receiver.received), "gone": receiver.gone})

    @get("/receiver/{name:str}/_sandbox/requests")
    async def requests(name: FromPath[str]) -> list[dict[str, Any]]:
        return [each.as_json() for each in sandbox.receiver(name).received]

    @get("/receiver")
    async def show() -> Response[str]:
        parts = [_receiver(each) for each in sandbox.receivers.values()]
        return page("Webhook receiver", joined(parts) or empty("No webhook has arrived yet."))

    return Router("/", route_handlers=[take, control, requests, show], include_in_schema=False)


def _receiver(receiver: Receiver) -> Markup:
    rows = [_request(each) for each in reversed(receiver.received)]
    return Markup("<h2>{}</h2>{}").format(receiver.name, joined(rows) or empty("Nothing has arrived yet."))


def _request(received: Received) -> Markup:
    kinds = {True: ("good", "signature holds"), False: ("bad", received.reason), None: ("faint", received.reason)}
    kind, said = kinds[received.verified]
    heads = "\n".join(f"{name}: {value}" for name, value in received.headers.items())
    return Markup(
        '<article><p>{at} <span class="tag">answered {status}</span> <span class="{kind}">{said}</span></p>'
        "<pre>{body}</pre><details><summary>Headers</summary><pre>{heads}</pre></details></article>"
    ).format(
        at=moment(received.at), status=received.status or "nothing", kind=kind, said=said,
        body=received.body.decode("utf-8", "replace"), heads=heads,
    )  # fmt: skip
