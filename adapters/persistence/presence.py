"""Whether a worker that shares this machine's kernel still lives: what a dead one held need not wait for its lease.

Each process binds a Unix socket to an abstract name (unix(7)) before its lease is written, and keeps it. The kernel frees
the name at the process's death, however it died, and no other process ever takes it: it is drawn at random, so a reused
process id means nothing. Who is asked for and refused is dead, if asker and asked see the same names, which are kept
apart by network namespace; so a mark tells the boot and the namespace too. Of any other mark nothing is known.
"""

import secrets
import socket
import weakref
from pathlib import Path
from typing import final

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMES = Path("/proc/self/ns/net")


@final
class Presence:
    """One process's socket, made when the mark is first asked for. Elsewhere than on Linux there is no mark."""

    def __init__(self) -> None:
        self._mark: str | None = None

    def mark(self) -> str:
        """What others may find this process by, without a space; empty where there is no such thing."""
        if self._mark is None:
            self._mark = self._bound()
        return self._mark

    def is_gone(self, mark: str) -> bool:
        """Whether this is known: that the process with this mark has ended."""
        where, _, name = mark.rpartition("/")
        if not name or where != _where():
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect(_address(name))
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
        return False

    def _bound(self) -> str:
        where, name = _where(), secrets.token_hex(16)
        if not where:
            return ""
        try:
            bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:  # a sandbox that allows no such socket
            return ""
        weakref.finalize(self, bound.close)
        try:
            bound.bind(_address(name))
        except OSError:
            return ""
        return f"{where}/{name}"


def _address(name: str) -> bytes:
    return b"\0patchbay-worker-" + name.encode()


def _where() -> str:
    """Empty where names are not bound to anything that ends with the process."""
    try:
        return f"{_BOOT.read_text().strip()}/{_NAMES.stat().st_ino}"
    except OSError:
        return ""
