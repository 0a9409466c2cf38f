"""Requests to addresses that a user typed: checked, dialled as checked, bounded in time and size, never redirected.

Built on httpcore rather than on httpx itself: what httpx adds (redirects, cookies, proxies of the environment, decoding
of compressed bodies) is what must not happen here.
"""

import logging
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from datetime import timedelta
from functools import cache
from typing import Any, final

import anyio
import attrs
import certifi
import httpcore

from adapters.http.guard import AddressGuard, Target, parse
from application.ports.outgoing import AddressRefused, Outgoing, Reply, Unreachable
from domain.notifications.attempts import KEPT_BODY

USER_AGENT = "Patchbay/0.1 (+webhooks)"
MAX_HEADERS = 32 * 1024
"""Bytes of an answer's headers; more is no answer that anyone sends in earnest."""

_CONNECT = timedelta(seconds=5)
_IDLE_SECONDS = 4.0
"""Shorter than the 5 s after which common servers drop an idle connection."""
_IDLE_CONNECTIONS = 200
_OURS = frozenset(
    "accept-encoding connection content-length host keep-alive te trailer transfer-encoding upgrade user-agent".split()
)
"""Headers that frame the request; a caller's own are left out."""

_log = logging.getLogger(__name__)


@final
class GuardedOutgoing(Outgoing):
    """Sends over HTTP/1.1 with connections kept alive for some seconds. Close it with `aclose`.

    guard: decides which addresses may be dialled. connect_timeout: for the name and the connection, and as long again for
    TLS. tls: replaces the trust in the usual certificate authorities, for tests.
    """

    def __init__(
        self, guard: AddressGuard, *, connect_timeout: timedelta = _CONNECT, tls: ssl.SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._connect_timeout = connect_timeout
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or _usual_trust(),
            max_connections=None,  # as many as there are sends at once, which the callers bound
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_CheckedDialling(guard),
        )

    async def check(self, url: str, *, field: str = "url") -> None:
        """Raise AddressRefused, naming `field`, unless the URL is http(s) and its host may be reached."""
        target = parse(url, field)
        try:
            await self._guard.addresses(target.host, target.port, field=field)
        except Unreachable as error:
            raise AddressRefused(error.reason, field=field) from error

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout: timedelta
    ) -> Reply:
        """Send once. Raises AddressRefused if nothing was sent, Unreachable if something may have been.

        timeout: for everything together, from the look-up of the name to the last byte that is kept.
        """
        target = parse(url)
        started = time.perf_counter()
        try:
            with anyio.fail_after(timeout.total_seconds()):
                status, answered, kept = await self._exchange(method, target, headers, body)
        except (AddressRefused, Unreachable):
            raise
        except Exception as error:
            raise _unreachable(error, target.host, timeout) from error
        return Reply(status, answered, kept, timedelta(seconds=time.perf_counter() - started))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def _exchange(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        request = httpcore.Request(
            method.encode(),
            httpcore.URL(
                scheme=target.scheme.encode(),
                host=target.host.encode(),
                port=target.port,
                target=target.path.encode(),
            ),
            headers=[
                (b"Host", target.authority.encode()),
                (b"User-Agent", USER_AGENT.encode()),
                (b"Accept-Encoding", b"identity"),
                (b"Content-Length", str(len(body)).encode()),
                *((name.encode(), value.encode()) for name, value in headers.items() if name.lower() not in _OURS),
            ],
            content=body,
            extensions={"timeout": {"connect": self._connect_timeout.total_seconds()}},
        )
        response = await self._pool.handle_async_request(request)
        try:
            answered = _headers(response.headers)
            kept = bytearray()
            async with aclosing(response.aiter_stream()) as stream:  # type: ignore[type-var]
                async for chunk in stream:
                    kept += chunk
                    if len(kept) > KEPT_BODY:
                        break
        finally:
            await response.aclose()  # closes the connection too, unless the answer was read to its end
        return response.status, answered, bytes(kept[:KEPT_BODY])


@final
class _CheckedDialling(httpcore.AsyncNetworkBackend):
    """Asks the guard whenever a connection is made and dials what it answers; the name is not resolved a second time.

    TLS and the Host header go on using the name: this decides only where the packets go.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Dial the host's addresses in turn, each with its share of the time, until one answers."""
        deadline = time.monotonic() + (timeout or _CONNECT.total_seconds())
        addresses = await self._guard.addresses(host, port)
        for waiting, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                stream = await self._network.connect_tcp(
                    address,
                    port,
                    timeout=max(deadline - time.monotonic(), 0) / waiting,
                    local_address=local_address,
                    socket_options=socket_options,
                )
                return _Dialled(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if waiting == 1:
                    raise
        raise Unreachable(f"The name {host} has no address.")

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Never: a URL cannot name a file."""
        raise Unreachable("A socket file is not an address.")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


@final
class _Dialled(httpcore.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is cut short by a time-out; httpcore would leave it open."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As the connection reads."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As the connection writes."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Shake hands, or close."""
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """What is known of it."""
        return self._stream.get_extra_info(info)


@cache
def _usual_trust() -> ssl.SSLContext:
    """The machine's certificate authorities (or those of SSL_CERT_FILE) and, for machines without any, certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    size = 0
    for name, value in raw:
        size += len(name) + len(value)
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text  # RFC 9110, section 5.3
    if size > MAX_HEADERS:
        raise Unreachable("The answer's headers are too large.")
    return headers


@attrs.frozen
class _Reason:
    """What to say of a kind of failure."""

    kinds: tuple[type[BaseException], ...]
    text: str
    timed_out: bool = False


_REASONS = (
    _Reason((httpcore.ConnectTimeout,), "{host} did not take the connection in time.", timed_out=True),
    _Reason((httpcore.TimeoutException, TimeoutError), "No complete answer came within {seconds:g} s.", timed_out=True),
    # A handshake that was cut short by a time-out has an SSLError in its past, so this comes after the time-outs.
    _Reason((ssl.SSLError,), "No secure connection to {host} could be made (TLS)."),
    _Reason((ConnectionRefusedError,), "{host} refused the connection."),
    _Reason((httpcore.ConnectError,), "No connection to {host} could be made."),
    _Reason((httpcore.LocalProtocolError, UnicodeError), "The request's method or headers cannot be sent."),
    _Reason((httpcore.RemoteProtocolError,), "The answer is not valid HTTP, or ended too soon."),
    _Reason((httpcore.NetworkError, OSError, anyio.BrokenResourceError), "The connection was lost before the answer."),
)
"""The first row that fits the failure, or what caused it, is the reason."""


def _unreachable(error: Exception, host: str, timeout: timedelta) -> Unreachable:
    chain = tuple(_chain(error))
    certificate = next((one for one in chain if isinstance(one, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return Unreachable(f"The TLS certificate of {host} is not valid: {certificate.verify_message}")
    for reason in _REASONS:
        if any(isinstance(one, reason.kinds) for one in chain):
            text = reason.text.format(host=host, seconds=timeout.total_seconds())
            return Unreachable(text, timed_out=reason.timed_out)
    _log.warning("an answer broke the client in a new way", exc_info=error)
    return Unreachable("The answer could not be read.")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The failure and what caused it, outermost first; httpcore's pool hides causes in the context."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
