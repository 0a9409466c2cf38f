"""Many HTTP requests at once, made by as little code as will do: the measuring must not be what is measured."""

import asyncio
import time
from collections.abc import Sequence

import attrs


@attrs.frozen
class Load:
    """What came of it. seconds: from the first byte sent to the last received. latencies: seconds, sorted."""

    seconds: float
    latencies: tuple[float, ...]
    statuses: frozenset[int]

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, part: float) -> float:
        """The latency in milliseconds that this part of the requests did not exceed."""
        return self.latencies[min(int(len(self.latencies) * part), len(self.latencies) - 1)] * 1000


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST, ready to be sent."""
    lines = [f"POST {path} HTTP/1.1", "Host: hub", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def load(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Send them over so many connections that stay open, each with one request on its way at a time."""
    waiting = iter(requests)
    latencies: list[float] = []
    statuses: set[int] = set()

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for one in waiting:
                began = time.perf_counter()
                writer.write(one)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_length(head))
                latencies.append(time.perf_counter() - began)
                statuses.add(int(head[9:12]))
        finally:
            writer.close()
            await writer.wait_closed()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(send())
    return Load(time.perf_counter() - began, tuple(sorted(latencies)), frozenset(statuses))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"an answer without a length: {head!r}")
