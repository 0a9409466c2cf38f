"""An HTTP server of raw sockets, which can answer in every wrong way."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

Behaviour = Callable[["HostileServer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class HostileServer:
    """Listens on 127.0.0.1. Counts connections, keeps every request as it came, behaves as it is told."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self.asked = asyncio.Event()
        """Set when a request has come."""
        self.finished = asyncio.Event()
        """Set when a connection is over, however it ended."""
        self._behaviour = behaviour
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        if tls:
            tls.sni_callback = lambda _, name, __: self.names.append(name)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def deserted(self) -> None:
        """Wait until no connection is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def url(self, host: str = "127.0.0.1", path: str = "/hook") -> str:
        """Where to send to."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """One request: its head and a body of the stated length. Raises IncompleteReadError at the connection's end."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(v) for k, v in _fields(head) if k == b"content-length"), 0)
        self.requests.append(head + await reader.readexactly(length))
        self.asked.set()
        return self.requests[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # RuntimeError: uvloop's, for writing to a connection that the other end has cut
            with suppress(OSError, RuntimeError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._behaviour(self, reader, writer)
        finally:
            self._tasks.discard(task)
            self.finished.set()
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.split(b"\r\n")[1:-2]
    return [(k.strip().lower(), v.strip()) for k, _, v in (line.partition(b":") for line in lines)]


def answers(*chunks: bytes, pause: float = 0, then_hold: bool = False) -> Behaviour:
    """Read one request, write the chunks with a pause (seconds) after each, close — or hold the connection open."""

    async def behave(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        if then_hold:
            await reader.read()

    return behave


def keeps_answering(chunk: bytes) -> Behaviour:
    """Give the same answer to request after request of a connection."""

    async def behave(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.read_request(reader)
            writer.write(chunk)
            await writer.drain()

    return behave


def never_stops(start: bytes, chunk: bytes, pause: float = 0) -> Behaviour:
    """Begin an answer and write the chunk again and again, until the other end has had enough."""

    async def behave(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(start)
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave
