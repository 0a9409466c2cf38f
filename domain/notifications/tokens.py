"""The words of the two small languages a user writes: placeholders in a template and filters on an event.

Both read the same tokens from left to right, one at a time, in time linear in the text, and both refuse with the place
and with what could have stood there.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from domain.notifications.paths import Path
from domain.refusals import Invalid

KEYWORDS = frozenset(("and", "or", "not", "in", "true", "false", "null"))
_CONSTANTS = {"true": True, "false": False, "null": None}
MAX_DIGITS = 308
"""A number with more digits is beyond an IEEE 754 double, which is what most receivers read (RFC 8259, section 6)."""

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\W\d][\w-]*")
_STRING = re.compile(r"""\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_STEP = re.compile(rf"\.([\w-]+)|\[\s*(\d+)\s*\]|\[\s*({_STRING.pattern})\s*\]", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_SYMBOL = re.compile(r"==|!=|<=|>=|}}|[<>()\[\],|]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"} | {c: c for c in "\"'\\/"}


class Kind(Enum):
    """What a token is."""

    PATH = "path"
    WORD = "word"
    CONSTANT = "constant"
    SYMBOL = "symbol"
    END = "end"


class Token(NamedTuple):
    """One token. text: as written. value: a constant's value, or a path's parts. at, end: offsets in the text."""

    kind: Kind
    text: str
    value: Any
    at: int
    end: int


class Scanner:
    """Reads tokens from one text. `token` is the one to look at; `advance` takes it and reads the next. `taken_to` is where
    the last one taken ended.

    field: what an Invalid names. locate: turns an offset here into the (line, column) that the user sees.
    """

    def __init__(
        self, text: str, *, field: str, start: int = 0, locate: Callable[[int], tuple[int, int]] | None = None
    ) -> None:
        self.text = text
        self.field = field
        self._locate = locate or (lambda at: place(text, at))
        self._before = ""
        self.taken_to = start
        self.token = self._read(start)

    def advance(self) -> Token:
        """The present token; the next becomes present. Raises Invalid if what follows is no token."""
        taken = self.token
        self._before = taken.text
        self.taken_to = taken.end
        self.token = self._read(taken.end)
        return taken

    def close(self) -> int:
        """The offset behind the present token, where the text goes on and is not ours. Nothing more is read."""
        return self.token.end

    def at_symbol(self, *symbols: str) -> bool:
        """Whether one of these stands here."""
        return self.token.kind is Kind.SYMBOL and self.token.text in symbols

    def at_word(self, word: str) -> bool:
        """Whether this keyword stands here."""
        return self.token.kind is Kind.WORD and self.token.text == word

    def followed_by(self, text: str) -> bool:
        """Whether the text stands right behind the present token, white space aside."""
        return self.text.startswith(text, _SPACE.match(self.text, self.token.end).end())  # type: ignore[union-attr]

    def expect(self, symbol: str) -> Token:
        """Take the symbol. Raises Invalid if something else stands here."""
        if not self.at_symbol(symbol):
            raise self.refusal(f"'{symbol}'")
        return self.advance()

    def refusal(self, expected: str) -> Invalid:
        """What to raise because something else was expected here."""
        found = "the end" if self.token.kind is Kind.END else f"'{_short(self.token.text)}'"
        after = f" after '{_short(self._before)}'" if self._before else ""
        return self.wrong(f"expected {expected}{after}", self.token.at, f"found {found}")

    def wrong(self, what: str, at: int, more: str = "") -> Invalid:
        """What to raise because of something at this offset."""
        line, column = self._locate(at)
        reason = f"{what[0].upper()}{what[1:]} at line {line}, column {column}"
        return Invalid.field(self.field, f"{reason}: {more}." if more else f"{reason}.")

    def _read(self, start: int) -> Token:
        at = _SPACE.match(self.text, start).end()  # type: ignore[union-attr]
        if at == len(self.text):
            return Token(Kind.END, "", None, at, at)
        if found := _SYMBOL.match(self.text, at):
            return Token(Kind.SYMBOL, found[0], None, at, found.end())
        if found := _STRING.match(self.text, at):
            return Token(Kind.CONSTANT, found[0], self._unescaped(found[0], at), at, found.end())
        if found := _NUMBER.match(self.text, at):
            return self._number(found, at)
        if found := _WORD.match(self.text, at):
            return self._word(found, at)
        if self.text[at] in "\"'":
            raise self.wrong("expected a closing quote for the text that starts", at)
        if self.text[at] == "=":
            raise self.wrong("expected '=='", at)
        after = f" after '{_short(self._before)}'" if self._before else ""
        raise self.wrong(f"expected a value{after}", at, f"found {self.text[at]!r}")

    def _number(self, found: re.Match[str], at: int) -> Token:
        whole = found[1] is None and found[2] is None
        value: float = float(found[0])
        if value in (float("inf"), float("-inf")) or len(found[0]) > MAX_DIGITS:
            raise self.wrong(
                "expected a smaller number", at, f"'{_short(found[0])}' is more than most receivers can read"
            )
        return Token(Kind.CONSTANT, found[0], int(found[0]) if whole else value, at, found.end())

    def _word(self, found: re.Match[str], at: int) -> Token:
        word, end = found[0], found.end()
        if word in _CONSTANTS:
            return Token(Kind.CONSTANT, word, _CONSTANTS[word], at, end)
        if word in KEYWORDS:
            return Token(Kind.WORD, word, None, at, end)
        parts: list[str] = [word]
        while step := _STEP.match(self.text, end):
            parts.append(step[1] or step[2] or self._unescaped(step[3], step.start(3)))
            end = step.end()
        if self.text.startswith(".", end):
            raise self.wrong("expected a name or a number", end + 1, f"after '{_short(self.text[at : end + 1])}'")
        return Token(Kind.PATH, self.text[at:end], tuple(parts), at, end)

    def _unescaped(self, quoted: str, at: int) -> str:
        def one(escape: re.Match[str]) -> str:
            if escape[1]:
                return chr(int(escape[1], 16))
            if escape[2] not in _ESCAPES:
                raise self.wrong(f"unknown escape '\\{escape[2]}' in the text", at)
            return _ESCAPES[escape[2]]

        if "\\" not in quoted:
            return quoted[1:-1]
        text = _ESCAPE.sub(one, quoted[1:-1])
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_path(scanner: Scanner) -> Path:
    """Take a path. Raises Invalid if none stands here or if its first name is none of the event's."""
    token = scanner.token
    if token.kind is not Kind.PATH:
        raise scanner.refusal("a path such as data.client.name")
    try:
        path = Path.of(token.value)
    except ValueError as error:
        raise scanner.wrong(str(error), token.at, f"found '{_short(token.text)}'") from error
    scanner.advance()
    return path


def place(text: str, at: int) -> tuple[int, int]:
    """The line and column, both counted from 1, of an offset."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
