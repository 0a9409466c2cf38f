"""Connections that wait for the next request to the same place, for a few seconds."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import final

from adapters.http.connection import Connection

IDLE_SECONDS = 4.0
"""Shorter than the 5 s after which common servers drop an idle connection."""
LIFE_SECONDS = 60.0
"""A name that moved, or an allowance that was taken back, is noticed after that long, however busy the connection."""
IDLE_PER_PLACE = 256
IDLE_IN_ALL = 1024

_SWEEP_SECONDS = 1.0


@final
class Pool:
    """The idle connections of one event loop; the one used last goes out first, so that the others can grow old.

    A place is whatever makes connections alike: scheme, host, port, identity. Connections in use are their users'.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._by_place: dict[Hashable, list[Connection]] = {}
        self._places: OrderedDict[Connection, Hashable] = OrderedDict()  # the longest idle comes first
        self._sweeping: asyncio.TimerHandle | None = None
        self._open = True

    @property
    def idle(self) -> int:
        """How many connections wait."""
        return len(self._places)

    def take(self, place: Hashable) -> Connection | None:
        """A connection that waited, or None."""
        waiting = self._by_place.get(place)
        while waiting:
            connection = waiting.pop()
            del self._places[connection]
            if connection.usable and self._loop.time() - connection.idle_since <= IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def put(self, place: Hashable, connection: Connection) -> None:
        """Keep it for the next, unless it can serve no more, is too old, or enough wait already."""
        now = self._loop.time()
        waiting = self._by_place.setdefault(place, [])
        if (
            not self._open
            or not connection.reusable
            or now - connection.made > LIFE_SECONDS
            or len(waiting) >= IDLE_PER_PLACE
        ):
            connection.close()
            return
        connection.idle_since = now
        waiting.append(connection)
        self._places[connection] = place
        if len(self._places) > IDLE_IN_ALL:
            self._drop_oldest()
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Close what is idle now, and from now on whatever is put."""
        self._open = False
        while self._places:
            self._drop_oldest()
        self._by_place.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def _drop_oldest(self) -> None:
        connection, place = self._places.popitem(last=False)
        self._by_place[place].remove(connection)
        connection.close()

    def _sweep(self) -> None:
        self._sweeping = None
        limit = self._loop.time() - IDLE_SECONDS
        while self._places and next(iter(self._places)).idle_since < limit:
            self._drop_oldest()
        for place in [place for place, waiting in self._by_place.items() if not waiting]:
            del self._by_place[place]
        if self._places:
            self._sweeping = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
