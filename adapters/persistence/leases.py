"""Named leases as rows: one holder at a time over all processes that share the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import final

from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

from adapters.persistence import tables
from adapters.persistence.database import Database
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held, Leases

_FIRST_POLL, _LONGEST_POLL = 0.01, 0.2
"""Seconds between two tries to take a lease that is held: soon at first, because most are held for moments."""


@final
class SqlLeases(Leases):
    """A lease is taken by writing its row, or by writing over one whose time is up."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    @asynccontextmanager
    async def hold(self, name: str, *, for_: timedelta, wait: timedelta = timedelta()) -> AsyncIterator[None]:
        holder = self._ids.token()
        loop = asyncio.get_running_loop()  # its time: a clock that is set back must not make anyone wait longer
        deadline, pause = loop.time() + wait.total_seconds(), _FIRST_POLL
        while not await self._take(name, holder, for_):
            left = deadline - loop.time()
            if left <= 0:
                raise Held(f"'{name}' is being worked on by someone else.")
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_POLL)
        renewing = asyncio.create_task(self._renew(name, holder, for_))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._release(name, holder)

    async def _renew(self, name: str, holder: str, for_: timedelta) -> None:
        """While the holder lives the lease does not run out, so that it can be short: a dead one's is free soon."""
        table = tables.leases
        mine = update(table).where(table.c.name == name, table.c.holder == holder)
        while True:
            await asyncio.sleep(self._clock.seconds_until(self._clock.now() + for_ / 3))
            with suppress(SQLAlchemyError, OSError):  # the database is away: the next time may do
                async with self._database.writing() as connection:
                    await connection.execute(mine.values(until=self._clock.now() + for_))
                    await connection.commit()

    async def _take(self, name: str, holder: str, for_: timedelta) -> bool:
        table = tables.leases
        now = self._clock.now()
        statement = self._database.insert(table).values(name=name, holder=holder, until=now + for_)
        statement = statement.on_conflict_do_update(
            index_elements=["name"], set_={"holder": holder, "until": now + for_}, where=table.c.until <= now
        )
        async with self._database.writing() as connection:
            taken = (await connection.execute(statement)).rowcount == 1
            await connection.commit()
        return taken

    async def _release(self, name: str, holder: str) -> None:
        table = tables.leases
        async with self._database.writing() as connection:
            await connection.execute(delete(table).where(table.c.name == name, table.c.holder == holder))
            await connection.commit()
