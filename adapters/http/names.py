"""Looking names up with the operating system, so that one dead name server holds up nobody but those who need it.

`getaddrinfo` blocks, cannot be cancelled and may take half a minute. In the event loop's own few threads a handful of dead
names would stop every other look-up, and every password check besides.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import final

THREADS = 32
FAILURE_KEPT = 2.0
"""Seconds for which a name that was not found is not asked for again."""
_MOST_FAILURES = 1024

_Place = tuple[str, int]


def _ask(host: str, port: int) -> Sequence[str]:
    return [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@final
class SystemResolver:
    """Asks in threads of its own, once for all who want the same name at the same time, and remembers failures for 2 s.

    Answers are not remembered: a new connection goes where the name leads now. ask: blocks, and raises OSError.
    """

    def __init__(self, ask: Callable[[str, int], Sequence[str]] = _ask) -> None:
        self._ask = ask
        self._threads: ThreadPoolExecutor | None = None
        self._asking: dict[_Place, Future[Sequence[str]]] = {}
        self._failed: dict[_Place, float] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name, as text. Raises OSError when there are none."""
        place = (host, port)
        if time.monotonic() < self._failed.get(place, 0.0):
            raise socket.gaierror(socket.EAI_NONAME, "not found a moment ago")
        asked = self._asking.get(place)
        if asked is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="look-up")
            asked = self._asking[place] = self._threads.submit(self._ask, host, port)
            asked.add_done_callback(lambda done: self._over(place, done))
        # Shielded: one of several who wait may give up without taking the answer from the others.
        return await asyncio.shield(asyncio.wrap_future(asked))

    def _over(self, place: _Place, done: Future[Sequence[str]]) -> None:
        if not done.cancelled() and done.exception() is not None:
            if len(self._failed) >= _MOST_FAILURES:
                self._failed.clear()
            self._failed[place] = time.monotonic() + FAILURE_KEPT
        self._asking.pop(place, None)


system_resolver = SystemResolver()
"""The one of this process."""
