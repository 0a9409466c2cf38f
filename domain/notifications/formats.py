"""What may stand behind a bar in a placeholder: `{{data.client.name | upper}}`.

A format takes a JSON value and gives one. It never raises for what the data holds: a value that it does not apply to
goes through as it is. Each says to the output how much it is going to look at before it does.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from html import escape
from typing import Any
from urllib.parse import quote

import attrs

from domain.notifications.output import Output

Function = Callable[[Any, tuple[Any, ...], Output], Any]


@attrs.frozen
class Format:
    """arguments: the kinds it takes, in order. required: how many of them must be given. meaning: for a person."""

    arguments: tuple[tuple[type, ...], ...]
    required: int
    apply: Function
    meaning: str

    def accepts(self, arguments: tuple[Any, ...]) -> bool:
        """Whether it can be written with these."""
        return self.required <= len(arguments) <= len(self.arguments) and all(
            type(argument) in kinds for argument, kinds in zip(arguments, self.arguments, strict=False)
        )


def _default(value: Any, arguments: tuple[Any, ...], _: Output) -> Any:
    return arguments[0] if value is None else value


def _json(value: Any, _: tuple[Any, ...], output: Output) -> Any:
    return output.json(value)


def _text(change: Callable[[str], str]) -> Function:
    def apply(value: Any, _: tuple[Any, ...], output: Output) -> Any:
        text = output.plain(value)
        output.spend(len(text))
        return change(text)

    return apply


def _join(value: Any, arguments: tuple[Any, ...], output: Output) -> Any:
    if not isinstance(value, list):
        return value
    between = arguments[0] if arguments else ", "
    output.spend(len(value) * (len(between) + 1))
    texts = []
    for item in value:
        texts.append(output.plain(item))
        output.spend(len(texts[-1]))
    return between.join(texts)


def _length(value: Any, _: tuple[Any, ...], __: Output) -> Any:
    return len(value) if isinstance(value, str | list | dict) else 0


def _truncate(value: Any, arguments: tuple[Any, ...], output: Output) -> Any:
    text = value if isinstance(value, str) else output.plain(value)
    most = max(arguments[0], 1)
    output.spend(min(len(text), most))
    return text if len(text) <= most else f"{text[: most - 1]}…"


_PARTS = re.compile("YYYY|MM|DD|HH|mm|ss")
_MOST_OF_A_DATE = 40


def _date(value: Any, arguments: tuple[Any, ...], _: Output) -> Any:
    if not isinstance(value, str) or len(value) > _MOST_OF_A_DATE:
        return value
    try:
        at = (
            datetime.fromisoformat(value)
            if "T" in value
            else datetime.combine(date.fromisoformat(value), datetime.min.time())
        )
        at = at.astimezone(UTC) if at.tzinfo else at
    except (ValueError, OverflowError):
        return value  # it only looked like a date
    said = {"YYYY": f"{at.year:04}", "MM": f"{at.month:02}", "DD": f"{at.day:02}"}
    said |= {"HH": f"{at.hour:02}", "mm": f"{at.minute:02}", "ss": f"{at.second:02}"}
    return _PARTS.sub(lambda part: said[part[0]], arguments[0] if arguments else "YYYY-MM-DD")


def _mrkdwn(text: str) -> str:
    return escape(text, quote=False)


def _url(text: str) -> str:
    return quote(text, safe="", errors="replace")


_SCALAR = (str, int, float, bool, type(None))

FORMATS: dict[str, Format] = {
    "default": Format((_SCALAR,), 1, _default, "Another value where there is none or null"),
    "json": Format((), 0, _json, "The value as JSON: a text in its quotes, escaped"),
    "upper": Format((), 0, _text(str.upper), "In capitals"),
    "lower": Format((), 0, _text(str.lower), "In small letters"),
    "join": Format(((str,),), 0, _join, 'A list as one text, with ", " or what is given between its elements'),
    "length": Format((), 0, _length, "How many characters, elements or keys; 0 for anything else"),
    "truncate": Format(((int,),), 1, _truncate, "At most so many characters, the last an ellipsis if it was cut"),
    "date": Format(((str,),), 0, _date, "A date or moment in UTC, as YYYY-MM-DD or as given, with YYYY MM DD HH mm ss"),
    "xml": Format((), 0, _text(escape), "Escaped for XML and HTML: & < > and quotes"),
    "mrkdwn": Format((), 0, _text(_mrkdwn), "Escaped for Slack: & < >"),
    "url": Format((), 0, _text(_url), "Percent-encoded, for a part of an address or a form"),
}
