"""Run the hub, or a part of it, until it is told to stop."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import attrs
import structlog
import uvicorn

from application.ports.ids import Ids
from entrypoints.api.app import create_app
from entrypoints.api.middleware import observing
from entrypoints.console import PAGES as CONSOLE
from entrypoints.pay import PAGES as PAY
from entrypoints.scheduler import Scheduler
from entrypoints.wiring import Hub
from entrypoints.worker import Worker


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
    return observing(app, ids=ids, metrics=hub.metrics)


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


async def run(hub: Hub, parts: Parts, *, ready: asyncio.Event | None = None, stop: asyncio.Event | None = None) -> None:
    """Run until SIGTERM, SIGINT or `stop`; what is under way is finished first. Raises CannotListen."""
    stop = stop or asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    log = structlog.get_logger("hub")
    listener = bind(hub.settings.host, hub.settings.port) if parts.http else None
    server = http_server(application(hub)) if parts.http else None
    worker = Worker(hub) if parts.worker else None
    scheduler = Scheduler(hub) if parts.scheduler else None
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
