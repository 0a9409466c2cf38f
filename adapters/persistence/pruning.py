"""Pruning over SQL. Old rows are found by their ids, which begin with the time they were made (domain/ids.py): that needs
no further index, and no row is looked at twice."""

from datetime import datetime
from typing import final

from sqlalchemy import Table, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.persistence import tables
from adapters.persistence.database import Database
from application.ports.pruning import Pruned, Pruning
from domain.ids import make_id

AT_ONCE = 500
"""Rows that are looked at in one transaction."""

BLANKED = "payloads-blanked"
"""The mark that names the last attempt whose payload was blanked."""


@final
class SqlPruning(Pruning):
    """In SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def blank_payloads(self, before: datetime) -> Pruned:
        table, marks = tables.attempts, tables.marks
        async with self._database.writing() as connection:
            query = select(marks.c.value).where(marks.c.name == BLANKED)
            position = (await connection.execute(query)).scalar_one_or_none()
            ids = await _older(connection, table, "attempt", before, position)
            if not ids:
                return Pruned(0, None)
            old = update(table).where(table.c.id.in_(ids), table.c.at < before)
            empty = old.values(request_headers={}, request_body="", headers={}, body="")
            count = (await connection.execute(empty)).rowcount
            mark = self._database.insert(marks).values(name=BLANKED, value=ids[-1])
            await connection.execute(
                mark.on_conflict_do_update(index_elements=["name"], set_={"value": mark.excluded.value})
            )
            await connection.commit()
        return _pruned(count, ids)

    async def forget_events(self, before: datetime, position: str | None) -> Pruned:
        table, deliveries = tables.events, tables.deliveries
        needed = exists().where(
            deliveries.c.organisation_id == table.c.organisation_id, deliveries.c.event_id == table.c.id
        )
        async with self._database.writing() as connection:
            ids = await _older(connection, table, "event", before, position)
            # Asked anew by the same statement that deletes: a delivery may have been made since.
            gone = delete(table).where(table.c.id.in_(ids), table.c.created_at < before, ~needed)
            count = (await connection.execute(gone)).rowcount if ids else 0
            await connection.commit()
        return _pruned(count, ids)

    async def forget_audit(self, before: datetime, position: str | None) -> Pruned:
        table = tables.audit
        async with self._database.writing() as connection:
            ids = await _older(connection, table, "audit", before, position)
            gone = delete(table).where(table.c.id.in_(ids), table.c.at < before)
            count = (await connection.execute(gone)).rowcount if ids else 0
            await connection.commit()
        return _pruned(count, ids)


async def _older(
    connection: AsyncConnection, table: Table, kind: str, before: datetime, position: str | None
) -> list[str]:
    """The next ids that were made before a moment, in their order."""
    edge = make_id(kind, int(before.timestamp() * 1000), bytes(10))
    older = select(table.c.id).where(table.c.id > (position or ""), table.c.id < edge)
    return list((await connection.execute(older.order_by(table.c.id).limit(AT_ONCE))).scalars())


def _pruned(count: int, ids: list[str]) -> Pruned:
    return Pruned(count, ids[-1] if len(ids) == AT_ONCE else None)
