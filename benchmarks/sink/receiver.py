"""receiver.c in Python, for machines without a C compiler: `python -m benchmarks.sink.receiver PORT`. What it answers is
described there. It costs several times more of a core, which is then missing to what is measured."""

import asyncio
import json
import struct
import sys
import time
from typing import cast, final

import uvloop

_EVERY = 37
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_KEY = b'"sent_at":'


@final
class Receiver(asyncio.Protocol):
    """One connection."""

    # Of all connections together.
    requests: list[bytes] = []  # noqa: RUF012
    times: list[float] = []  # noqa: RUF012

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes; they only act like them.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            total = end + 4 + int(header(self._buffer[:end], b"content-length") or b"0")
            if len(self._buffer) < total:
                return
            request, self._buffer = self._buffer[:total], self._buffer[total:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        assert self._transport is not None
        if request.startswith(b"POST "):
            Receiver.times.append(time.time())
            Receiver.requests.append(request)
            self._transport.write(_OK)
            return
        body = b""
        if request.startswith(b"PUT /reset "):
            Receiver.times.clear()
            Receiver.requests.clear()
        elif request.startswith(b"GET /waits "):
            waits = [at - sent for at, one in zip(self.times, self.requests, strict=True) if (sent := _sent(one))]
            body = struct.pack(f"<{len(waits)}d", *waits)
        elif request.startswith(b"GET /samples "):
            body = b"".join(struct.pack("<I", len(one)) + one for one in self.requests[::_EVERY])
        else:
            body = json.dumps(self._count()).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def _count(self) -> dict[str, float]:
        whole = [(one.split(b" ", 2)[1], header(one, b"webhook-id")) for one in self.requests if _sent(one)]
        return {
            "requests": len(self.requests),
            "ids": len(set(whole)),
            "incomplete": len(self.requests) - len(whole),
            "first": self.times[0] if self.times else 0,
            "last": self.times[-1] if self.times else 0,
        }


def header(head: bytes, name: bytes) -> bytes:
    """The value of a header of a request, or nothing."""
    for line in head.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        named, _, value = line.partition(b":")
        if named.strip().lower() == name:
            return value.strip()
    return b""


def _sent(request: bytes) -> float | None:
    if not header(request, b"webhook-id") or not header(request, b"webhook-signature"):
        return None
    _, found, rest = request.partition(_KEY)
    return float(rest.replace(b"}", b",").partition(b",")[0]) if found else None


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
