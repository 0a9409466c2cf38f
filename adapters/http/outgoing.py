"""Requests to addresses that a user typed: checked, dialled as checked, bounded in time and size, never redirected.

The client is the hub's own (ADR 0016): wire.py makes bytes and reads them, connection.py carries one exchange at a time,
dialling.py makes connections, pool.py keeps them for a few seconds. What other clients add (redirects, cookies, proxies of the
environment, decoding of compressed bodies) is what must not happen here.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import final

from adapters.http.connection import Connection, Lost
from adapters.http.dialling import Dialler
from adapters.http.guard import AddressGuard, parse
from adapters.http.pool import Pool
from adapters.http.proxy import Proxy
from adapters.http.tls import TlsContexts
from adapters.http.wire import Plan, plan, recognisable, written
from application.ports.outgoing import AddressRefused, ClientIdentity, Outgoing, Reply, Unreachable
from domain.notifications.attempts import KEPT_BODY

_CONNECT = timedelta(seconds=5)
_SILENCE = timedelta(seconds=10)


@final
class GuardedOutgoing(Outgoing):
    """Sends over HTTP/1.1 with connections kept alive for some seconds. Close it with `aclose` in each loop that used it.

    guard: decides which addresses may be dialled; it is asked whenever a connection is made. connect_timeout: for the
    connection, and as long again for the proxy's tunnel and for TLS. tls: replaces the trust in the usual certificate
    authorities, for tests. proxy: the way out, if there is no other. read_timeout: how long an answer may stand still once
    its first byte has come; until then only the time of the whole counts. keep: bytes of an answer's body that are kept.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        connect_timeout: timedelta = _CONNECT,
        tls: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        read_timeout: timedelta = _SILENCE,
        keep: int = KEPT_BODY,
    ) -> None:
        self._guard = guard
        self._dialler = Dialler(
            guard, TlsContexts(tls), connect_timeout.total_seconds(), read_timeout.total_seconds(), proxy, keep
        )
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}

    async def check(self, url: str, *, field: str = "url") -> None:
        """Raise AddressRefused, naming `field`, unless the URL is http(s) and its host may be reached."""
        target = parse(url, field)
        try:
            await self._guard.addresses(target.host, target.port, field=field)
        except Unreachable as error:
            raise AddressRefused(error.reason, field=field) from error

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout: timedelta,
        identity: ClientIdentity | None = None,
    ) -> Reply:
        """Send once. Raises AddressRefused if nothing was sent, Unreachable if something may have been.

        timeout: for everything together, from the look-up of the name to the last byte that is kept.

        "Once" has one exception (RFC 9112, section 9.3.1). A server may close a connection that was kept alive at the very
        moment when the next request goes out on it. If the connection ends before a byte of the answer has come, the
        request is sent once more, on a new connection. The server may still have acted on the first, so this is done only
        where doing it twice is harmless: for methods that are idempotent (RFC 9110, section 9.2.2), and for a POST that
        carries a `webhook-id` or an `idempotency-key`, by which the receiver recognises a duplicate. Any other POST ends in
        Unreachable, and whoever sent it decides. A request that was first on its connection is never repeated, nor is one
        that ran out of time or got part of an answer.

        Raises ValueError for a method or a header that cannot be sent: line breaks, NUL, no token.
        """
        planned = plan(method, url)
        request = written(planned, headers, body)
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop) or self._new_pool(loop)
        place = planned.place if identity is None else (planned.place, identity)
        began, seconds = time.perf_counter(), timeout.total_seconds()
        deadline = loop.time() + seconds
        connection = pool.take(place)
        if connection is None:
            connection = await self._ask_anew(planned, request, identity, deadline, seconds)
        else:
            try:
                await connection.ask(request, deadline=deadline, seconds=seconds, is_head=planned.is_head)
            except Lost:
                if not recognisable(planned, headers):
                    raise
                connection = await self._ask_anew(planned, request, identity, deadline, seconds)
        answer = connection.answer
        reply = Reply(answer.status, answer.headers, answer.kept, timedelta(seconds=time.perf_counter() - began))
        pool.put(place, connection)
        return reply

    async def aclose(self) -> None:
        """Close every idle connection of the running loop; those in use are closed after their answers."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            pool.close()
            for _ in range(3):  # the loop lets go of a socket in its next rounds, one for each layer
                await asyncio.sleep(0)

    def _new_pool(self, loop: asyncio.AbstractEventLoop) -> Pool:
        for gone in [one for one in self._pools if one.is_closed()]:
            del self._pools[gone]
        return self._pools.setdefault(loop, Pool(loop))

    async def _ask_anew(
        self, planned: Plan, request: bytes, identity: ClientIdentity | None, deadline: float, seconds: float
    ) -> Connection:
        """Exchange on a new connection, which then holds the answer."""
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._dialler.dial(planned.target, identity, deadline)
        except TimeoutError as error:
            raise Unreachable(f"No complete answer came within {seconds:g} s.", timed_out=True, sent=False) from error
        await connection.ask(request, deadline=deadline, seconds=seconds, is_head=planned.is_head)
        return connection
