"""The database behind a URL: SQLite for one machine, PostgreSQL for several. Nothing above knows which."""

import asyncio
import errno
import os
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.schema import Table

T = TypeVar("T")

_WAL_TRIES = 200
_WAL_PAUSE = 0.02
"""Seconds. It stops the event loop for a moment, at the very first start only."""

_CONNECT_S = 5
"""How long a PostgreSQL may take to answer a new connection."""

_SQLITE_AWAY = frozenset({5, 6, 8, 10, 13, 14})
"""Busy, locked, read-only, I/O error, full, cannot open (https://sqlite.org/rescode.html)."""

_POSTGRES_AWAY = ("08", "53", "57P", "25006")
"""Connection, resources (a full disk is 53100), shut down, read-only (PostgreSQL, appendix A)."""


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be reached or cannot write now: no fault of what was asked, and it may pass."""
    if isinstance(error, PoolTimeout | ConnectionError | FileNotFoundError | TimeoutError | socket.gaierror):
        return True
    cause = (
        error.orig if isinstance(error, DBAPIError) else error
    )  # while it connects, the driver's own error comes through
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_AWAY
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return str(getattr(cause, "sqlstate", None) or "").startswith(_POSTGRES_AWAY)


class Database:
    """Hands out transactions.

    SQLite allows one writer at a time: in one process a lock keeps the writers in line, and BEGIN IMMEDIATE with a busy
    time-out keeps processes apart. `synchronous=FULL` makes a commit survive a power cut.
    """

    def __init__(self, engine: AsyncEngine, direct: Engine | None = None) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._direct = direct
        self._threads = {writes: ThreadPoolExecutor(1, "sqlite") for writes in (True, False)} if direct else {}
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
            direct = create_engine(
                parsed.set(drivername="sqlite"), hide_parameters=True, connect_args={"check_same_thread": False}
            )
            for one in (engine.sync_engine, direct):
                event.listen(one, "connect", _prepare_sqlite)
                event.listen(one, "begin", _begin_sqlite)
            return cls(engine, direct if parsed.database else None)
        query = dict(parsed.query)
        if "sslmode" in query:  # libpq's word, which people paste; asyncpg says ssl
            query["ssl"] = query.pop("sslmode")
        parsed = parsed.set(drivername="postgresql+asyncpg", query=query)
        return cls(
            create_async_engine(
                parsed,
                pool_size=10,
                max_overflow=10,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args={"timeout": _CONNECT_S},
            )
        )

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
            async with self.engine.connect() as connection, _sound(connection):
                yield connection
            return
        async with self._writers(), self.engine.connect() as connection, _sound(connection):
            yield await connection.execution_options(patchbay_writes=True)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, and sees one state of the database from its first question to its last."""
        # SQLite's transactions are like this anyway.
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self.engine.connect() as connection:
            yield await connection.execution_options(**options)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do work in a transaction of its own, which is committed when it returns and undone when it raises.

        For what is done thousands of times a second: on SQLite the work runs in one thread from its first statement to the
        commit, where `writing` would change threads for every statement.
        """
        if self._direct is None:
            async with self.writing() as connection:
                done = await connection.run_sync(work)
                await connection.commit()
            return done
        async with self._writers():
            return await asyncio.get_running_loop().run_in_executor(self._threads[True], self._do, work, True)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """As `write`, for what only reads; it waits for no writer."""
        if self._direct is None:
            async with self.reading() as connection:
                return await connection.run_sync(work)
        return await asyncio.get_running_loop().run_in_executor(self._threads[False], self._do, work, False)

    async def version(self) -> int:
        """A number that is another one after a commit that `write` of this process did not make. For SQLite only."""
        assert self._direct is not None
        return await asyncio.get_running_loop().run_in_executor(self._threads[True], self._version)

    def _version(self) -> int:
        assert self._direct is not None
        with self._direct.connect() as connection:
            # Of the connection that writes: what it commits itself does not count (sqlite.org/pragma.html#pragma_data_version).
            return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())

    def _do(self, work: Callable[[Connection], T], writes: bool) -> T:
        assert self._direct is not None
        with self._direct.connect() as connection:
            connection.execution_options(patchbay_writes=writes)
            try:
                done = work(connection)
                connection.commit()
            finally:
                if _failed(connection):
                    connection.invalidate()
            return done

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
        for thread in self._threads.values():
            await asyncio.get_running_loop().run_in_executor(None, thread.shutdown)
        if self._direct is not None:
            self._direct.dispose()
        await self.engine.dispose()


@asynccontextmanager
async def _sound(connection: AsyncConnection) -> AsyncIterator[None]:
    """Throw the connection away if its COMMIT failed: SQLAlchemy takes that transaction for ended, and the database may not.
    The next who got it from the pool would find a transaction open, or commit what was given up."""
    try:
        yield
    finally:
        if _failed(connection.sync_connection):
            await connection.invalidate()


def _failed(connection: Connection | None) -> bool:
    transaction = None if connection is None else connection.get_transaction()
    return transaction is not None and not transaction.is_active


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
