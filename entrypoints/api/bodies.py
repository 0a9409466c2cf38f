"""What every body must be before anything reads it: labelled as nothing but JSON, UTF-8, not nested beyond all measure."""

import re
from typing import Any

from litestar import Request
from litestar.exceptions import ClientException, HTTPException

DEEPEST = 64
"""How many arrays and objects may stand inside one another. Whatever walks through a body then stays far from the
interpreter's own limit, where it would fail after the effect and before the answer."""

_JSON = re.compile(r"application/(?:[\w.-]+\+)?json", re.ASCII | re.IGNORECASE)
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_WITHOUT = ("GET", "HEAD", "DELETE")


async def check_body(request: Request[Any, Any, Any]) -> None:
    """Raises HTTPException 415, or ClientException (400). Webhooks of providers are taken as they come."""
    if request.method in _WITHOUT or request.route_handler.opt.get("public"):
        return
    body = await request.body()
    if not body:
        return
    label = request.headers.get("content-type", "").partition(";")[0].strip()
    if label and not _JSON.fullmatch(label):
        raise HTTPException("Send JSON, with the header Content-Type: application/json.", status_code=415)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ClientException(f"The body is not UTF-8: look at byte {error.start}.") from error
    if deep(body):
        raise ClientException(f"Arrays and objects stand more than {DEEPEST} deep inside one another.")


def deep(body: bytes) -> bool:
    """Whether arrays and objects stand more than DEEPEST deep inside one another."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", _TEXTS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False
