"""A request that the sandbox understands: its method and path, the parameters it takes, and what it does."""

import re
from collections.abc import Callable

import attrs

from adapters.providers.stripe.sandbox_books import Books, newest
from adapters.providers.stripe.sandbox_form import Reader, many, table, text, whole
from adapters.providers.stripe.sandbox_objects import Json

Act = Callable[[Books, str, Json], Json]
"""Given the shop, the id in the path (or nothing) and the parameters that were read; gives the answer's body."""

EXPAND: dict[str, Reader] = {"expand": many(text(200))}
PAGE: dict[str, Reader] = {
    **EXPAND,
    "limit": whole(1, 100),
    "starting_after": text(),
    "ending_before": text(),
    "created": lambda value, at: (
        whole(0)(value, at)
        if isinstance(value, str)
        else table(dict.fromkeys(("gt", "gte", "lt", "lte"), whole(0)))(value, at)
    ),
}


@attrs.frozen
class Route:
    """One method and path."""

    method: str
    pattern: re.Pattern[str]
    read: Reader
    act: Act


def route(line: str, fields: dict[str, Reader], act: Act, required: tuple[str, ...] = ()) -> Route:
    """line: `GET /v1/things/{}`; every route takes `expand`."""
    method, path = line.split()
    return Route(method, re.compile(path.replace("{}", "([^/]+)")), table({**EXPAND, **fields}, required), act)


def get_one(shelf: str, kind: str, param: str = "id") -> Act:
    """What stands on a shelf under the id in the path."""
    return lambda books, id_, _: books.find(getattr(books, shelf), kind, id_, param=param)


def get_list(shelf: str, path: str, *filters: str) -> Act:
    """What stands on a shelf and has in the fields of these names what was asked for."""

    def act(books: Books, _: str, asked: Json) -> Json:
        picked = {name: asked[name] for name in filters if name in asked}
        rows = newest(getattr(books, shelf), lambda row: all(row[name] == value for name, value in picked.items()))
        return books.list_of(rows, asked, path)

    return act
