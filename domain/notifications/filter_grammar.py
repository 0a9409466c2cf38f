"""The grammar of filters, and the tree a filter becomes.

filter     = conjunction { "or" conjunction }
conjunction = negation { "and" negation }
negation   = "not" negation | comparison
comparison = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not" "in") operand ]
operand    = constant | list | path | function "(" operand { "," operand } ")" | "(" filter ")"
list       = "[" [ constant { "," constant } ] "]"
"""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from domain.notifications.paths import Path
from domain.notifications.tokens import Kind, Scanner, read_path
from domain.refusals import Invalid

MAX_FILTER = 4 * 1024
"""Bytes of UTF-8."""
MAX_NODES = 200
MAX_NESTING = 32

MEMBERSHIPS = ("in", "not in")
COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
FUNCTIONS = {"exists": 1, "startswith": 2, "endswith": 2, "contains": 2, "matches": 2, "lower": 1, "length": 1}
"""Each with the number of its arguments."""
VALUES = ("lower", "length")
"""The functions that give a value; the others give true or false."""


@attrs.frozen
class Constant:
    """A value that is written out: a text, a number, true, false, null, or a list of these."""

    value: Any


@attrs.frozen
class Lookup:
    """A value of the event."""

    path: Path


@attrs.frozen
class Call:
    """A function of values. clause: its text."""

    name: str
    arguments: "tuple[Operand, ...]"
    clause: str


@attrs.frozen
class Comparison:
    """Two values compared. operator: one of COMPARISONS, `in` or `not in`. clause: its text."""

    operator: str
    left: "Operand"
    right: "Operand"
    clause: str


@attrs.frozen
class Truth:
    """A value that must be true itself. clause: its text."""

    operand: "Operand"
    clause: str


@attrs.frozen
class Negation:
    """True if the condition is not."""

    condition: "Condition"


@attrs.frozen
class Junction:
    """Several conditions. every: whether all of them must hold (`and`), or one (`or`)."""

    every: bool
    conditions: "tuple[Condition, ...]"


_Node = TypeVar("_Node")
Operand = Constant | Lookup | Call
Condition = Comparison | Truth | Call | Negation | Junction


def parse_condition(text: str, field: str) -> Condition:
    """The tree of a filter. Raises Invalid with line, column and what was expected."""
    if not text.strip():
        raise Invalid.field(field, "A filter is not empty. Leave it out to accept every event.")
    if len(text) > MAX_FILTER or len(text.encode(errors="replace")) > MAX_FILTER:
        raise Invalid.field(field, f"A filter has at most {MAX_FILTER // 1024} KiB.")
    parser = _Parser(Scanner(text, field=field))
    condition = parser.junction()
    if parser.scanner.token.kind is not Kind.END:
        raise parser.scanner.refusal("'and', 'or' or the end")
    return condition


class _Parser:
    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.nodes = 0
        self.depth = 0

    def junction(self) -> Condition:
        return self._joined("or", lambda: self._joined("and", self._negation))

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self.scanner.at_word(word):
            self.scanner.advance()
            parts.append(part())
        return parts[0] if len(parts) == 1 else self._counted(Junction(word == "and", tuple(parts)))

    def _negation(self) -> Condition:
        if not self.scanner.at_word("not"):
            return self._comparison()
        self._enter()
        self.scanner.advance()
        condition = self._counted(Negation(self._negation()))
        self.depth -= 1
        return condition

    def _comparison(self) -> Condition:
        scanner = self.scanner
        if scanner.at_symbol("("):
            self._enter()
            scanner.advance()
            condition = self.junction()
            if not scanner.at_symbol(")"):
                raise scanner.refusal("'and', 'or' or ')'")
            scanner.advance()
            self.depth -= 1
            if self._operator():
                raise scanner.refusal("'and', 'or' or the end")
            return condition
        start = scanner.token.at
        left = self._operand("a value")
        operator = self._operator()
        if operator:
            return self._counted(Comparison(operator, left, self._right(left, operator), self._clause(start)))
        if isinstance(left, Call) and left.name not in VALUES:
            return left
        if isinstance(left, Lookup) or (isinstance(left, Constant) and isinstance(left.value, bool)):
            return self._counted(Truth(left, self._clause(start)))
        raise scanner.refusal("a comparison such as == or in")

    def _right(self, left: Operand, operator: str) -> Operand:
        scanner = self.scanner
        if operator == "not in":
            scanner.advance()
            if not scanner.at_word("in"):
                raise scanner.refusal("'in'")
        scanner.advance()
        at = scanner.token.at
        right = self._operand("a list or a path" if operator in MEMBERSHIPS else "a value")
        if operator in MEMBERSHIPS and not (isinstance(right, Lookup) or _is_list(right)):
            raise scanner.wrong("expected a list or a path after 'in'", at)
        if _is_list(left) or (operator not in MEMBERSHIPS and _is_list(right)):
            raise scanner.wrong("a list may only stand behind 'in'", at)
        return right

    def _operator(self) -> str:
        scanner = self.scanner
        if scanner.at_symbol(*COMPARISONS):
            return scanner.token.text
        if scanner.at_word("in"):
            return "in"
        return "not in" if scanner.at_word("not") and scanner.followed_by("in") else ""

    def _operand(self, expected: str) -> Operand:
        scanner = self.scanner
        if scanner.token.kind is Kind.CONSTANT:
            return self._counted(Constant(scanner.advance().value))
        if scanner.at_symbol("["):
            return self._counted(Constant(self._list()))
        if scanner.token.kind is not Kind.PATH:
            raise scanner.refusal(expected)
        if scanner.followed_by("("):
            return self._call()
        return self._counted(Lookup(read_path(scanner)))

    def _list(self) -> list[Any]:
        scanner = self.scanner
        scanner.advance()
        values: list[Any] = []
        while not scanner.at_symbol("]"):
            if values:
                scanner.expect(",")
            if scanner.token.kind is not Kind.CONSTANT:
                raise scanner.refusal("a text in quotes, a number, true, false or null")
            values.append(self._counted(scanner.advance().value))
        scanner.advance()
        return values

    def _call(self) -> Call:
        scanner = self.scanner
        name, start = scanner.token.text, scanner.token.at
        if name not in FUNCTIONS:
            raise scanner.refusal(f"one of the functions {', '.join(FUNCTIONS)}")
        self._enter()
        scanner.advance()
        scanner.advance()
        arguments: list[Operand] = []
        for index in range(FUNCTIONS[name]):
            if index:
                scanner.expect(",")
            arguments.append(self._argument(name, index))
        scanner.expect(")")
        self.depth -= 1
        return self._counted(Call(name, tuple(arguments), self._clause(start)))

    def _argument(self, name: str, index: int) -> Operand:
        at = self.scanner.token.at
        argument = self._operand("a value")
        if name == "exists" and not isinstance(argument, Lookup):
            raise self.scanner.wrong("expected a path in exists(…)", at)
        if (
            name == "matches"
            and index == 1
            and not (isinstance(argument, Constant) and isinstance(argument.value, str))
        ):
            raise self.scanner.wrong('expected a text such as "*.example.com" in matches(…)', at)
        return argument

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.scanner.refusal(f"at most {MAX_NESTING} levels of nesting")

    def _counted(self, node: _Node) -> _Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.scanner.refusal(f"at most {MAX_NODES} values and conditions")
        return node

    def _clause(self, start: int) -> str:
        return self.scanner.text[start : self.scanner.taken_to]


def _is_list(operand: Operand) -> bool:
    return isinstance(operand, Constant) and isinstance(operand.value, list)
