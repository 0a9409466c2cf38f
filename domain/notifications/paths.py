"""Where in an event a value stands: `data.lines.0.amount`."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

ROOTS = ("id", "type", "timestamp", "organisation_id", "data")
MAX_STEPS = 20
_MAX_INDEX_DIGITS = 9
_WORD = re.compile(r"[\w-]+")

MISSING: Final[Any] = object()
"""What is found where nothing stands. Not None, because the data may hold a null."""


@attrs.frozen
class Path:
    """A way into an event. It reads keys of objects and elements of lists and nothing else, never an attribute.

    names: as written, without the optional `event.` in front. Several names only ever follow `data`.
    """

    names: tuple[str, ...]
    _steps: tuple[tuple[str, int], ...] = attrs.field(
        init=False,
        repr=False,
        eq=False,
        default=attrs.Factory(lambda self: tuple((name, _index(name)) for name in self.names[1:]), takes_self=True),
    )

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "Path":
        """The path with these names. Raises ValueError with what was expected if there can be no such place."""
        if names[0] == "event" and len(names) > 1:
            names = names[1:]
        if names[0] not in ROOTS:
            raise ValueError(f"expected a path that starts with one of {', '.join(ROOTS)}")
        if len(names) > MAX_STEPS:
            raise ValueError(f"expected a path of at most {MAX_STEPS} names")
        return cls(names)

    def find(self, view: Mapping[str, Any]) -> Any:
        """The value, or MISSING."""
        value = view.get(self.names[0], MISSING)
        for name, index in self._steps:
            if isinstance(value, dict):
                value = value.get(name, MISSING)
            elif index >= 0 and isinstance(value, list) and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value

    def __str__(self) -> str:
        first, *rest = self.names
        return first + "".join(f".{name}" if _WORD.fullmatch(name) else f"[{json.dumps(name)}]" for name in rest)


def _index(name: str) -> int:
    return int(name) if name.isascii() and name.isdigit() and len(name) <= _MAX_INDEX_DIGITS else -1
