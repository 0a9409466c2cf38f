"""Nested data as one level of names, for forms and for Zapier.

Flattening repeats a name's beginning before each value, so that a small document can become a huge one: every pair is
counted as it is made, and the bound stops the walk.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from domain.notifications.output import MAX_DEPTH, Output, TooLarge

MAX_FLATTENED = 2 * 1024 * 1024
"""Bytes of a flattened body: eight times the data that an event may have, because percent-encoding triples."""
FIELD = "envelope"


def form(view: Mapping[str, Any]) -> str:
    """The members as `application/x-www-form-urlencoded` (WHATWG URL, section 5.2): `data[client][name]=ACME`.

    List elements are `data[lines][0]`; null, an empty list and an empty object are a name without a value. Raises
    TooLarge, field `envelope`, beyond 2 MiB or 64 levels.
    """
    output = Output(FIELD, MAX_FLATTENED)
    between = ""
    for name, value in _pairs(view, output):
        text = output.plain(value)
        output.spend(len(text))
        output.write(f"{between}{name}={_quoted(text)}")
        between = "&"
    return output.text()


def _pairs(view: Mapping[str, Any], output: Output) -> Iterator[tuple[str, Any]]:
    """Each value that is no object or list, with its whole name, percent-encoded."""
    stack = [(name, value, 0) for name, value in reversed(list(view.items()))]
    while stack:
        name, value, depth = stack.pop()
        if not isinstance(value, dict | list) or not value:
            yield name, None if isinstance(value, dict | list) else value
            continue
        if depth == MAX_DEPTH:
            raise _too_deep()
        output.spend(len(value) * (len(name) + 1))
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        stack.extend((f"{name}%5B{_quoted(str(key))}%5D", item, depth + 1) for key, item in reversed(list(inner)))


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isalnum() else quote_plus(text, errors="replace")


def flat(view: Mapping[str, Any]) -> str:
    """The members as one JSON object without objects in it: `data__client__name`, as Zapier names nested fields.

    A list of plain values stays a list. A list of objects becomes a list of flat objects, which Zapier takes as line
    items (https://docs.zapier.com/platform/build/response-types); a list in a list becomes its JSON as a text. Of
    members that would have the same name, the last stays. Raises TooLarge, field `envelope`, beyond 2 MiB or 64 levels.
    """
    output = Output(FIELD, MAX_FLATTENED)
    output.write(output.json(_flat_object(view, output, MAX_DEPTH), to_write=True))
    return output.text()


def _flat_object(members: Mapping[str, Any], output: Output, depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    stack = [(name, value, depth) for name, value in reversed(list(members.items()))]
    while stack:
        name, value, left = stack.pop()
        output.spend(len(name) + 1)
        if not left:
            raise _too_deep()
        if isinstance(value, dict) and value:
            output.spend(len(value) * (len(name) + 2))
            stack.extend((f"{name}__{key}", item, left - 1) for key, item in reversed(value.items()))
        elif isinstance(value, list):
            result[name] = [_flat_item(item, output, left - 1) for item in value]
        else:
            result[name] = None if value == {} else value
    return result


def _flat_item(item: Any, output: Output, depth: int) -> Any:
    if not depth:
        raise _too_deep()
    if isinstance(item, dict):
        return _flat_object(item, output, depth)
    return output.json(item) if isinstance(item, list) else item


def _too_deep() -> TooLarge:
    return TooLarge.of(FIELD, f"The data is nested deeper than {MAX_DEPTH} levels.")
