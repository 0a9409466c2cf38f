"""The database behind a URL: SQLite for one machine, PostgreSQL for several. Nothing above knows which."""

import asyncio
import errno
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.schema import Table

_WAL_TRIES = 200
_WAL_PAUSE = 0.02
"""Seconds. It stops the event loop for a moment, at the very first start only."""


class Database:
    """Hands out transactions.

    SQLite allows one writer at a time: in one process a lock keeps the writers in line, and BEGIN IMMEDIATE with a busy
    time-out keeps processes apart. `synchronous=FULL` makes a commit survive a power cut.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._line: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @classmethod
    def at(cls, url: str) -> "Database":
        """Open `sqlite:///path` or `postgresql://…`; the driver is ours to choose. Raises OSError for an impossible path."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database:
                _make_room(Path(parsed.database))
            engine = create_async_engine(
                parsed.set(drivername="sqlite+aiosqlite"), pool_size=8, max_overflow=16, hide_parameters=True
            )
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
        else:
            query = dict(parsed.query)
            if "sslmode" in query:  # libpq's word, which people paste; asyncpg says ssl
                query["ssl"] = query.pop("sslmode")
            parsed = parsed.set(drivername="postgresql+asyncpg", query=query)
            engine = create_async_engine(
                parsed, pool_size=10, max_overflow=10, pool_pre_ping=True, hide_parameters=True
            )
        return cls(engine)

    @staticmethod
    def is_missing(url: str) -> bool:
        """Whether this is a SQLite file that is not there yet. Makes nothing, unlike `at` and what follows it."""
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite" or not parsed.database:
            return False
        return not Path(parsed.database).exists()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write. Leaving without `commit()` rolls back."""
        if not self.is_sqlite:
            async with self.engine.connect() as connection:
                yield connection
            return
        async with self._writers(), self.engine.connect() as connection:
            yield await connection.execution_options(patchbay_writes=True)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, and sees one state of the database from its first question to its last."""
        # SQLite's transactions are like this anyway.
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self.engine.connect() as connection:
            yield await connection.execution_options(**options)

    def _writers(self) -> asyncio.Lock:
        """The line the writers stand in. A lock belongs to one event loop; another loop gets a line of its own."""
        loop = asyncio.get_running_loop()
        if self._line is None or self._line[0] is not loop:
            self._line = (loop, asyncio.Lock())
        return self._line[1]

    def insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT, in this database's dialect."""
        return sqlite_insert(table) if self.is_sqlite else postgresql_insert(table)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _make_room(path: Path) -> None:
    """Make the folder. What cannot be opened is said here: SQLite says no more than that it cannot, in a thread."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with path.open("rb"):
            return
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """A new file is switched once. While another process does so, SQLite says "locked" at once, whatever its time-out."""
    for left in range(_WAL_TRIES, -1, -1):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if not left:
                raise
            time.sleep(_WAL_PAUSE)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("patchbay_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
