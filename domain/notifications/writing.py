"""What a compiled template is made of: fixed text, and parts that write a value in the way of their place."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import attrs

from domain.notifications.output import Output
from domain.notifications.placeholders import Placeholder

MAX_PLACEHOLDERS = 500


class TooManyPlaceholders(Exception):
    """More than a template may have."""


class Writer(Protocol):
    """A part that depends on the event."""

    def write(self, view: Mapping[str, Any], output: Output) -> None:
        """Write it. Raises as Output does."""
        ...


Part = str | Writer


@attrs.frozen
class Verbatim:
    """A value in a text, as it is."""

    placeholder: Placeholder

    def write(self, view: Mapping[str, Any], output: Output) -> None:
        """Write it as text."""
        output.write(output.plain(self.placeholder.value(view, output), to_write=True))


@attrs.frozen
class Escaped:
    """A value within a JSON string."""

    placeholder: Placeholder

    def write(self, view: Mapping[str, Any], output: Output) -> None:
        """Write it as text that cannot end the string."""
        text = output.plain(self.placeholder.value(view, output), to_write=True)
        output.write(output.json(text, to_write=True)[1:-1])


@attrs.frozen
class Typed:
    """A JSON value of its own: the string in the template was exactly one placeholder."""

    placeholder: Placeholder

    def write(self, view: Mapping[str, Any], output: Output) -> None:
        """Write it with its type."""
        output.write(output.json(self.placeholder.value(view, output), to_write=True))


@attrs.frozen
class Members:
    """A JSON object some of whose keys hold placeholders. Of keys that turn out the same, the last is written.

    members: each key's parts and its value's.
    """

    members: tuple[tuple[tuple[str | Placeholder, ...], tuple[Part, ...]], ...]

    def write(self, view: Mapping[str, Any], output: Output) -> None:
        """Write it with each key once (RFC 8259, section 4)."""
        chosen: dict[str, tuple[Part, ...]] = {}
        for key, value in self.members:
            chosen[_key(key, view, output)] = value
        before = "{"
        for name, value in chosen.items():
            output.write(before)
            output.write(output.json(name))
            output.write(":")
            for part in value:
                if isinstance(part, str):
                    output.write(part)
                else:
                    part.write(view, output)
            before = ","
        output.write("}")


def _key(parts: tuple[str | Placeholder, ...], view: Mapping[str, Any], output: Output) -> str:
    texts = []
    for part in parts:
        texts.append(part if isinstance(part, str) else output.plain(part.value(view, output)))
        output.spend(len(texts[-1]))
    return "".join(texts)


def merged(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts with neighbouring texts as one. Raises TooManyPlaceholders as soon as there are too many."""
    result: list[Part] = []
    texts: list[str] = []
    count = 0
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        count += placeholders_in(part)
        if count > MAX_PLACEHOLDERS:
            raise TooManyPlaceholders
        if texts:
            result.append("".join(texts))
            texts = []
        result.append(part)
    if texts:
        result.append("".join(texts))
    return tuple(result)


def placeholders_in(part: Part) -> int:
    """How many placeholders it holds."""
    if not isinstance(part, Members):
        return 0 if isinstance(part, str) else 1
    keys = sum(isinstance(piece, Placeholder) for key, _ in part.members for piece in key)
    return keys + sum(placeholders_in(piece) for _, value in part.members for piece in value)
