"""JSON templates: a JSON document whose strings, keys too, hold placeholders. Values are escaped by construction.

A string that is exactly one placeholder takes the value with its type: `"{{data.lines}}"` becomes a list.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import attrs

from domain.notifications.output import MAX_DEPTH
from domain.notifications.placeholders import OPENING, Placeholder, parse_text
from domain.notifications.tokens import place
from domain.notifications.writing import Escaped, Members, Part, Typed, merged
from domain.refusals import Invalid

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL)
_PLAIN = json.JSONEncoder(ensure_ascii=False).encode


class _Object(list[tuple[str, Any]]):
    """A JSON object's members in order."""


class _Number(str):
    """A JSON number as it was written, so that no digit is lost."""

    __slots__ = ()


def parse_json(text: str, field: str, *, guessed: bool) -> tuple[Part, ...]:
    """The parts of a JSON template. guessed: nobody said that it is JSON. Raises Invalid, TooManyPlaceholders."""
    try:
        document = json.loads(
            text, object_pairs_hook=_Object, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        raise Invalid.field(field, _not_json(error, guessed)) from error
    except RecursionError as error:
        raise _too_deep(field) from error
    except ValueError as error:
        raise Invalid.field(field, f"{error} is not a JSON value.") from error
    return merged(_Reading(text, field, _STRING.finditer(text)).parts(document, MAX_DEPTH))


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _too_deep(field: str) -> Invalid:
    return Invalid.field(field, f"A JSON template is nested at most {MAX_DEPTH} levels deep.")


def _not_json(error: json.JSONDecodeError, guessed: bool) -> str:
    where = f"line {error.lineno}, column {error.colno}"
    if OPENING in error.doc[max(error.pos - 1, 0) : error.pos + 2]:
        return f'Expected a quote before the placeholder at {where}: "{{{{…}}}}" in quotes keeps the value\'s type.'
    other = " To send a text that starts like JSON, give its media type." if guessed else ""
    return f"Not JSON at {where}: {error.msg[:1].lower()}{error.msg[1:]}.{other}"


@attrs.frozen
class _Reading:
    """Walks the document in its written order, so that the next string of the source is always the one it is at."""

    source: str
    field: str
    strings: Iterator[re.Match[str]]

    def parts(self, value: Any, depth: int) -> Iterator[Part]:
        if isinstance(value, _Number):
            yield str(value)
        elif isinstance(value, str):
            yield from self._string(value)
        elif isinstance(value, _Object):
            yield from self._object(value, self._inner(depth))
        elif isinstance(value, list):
            inner = self._inner(depth)
            for index, item in enumerate(value):
                yield "," if index else "["
                yield from self.parts(item, inner)
            yield "]" if value else "[]"
        else:
            yield _PLAIN(value)

    def _inner(self, depth: int) -> int:
        if not depth:
            raise _too_deep(self.field)
        return depth - 1

    def _object(self, members: _Object, depth: int) -> Iterator[Part]:
        read: dict[tuple[str | Placeholder, ...], tuple[Part, ...]] = {}
        dynamic = False
        for name, value in members:
            key, at = self._pieces(name)
            dynamic = dynamic or any(isinstance(piece, Placeholder) for piece in key)
            if key in read:
                raise Invalid.field(self.field, f"The key '{name[:40]}' at {at} stands twice in one object.")
            read[key] = merged(self.parts(value, depth))
        if dynamic:
            yield Members(tuple(read.items()))
            return
        for index, (key, parts) in enumerate(read.items()):
            yield f"{',' if index else '{'}{_PLAIN(''.join(map(str, key)))}:"
            yield from parts
        yield "}" if members else "{}"

    def _string(self, value: str) -> Iterator[Part]:
        pieces, _ = self._pieces(value)
        if len(pieces) == 1 and isinstance(pieces[0], Placeholder):
            yield Typed(pieces[0])
            return
        yield '"'
        for piece in pieces:
            yield Escaped(piece) if isinstance(piece, Placeholder) else _PLAIN(piece)[1:-1]
        yield '"'

    def _pieces(self, value: str) -> tuple[tuple[str | Placeholder, ...], str]:
        found = next(self.strings)
        start = found.start() + 1

        def locate(at: int) -> tuple[int, int]:
            written = 0
            for index, character in enumerate(_ESCAPE.finditer(found[0], 1)):
                if index == at:
                    break
                written = character.end() - 1
            return place(self.source, start + written)

        line, column = place(self.source, start - 1)
        return tuple(parse_text(value, self.field, locate)), f"line {line}, column {column}"
