"""Around every request: an id for the log, a count for the metrics, headers that keep browsers safe."""

import re
import time
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from application.ports.ids import Ids
from entrypoints.metrics import Metrics

_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{8,128}")

_SAFETY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data:; font-src 'self';"
            b" connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
    ),
)


def observing(app: ASGIApp, *, ids: Ids, metrics: Metrics) -> ASGIApp:
    """Wrap the application. A caller's own X-Request-Id is kept when it is harmless."""
    log = structlog.get_logger("http")

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        method = scope["method"]
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given.decode() if _ACCEPTABLE.fullmatch(given) else ids.new("req")
        scope["request_id"] = request_id  # type: ignore[typeddict-unknown-key]
        status = 500
        started = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message.get("headers", [])}
                extra = [(name, value) for name, value in _SAFETY if name not in present]
                message["headers"] = [*message.get("headers", []), *extra, (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await app(scope, receive, sending)
            finally:
                took = time.perf_counter() - started
                route = _route(scope)
                metrics.observe_request(method, route, status, took)
                if route not in ("/livez", "/readyz", "/metrics") and not scope.get("hot"):
                    log.info("request", method=method, route=route, status=status, ms=round(took * 1000, 1))

    return wrapped


def _route(scope: Any) -> str:
    """The route's pattern, so that ids and tokens stay out of logs and labels."""
    if scope.get("hot"):
        return str(scope.get("path_template") or scope["path"])
    handler = scope.get("route_handler")
    if handler is None or not handler.paths:
        return "unmatched"
    template = scope.get("path_template")
    return str(template or min(handler.paths))
