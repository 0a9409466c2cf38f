"""sender.c in Python, for machines without a C compiler: `python -m benchmarks.sink.sender PORT CONNECTIONS COUNT RATE
SECONDS < request`. What it takes and prints is described there. It costs several times more of a core."""

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count

import uvloop

_SENT_AT, _NUMBER = b"@" * 17, b"#" * 8


async def _send(port: int, connections: int, many: int, rate: float, request: bytes) -> dict[str, object]:
    statuses: Counter[str] = Counter()
    waits: list[float] = []
    numbers = count()
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    began = time.time()

    async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (number := next(numbers)) < many:
            due = began + number / rate if rate else time.time()
            if rate:
                await asyncio.sleep(due - time.time())
            writer.write(request.replace(_SENT_AT, b"%017.6f" % due).replace(_NUMBER, b"%08d" % number))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            waits.append(time.time() - due)
            statuses[head[9:12].decode()] += 1
        writer.close()

    async with asyncio.TaskGroup() as group:
        for one in opened:
            group.create_task(post(*one))
    waits.sort()
    percentiles = {f"p{part}": waits[len(waits) * part // 100] * 1000 for part in (50, 95, 99)}
    times = {"began": began, "ended": time.time(), "cpu": time.process_time()}
    return {"answered": len(waits), **times, "statuses": statuses, **percentiles}


async def _within(seconds: float, port: int, connections: int, many: int, rate: float) -> None:
    request = sys.stdin.buffer.read()
    async with asyncio.timeout(seconds):
        print(json.dumps(await _send(port, connections, many, rate, request)))


if __name__ == "__main__":
    _, port, connections, many, rate, seconds = sys.argv
    uvloop.run(_within(float(seconds), int(port), int(connections), int(many), float(rate)))
