"""Statements on deliveries that wait to be fetched: written so that both databases use the partial index."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, or_, select, text, update
from sqlalchemy.dialects.postgresql import Insert as PgInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.sql.dml import ReturningUpdate

from adapters.persistence import tables
from adapters.persistence.database import Database
from domain.notifications.deliveries import DeliveryState
from domain.notifications.statistics import STEPS, Counted, bucket_of, start_of

_TABLE = tables.deliveries
_WAITING = _TABLE.c.state == text("'waiting'")
_PENDING = _TABLE.c.state == text("'pending'")


def first_pending(destination_id: str) -> Select[Any]:
    """The head of a lane."""
    query = select(_TABLE).where(_TABLE.c.destination_id == destination_id, _PENDING)
    return query.order_by(_TABLE.c.due_at, _TABLE.c.id).limit(1)


def waiting(destination_id: str, now: datetime, limit: int, after: str | None) -> Select[Any]:
    """What can be fetched, oldest first."""
    alive = or_(_TABLE.c.expires_at.is_(None), _TABLE.c.expires_at > now)
    query = select(_TABLE).where(_TABLE.c.destination_id == destination_id, _WAITING, _TABLE.c.due_at <= now, alive)
    if after is not None:
        query = query.where(_TABLE.c.id > after)
    return query.order_by(_TABLE.c.id).limit(limit)


def hand_out(mine: ColumnElement[bool], ids: Collection[str]) -> Update:
    """Fetched once more."""
    return update(_TABLE).where(_of(mine, _TABLE.c.id.in_(ids)), _WAITING).values(attempts=_TABLE.c.attempts + 1)


def collect(
    mine: ColumnElement[bool], destination_id: str, now: datetime, ids: Collection[str], up_to: str | None
) -> ReturningUpdate[Any]:
    """Delivered; gives back when each was made."""
    meant = _TABLE.c.id.in_(ids) if up_to is None else (_TABLE.c.id <= up_to) & (_TABLE.c.attempts > 0)
    ended = update(_TABLE).where(_of(mine, _TABLE.c.destination_id == destination_id, meant), _WAITING)
    return ended.values(state=DeliveryState.DELIVERED.value, finished_at=now).returning(_TABLE.c.created_at)


def expire(mine: ColumnElement[bool], destination_id: str, now: datetime) -> ReturningUpdate[Any]:
    """Too late; gives back when each was made."""
    over = _of(mine, _TABLE.c.destination_id == destination_id, _TABLE.c.expires_at <= now)
    ended = update(_TABLE).where(over, _WAITING)
    why = "It expired before it was fetched."
    values = {"state": DeliveryState.EXPIRED.value, "last_error": why, "finished_at": now}
    return ended.values(values).returning(_TABLE.c.created_at)


def hand_over(mine: ColumnElement[bool], destination_id: str, state: DeliveryState) -> Update:
    """From pending to waiting, or back."""
    open_ = _PENDING if state is DeliveryState.WAITING else _WAITING
    rows = select(_TABLE.c.id).where(mine, _TABLE.c.destination_id == destination_id, open_)
    chosen = _TABLE.c.id.in_(rows.order_by(_TABLE.c.id).with_for_update())
    return update(_TABLE).where(chosen, open_).values(state=state.value)


def _of(mine: ColumnElement[bool], *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """These rows, locked in the order in which everybody locks them."""
    rows = select(_TABLE.c.id).where(mine, *where, _WAITING)
    return _TABLE.c.id.in_(rows.order_by(_TABLE.c.id).with_for_update())


def counted(
    database: Database,
    organisation_id: str,
    destination_id: str,
    outcome: Counted,
    made: Sequence[datetime],
    now: datetime,
) -> PgInsert | SqliteInsert:
    """The statistics of what ended now. made: when each was made; not empty."""
    table = tables.statistics
    buckets = Counter(bucket_of(now - at) for at in made)
    insert = database.insert(table).values(
        [
            {
                "destination_id": destination_id,
                "organisation_id": organisation_id,
                "step": STEPS[0],
                "at": start_of(now, STEPS[0]),
                "outcome": outcome.value,
                "bucket": bucket,
                "count": count,
            }
            for bucket, count in sorted(buckets.items())
        ]
    )
    keys = [column.name for column in table.primary_key]
    upsert: PgInsert | SqliteInsert = insert.on_conflict_do_update(
        index_elements=keys, set_={"count": table.c.count + insert.excluded.count}
    )
    return upsert
