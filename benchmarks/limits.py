"""What this machine can do of each part of a delivery alone: the limit that the whole is to be seen beside."""

import hashlib
import hmac
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.hub import Patchbay
from benchmarks.rows import Row, row
from benchmarks.sink.programs import language, send, template
from domain.notifications.signing import sign

_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_BODY = b"x" * 500
_GROUP = 256


def receiving(requests: int, runs: int) -> Iterator[Row]:
    """The sender straight to the receiver: nothing between them."""
    rates, sending, taking = [], [], []
    with Patchbay().sitting() as sitting:
        sink = sitting.sink
        given = {"webhook-id": "#" * 8, "webhook-signature": "v1,none"}
        for _ in range(runs):
            sink.forget()
            before = sink.process.cpu
            sent = send(sink.port, template(sink.path(0), given), requests)
            sink.until(requests, 60)
            rates.append(sent.per_second)
            sending.append(sent.cpu / requests * 1e6)
            taking.append((sink.process.cpu - before) / requests * 1e6)
    yield row(f"limit: sender straight to receiver ({language()})", rates, "1/s")
    yield row("  CPU of the sender: one HTTP exchange", sending, "µs each")
    yield row("  CPU of the receiver", taking, "µs each")


def signing(times: int, runs: int) -> Iterator[Row]:
    """Standard Webhooks v1 over 500 bytes, and the HMAC alone."""
    now, key = datetime.now(UTC), os.urandom(32)
    alone = [_cpu(lambda: hmac.digest(key, _BODY, hashlib.sha256), times) for _ in range(runs)]
    whole = [_cpu(lambda: sign([_SECRET], "evt_1", now, _BODY), times) for _ in range(runs)]
    yield row("limit: HMAC-SHA256 of 500 bytes", [1 / each for each in alone], "1/s")
    yield row("  CPU", [each * 1e6 for each in alone], "µs each")
    yield row("limit: signing as the hub does", [1 / each for each in whole], "1/s")
    yield row("  CPU", [each * 1e6 for each in whole], "µs each")


def storing(commits: int, runs: int) -> Iterator[Row]:
    """Rows of 500 bytes in SQLite with a write-ahead log: a commit for each, or for 256 together."""
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        synced = [commits / _syncs(Path(folder) / "plain", commits) for _ in range(runs)]
        yield row("limit: write 500 bytes and fdatasync", synced, "1/s")
        for level in ("FULL", "NORMAL"):
            single = [_rows(Path(folder) / "rows.db", level, commits, 1) for _ in range(runs)]
            grouped = [_rows(Path(folder) / "rows.db", level, commits, _GROUP) for _ in range(runs)]
            for name, measured in (("a commit each", single), (f"{_GROUP} a commit", grouped)):
                yield row(f"limit: SQLite rows, synchronous={level}, {name}", [rate for rate, _ in measured], "1/s")
                yield row("  CPU", [cpu * 1e6 for _, cpu in measured], "µs each")


def _cpu(work: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def _syncs(path: Path, times: int) -> float:
    with path.open("ab", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(times):
            file.write(_BODY)
            os.fdatasync(file.fileno())
        return time.perf_counter() - began


def _rows(path: Path, level: str, commits: int, together: int) -> tuple[float, float]:
    """Rows a second, and CPU seconds of each."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {level}")
        connection.execute("CREATE TABLE held (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        rows = [(_BODY,)] * together
        times = max(commits // (1 if together == 1 else 8), 1)
        began, used = time.perf_counter(), time.process_time()
        for _ in range(times):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO held (body) VALUES (?)", rows)
            connection.execute("COMMIT")
        return times * together / (time.perf_counter() - began), (time.process_time() - used) / (times * together)
