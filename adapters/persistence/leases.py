"""Named leases as rows: one holder at a time over all processes that share the database."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import final

import attrs
from sqlalchemy import bindparam, delete, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.group import Grouped
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held, Leases

_FIRST_POLL, _LONGEST_POLL = 0.01, 0.2
"""Seconds between two tries to take a lease that is held: soon at first, because most are held for moments."""


_MOST_AT_ONCE = 64
"""Leases that one transaction takes or gives back."""


@attrs.frozen
class _Wanted:
    """A lease to be taken, or with `for_` None to be given back."""

    name: str
    holder: str
    for_: timedelta | None


@final
class SqlLeases(Leases):
    """A lease is taken by writing its row, or by writing over one whose time is up. What is taken and given back at the
    same moment shares a transaction."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._grouped: Grouped[_Wanted, bool] = Grouped(self._write, most=_MOST_AT_ONCE, weight=lambda _: 1)
        self._giving: set[asyncio.Future[bool]] = set()
        table = tables.leases
        new = {"name": bindparam("lease"), "holder": bindparam("by"), "until": bindparam("until", type_=tables.Instant)}
        over = table.c.until <= bindparam("now", type_=tables.Instant)
        insert = database.insert(table).values(new)
        self._take = insert.on_conflict_do_update(
            index_elements=["name"], set_={name: new[name] for name in ("holder", "until")}, where=over
        )
        self._give_back = delete(table).where(table.c.name == bindparam("lease"), table.c.holder == bindparam("by"))

    @asynccontextmanager
    async def hold(self, name: str, *, for_: timedelta, wait: timedelta = timedelta()) -> AsyncIterator[None]:
        holder = self._ids.token()
        loop = asyncio.get_running_loop()  # its time: a clock that is set back must not make anyone wait longer
        deadline, pause = loop.time() + wait.total_seconds(), _FIRST_POLL
        while not await self._taken(_Wanted(name, holder, for_)):
            left = deadline - loop.time()
            if left <= 0:
                raise Held(f"'{name}' is being worked on by someone else.", name=name)
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_POLL)
        renewing = asyncio.create_task(self._renew([name], holder, for_))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._grouped(_Wanted(name, holder, None))

    @asynccontextmanager
    async def hold_free(self, names: Iterable[str], *, for_: timedelta) -> AsyncIterator[frozenset[str]]:
        holder = self._ids.token()
        wanted = [_Wanted(name, holder, for_) for name in sorted(set(names))]
        taken = await asyncio.gather(*(self._taken(one) for one in wanted), return_exceptions=True)
        held = [one for one, done in zip(wanted, taken, strict=True) if done is True]
        renewing = asyncio.create_task(self._renew([one.name for one in held], holder, for_))
        try:
            for problem in taken:
                if isinstance(problem, BaseException):
                    raise problem
            yield frozenset(one.name for one in held)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await asyncio.gather(*(self._grouped(attrs.evolve(one, for_=None)) for one in held))

    async def _taken(self, wanted: _Wanted) -> bool:
        try:
            return await self._grouped(wanted)
        except asyncio.CancelledError:
            # Whoever asked has gone; the group goes on, and what it takes for them is given back after it.
            giving = asyncio.ensure_future(self._grouped(attrs.evolve(wanted, for_=None)))
            self._giving.add(giving)
            giving.add_done_callback(self._given)
            raise

    def _given(self, giving: "asyncio.Future[bool]") -> None:
        self._giving.discard(giving)
        if not giving.cancelled():
            giving.exception()  # the lease then ends by its time

    async def _renew(self, names: Sequence[str], holder: str, for_: timedelta) -> None:
        """While the holder lives the lease does not run out, so that it can be short: a dead one's is free soon."""
        table = tables.leases
        mine = update(table).where(table.c.name.in_(names), table.c.holder == holder)
        while True:
            await asyncio.sleep(self._clock.seconds_until(self._clock.now() + for_ / 3))
            with suppress(SQLAlchemyError, OSError):  # the database is away: the next time may do
                async with self._database.writing() as connection:
                    await connection.execute(mine.values(until=self._clock.now() + for_))
                    await connection.commit()

    async def _write(self, group: Sequence[_Wanted]) -> Sequence[bool]:
        """For each, whether it is taken; or given back, for what that matters."""
        # In one order everywhere, so that two processes with the same leases never wait for each other.
        order = sorted(range(len(group)), key=lambda number: group[number].name)

        def work(connection: Connection) -> list[bool]:
            done = [False] * len(group)
            for number in order:
                one = group[number]
                given = {"lease": one.name, "by": one.holder}
                if one.for_ is None:
                    connection.execute(self._give_back, given)
                else:
                    now = self._clock.now()
                    result = connection.execute(self._take, {**given, "now": now, "until": now + one.for_})
                    done[number] = result.rowcount == 1
            return done

        return await self._database.write(work)
