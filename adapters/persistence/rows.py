"""Between a row and the value it keeps: one mapper a kind, made from the value's own attributes."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, Generic, TypeVar, get_type_hints

import attrs
from cattrs.preconf.json import make_converter
from sqlalchemy import JSON, Table

from domain.money import Currency, Money
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.work.kinds import kind_named
from domain.work.records import Kind

T = TypeVar("T")

_converter = make_converter()
_converter.register_unstructure_hook(Currency, lambda currency: currency.code)
_converter.register_structure_hook(Currency, lambda code, _: Currency(code))


class Mapper(Generic[T]):
    """Turns a value of one attrs class into a row of its table and back. Enums are kept by value, nested values as JSON.

    reckoned: properties that have a column too, so that they can be filtered by; they are written and never read.
    """

    def __init__(self, kind: type[T], table: Table, *, reckoned: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.table = table
        self._reckoned = reckoned
        hints = get_type_hints(kind)
        names = [field.name for field in attrs.fields(kind)]  # type: ignore[arg-type]  # T is an attrs class
        self._write = [(name, _writer(name, hints[name], table)) for name in names]
        self._read = [(name, _reader(name, hints[name], table)) for name in names]

    def to_row(self, value: T) -> dict[str, Any]:
        """The row's columns."""
        row: dict[str, Any] = {}
        for name, write in self._write:
            row.update(write(getattr(value, name)))
        for name in self._reckoned:
            row[name] = plain(getattr(value, name))
        return row

    def from_row(self, row: Mapping[str, Any]) -> T:
        """The value; validated again as it is built."""
        return self.kind(**{name: read(row) for name, read in self._read})

    def at_version(self, value: T, version: int) -> T:
        """The same value with its new version."""
        return self.kind(**{**{name: getattr(value, name) for name, _ in self._read}, "version": version})


def plain(value: object) -> object:
    """A value as its column holds it, for comparing."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Currency):
        return value.code
    if isinstance(value, Kind):
        return value.name
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


def _writer(name: str, hint: Any, table: Table) -> Callable[[Any], dict[str, Any]]:
    if hint is Money:
        return lambda value: {f"{name}_amount": value.amount, f"{name}_currency": value.currency.code}
    if isinstance(table.c[name].type, JSON):
        return lambda value: {name: None if value is None else _converter.unstructure(value, hint)}
    if hint is Currency:
        return lambda value: {name: value.code}
    if hint is Kind:
        return lambda value: {name: value.name}
    if _without_none(hint) is date:
        return lambda value: {name: value and value.isoformat()}
    kind = _without_none(hint)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value: {name: None if value is None else value.value}
    return lambda value: {name: value}


def _reader(name: str, hint: Any, table: Table) -> Callable[[Mapping[str, Any]], Any]:
    if hint is Money:
        return lambda row: Money(row[f"{name}_amount"], Currency(row[f"{name}_currency"]))
    if isinstance(table.c[name].type, JSON):
        return lambda row: None if row[name] is None else _converter.structure(row[name], hint)
    if hint is Currency:
        return lambda row: Currency(row[name])
    if hint is Kind:
        return lambda row: kind_named(row[name])
    if _without_none(hint) is date:
        return lambda row: row[name] and date.fromisoformat(row[name])
    kind = _without_none(hint)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda row: None if row[name] is None else kind(row[name])
    return lambda row: row[name]


def _without_none(hint: Any) -> Any:
    """`date` for `date | None`, likewise for an Enum."""
    arguments = [a for a in getattr(hint, "__args__", ()) if a is not type(None)]
    return arguments[0] if len(arguments) == 1 and not isinstance(hint, type) and arguments[0] is not datetime else hint


def attempt_to_row(attempt: Attempt) -> dict[str, Any]:
    """An attempt's outcome is spread over columns, so that statistics can be asked of the database."""
    outcome = attempt.outcome
    return {
        "id": attempt.id,
        "organisation_id": attempt.organisation_id,
        "delivery_id": attempt.delivery_id,
        "number": attempt.number,
        "at": attempt.at,
        "verdict": outcome.verdict.value,
        "duration_us": outcome.duration // timedelta(microseconds=1),
        "status": outcome.status,
        "error": outcome.error,
        "request_headers": dict(outcome.request_headers),
        "request_body": outcome.request_body,
        "headers": dict(outcome.headers),
        "body": outcome.body,
        "retry_after_us": None if outcome.retry_after is None else outcome.retry_after // timedelta(microseconds=1),
    }


def attempt_from_row(row: Mapping[str, Any]) -> Attempt:
    """The attempt."""
    return Attempt(
        row["id"],
        row["organisation_id"],
        row["delivery_id"],
        row["number"],
        row["at"],
        Outcome(
            Verdict(row["verdict"]),
            timedelta(microseconds=row["duration_us"]),
            row["status"],
            row["error"],
            row["request_headers"],
            row["request_body"],
            row["headers"],
            row["body"],
            None if row["retry_after_us"] is None else timedelta(microseconds=row["retry_after_us"]),
        ),
    )
