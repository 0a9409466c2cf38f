"""What a template or a flattened body writes, with an end to it: the bounds are checked before each piece is built."""

import json
import math
from json.encoder import encode_basestring
from typing import Any

from domain.refusals import Fault, Invalid

MAX_OUTPUT = 256 * 1024
"""Bytes that a template may write."""
WORK = 4
"""Characters and elements that may be looked at for each byte that may be written."""
MAX_DEPTH = 64
"""Objects and lists within each other."""
_MAX_BITS = 1024
"""Of a whole number: RFC 8259, section 6, expects receivers to read an IEEE 754 double, which ends there."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class TooLarge(Invalid):
    """What would be sent is beyond a bound; it was not built."""

    @classmethod
    def of(cls, field: str, reason: str) -> "TooLarge":
        """Raised for a single field."""
        return cls(Fault(field, reason))


class Output:
    """Text that is being written.

    field: what a TooLarge names. limit: bytes of UTF-8. missing: the paths met that are not there, in order.
    """

    def __init__(self, field: str, limit: int = MAX_OUTPUT) -> None:
        self._field = field
        self._limit = self._room = limit
        self._work = WORK * limit
        self._parts: list[str] = []
        self.missing: dict[str, None] = {}

    def write(self, text: str) -> None:
        """Add the text. Raises TooLarge if it does not fit."""
        if len(text) <= self._room and not text.isascii():
            self._room -= len(text.encode(errors="replace"))
        else:
            self._room -= len(text)
        if self._room < 0:
            raise self.full()
        self._parts.append(text)

    def spend(self, amount: int) -> None:
        """Count work before it is done: characters or elements. Raises TooLarge if there is no more to spend."""
        self._work -= amount
        if self._work < 0:
            raise self._spent()

    def full(self) -> TooLarge:
        """What to raise because the limit is reached."""
        return TooLarge.of(self._field, f"What is sent would be larger than {self._limit // 1024} KiB.")

    def _spent(self) -> TooLarge:
        return TooLarge.of(self._field, "The values that are put in are too large altogether.")

    def text(self) -> str:
        """All that was written. Halves of surrogate pairs, which UTF-8 cannot say, have become "?"."""
        text = "".join(self._parts)
        return text if text.isascii() else text.encode(errors="replace").decode()

    def json(self, value: Any, *, to_write: bool = False) -> str:
        """The value as JSON without spaces. to_write: it is written as it is, so it must fit.

        Raises TooLarge before it is built, Invalid if JSON has no such value.
        """
        most = self._room if to_write else self._work
        if isinstance(value, str):
            if len(value) > most:
                raise self.full() if to_write else self._spent()
            self.spend(len(value))
            return encode_basestring(value)
        if isinstance(value, dict | list):
            self.spend(self._weigh(value, most))
            return _encode(value)
        self._check_scalar(value)
        if value is None or isinstance(value, bool):
            return "null" if value is None else "true" if value else "false"
        return repr(value)

    def plain(self, value: Any, *, to_write: bool = False) -> str:
        """The value as text: a text as it is, null as nothing, everything else as `json` does."""
        if isinstance(value, str):
            return value
        return "" if value is None else self.json(value, to_write=to_write)

    def _weigh(self, value: Any, most: int) -> int:
        """At least how many characters of JSON it takes; iterative, so that no nesting exhausts the stack."""
        weight = 0
        stack: list[tuple[Any, int]] = [(value, 0)]
        while stack:
            item, depth = stack.pop()
            if isinstance(item, str):
                weight += len(item) + 2
            elif isinstance(item, dict | list):
                weight += len(item) + 1
                if depth == MAX_DEPTH:
                    raise TooLarge.of(self._field, f"The data is nested deeper than {MAX_DEPTH} levels.")
                if weight <= most:
                    for key in item if isinstance(item, dict) else ():
                        weight += len(key) + 3
                    stack.extend((inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item))
            else:
                weight += 1
                self._check_scalar(item)
            if weight > most:
                raise self.full() if most == self._room else self._spent()
        return weight

    def _check_scalar(self, item: Any) -> None:
        sayable = item is None or isinstance(item, bool)
        sayable = sayable or (isinstance(item, int) and item.bit_length() <= _MAX_BITS)
        if not (sayable or (isinstance(item, float) and math.isfinite(item))):
            raise Invalid.field("data", "The data holds something that is not a JSON value, or too large a number.")
