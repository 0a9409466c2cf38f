"""Style sheets and pictures: read once, named by their content, so that a browser asks for each only once."""

import hashlib
from pathlib import Path
from typing import Any

import attrs
from litestar import Request, Response

_FOR_EVER = "public, max-age=31536000, immutable"


@attrs.frozen
class Asset:
    """One file as it is served. `url` changes with its content."""

    path: str
    media_type: str
    body: bytes = attrs.field(repr=False)
    digest: str

    @classmethod
    def of(cls, path: str, media_type: str, *files: Path) -> "Asset":
        """The files one after the other, served at `path`."""
        body = b"\n".join(file.read_bytes() for file in files)
        return cls(path, media_type, body, hashlib.sha256(body).hexdigest()[:16])

    @property
    def url(self) -> str:
        """What pages link to."""
        return f"{self.path}?v={self.digest}"

    def answer(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The file, or 304 for who has it (RFC 9110 §13.1.2)."""
        etag = f'"{self.digest}"'
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        named = request.query_params.get("v") == self.digest
        headers = {"ETag": etag, "Cache-Control": _FOR_EVER if named else "no-cache"}
        if known & {etag, "*"}:
            return Response(b"", status_code=304, headers=headers, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)
