"""What a filter's tree means, as functions: comparing never raises, and never looks at more than a bounded part.

Kinds are JSON's: text, number, boolean, null; lists and objects equal nothing. A path that leads nowhere gives null.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from domain.notifications.filter_grammar import (
    Call,
    Comparison,
    Condition,
    Constant,
    Junction,
    Lookup,
    Negation,
    Operand,
    Truth,
)
from domain.notifications.globs import Glob
from domain.notifications.paths import MISSING

LONGEST_TEXT = 16 * 1024
"""Characters that `contains` and `lower` look at."""
LONGEST_LIST = 1000
"""Elements that `in` and `contains` look at."""

View = Mapping[str, Any]
Test = Callable[[View], bool]
Read = Callable[[View], Any]
_Relation = Callable[[Any, Any], bool]

_NUMBERS = (int, float)
_SCALARS = (str, bool, int, float, type(None))
_ORDERS: dict[str, _Relation] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def compiled(condition: Condition) -> Test:
    """The condition as a function of the event's view."""
    if isinstance(condition, Junction):
        return _junction(condition.every, tuple(compiled(part) for part in condition.conditions))
    if isinstance(condition, Negation):
        inner = compiled(condition.condition)
        return lambda view: not inner(view)
    if isinstance(condition, Comparison):
        return _comparison(condition)
    read = _reader(condition.operand) if isinstance(condition, Truth) else _call(condition)
    return lambda view: read(view) is True


def values_of(operand: Operand) -> tuple[tuple[str, Read], ...]:
    """Every path that is read, with how to read it."""
    if isinstance(operand, Lookup):
        return ((str(operand.path), operand.path.find),)
    return tuple(value for part in operand.arguments for value in values_of(part)) if isinstance(operand, Call) else ()


def _junction(every: bool, tests: tuple[Test, ...]) -> Test:
    def all_of(view: View) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs as much as a comparison
            if not test(view):
                return False
        return True

    def any_of(view: View) -> bool:
        for test in tests:  # noqa: SIM110
            if test(view):
                return True
        return False

    return all_of if every else any_of


def _comparison(comparison: Comparison) -> Test:
    sign = comparison.operator
    if sign in ("in", "not in"):
        test = _membership(comparison)
    elif sign in ("==", "!="):
        test = _equality(comparison)
    else:
        return _order(_ORDERS[sign], _reader(comparison.left), _reader(comparison.right))
    return (lambda view: not test(view)) if sign in ("!=", "not in") else test


def _order(relation: _Relation, left: Read, right: Read) -> Test:
    def test(view: View) -> bool:
        a, b = left(view), right(view)
        kind, other = a.__class__, b.__class__
        if (kind is str and other is str) or (kind in _NUMBERS and other in _NUMBERS):
            return relation(a, b)
        return False

    return test


def _equality(comparison: Comparison) -> Test:
    left, right = _reader(comparison.left), _reader(comparison.right)
    if isinstance(comparison.right, Constant) and isinstance(comparison.right.value, str):
        constant = comparison.right.value
        return lambda view: bool(left(view) == constant)
    return lambda view: _equal(left(view), right(view))


def _membership(comparison: Comparison) -> Test:
    left = _reader(comparison.left)
    if isinstance(comparison.right, Constant):
        among = frozenset((item.__class__ is bool, item) for item in comparison.right.value)

        def listed(view: View) -> bool:
            value = left(view)
            return value.__class__ in _SCALARS and (value.__class__ is bool, value) in among

        return listed
    right = _reader(comparison.right)
    return lambda view: _holds(right(view), left(view))


def _equal(a: Any, b: Any) -> bool:
    if a.__class__ not in _SCALARS or b.__class__ not in _SCALARS:
        return False
    return (a.__class__ is bool) is (b.__class__ is bool) and bool(a == b)


def _holds(items: Any, value: Any) -> bool:
    return isinstance(items, list) and any(_equal(item, value) for item in items[:LONGEST_LIST])


def _reader(operand: Operand) -> Read:
    if isinstance(operand, Constant):
        constant = operand.value
        return lambda view: constant
    if isinstance(operand, Call):
        return _call(operand)
    find = operand.path.find

    def read(view: View) -> Any:
        value = find(view)
        return None if value is MISSING else value

    return read


def _call(call: Call) -> Read:
    first, *others = call.arguments
    if call.name == "exists" and isinstance(first, Lookup):
        find = first.path.find
        return lambda view: find(view) is not MISSING
    read = _reader(first)
    if call.name == "lower":
        return lambda view: _lower(read(view))
    if call.name == "length":
        return lambda view: _length(read(view))
    if call.name == "matches" and isinstance(others[0], Constant):
        accepts = Glob.parse(others[0].value).accepts
        return lambda view: accepts(read(view))
    relation: _Relation = {"startswith": _startswith, "endswith": _endswith, "contains": _contains}[call.name]
    second = _reader(others[0])
    return lambda view: relation(read(view), second(view))


def _startswith(text: Any, start: Any) -> bool:
    return isinstance(text, str) and isinstance(start, str) and text.startswith(start)


def _endswith(text: Any, end: Any) -> bool:
    return isinstance(text, str) and isinstance(end, str) and text.endswith(end)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole[:LONGEST_TEXT]
    return _holds(whole, part)


def _lower(value: Any) -> Any:
    return value[:LONGEST_TEXT].lower() if isinstance(value, str) else None


def _length(value: Any) -> Any:
    return len(value) if isinstance(value, str | list | dict) else None
