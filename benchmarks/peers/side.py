"""A side of a comparison: what takes in events, delivers them and records every attempt."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from benchmarks.sink.programs import Sink
from benchmarks.stage import Process

_TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """Something that a side needs is not on this machine. The text says what, and what to install."""


class Sitting(Protocol):
    """One run of a side, with a store of its own that is empty at first."""

    sink: Sink
    port: int
    """Where it takes events in."""
    path: str
    headers: Mapping[str, str]
    """With the path, what a POST of an event needs."""

    def listen(self, urls: Sequence[str]) -> Mapping[str, str]:
        """Make an endpoint of each. Their secrets, by the path of the URL. Call it before `intake` or `everything`."""
        ...

    def intake(self) -> None:
        """Take events in, and deliver nothing yet."""
        ...

    def worker(self) -> None:
        """Deliver what was taken in."""
        ...

    def everything(self) -> None:
        """Take events in and deliver them, in as many processes as is usual for this side."""
        ...

    def fill(self, events: int) -> None:
        """Have it take so many events in, by whatever door is quickest."""
        ...

    def recorded(self) -> int:
        """How many attempts are in its store."""
        ...

    def cpu(self) -> float:
        """Seconds of processor time so far, of all its processes together, databases and brokers included."""
        ...


class Side(Protocol):
    """What can be put to work."""

    name: str

    def sitting(self) -> AbstractContextManager[Sitting]:
        """A new run. Its processes are ended when it is left."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Of what it is made of, for the record."""
        ...


def cpu_of(processes: Sequence[Process]) -> float:
    """Seconds of processor time of these and of all that they started, ended ones included."""
    used: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since
            continue
        used[int(entry.name)] = sum(map(int, fields[11:15]))
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    ticks, waiting = 0, [process.popen.pid for process in processes]
    while waiting:
        pid = waiting.pop()
        ticks += used.get(pid, 0)
        waiting += children.get(pid, [])
    return ticks / _TICKS
