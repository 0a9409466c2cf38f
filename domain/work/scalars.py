"""Shapes whose values are days, moments, numbers, flags or words of a list."""

import math
import re
from datetime import UTC, date, datetime
from typing import Any

import attrs

from domain.refusals import Invalid
from domain.work.shapes import JsonSchema, Shape
from domain.work.texts import read_text

MAX_WHOLE = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8259, section 6)."""


@attrs.frozen
class Day(Shape):
    """A calendar day, without a time zone: 2026-03-31."""

    sample: str = "2026-03-31"

    def read(self, given: Any, at: str) -> str | None:
        """ISO 8601's extended form only."""
        text = read_text(given, at, 40)
        try:
            if text and (len(text) != 10 or text[4] + text[7] != "--" or date.fromisoformat(text).isoformat() != text):
                raise ValueError(text)
        except ValueError as error:
            raise Invalid.field(at, "This must be a day of the calendar such as 2026-03-31.") from error
        return text or None

    @property
    def schema(self) -> JsonSchema:
        """A string in the date format."""
        return {"type": "string", "format": "date"}


_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9:]{5})")


@attrs.frozen
class Moment(Shape):
    """A moment with its offset from UTC (RFC 3339), kept in UTC: 2026-03-31T09:30:00Z."""

    sample: str = "2026-03-31T09:30:00Z"

    def read(self, given: Any, at: str) -> str | None:
        """Seconds may be left out; the offset may not."""
        text = read_text(given, at, 40)
        if not text:
            return None
        try:
            if not _MOMENT.fullmatch(text):
                raise ValueError(text)
            return write_moment(datetime.fromisoformat(text.upper()))
        except (ValueError, OverflowError) as error:
            raise Invalid.field(
                at, "This must be a moment with its offset from UTC such as 2026-03-31T09:30:00Z."
            ) from error

    @property
    def schema(self) -> JsonSchema:
        """A string in the date-time format."""
        return {"type": "string", "format": "date-time"}


def write_moment(moment: datetime) -> str:
    """An aware datetime as RFC 3339 text in UTC. Raises OverflowError outside the years 1 to 9999."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@attrs.frozen
class Whole(Shape):
    """A whole number between two bounds, both allowed."""

    minimum: int = 0
    maximum: int = MAX_WHOLE
    sample: int = 1

    def read(self, given: Any, at: str) -> int:
        """3 and 3.0 are the same number in JSON."""
        number = _number(given, at)
        if number != int(number):
            raise Invalid.field(at, "This must be a whole number.")
        _between(number, self.minimum, self.maximum, at)
        return int(number)

    @property
    def schema(self) -> JsonSchema:
        """An integer."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@attrs.frozen
class Number(Shape):
    """A number that may have a fraction, between two bounds. Never money."""

    minimum: float = 0
    maximum: float = MAX_WHOLE
    sample: float = 1.5

    def read(self, given: Any, at: str) -> float:
        """A double; JSON has no infinities."""
        number = _number(given, at)
        _between(number, self.minimum, self.maximum, at)
        return float(number)

    @property
    def schema(self) -> JsonSchema:
        """A number."""
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


def _number(given: Any, at: str) -> int | float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(_bounded(given)):
        raise Invalid.field(at, "This must be a number.")
    return given


def _bounded(number: float) -> float:
    """Keeps a whole number of a thousand digits from overflowing a float: whatever the bounds are, it is beyond."""
    return max(min(number, MAX_WHOLE + 1), -MAX_WHOLE - 1) if isinstance(number, int) else number


def _between(number: float, minimum: float, maximum: float, at: str) -> None:
    if not minimum <= number <= maximum:
        raise Invalid.field(at, f"This must be between {minimum} and {maximum}.")


@attrs.frozen
class Flag(Shape):
    """Yes or no."""

    sample: bool = True

    def read(self, given: Any, at: str) -> bool:
        """JSON's true or false, nothing that looks like them."""
        if not isinstance(given, bool):
            raise Invalid.field(at, "This must be true or false.")
        return given

    @property
    def schema(self) -> JsonSchema:
        """A boolean."""
        return {"type": "boolean"}


@attrs.frozen
class Choice(Shape):
    """One word of a list."""

    options: tuple[str, ...]

    def read(self, given: Any, at: str) -> str:
        """One of the words, exactly."""
        if not isinstance(given, str) or given not in self.options:
            raise Invalid.field(at, f"This must be one of {', '.join(self.options)}.")
        return given

    @property
    def schema(self) -> JsonSchema:
        """An enumeration."""
        return {"type": "string", "enum": list(self.options)}

    @property
    def sample(self) -> str:
        """The first word."""
        return self.options[0]
