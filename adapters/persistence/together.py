"""A unit of work for many things at once: what will be asked for is loaded in one question, what is written goes out together.

Two hundred payments are then settled with some thirty statements instead of three thousand. What was not foreseen is asked as
ever, after what waits to be written has been.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar, cast, final

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.persistence.database import Database
from adapters.persistence.rows import Mapper, plain
from application.ports.store import AlreadyThere, StaleWrite

T = TypeVar("T")

_AT_ONCE = 500
"""Values of one question, below what the databases take as parameters."""


@final
class WritingLate:
    """A connection that lets what waits be written before anything else is asked."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._waiting: list[Behind[Any]] = []
        self._flushing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def register(self, behind: "Behind[Any]") -> None:
        """Ask this one for what it has to write."""
        self._waiting.append(behind)

    async def execute(self, *given: Any, **more: Any) -> Any:
        """As AsyncConnection's."""
        await self.flush()
        return await self._connection.execute(*given, **more)

    async def exec_driver_sql(self, *given: Any, **more: Any) -> Any:
        """As AsyncConnection's."""
        await self.flush()
        return await self._connection.exec_driver_sql(*given, **more)

    async def flush(self) -> None:
        """Write what waits. Raises AlreadyThere, StaleWrite."""
        if self._flushing:
            return
        self._flushing = True
        try:
            for behind in self._waiting:
                await behind.flush(self._connection)
        finally:
            self._flushing = False

    async def commit(self) -> None:
        """Write what waits, and commit."""
        await self.flush()
        await self._connection.commit()


@final
class Behind(Generic[T]):
    """What one collection knows without asking, and has not written yet."""

    def __init__(self, database: Database, mapper: Mapper[T], mine: Any, name: str) -> None:
        self._database = database
        self._mapper = mapper
        self._mine = mine
        self._name = name
        self._versioned = "version" in mapper.table.c
        self._known: dict[str, T] = {}
        self._absent: set[str] = set()
        self._covered: dict[str, dict[object, set[str]]] = {}
        """For a column: the values for which everything is known, and the ids of what has them."""
        self._answers: dict[frozenset[tuple[str, object]], tuple[T, ...]] = {}
        self._inserts: dict[str, dict[str, Any]] = {}
        self._updates: dict[str, tuple[int, dict[str, Any]]] = {}

    # Reading.

    def find(self, id: str) -> tuple[bool, T | None]:
        """Whether it is known without asking, and what it is."""
        found = self._known.get(id)
        if found is not None:
            return True, found
        return not id or id in self._absent or id in self._covered.get("id", ()), None

    def all(self, equal: Mapping[str, object]) -> tuple[T, ...] | None:
        """What matches; None when it is to be asked."""
        for column, value in equal.items():
            ids = self._covered.get(column, {}).get(plain(value)) if _single(value) else None
            if ids is not None:
                return tuple([self._known[id_] for id_ in sorted(ids) if _matches(self._known[id_], equal)])
        return self._answers.get(_question(equal)) if _hashable(equal) else None

    def learned(self, equal: Mapping[str, object], things: tuple[T, ...]) -> tuple[T, ...]:
        """What was asked, as this unit of work sees it; it is known from now on."""
        seen = tuple([self._see(thing) for thing in things])
        if _hashable(equal):
            self._answers[_question(equal)] = seen
        return seen

    def missing(self, id: str) -> None:
        """It was asked for, and there is none."""
        self._absent.add(id)

    def seen(self, thing: T) -> T:
        """One thing that was asked for."""
        return self._see(thing)

    async def expect(self, connection: AsyncConnection, column: str, values: Iterable[str]) -> None:
        """Load everything with one of these values."""
        covered = self._covered.setdefault(column, {})
        new = sorted({value for value in values if value and value not in covered})
        for begin in range(0, len(new), _AT_ONCE):
            part = new[begin : begin + _AT_ONCE]
            where = self._mapper.table.c[column].in_(part)
            query = self.locked(select(self._mapper.table).where(self._mine, where).order_by(self._mapper.table.c.id))
            rows = (await connection.execute(query)).mappings().all()
            covered.update({value: set() for value in part})
            for row in rows:
                self._see(self._mapper.from_row(cast("Mapping[str, Any]", row)))
        for id_, thing in self._known.items():
            ids = covered.get(plain(getattr(thing, column)))
            if ids is not None:
                ids.add(id_)

    def locked(self, query: Any) -> Any:
        """On PostgreSQL what is read may be written without looking again: nobody else changes it meanwhile. On SQLite there
        is only one who writes."""
        return query if self._database.is_sqlite or not self._versioned else query.with_for_update()

    def _see(self, thing: T) -> T:
        id_ = cast("Any", thing).id
        known = self._known.get(id_)
        if known is not None:
            return known
        self._put(id_, thing)
        return thing

    def _put(self, id_: str, thing: T) -> None:
        before = self._known.get(id_)
        self._known[id_] = thing
        for column, covered in self._covered.items():
            if before is not None and (ids := covered.get(plain(getattr(before, column)))) is not None:
                ids.discard(id_)
            if (ids := covered.get(plain(getattr(thing, column)))) is not None:
                ids.add(id_)

    # Writing.

    def add(self, thing: T, row: dict[str, Any]) -> None:
        """Write it later."""
        self._answers.clear()
        self._inserts[row["id"]] = row
        self._put(row["id"], thing)

    def save(self, thing: T, row: dict[str, Any]) -> T:
        """Write the change later; the thing with its next version. Raises StaleWrite for one that is known to be newer."""
        id_ = row["id"]
        known = self._known.get(id_)
        if self._versioned and known is not None and cast("Any", known).version != row["version"]:
            raise StaleWrite(f"The {self._name} was changed meanwhile.")
        self._answers.clear()
        base = row.get("version", 0)
        if self._versioned:
            row["version"] = base + 1
            thing = self._mapper.at_version(thing, base + 1)
        if id_ in self._inserts:
            self._inserts[id_] = row
        else:
            self._updates[id_] = (self._updates[id_][0] if id_ in self._updates else base, row)
        self._put(id_, thing)
        return thing

    def forget(self, id: str) -> None:
        """It is being removed, as it is in the database."""
        self._answers.clear()
        thing = self._known.pop(id, None)
        for column, covered in self._covered.items() if thing is not None else ():
            covered.get(plain(getattr(thing, column)), set()).discard(id)

    async def flush(self, connection: AsyncConnection) -> None:
        """Write what waits."""
        inserts, self._inserts = self._inserts, {}
        updates, self._updates = self._updates, {}
        if inserts:
            try:
                await connection.execute(self._mapper.table.insert(), list(inserts.values()))
            except IntegrityError as error:
                raise AlreadyThere(f"There already is such a {self._name}.") from error
        if updates:
            await self._update(connection, updates)

    async def _update(self, connection: AsyncConnection, updates: Mapping[str, tuple[int, dict[str, Any]]]) -> None:
        table = self._mapper.table
        where = [self._mine, table.c.id == bindparam("this_id")]
        if self._versioned:
            where.append(table.c.version == bindparam("this_version"))
        columns = [name for name in next(iter(updates.values()))[1] if name != "id"]
        values = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in columns}
        rows = []
        for id_, (base, row) in updates.items():
            given = {f"new_{name}": row[name] for name in columns} | {"this_id": id_}
            rows.append(given | {"this_version": base} if self._versioned else given)
        result = await connection.execute(update(table).where(*where).values(values), rows)
        # asyncpg does not count; there the rows were locked when they were read.
        if result.rowcount >= 0 and result.rowcount != len(rows):
            raise StaleWrite(f"A {self._name} was changed by someone else meanwhile.")


def _single(value: object) -> bool:
    return value is not None and not isinstance(value, tuple | frozenset | set)


def _matches(thing: object, equal: Mapping[str, object]) -> bool:
    for name, value in equal.items():
        wanted = value if isinstance(value, tuple | frozenset | set) else (value,)
        if plain(getattr(thing, name)) not in [plain(one) for one in wanted]:
            return False
    return True


def _hashable(equal: Mapping[str, object]) -> bool:
    return all(not isinstance(value, set) for value in equal.values())


def _question(equal: Mapping[str, object]) -> frozenset[tuple[str, object]]:
    return frozenset(
        (name, value if isinstance(value, tuple | frozenset) else plain(value)) for name, value in equal.items()
    )
