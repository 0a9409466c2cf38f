"""From a checked address to a connection that can be used: TCP, the proxy's tunnel where there is one, TLS."""

import asyncio
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import final

import attrs

from adapters.http.connection import Connection
from adapters.http.guard import AddressGuard, Target
from adapters.http.proxy import Proxy, refusal
from adapters.http.tls import TlsContexts
from application.ports.outgoing import AddressRefused, ClientIdentity, Unreachable
from domain.notifications.attempts import KEPT_BODY

_EACH_ADDRESS = 2.0
"""Seconds for one of several addresses: a lost first packet is sent again after one (RFC 6298, section 2.1)."""


@final
@attrs.frozen
class Dialler:
    """Makes connections. connect: seconds for TCP, and as long again for the proxy's tunnel and for TLS.

    silence: seconds that an answer may stand still. keep: bytes of an answer's body that are kept.
    """

    guard: AddressGuard
    contexts: TlsContexts
    connect: float
    silence: float
    proxy: Proxy | None = None
    keep: int = KEPT_BODY

    async def dial(self, target: Target, identity: ClientIdentity | None, deadline: float) -> Connection:
        """A connection to the target, at one of the very addresses that the guard has just allowed.

        deadline: when the whole must be over, by the loop's clock; the caller sees to that for all but the proxy.
        Raises AddressRefused if nothing was dialled, Unreachable otherwise.
        """
        try:
            addresses = await self.guard.addresses(target.host, target.port)
            connection = await self._reach(target, addresses, deadline)
            if target.scheme == "https":
                await self._secure(connection, target, identity)
        except Unreachable as problem:
            problem.sent = False
            raise
        return connection

    async def _reach(self, target: Target, addresses: Sequence[str], deadline: float) -> Connection:
        proxy = self.proxy
        if proxy is None or not proxy.leads_to(target.host, addresses[0]):
            until = asyncio.get_running_loop().time() + self.connect
            return await self._first(target.host, target.port, addresses, until)
        problem: Unreachable | None = None
        for address in addresses:
            try:
                return await self._tunnel(proxy, target, address, deadline)
            except Unreachable as error:
                problem = problem or error
                if error.timed_out:
                    break
        assert problem is not None
        raise problem

    async def _first(self, host: str, port: int, addresses: Sequence[str], until: float) -> Connection:
        """Dial the addresses in turn, each with its share of the time, until one answers (RFC 8305, without the race)."""
        loop = asyncio.get_running_loop()
        for waiting, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            left = max(until - loop.time(), 0)
            try:
                async with asyncio.timeout(left if waiting == 1 else min(_EACH_ADDRESS, left / waiting)):
                    _, connection = await loop.create_connection(
                        lambda: Connection(loop, host, self.silence, self.keep), address, port
                    )
                return connection
            except TimeoutError as error:
                if waiting == 1:
                    raise Unreachable(f"{host} did not take the connection in time.", timed_out=True) from error
            except ConnectionRefusedError as error:
                if waiting == 1:
                    raise Unreachable(f"{host} refused the connection.") from error
            except OSError as error:
                if waiting == 1:
                    raise Unreachable(f"No connection to {host} could be made.") from error
        raise Unreachable(f"The name {host} has no address.")

    async def _tunnel(self, proxy: Proxy, target: Target, address: str, deadline: float) -> Connection:
        loop = asyncio.get_running_loop()
        # A hair before the caller's own deadline, so that it is the proxy that gets the blame.
        latest = deadline - 0.01
        try:
            addresses = await self._addresses_of(proxy)
            connection = await self._first("it", proxy.port, addresses, min(loop.time() + self.connect, latest))
        except Unreachable as error:
            raise Unreachable(f"The proxy could not be reached: {error.reason}", timed_out=error.timed_out) from error
        until = min(loop.time() + self.connect, latest)
        try:
            answer = await connection.ask(
                proxy.tunnel(address, target.port), deadline=until, seconds=until - loop.time(), is_head=True
            )
        except Unreachable as error:
            text = "did not answer in time" if error.timed_out else f"failed: {error.reason}"
            raise Unreachable(f"The proxy {text}", timed_out=error.timed_out) from error
        if not 200 <= answer.status < 300:
            connection.close()
            raise Unreachable(refusal(answer.status, target.host))
        connection.host = target.host
        connection.renew()
        return connection

    async def _addresses_of(self, proxy: Proxy) -> Sequence[str]:
        try:
            return [str(ip_address(proxy.host))]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(self.guard.timeout.total_seconds()):
                return await self.guard.resolve(proxy.host, proxy.port)
        except OSError as error:
            raise Unreachable("its name was not found.", timed_out=isinstance(error, TimeoutError)) from error

    async def _secure(self, connection: Connection, target: Target, identity: ClientIdentity | None) -> None:
        host = target.host
        try:
            context = await self.contexts.of(identity)
        except BaseException as error:
            connection.close()
            if isinstance(error, ssl.SSLError | ValueError):
                raise AddressRefused("The client certificate cannot be used; save it anew.") from error
            raise
        try:
            async with asyncio.timeout(self.connect):
                await connection.secure(context, host)
        except TimeoutError as error:
            raise Unreachable(f"{host} did not finish the TLS handshake in time.", timed_out=True) from error
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"The TLS certificate of {host} is not valid: {error.verify_message}") from error
        except OSError as error:
            reason = f": {error.reason}" if isinstance(error, ssl.SSLError) and error.reason else ""
            raise Unreachable(f"No secure connection to {host} could be made (TLS{reason}).") from error
