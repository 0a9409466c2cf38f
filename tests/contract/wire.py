"""A cable to a broker that can be cut and squeezed: a proxy, over TCP or a Unix socket."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """Carries bytes to where `dial` connects. Begins cut; use it with `async with`, which joins it."""

    def __init__(self, dial: Callable[[], Awaitable[Streams]], at: Path | None = None) -> None:
        """It listens at a Unix socket, or else at a port of 127.0.0.1 that stays the same."""
        self._dial, self._at = dial, at
        self.port = 0
        self.taken = 0
        """How many connections were taken so far."""
        self.drops = False
        """End each new connection at once."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        await self.cut()

    async def join(self) -> None:
        """Take connections."""
        if self._at is not None:
            self._server = await asyncio.start_unix_server(self._carry, self._at)
        else:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._at is not None:
            self._at.unlink(missing_ok=True)
        for writer in self._open:
            writer.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def squeeze(self) -> None:
        """Let nothing through, in either direction, and say nothing: so it is when a machine or a network dies."""
        self._flows.clear()

    def release(self) -> None:
        """Let it flow again."""
        self._flows.set()

    async def _carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.taken += 1
        if self.drops:
            near_out.close()
            return
        self._tasks.add(task)
        self._open.add(near_out)
        far_out = None
        try:
            far_in, far_out = await self._dial()
            self._open.add(far_out)
            ways = (
                asyncio.create_task(self._pump(near_in, far_out)),
                asyncio.create_task(self._pump(far_in, near_out)),
            )
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            return  # whoever is connected sees the end of the connection
        finally:
            for writer in (near_out, far_out):
                if writer is not None:
                    self._open.discard(writer)
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
