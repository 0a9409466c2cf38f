"""Templates: the body a receiver wants instead of ours, with placeholders where the event's values go.

A text that starts with `{` or `[` (but not with a placeholder) is a JSON template; every other is a text template. There
are no loops, no conditions and no calls, so that what a template does is bounded by its size (ADR 0017).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs

from domain.notifications.json_templates import parse_json
from domain.notifications.output import Output
from domain.notifications.placeholders import OPENING, Placeholder, parse_text
from domain.notifications.writing import MAX_PLACEHOLDERS, Part, TooManyPlaceholders, Verbatim, merged
from domain.refusals import Invalid

MAX_TEMPLATE = 64 * 1024
"""Bytes of UTF-8."""

__all__ = ["MAX_PLACEHOLDERS", "MAX_TEMPLATE", "Rendered", "Template", "is_json"]


@attrs.frozen
class Rendered:
    """What a template made of an event. missing: the paths that were not there and had no default, each once."""

    text: str
    media_type: str
    missing: tuple[str, ...]


@attrs.frozen
class Template:
    """A template that was read once and can be filled in many times.

    text: as the user wrote it. media_type: what it makes.
    """

    text: str = attrs.field(repr=False)
    media_type: str
    field: str
    _parts: tuple[Part, ...] = attrs.field(repr=False, eq=False)

    @classmethod
    def parse(cls, text: str, *, field: str = "template", media_type: str | None = None) -> "Template":
        """Read a template.

        Args:
            text: at most 64 KiB with at most 500 placeholders.
            field: what an Invalid names.
            media_type: what it makes; None to see it by its first character. JSON (`application/json`, `…+json`) makes
                it a JSON template, anything else a text.

        Raises:
            Invalid: with line, column and what was expected.
        """
        return _parse(text, field, media_type)

    def render(self, view: Mapping[str, Any]) -> Rendered:
        """Fill in the values of the event, as `Payload.view` gives them.

        Raises:
            TooLarge: an Invalid; the output would be larger than 256 KiB, or the values to format are too large.
            Invalid: a value that JSON does not have, which no `Payload.view` holds.
        """
        output = Output(self.field)
        for part in self._parts:
            if isinstance(part, str):
                output.write(part)
            else:
                part.write(view, output)
        return Rendered(output.text(), self.media_type, tuple(output.missing))


def is_json(media_type: str) -> bool:
    """Whether it is JSON's: `application/json` or a type that ends with `+json` (RFC 6839, section 3.1)."""
    essence = media_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


@lru_cache(maxsize=256)
def _parse(text: str, field: str, media_type: str | None) -> Template:
    if not text.strip():
        raise Invalid.field(field, "A template is not empty. Leave it out to send the envelope's own body.")
    try:
        size = len(text.encode()) if len(text) <= MAX_TEMPLATE else len(text)
    except UnicodeEncodeError as error:
        raise Invalid.field(field, f"Character {error.start + 1} is half a surrogate pair.") from error
    if size > MAX_TEMPLATE:
        raise Invalid.field(field, f"A template has at most {MAX_TEMPLATE // 1024} KiB.")
    start = text.lstrip()
    found = start[0] in "{[" and not start.startswith(OPENING)
    json = found if media_type is None else is_json(media_type)
    try:
        parts = parse_json(text, field, guessed=media_type is None) if json else _text_parts(text, field)
    except TooManyPlaceholders as error:
        raise Invalid.field(field, f"A template has at most {MAX_PLACEHOLDERS} placeholders.") from error
    return Template(text, media_type or ("application/json" if json else "text/plain; charset=utf-8"), field, parts)


def _text_parts(text: str, field: str) -> tuple[Part, ...]:
    return merged(Verbatim(part) if isinstance(part, Placeholder) else part for part in parse_text(text, field))
