"""Payments and the ledger in the database: what is asked of many rows at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import final

from sqlalchemy import and_, func, or_, select

from adapters.persistence.collections import SqlCollection
from application.ports.store import After, AlreadyThere, Ledger, Payments
from domain.billing.ledger import Balance, Entry
from domain.billing.payments import Payment
from domain.money import Currency, Money


@final
class SqlPayments(SqlCollection[Payment], Payments):
    """Payments; reading what moved goes along the index of when they were changed."""

    async def moved(
        self, provider: str, since: datetime, until: datetime, *, limit: int, after: After | None = None
    ) -> tuple[After, ...]:
        columns = self._table.c
        where = [columns.provider == provider, columns.created_at < until]
        if after is None:
            where.append(columns.updated_at >= since)
        else:
            # The first part is what the index is entered by.
            same = and_(columns.updated_at == after.changed_at, columns.id > after.id)
            where += [columns.updated_at >= after.changed_at, or_(columns.updated_at > after.changed_at, same)]
        query = select(columns.updated_at, columns.id).where(self._mine, *where)
        rows = (await self._connection.execute(query.order_by(columns.updated_at, columns.id).limit(limit))).all()
        return tuple(After(changed_at, id_) for changed_at, id_ in rows)


@final
class SqlLedger(SqlCollection[Entry], Ledger):
    """Entries; the database adds them up."""

    async def add_all(self, entries: Sequence[Entry]) -> None:
        rows = [self._mapper.to_row(entry) for entry in entries]
        for row in rows:
            self._check_owner(row)
        if self._behind is not None:
            for entry, row in zip(entries, rows, strict=True):
                self._behind.add(entry, row)
        elif rows:
            statement = self._database.insert(self._table).values(rows).on_conflict_do_nothing()
            if (await self._connection.execute(statement)).rowcount != len(rows):
                raise AlreadyThere(f"{entries[0].source} was posted before.")

    async def balances(self) -> tuple[Balance, ...]:
        columns = self._table.c
        query = (
            select(columns.account, columns.amount_currency, func.sum(columns.amount_amount))
            .where(self._mine)
            .group_by(columns.account, columns.amount_currency)
            .order_by(columns.account, columns.amount_currency)
        )
        rows = (await self._connection.execute(query)).all()
        # PostgreSQL adds whole numbers up to a numeric.
        return tuple(Balance(account, Money(int(sum_), Currency(code))) for account, code, sum_ in rows)
