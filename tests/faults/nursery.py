"""Begets `patchbay` processes: `python -m tests.faults.nursery`.

It reads all modules once and then forks, so that a process that was killed is back in a moment although Python takes more
than a second to read them. Each line of standard input asks for one process; what is born and what has died is told on
standard output. When its input ends, so do all of its children.
"""

import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import unpack_from
from time import time
from typing import Any, NoReturn, final

from application.ports.clock import Clock

MODULES = (
    "aiosqlite",
    "asyncpg",
    "nats",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "adapters.logs",
    "adapters.queue.nats",
    "adapters.queue.postgres",
    "entrypoints.cli",
    "entrypoints.first_start",
    "entrypoints.serving",
    "entrypoints.wiring",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
)


@final
class SetClock(Clock):
    """The machine's time and so many seconds more as the file says (a double), which anybody may change at any moment."""

    def __init__(self, path: str) -> None:
        with Path(path).open("rb") as file:
            self._ahead = mmap(file.fileno(), 8, access=ACCESS_READ)

    def now(self) -> datetime:
        """What a clock shows that was set."""
        return datetime.fromtimestamp(time() + unpack_from("d", self._ahead)[0], UTC)


def main() -> None:
    """Serve until standard input ends."""
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    dead_r, dead_w = os.pipe()
    os.set_blocking(dead_w, False)
    signal.set_wakeup_fd(dead_w)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: set[int] = set()
    _say(ready=True)
    asked = b""
    while True:
        ready, _, _ = select.select([0, dead_r], [], [])
        if dead_r in ready:
            os.read(dead_r, 4096)
            _bury(children)
        if 0 in ready:
            more = os.read(0, 65536)
            if not more:
                break
            *lines, asked = (asked + more).split(b"\n")
            for line in lines:
                child = os.fork()
                if not child:
                    os.close(dead_r)
                    os.close(dead_w)
                    _live(json.loads(line))
                children.add(child)
                _say(born=child)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _bury(children: set[int]) -> None:
    while children:
        try:
            died, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not died:
            return
        children.discard(died)
        _say(died=died, code=os.waitstatus_to_exitcode(status))


def _live(asked: dict[str, Any]) -> NoReturn:
    """The child's whole life: `patchbay` with these arguments and this environment."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.environ.update(asked["environment"])
        _limit(asked.get("file_limit"))
        if clock := asked.get("clock"):
            for name in ("entrypoints.cli", "entrypoints.wiring"):
                module: Any = importlib.import_module(name)
                if hasattr(module, "SystemClock"):
                    module.SystemClock = lambda: SetClock(clock)
        sys.argv = ["patchbay", *asked["arguments"]]
        importlib.import_module("entrypoints.cli").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:  # noqa: BLE001  # it must not go on as a second nursery
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _limit(file_limit: int | None) -> None:
    """No file may grow beyond so many bytes: to who writes, the disk is full."""
    if file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))


def _say(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
