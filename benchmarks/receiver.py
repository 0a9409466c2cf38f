"""The host application's end of a delivery: answers 200 at once, and afterwards checks every signature.

A process of its own: `python -m benchmarks.receiver PORT`. PUT / sets the secret and forgets what came; GET / reports.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import final

from domain.notifications.signing import UntrustedWebhook, verify

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

Came = tuple[float, bytes, bytes]
"""When a request had come (Unix time), its head, its body."""


@final
class Receiver(asyncio.Protocol):
    """One connection."""

    came: list[Came] = []  # noqa: RUF012  # of all connections together
    secret = ""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            total = end + 4 + int(_headers(head).get("content-length", "0"))
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        if head.startswith(b"POST"):
            Receiver.came.append((time.time(), head, body))
            self._transport.write(_OK)
        elif head.startswith(b"PUT"):
            Receiver.secret = body.decode()
            Receiver.came.clear()
            self._transport.write(_OK)
        else:
            report = json.dumps(_report(Receiver.came, Receiver.secret)).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(report), report))


def _report(came: list[Came], secret: str) -> dict[str, object]:
    ids: set[str] = set()
    wrong = 0
    waits: list[float] = []
    for at, head, body in came:
        try:
            ids.add(verify(secret, _headers(head), body, datetime.fromtimestamp(at, UTC)))
            happened = datetime.fromisoformat(json.loads(body)["timestamp"])
            waits.append(at - happened.timestamp())
        except UntrustedWebhook:
            wrong += 1
    return {
        "requests": len(came),
        "ids": len(ids),
        "wrong": wrong,
        "first": came[0][0] if came else 0,
        "last": came[-1][0] if came else 0,
        "waits": sorted(waits),
    }


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
