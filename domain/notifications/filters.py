"""Filters: which events an endpoint wants, said in one expression on the event.

    data.amount >= 10000 and data.currency in ["EUR", "USD"] and not startswith(data.client.name, "Test")

Evaluation never raises: values of different kinds are not equal and not in order, and what is missing is null. There are
no loops and no regular expressions; every function looks at a bounded part (ADR 0017).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import attrs

from domain.notifications.filter_evaluation import Read, Test, compiled, values_of
from domain.notifications.filter_grammar import (
    MAX_FILTER,
    MAX_NODES,
    Call,
    Comparison,
    Condition,
    Junction,
    Negation,
    Operand,
    parse_condition,
)
from domain.notifications.paths import MISSING

__all__ = ["MAX_FILTER", "MAX_NODES", "Clause", "Filter"]

_MOST_SAID = 200


@attrs.frozen
class Clause:
    """One comparison of a filter on one event, for a preview.

    text: as written. values: each path with the JSON that stands there, shortened, or None where nothing does. holds:
    what it came to by itself, whatever `not`, `and` and `or` make of it.
    """

    text: str
    values: tuple[tuple[str, str | None], ...]
    holds: bool


@attrs.frozen
class Filter:
    """A filter that was read once and can be asked many times. text: as the user wrote it."""

    text: str
    _test: Test = attrs.field(repr=False, eq=False)
    _clauses: tuple[tuple[str, tuple[tuple[str, Read], ...], Test], ...] = attrs.field(repr=False, eq=False)

    @classmethod
    def parse(cls, text: str, *, field: str = "filter") -> "Filter":
        """Read a filter of at most 4 KiB, 200 values and conditions, 32 levels.

        Raises:
            Invalid: naming `field`, with line, column and what was expected.
        """
        return _parse(text, field)

    def accepts(self, view: Mapping[str, Any]) -> bool:
        """Whether the event is wanted. Never raises. view: as `Payload.view` gives it."""
        return self._test(view)

    def explain(self, view: Mapping[str, Any]) -> tuple[Clause, ...]:
        """Each comparison with its values and result, in the order they are written. Never raises."""
        return tuple(
            Clause(text, tuple((path, _said(read(view))) for path, read in values), test(view))
            for text, values, test in self._clauses
        )


@lru_cache(maxsize=1024)
def _parse(text: str, field: str) -> Filter:
    condition = parse_condition(text, field)
    return Filter(text, compiled(condition), tuple(_clauses(condition)))


def _clauses(condition: Condition) -> Iterator[tuple[str, tuple[tuple[str, Read], ...], Callable[..., bool]]]:
    if isinstance(condition, Junction):
        for part in condition.conditions:
            yield from _clauses(part)
    elif isinstance(condition, Negation):
        yield from _clauses(condition.condition)
    else:
        if isinstance(condition, Comparison):
            operands: tuple[Operand, ...] = (condition.left, condition.right)
        else:
            operands = condition.arguments if isinstance(condition, Call) else (condition.operand,)
        yield condition.clause, tuple(v for operand in operands for v in values_of(operand)), compiled(condition)


def _said(value: Any) -> str | None:
    if value is MISSING:
        return None
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, str):
        value = value if len(value) <= _MOST_SAID else f"{value[:_MOST_SAID]}…"
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return "not a JSON value"
