"""Requests to bytes and bytes to answers: HTTP/1.1 (RFC 9112) as far as a client of single requests needs it.

The parser is llhttp, which Node uses too, by way of httptools and with none of its leniencies: an answer that two programs
could read differently is no answer. What llhttp leaves to its caller (limits, HEAD, the end of the connection) is here.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import final

import attrs
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from adapters.http.guard import Target, parse
from domain.notifications.attempts import KEPT_BODY

USER_AGENT = "Patchbay/0.1 (+webhooks)"
MAX_HEADERS = 32 * 1024
"""Bytes of an answer's headers, those of interim answers and trailers included; more is no answer that anyone means."""
MAX_BYTES = 256 * 1024
"""Bytes read of one answer at most, so that 16 KiB cannot come wrapped in a gigabyte of chunk extensions."""

_OURS = frozenset(
    "accept-encoding connection content-length expect host http2-settings keep-alive proxy-authorization proxy-connection"
    " te trailer transfer-encoding upgrade user-agent".split()
)
"""Headers that frame the request; a caller's own are left out."""
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # RFC 9110, 5.6.2
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})  # RFC 9110, section 9.2.2
_RECOGNISED_BY = ("webhook-id", "idempotency-key")


class NotHttp(Exception):
    """What came is no answer. The text, for a person, says why."""


@attrs.frozen
class Plan:
    """What all requests with one method and URL have in common.

    place: whose connections can serve them: scheme, host and port. opening: the request line and our own headers.
    """

    target: Target
    place: tuple[str, str, int]
    opening: str
    is_head: bool
    states_no_length: bool
    idempotent: bool


@lru_cache(maxsize=4096)
def plan(method: str, url: str) -> Plan:
    """Take the URL apart once. Raises AddressRefused, as `parse` does, and ValueError for what is no method."""
    if not method or not _TOKEN.issuperset(method) or method in ("CONNECT", "TRACE"):
        raise ValueError("The request's method is none that can be sent.")
    target = parse(url)
    opening = (
        f"{method} {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: {USER_AGENT}\r\n"
        "Accept-Encoding: identity\r\n"
    )
    return Plan(
        target,
        (target.scheme, target.host, target.port),
        opening,
        method == "HEAD",
        method in _WITHOUT_BODY,
        method in _IDEMPOTENT,
    )


def written(planned: Plan, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a request. Raises ValueError, naming the header, for one that would break the request or add another."""
    head = planned.opening + field_lines(headers)
    if body or not planned.states_no_length:
        head = f"{head}Content-Length: {len(body)}\r\n\r\n"
    else:
        head += "\r\n"
    return head.encode() + body


def field_lines(headers: Mapping[str, str]) -> str:
    """The caller's headers as they are sent, without those that are ours to say.

    Raises ValueError: a name is no token (RFC 9110, section 5.1), or a value holds CR, LF, NUL or another control
    character (section 5.5). The text does not quote the value, which may be a secret.
    """
    lines = ""
    for name, value in headers.items():
        if _is_callers(name):
            if not (value.isascii() and value.isprintable()):
                _check_value(name, value)
            lines += f"{name}: {value}\r\n"
    return lines


def recognisable(planned: Plan, headers: Mapping[str, str]) -> bool:
    """Whether a receiver that gets this request twice can tell: then it may be sent again although it may have arrived.

    RFC 9110, section 9.2.2, lets a client repeat a request of its own accord if its method is idempotent, or if it knows
    that the request is idempotent whatever its method says. A POST is that where it carries a `webhook-id` (Standard
    Webhooks: "the unique webhook identifier ... used as an idempotency key") or an `Idempotency-Key`.
    """
    return planned.idempotent or any(name.lower() in _RECOGNISED_BY for name in headers)


@lru_cache(maxsize=1024)
def _is_callers(name: str) -> bool:
    if not name or not _TOKEN.issuperset(name):
        raise ValueError(f"The header name {name[:40]!r} cannot be sent.")
    return name.lower() not in _OURS


def _check_value(name: str, value: str) -> None:
    if any((c < " " and c != "\t") or c == "\x7f" or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise ValueError(f"The value of the header {name} contains a control character and cannot be sent.")


@final
class AnswerReader:
    """Puts answers together from what comes over one connection. Call `expect`, then `feed` until it says True.

    status, headers: of the final answer; names in lower case, repetitions joined by a comma (RFC 9110, section 5.3).
    kept: the first `keep` bytes of its body. done: the answer is complete, or enough of it has been kept.
    reusable: the connection may carry another request. begun: at least one byte has come.
    """

    __slots__ = (
        "_fed", "_head_ended", "_held", "_is_head", "_keep", "_most", "_parser", "_pieces", "_size", "_until_close", "begun",
        "done", "headers", "reusable", "status",
    )  # fmt: skip

    def __init__(self, keep: int = KEPT_BODY) -> None:
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._keep = keep
        self._most = max(MAX_BYTES, 2 * keep)
        self._pieces: list[bytes] = []
        self.expect()

    @property
    def kept(self) -> bytes:
        """The beginning of the body, or all of it."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0][: self._keep] if self._pieces else b""

    def expect(self, *, is_head: bool = False) -> None:
        """Begin anew, with the answer to another request. is_head: the answer has no body, whatever its headers say."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self._pieces = []
        self.done = self.reusable = self.begun = False
        self._is_head = is_head
        self._head_ended = self._until_close = False
        self._fed = self._size = 0
        self._held = 0

    def feed(self, data: bytes) -> bool:
        """Read on; whether the answer is done. Raises NotHttp."""
        self.begun = True
        self._fed += len(data)
        parser = self._parser
        if parser is None:
            raise NotHttp("The answer came after its connection was closed.")
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.reusable = False  # after a complete answer: something that nobody asked for
            if not self.done:
                reason = error.__context__ if isinstance(error.__context__, NotHttp) else None
                raise reason or NotHttp("The answer is not valid HTTP.") from error
        if not self.done:
            self._check_bounds()
        return self.done

    def end(self) -> bool:
        """The connection was closed from the other side; whether that was the end of an answer."""
        self.reusable = False
        self.done = self.done or (self._head_ended and self._until_close)
        return self.done

    def drop(self) -> None:
        """Let go of the parser, which holds on to this object in turn."""
        self._parser = None

    def _check_bounds(self) -> None:
        if not self._head_ended and self._fed > MAX_HEADERS:
            raise NotHttp("The answer's headers are too large.")
        if self._fed > self._most:
            self.done, self.reusable = True, False

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An interim answer is over, or the answer: what follows that has no request."""
        if self.done:
            raise NotHttp("More came than was asked for.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is not kept (RFC 9110, section 6.5.1)."""
        self._size += len(name) + len(value)
        if self._size > MAX_HEADERS:
            raise NotHttp("The answer's headers are too large.")
        if not self._head_ended:
            key = name.decode("latin-1").lower()
            text = value.decode("latin-1").rstrip(" \t")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """Decide where the answer ends (RFC 9112, section 6.3)."""
        parser, headers = self._parser, self.headers
        assert parser is not None
        version = parser.get_http_version()
        status = parser.get_status_code()
        if version not in ("1.1", "1.0"):
            raise NotHttp(f"The answer is in HTTP/{version}, which was not asked for.")
        if status < 200:
            if status < 100:
                raise NotHttp("The answer has no valid status.")
            if status == 101:
                raise NotHttp("The server changed to another protocol, which was not asked for.")
            headers.clear()
            return
        self.status, self._head_ended = status, True
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise NotHttp("The answer came in a transfer encoding that was not asked for.")
        framed = coding is not None or "content-length" in headers or status in (204, 304)
        self._until_close = not framed
        # A chunked answer in HTTP/1.0 went through something that does not know chunks (RFC 9112, section 6.1).
        self.reusable = framed and parser.should_keep_alive() and not (version == "1.0" and coding is not None)
        if self._is_head:
            self.done, self.reusable = True, False

    def on_body(self, piece: bytes) -> None:
        """Keep the beginning."""
        if not self.done:
            self._pieces.append(piece)
            self._held += len(piece)
            if self._held > self._keep:
                self.done, self.reusable = True, False

    def on_message_complete(self) -> None:
        """The end, unless it was an interim answer's."""
        if self._head_ended:
            self.done = True
