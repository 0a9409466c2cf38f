"""Ids and randomness that a test can foretell."""

import hashlib
from base64 import urlsafe_b64encode
from typing import final

from application.ports.ids import Ids
from domain.ids import make_id

_START_MS = 1_767_323_045_000
"""2026-01-02T03:04:05Z, where FrozenClock starts."""


@final
class CountingIds(Ids):
    """Counts 1, 2, 3 …: two with the same history give the same ids, which are well formed and sort as they were made.

    `jitter` is always 0. Tokens and randomness come from the count through SHAKE-256, so that no two are the same.
    """

    def __init__(self) -> None:
        self._count = 0

    def new(self, kind: str) -> str:
        """The next id: a millisecond and a count later than the last."""
        count = self._next()
        return make_id(kind, _START_MS + count, count.to_bytes(10, "big"))

    def token(self, bytes_: int = 24) -> str:
        """The next token."""
        return urlsafe_b64encode(self.randomness(bytes_)).rstrip(b"=").decode()

    def randomness(self, bytes_: int) -> bytes:
        """The next bytes, foretold."""
        return hashlib.shake_256(self._next().to_bytes(8, "big")).digest(bytes_)

    def jitter(self) -> float:
        """None."""
        return 0.0

    def _next(self) -> int:
        self._count += 1
        return self._count
