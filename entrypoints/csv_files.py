"""CSV of long lists, written as they are read: a page at a time, so that a hundred thousand rows take little memory."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from litestar.response import Stream

from application.ports.store import MAX_PAGE, Collection, Slice, Store, Work

T = TypeVar("T")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_file(
    name: str,
    store: Store,
    organisation_id: str,
    collection: Callable[[Work], Collection[T]],
    titles: Sequence[str],
    cells: Callable[[T], Sequence[object]],
    **equal: object,
) -> Stream:
    """A file to save (RFC 4180, UTF-8): a row of titles, then a row for each thing that matches, oldest first."""

    async def lines() -> AsyncIterator[str]:
        yield _line(titles)
        after: str | None = None
        while True:
            async with store.reading(organisation_id) as work:
                page = await collection(work).page(Slice(MAX_PAGE, after, newest_first=False), **equal)
            yield "".join(_line(cells(one)) for one in page.items)
            after = page.next
            if after is None:
                return

    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([_safe(cell) for cell in cells])
    return text.getvalue()


def _safe(cell: object) -> object:
    """A spreadsheet takes a text that begins like a formula for one; a provider's words must not be that. Numbers stay."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return "" if cell is None else cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
