"""Statements that run for thousands of rows a second: compiled once, and given plain values in the order they ask for."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import JSON, BigInteger, Boolean, Column, Connection, Integer, LargeBinary, Table, TypeDecorator

from adapters.persistence.tables import keepable
from application.ports.dispatch import Ready
from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.health import WELL, Health
from domain.notifications.payload import Payload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


_POSTGRESQL_TYPES: tuple[tuple[type[Any], str], ...] = (
    (JSON, "text"),
    (LargeBinary, "bytea"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (Boolean, "boolean"),
)


class Many:
    """An INSERT or UPDATE of many rows, given as plain tuples in the order of its columns.

    It skips the column types: values are what the driver takes. SQLite runs it once a row, which costs it little;
    PostgreSQL gets all rows in one statement, a column an array.
    """

    def __init__(self, for_each: str, at_once: str) -> None:
        self._for_each = for_each
        self._at_once = at_once

    @classmethod
    def insert(cls, table: Table, *, on_conflict: str = "") -> "Many":
        """Into every column of the table, in its own order."""
        names = [column.name for column in table.c]
        into = f"INSERT INTO {table.name} ({', '.join(names)})"
        values = f"VALUES ({', '.join('?' for _ in names)})"
        arrays = ", ".join(f"v.{column.name}{_cast(column)}" for column in table.c)
        return cls(
            f"{into} {values} {on_conflict}",
            f"{into} SELECT {arrays} FROM {_arrays(table, names)} {on_conflict}",  # noqa: S608  # names of our own
        )

    @classmethod
    def update(cls, table: Table, columns: Sequence[str], *, key: str, where: str = "true") -> "Many":
        """Of these columns, where the key column, which is given last, and a fixed condition fit."""
        for_each = ", ".join(f"{name} = ?" for name in columns)
        at_once = ", ".join(f"{name} = v.{name}{_cast(table.c[name])}" for name in columns)
        return cls(
            f"UPDATE {table.name} SET {for_each} WHERE {key} = ? AND {where}",  # noqa: S608  # names of our own
            f"UPDATE {table.name} SET {at_once} FROM {_arrays(table, (*columns, key))}"  # noqa: S608
            f" WHERE {table.name}.{key} = v.{key} AND {where}",
        )

    def __call__(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Run it for these rows; for none, do nothing."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._for_each, list(map(tuple, rows)))
        else:
            connection.exec_driver_sql(self._at_once, tuple(map(list, zip(*rows, strict=True))))


def _arrays(table: Table, names: Sequence[str]) -> str:
    types = ", ".join(f"${number}::{_type(table.c[name])}[]" for number, name in enumerate(names, 1))
    return f"unnest({types}) AS v({', '.join(names)})"


def _type(column: Column[Any]) -> str:
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    return next((name for type_, name in _POSTGRESQL_TYPES if isinstance(kind, type_)), "text")


def _cast(column: Column[Any]) -> str:
    return "::json" if isinstance(column.type, JSON) else ""


def instant(moment: datetime) -> int:
    """Microseconds since 1970, as `tables.Instant` keeps them."""
    return (moment - _EPOCH) // _MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """The moment again."""
    return _EPOCH + timedelta(microseconds=microseconds)


def text_of(value: Mapping[str, Any]) -> str:
    """JSON text, as both databases take it."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot say
        return keepable(json.dumps(value, ensure_ascii=False)) or ""


READY_COLUMNS = (
    "d.id", "d.organisation_id", "d.event_id", "d.event_type", "d.kind", "d.destination_id", "d.message_id",
    "d.created_at", "d.due_at", "d.attempts", "d.last_error", "d.last_status", "CAST(d.mail AS TEXT)", "d.replay_of",
    "d.expires_at",
    "e.occurred_at", "CAST(e.data AS TEXT)",
)  # fmt: skip

_KINDS = {kind.value: kind for kind in DestinationKind}


def ready_from(row: Sequence[Any], source_url: str) -> Ready:
    """A delivery that is due, with its event's data left as the text it is."""
    (
        id_, organisation_id, event_id, event_type, kind, destination_id, message_id, created_at, due_at, attempts,
        last_error, last_status, mail, replay_of, expires_at, occurred_at, data,
    ) = row  # fmt: skip
    delivery = Delivery(
        id_,
        organisation_id,
        event_id,
        event_type,
        _KINDS[kind],
        destination_id,
        message_id,
        instant_of(created_at),
        instant_of(due_at),
        DeliveryState.PENDING,
        attempts,
        last_error,
        last_status,
        None,
        None if mail is None else msgspec.json.decode(mail),
        replay_of,
        None if expires_at is None else instant_of(expires_at),
    )
    payload = Payload(event_id, organisation_id, event_type, instant_of(occurred_at), data.encode(), source_url)
    return Ready(delivery, payload)


def attempt_values(attempt: Attempt) -> tuple[Any, ...]:
    """An attempt's row in the order of the table's columns, as `rows.attempt_to_row` makes it."""
    outcome = attempt.outcome
    return (
        attempt.id,
        attempt.organisation_id,
        attempt.delivery_id,
        attempt.number,
        instant(attempt.at),
        outcome.verdict.value,
        outcome.duration // _MICROSECOND,
        outcome.status,
        keepable(outcome.error),
        keepable(text_of(outcome.request_headers)),
        keepable(outcome.request_body),
        keepable(text_of(outcome.headers)),
        keepable(outcome.body),
        None if outcome.retry_after is None else outcome.retry_after // _MICROSECOND,
    )


def health_to(health: Health) -> str:
    """A destination's health as JSON text; its pause has a column of its own."""
    since = health.failing_since
    return text_of(
        {
            "strikes": health.strikes,
            "breaks": health.breaks,
            "failures": health.failures,
            "failing_since": None if since is None else instant(since),
            "warned": health.warned,
            "throttles": health.throttles,
        }
    )


def health_from(kept: Mapping[str, Any], paused_until: datetime | None) -> Health:
    """The health again."""
    if not kept:
        return WELL if paused_until is None else Health(paused_until=paused_until)
    since = kept["failing_since"]
    return Health(
        kept["strikes"],
        kept["breaks"],
        paused_until,
        kept["failures"],
        None if since is None else instant_of(since),
        kept["warned"],
        kept["throttles"],
    )
