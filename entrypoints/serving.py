"""Run the hub, or a part of it, until it is told to stop."""

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import attrs
import msgspec
import structlog
import uvicorn

from adapters.persistence.database import is_away
from application.ports.ids import Ids
from entrypoints.api.app import create_app
from entrypoints.api.errors import PROBLEM_JSON, Problem
from entrypoints.api.hot_door import HotDoor
from entrypoints.api.middleware import observing
from entrypoints.api.webhook_door import WebhookDoor
from entrypoints.console import PAGES as CONSOLE
from entrypoints.pay import PAGES as PAY
from entrypoints.scheduler import Scheduler
from entrypoints.wiring import Hub
from entrypoints.worker import Worker

RETRY_AFTER_S = 5
"""Seconds that a caller is asked to wait while the database is away."""


SOCKETS = 8_192


@attrs.frozen
class Parts:
    """Which parts of the hub this process runs."""

    http: bool = True
    worker: bool = True
    scheduler: bool = True


def application(hub: Hub) -> Any:
    """The ASGI application with everything around it."""
    app = create_app(hub, pages=[*CONSOLE, *PAY])
    ids: Ids = hub.resolve(Ids)  # type: ignore[type-abstract]
    return observing(while_away(HotDoor.before(WebhookDoor.before(app, hub), hub)), ids=ids, metrics=hub.metrics)


def while_away(app: Any) -> Any:
    """Wrap the doors in front of the framework: while the database is away or full, they answer 503, and kept nothing."""
    log = structlog.get_logger("http")

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, sending)
        except Exception as error:
            if begun or scope["type"] != "http" or not is_away(error):
                raise
            log.warning("the database is away", path=scope["path"], kind=type(error).__name__)
            problem = Problem(
                "urn:problem:patchbay:unavailable",
                "Not available now",
                503,
                "The database is away or has no room left. Send it again, with the same Idempotency-Key.",
                request_id=str(scope.get("request_id", "")),
            )
            body = msgspec.json.encode(problem)
            headers = [
                (b"content-type", PROBLEM_JSON.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"retry-after", str(RETRY_AFTER_S).encode()),
            ]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return wrapped


class CannotListen(Exception):
    """The port is taken, or the address is not this machine's."""


@final
class HttpServer(uvicorn.Server):
    """Uvicorn in our own event loop. It leaves signals to us: the worker has to finish its round too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Answer what is under way, then return from `serve()`."""
        self.should_exit = True

    async def until_started(self) -> None:
        """Return when it answers."""
        while not self.started:  # noqa: ASYNC110  # uvicorn sets a flag, no event
            await asyncio.sleep(0.01)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CannotListen with a text for a person."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: only then does asyncio switch Nagle off, which would cost 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise CannotListen(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    listener.setblocking(False)
    return listener


def http_server(app: Any) -> HttpServer:
    """A server for an ASGI application."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=10, lifespan="off"
    )
    return HttpServer(config)


def settle_memory() -> None:
    """What was made at the start stays: it need not be looked through for garbage again and again. What a request makes is
    gone by itself when the request is; cycles are few, so that looking for them can be rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def have_sockets() -> None:
    """As many as the system lets this process have: a worker alone may have two thousand open, and the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = SOCKETS if hard == resource.RLIM_INFINITY else min(SOCKETS, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def run(hub: Hub, parts: Parts, *, ready: asyncio.Event | None = None, stop: asyncio.Event | None = None) -> None:
    """Run until SIGTERM, SIGINT or `stop`; what is under way is finished first. Raises CannotListen."""
    stop = stop or asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    log = structlog.get_logger("hub")
    have_sockets()
    listener = bind(hub.settings.host, hub.settings.port) if parts.http else None
    server = http_server(application(hub)) if parts.http else None
    worker = Worker(hub) if parts.worker else None
    scheduler = Scheduler(hub) if parts.scheduler else None
    if not (parts.http and parts.worker and hub.database.is_sqlite):  # then all that calls is in this process
        await hub.queue.open()
    async with asyncio.TaskGroup() as group:
        if server is not None and listener is not None:
            group.create_task(server.serve(sockets=[listener]))
            await server.until_started()
        if worker is not None:
            group.create_task(worker.run())
        if scheduler is not None:
            scheduler.start()
        log.info(
            "ready", url=hub.settings.public_url if parts.http else None, worker=parts.worker, scheduler=parts.scheduler
        )
        settle_memory()
        if ready is not None:
            ready.set()
        await stop.wait()
        log.info("stopping")
        if scheduler is not None:
            scheduler.stop()
        if server is not None:
            server.stop()
        if worker is not None:
            worker.stop()
    log.info("stopped")
