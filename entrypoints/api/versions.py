"""ETag and If-Match: the version of a thing, so that nobody overwrites what they have not seen (RFC 9110 §13.1.1)."""

from typing import Annotated, Any

from litestar import Response
from litestar.params import HeaderParameter

from domain.refusals import Invalid

IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", required=False, description='The version that was read, such as "3".')
]


def provide_if_match(if_match_header: IfMatch = None) -> int | None:
    """The version named by If-Match; None without one, or for `*`."""
    if if_match_header is None or if_match_header.strip() == "*":
        return None
    text = if_match_header.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid.field("If-Match", 'It names a version, such as "3".')
    return int(text)


def versioned(view: Any, version: int, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[Any]:
    """An answer with its ETag."""
    return Response(view, status_code=status, headers={"ETag": f'"{version}"', **(headers or {})})
