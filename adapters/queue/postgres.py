"""Calls over the database itself: LISTEN and NOTIFY on one connection of their own. Nothing more to install.

A NOTIFY reaches the sessions of its own database only (https://www.postgresql.org/docs/current/sql-notify.html), so hubs on
one server do not hear each other. A pooler that shares sessions between transactions cannot carry LISTEN: name the server
itself in PATCHBAY_QUEUE_URL then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, final

import asyncpg
from sqlalchemy.engine import make_url

from adapters.queue.brokered import BrokeredQueue, Line, Pace
from application.ports.work_queue import Topic

CHANNEL = "patchbay_work"

_TIMEOUT_S = 5
_ALIVE = (
    "SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),"
    " set_config('tcp_keepalives_count', '3', false)"
)
"""The server lets go of a process whose machine died. This side notices a dead server by its own unanswered messages."""


@final
class PostgresQueue(BrokeredQueue):
    """For a `postgresql://` URL as the database's, `sslmode` included."""

    def __init__(self, url: str, *, pace: Pace | None = None) -> None:
        """Connects in `open`. Raises ValueError for an address that cannot be."""
        self._arguments = _arguments(url)
        where = f"{self._arguments.get('host') or 'default'}/{self._arguments.get('database') or ''}"
        super().__init__("postgresql", where, pace)

    @asynccontextmanager
    async def _line(self, heard: Callable[[bytes | str], None]) -> AsyncIterator[Line]:
        connection: Any = await asyncpg.connect(**self._arguments)
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def gone(_: Any) -> None:
            if not lost.done():
                lost.set_result(None)

        def receive(_: Any, __: int, ___: str, payload: object) -> None:
            heard(str(payload))

        async def send(_: Topic | None, message: bytes) -> None:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message.decode())

        try:
            connection.add_termination_listener(gone)
            await connection.execute(_ALIVE)
            await connection.add_listener(CHANNEL, receive)
            yield Line(send, lost)
        finally:
            connection.terminate()  # to take leave of a server that may be dead would take time
            lost.cancel()


def _arguments(url: str) -> dict[str, Any]:
    """What asyncpg is called with; the same that the database's engine calls it with (adapters/persistence/database.py)."""
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
        query = dict(parsed.query)
        if "sslmode" in query:
            query["ssl"] = query.pop("sslmode")
        parsed = parsed.set(drivername="postgresql+asyncpg", query=query)
        arguments = dict(parsed.get_dialect()().create_connect_args(parsed)[1])
    except Exception as error:
        raise ValueError("it is no postgresql:// address") from error
    for engines_own in ("prepared_statement_cache_size", "prepared_statement_name_func"):
        arguments.pop(engines_own, None)
    # No prepared statements: a server that was swapped for another, or a pooler, would not know them.
    return {**arguments, "timeout": _TIMEOUT_S, "command_timeout": _TIMEOUT_S, "statement_cache_size": 0}
