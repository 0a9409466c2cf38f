"""What one outgoing request costs: the hub's transport beside httpx and, where it is installed, aiohttp.

    python -m benchmarks.transport [--requests 20000] [--runs 3]

A receiver in a process of its own answers 200 to everything. 64 senders at once each send a signed-looking POST of 500 bytes
again and again over connections that stay open. CPU is that of the sending process, the checks of the guard and of the answer
included. The clients take turns, so that a busy moment of the machine hits all of them; the table shows medians and ranges.

How to read it. Microseconds of one machine say nothing of another's: compare with the bare protocol of the same table,
which checks nothing. A kernel may leave the network's softirqs out of a process's CPU time; the wall time of a request (a
million divided by requests/s) bounds it from above, as one thread does all the sending. The receiver is Python too and
shares the cores, so requests/s is what the two of them reach together.
"""

import argparse
import asyncio
import importlib.util
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import final
from urllib.parse import urlsplit

import attrs
import httptools
import httpx
import uvloop

from adapters.http.guard import AddressGuard
from adapters.http.outgoing import GuardedOutgoing

SENDERS = 64
_BODY = b'{"type":"kiln.fired","data":{"padding":"' + b"x" * 458 + b'"}}'
_HEADERS = {
    "content-type": "application/json",
    "webhook-id": "msg_01JD5T0Q5V5WSX4Z2E3H4N6Y7B",
    "webhook-timestamp": "1700000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
_TIMEOUT = timedelta(seconds=30)
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

Send = Callable[[], Awaitable[int]]
"""Send once; the status of the answer."""


@attrs.frozen
class Client:
    """A way of sending. open: makes it ready. share: how many of the requests it is given, being slow."""

    name: str
    loop: Callable[[], asyncio.AbstractEventLoop]
    open: Callable[[AsyncExitStack, str], Awaitable[Send]]
    share: float = 1.0


@attrs.frozen
class Cost:
    """requests a second; cpu: microseconds of a request."""

    per_second: float
    cpu: float


async def ours(stack: AsyncExitStack, url: str) -> Send:
    """GuardedOutgoing, as the hub uses it."""
    outgoing = GuardedOutgoing(AddressGuard(("127.0.0.1",)))
    stack.push_async_callback(outgoing.aclose)

    async def send() -> int:
        return (await outgoing.send("POST", url, headers=_HEADERS, body=_BODY, timeout=_TIMEOUT)).status

    return send


@final
class Bare(asyncio.Protocol):
    """As little as will do: no time-out, no bound, no check, nothing read but the status. The yardstick of a machine."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Hand over the status."""
        self._waiter.set_result(self._parser.get_status_code())

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send bytes made beforehand."""
        self._waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined]
        return self._waiter

    def close(self) -> None:
        """Close."""
        self._transport.close()


async def bare(stack: AsyncExitStack, url: str) -> Send:
    """The least that a client on httptools can cost."""
    parts = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items())
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(_BODY)}\r\n{lines}\r\n"
    request = head.encode() + _BODY
    host, port = parts.hostname or "", parts.port or 80
    free: list[Bare] = []

    async def send() -> int:
        if free:
            one = free.pop()
        else:
            _, one = await asyncio.get_running_loop().create_connection(Bare, host, port)
            stack.callback(one.close)
        status = await one.ask(request)
        free.append(one)
        return status

    return send


async def with_httpx(stack: AsyncExitStack, url: str) -> Send:
    """One httpx.AsyncClient with room for all senders."""
    limits = httpx.Limits(max_connections=SENDERS, max_keepalive_connections=SENDERS)
    client = await stack.enter_async_context(httpx.AsyncClient(limits=limits, timeout=30, trust_env=False))

    async def send() -> int:
        return (await client.post(url, headers=_HEADERS, content=_BODY)).status_code

    return send


async def with_aiohttp(stack: AsyncExitStack, url: str) -> Send:
    """One aiohttp.ClientSession with room for all senders."""
    import aiohttp  # type: ignore[import-not-found]

    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SENDERS)))

    async def send() -> int:
        async with session.post(url, headers=_HEADERS, data=_BODY) as answer:
            await answer.read()
            return int(answer.status)

    return send


def clients() -> list[Client]:
    """All that this installation has."""
    found = [
        Client("Patchbay, uvloop", uvloop.new_event_loop, ours),
        Client("Patchbay, asyncio", asyncio.new_event_loop, ours),
        Client("bare protocol, uvloop", uvloop.new_event_loop, bare),
        Client("bare protocol, asyncio", asyncio.new_event_loop, bare),
        Client("httpx, uvloop", uvloop.new_event_loop, with_httpx, 0.05),
        Client("httpx, asyncio", asyncio.new_event_loop, with_httpx, 0.05),
    ]
    if importlib.util.find_spec("aiohttp"):
        found.append(Client("aiohttp, uvloop", uvloop.new_event_loop, with_aiohttp, 0.25))
        found.append(Client("aiohttp, asyncio", asyncio.new_event_loop, with_aiohttp, 0.25))
    return found


def measure(client: Client, url: str, requests: int) -> Cost:
    """Send so many, after some to warm up."""

    async def run() -> Cost:
        async with AsyncExitStack() as stack:
            send = await client.open(stack, url)
            await _many(send, SENDERS * 4)
            began, cpu = time.perf_counter(), time.process_time()
            await _many(send, requests)
            return Cost(requests / (time.perf_counter() - began), (time.process_time() - cpu) / requests * 1_000_000)

    with asyncio.Runner(loop_factory=client.loop) as runner:
        return runner.run(run())


async def _many(send: Send, requests: int) -> None:
    left = iter(range(requests))

    async def sender() -> None:
        for _ in left:
            if await send() != 200:
                raise RuntimeError("the receiver did not answer 200")

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(sender())


@final
class Receiver(asyncio.Protocol):
    """Answers 200 for as many requests as have come in full; all have the same length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            total = end + 4 + len(_BODY)
            if len(self._buffer) < total:
                return
            self._buffer = self._buffer[total:]
            self._transport.write(_OK)  # type: ignore[attr-defined]


async def receive(listening: socket.socket) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Receiver, sock=listening)
    await server.serve_forever()


def main() -> None:
    """Measure and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=20_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--receive", type=int, metavar="FD", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.receive is not None:
        uvloop.run(receive(socket.socket(fileno=given.receive)))
        return
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, "-m", "benchmarks.transport", "--receive", str(listening.fileno())]
        receiver = subprocess.Popen(command, pass_fds=[listening.fileno()])
    try:
        _table(f"http://127.0.0.1:{port}/hook", given.requests, given.runs)
    finally:
        receiver.kill()
        receiver.wait()


def _table(url: str, requests: int, runs: int) -> None:
    costs: dict[str, list[Cost]] = {}
    for _ in range(runs):
        for client in clients():
            costs.setdefault(client.name, []).append(measure(client, url, max(int(requests * client.share), 100)))
    share = _spin()
    print(
        f"{SENDERS} at once, {len(_BODY)} bytes each, {os.cpu_count()} cores, Python {sys.version.split()[0]};"
        f" a loop that only spins got {share:.0%} of a core\n"
    )
    print("| client | requests/s (median, range) | CPU of a request (median, range) |\n|---|---|---|")
    for name, many in costs.items():
        rates, cpus = sorted(one.per_second for one in many), sorted(one.cpu for one in many)
        print(
            f"| {name} | {statistics.median(rates):,.0f} [{rates[0]:,.0f}–{rates[-1]:,.0f}]"
            f" | {statistics.median(cpus):,.0f} µs [{cpus[0]:,.0f}–{cpus[-1]:,.0f}] |"
        )


def _spin() -> float:
    """How much of a core there is to have: well below 1, and requests/s are of a crowded machine."""
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < 0.5:
        pass
    return (time.process_time() - cpu) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
