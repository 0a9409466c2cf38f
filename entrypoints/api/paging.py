"""Cursor paging: every list is `{items, next_cursor}`, and `next_cursor` is null at the end."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from application.ports.store import MAX_PAGE, Page, Slice
from domain.refusals import Invalid

T = TypeVar("T")
V = TypeVar("V")

_ID = re.compile(r"[a-z_]{1,30}_[0-9A-Z]{26}")
"""Lists continue after an id (domain/ids.py)."""

Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE, description="How many entries at most.")]
Cursor = Annotated[
    str | None, QueryParameter(name="cursor", required=False, description="The next_cursor of the page before.")
]


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list, newest first."""

    items: list[T]
    next_cursor: str | None


def provide_slice(limit: Limit = 50, cursor: Cursor = None) -> Slice:
    """Which part of a list is asked for. Raises Invalid for a cursor that is not one of ours."""
    return Slice(limit, _decode(cursor) if cursor else None)


def listing(page: Page[Any], view: Callable[[Any], V]) -> Listing[V]:
    """The page as it is answered."""
    following = base64.urlsafe_b64encode(page.next.encode()).decode().rstrip("=") if page.next else None
    return Listing([view(item) for item in page.items], following)


def _decode(cursor: str) -> str:
    try:
        after = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Invalid.field("cursor", "This is not a cursor of ours.") from error
    if not _ID.fullmatch(after):
        raise Invalid.field("cursor", "This is not a cursor of ours.")
    return after
