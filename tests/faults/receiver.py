"""The host application's end of a delivery, which nobody kills: `python -m tests.faults.receiver PORT LOG SEED`.

Every request is a line of the log as soon as it is answered: when it came, when it was answered, the path, the
webhook-id, the event's number, the status. How long it takes to answer, and which first tries it refuses, the seed decides.
PUT /_mood changes that: {"slowest_s": 0.2, "refused": 0.01, "hanging": ["/3"]}.
"""

import asyncio
import json
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import final

import attrs

_NUMBER = re.compile(rb'"n":(\d+)')
_REASONS = {200: b"OK", 500: b"Internal Server Error"}


@attrs.frozen
class Receipt:
    """One request. Times in Unix seconds; status 0: never answered."""

    came: float
    answered: float
    path: str
    name: str
    number: int
    status: int

    @property
    def taken(self) -> bool:
        """Whether the sender was told that it arrived."""
        return 200 <= self.status < 300


def receipts(log: Path, since: int = 0) -> list[Receipt]:
    """What was received, in the order in which it was answered. since: a place in the log, in bytes."""
    with log.open("rb") as file:
        file.seek(since)
        lines = file.read().split(b"\n")
    return [
        Receipt(*json.loads(line)) for line in lines[:-1]
    ]  # after the last line's end there is nothing, or half a line


@attrs.define
class Mood:
    """How it answers. slowest_s: seconds; refused: the part of all deliveries whose first try is answered 500."""

    slowest_s: float = 0.0
    refused: float = 0.0
    hanging: list[str] = attrs.field(factory=list)


@final
class Receiver(asyncio.Protocol):
    """One connection; one request at a time, as the hub sends them."""

    mood = Mood()
    log = -1
    seed = ""
    refused: set[tuple[str, str]] = set()  # noqa: RUF012  # of all connections together

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            }
            total = end + 4 + int(headers.get("content-length", "0"))
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            method, path, _ = head.split(" ", 2)
            self._take(method, path, headers, body)

    def _take(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if method == "PUT":
            Receiver.mood = Mood(**json.loads(body))
        if method != "POST":
            self._answer(200)
            return
        name, found = headers.get("webhook-id", ""), _NUMBER.search(body)
        number, came = int(found[1]) if found else -1, time.time()
        if path in self.mood.hanging:
            self._note(came, 0, path, name, number, 0)
            return
        chance = random.Random(f"{self.seed} {path} {number}")
        status = 200
        if chance.random() < self.mood.refused and (path, name) not in self.refused:
            self.refused.add((path, name))
            status = 500
        wait = chance.random() ** 3 * self.mood.slowest_s
        asyncio.get_running_loop().call_later(wait, self._finish, came, path, name, number, status)

    def _finish(self, came: float, path: str, name: str, number: int, status: int) -> None:
        # Noted before it is sent: what the sender knows of is in the log.
        self._note(came, time.time(), path, name, number, status)
        self._answer(status)

    def _note(self, *what: object) -> None:
        os.write(self.log, json.dumps(what).encode() + b"\n")

    def _answer(self, status: int) -> None:
        assert self._transport is not None
        self._transport.write(b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\n\r\n" % (status, _REASONS[status]))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    Receiver.log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    Receiver.seed = sys.argv[3]
    asyncio.run(_serve(int(sys.argv[1])))
