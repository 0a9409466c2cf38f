"""The real time and the real randomness: the only place in the hub that asks the machine for either."""

import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import final

from application.ports.clock import Clock
from application.ports.ids import Ids
from domain.ids import make_id

_RANDOM_BITS = 80
_JITTER_STEPS = 1 << 53
"""How finely [0, 1] is cut: as finely as a float keeps it."""


@final
class SystemClock(Clock):
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


@final
class RandomIds(Ids):
    """Ids that sort in the order they were made, within one process, and secrets from the operating system.

    Within one millisecond, and while the machine's clock is set back, the random part counts on from the last id's
    (the ULID specification's monotonic factory). Safe to call from several threads. time_ns: Unix time in nanoseconds.
    """

    def __init__(self, time_ns: Callable[[], int] = time.time_ns) -> None:
        self._time_ns = time_ns
        self._lock = threading.Lock()
        self._at_ms = 0
        self._random = 0

    def new(self, kind: str) -> str:
        """A new sortable id with the prefix of its kind (domain/ids.py)."""
        with self._lock:
            now_ms = self._time_ns() // 1_000_000
            if now_ms > self._at_ms:
                self._at_ms, self._random = now_ms, secrets.randbits(_RANDOM_BITS)
            else:
                self._random += 1
                if self._random >> _RANDOM_BITS:
                    self._at_ms, self._random = self._at_ms + 1, secrets.randbits(_RANDOM_BITS)
            return make_id(kind, self._at_ms, self._random.to_bytes(_RANDOM_BITS // 8, "big"))

    def token(self, bytes_: int = 24) -> str:
        """An unguessable URL-safe text of at least `bytes_` random bytes."""
        return secrets.token_urlsafe(bytes_)

    def randomness(self, bytes_: int) -> bytes:
        """Raw random bytes."""
        return secrets.token_bytes(bytes_)

    def jitter(self) -> float:
        """A random number in [-1, 1], for spreading retries."""
        return secrets.randbelow(_JITTER_STEPS + 1) / _JITTER_STEPS * 2 - 1
