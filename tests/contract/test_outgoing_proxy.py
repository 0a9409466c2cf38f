"""Sending through a proxy: it is told the checked address, and gets the blame for what is its fault."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from adapters.http.guard import AddressGuard
from adapters.http.outgoing import GuardedOutgoing
from adapters.http.proxy import Proxy
from application.ports.outgoing import AddressRefused, Reply, Unreachable
from tests.contract.certificates import Authority
from tests.contract.hostile_server import HostileServer, answers, keeps_answering
from tests.contract.outgoing import ENOUGH, OK, SHORT, names

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def tunnels(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Make the tunnel that is asked for, and carry bytes until one side ends."""
    head = await server.read_request(reader)
    host, _, port = head.split(b" ")[1].decode().rpartition(":")
    far_reader, far_writer = await asyncio.open_connection(host, int(port))
    writer.write(OPEN)

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError, RuntimeError):
            while data := await source.read(65536):
                target.write(data)
        target.close()

    try:
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
    finally:
        far_writer.close()


@asynccontextmanager
async def through(
    proxy: Proxy, guard: AddressGuard | None = None, authority: Authority | None = None
) -> AsyncIterator[GuardedOutgoing]:
    """A transport that goes through a proxy, and may dial 127.0.0.1."""
    guard = guard or AddressGuard(("127.0.0.1",), resolve=names(hooks_test=["127.0.0.1"], inside_test=["10.0.0.1"]))
    outgoing = GuardedOutgoing(guard, proxy=proxy, tls=authority.client() if authority else None)
    try:
        yield outgoing
    finally:
        await outgoing.aclose()


async def post(outgoing: GuardedOutgoing, url: str, timeout: timedelta = ENOUGH) -> Reply:
    """Send a little."""
    return await outgoing.send("POST", url, headers={"webhook-id": "m"}, body=b"{}", timeout=timeout)


@pytest.mark.parametrize("tls", [False, True])
async def test_the_proxy_dials_the_checked_address_and_the_receiver_sees_the_name(tls: bool) -> None:
    """Were the proxy told the name, it would look it up itself, and find what it finds."""
    authority = Authority()
    async with (
        HostileServer(keeps_answering(OK), authority.server("hooks.test") if tls else None) as server,
        HostileServer(tunnels) as proxy,
        through(Proxy(proxy.url(path="")), authority=authority) as outgoing,
    ):
        for _ in range(3):
            assert (await post(outgoing, server.url("hooks.test"))).status == 200
        assert (proxy.connections, server.connections, len(server.requests)) == (1, 1, 3)
        place = f"127.0.0.1:{server.port}".encode()
        assert proxy.requests == [b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (place, place)]
        assert f"\r\nHost: hooks.test:{server.port}\r\n".encode() in server.requests[0]
        assert server.names == (["hooks.test"] if tls else [])


async def test_the_password_goes_to_the_proxy_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    """Neither to the receiver, nor into a log, nor into an error."""
    caplog.set_level(logging.DEBUG)
    async with HostileServer(keeps_answering(OK)) as server, HostileServer(tunnels) as proxy:
        way = Proxy(f"http://us%40er:c4n4ry%3A@127.0.0.1:{proxy.port}")
        async with through(way) as outgoing:
            assert (await post(outgoing, server.url("hooks.test"))).status == 200
        assert b"\r\nProxy-Authorization: Basic dXNAZXI6YzRuNHJ5Og==\r\n" in proxy.requests[0]
        assert b"roxy" not in server.requests[0]
    async with HostileServer(answers(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")) as proxy:
        way = Proxy(f"http://us%40er:c4n4ry%3A@127.0.0.1:{proxy.port}")
        async with through(way) as outgoing:
            with pytest.raises(Unreachable, match=r"^The proxy does not accept the user name") as caught:
                await post(outgoing, "http://hooks.test/")
    for text in (repr(way), str(caught.value), caplog.text):
        assert "c4n4ry" not in text
        assert "YzRuNHJ5" not in text


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", "could not reach hooks.test \\(502\\)"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "does not let the hub reach hooks.test \\(403\\)"),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n", "does not let"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "failed: The answer is not valid HTTP"),
        (b"", "failed: The connection was lost"),
    ],
)
async def test_the_proxy_gets_the_blame_for_what_it_says(says: bytes, reason: str) -> None:
    """Whoever reads the attempt must not write to the receiver about it."""
    async with HostileServer(answers(says)) as proxy, through(Proxy(proxy.url(path=""))) as outgoing:
        with pytest.raises(Unreachable, match=f"^The proxy {reason}") as caught:
            await post(outgoing, "https://hooks.test/")
        assert not caught.value.timed_out
        async with asyncio.timeout(2):
            await proxy.deserted()


async def test_a_proxy_that_is_not_there_or_says_nothing_gets_the_blame() -> None:
    """Also when the receiver's time is what ran out."""
    async with HostileServer(answers(then_hold=True)) as proxy:
        async with through(Proxy(proxy.url(path=""))) as outgoing:
            with pytest.raises(Unreachable, match=r"^The proxy did not answer in time") as caught:
                await post(outgoing, "https://hooks.test/", SHORT)
        assert caught.value.timed_out
    async with through(Proxy(proxy.url(path=""))) as outgoing:
        with pytest.raises(Unreachable, match=r"^The proxy could not be reached: it refused") as caught:
            await post(outgoing, "https://hooks.test/")
        assert not caught.value.timed_out
    async with through(Proxy("http://nowhere.test:3128")) as outgoing:
        with pytest.raises(Unreachable, match=r"^The proxy could not be reached: its name"):
            await post(outgoing, "https://hooks.test/")


@pytest.mark.parametrize(
    "url", ["http://inside.test/", "http://10.0.0.1/", "http://169.254.169.254/", "https://[::1]/"]
)
async def test_the_guard_stands_before_the_proxy(url: str) -> None:
    """Only the proxy's own address is beyond it: here it is 127.0.0.1, which is not allowed as a destination."""
    guard = AddressGuard(resolve=names(inside_test=["10.0.0.1"]))
    async with HostileServer(tunnels) as proxy, through(Proxy(proxy.url(path="")), guard) as outgoing:
        with pytest.raises(AddressRefused):
            await post(outgoing, url)
        with pytest.raises(AddressRefused):
            await post(outgoing, proxy.url())
        assert proxy.connections == 0


@pytest.mark.parametrize("exception", ["hooks.test", ".test", "127.0.0.0/8", "127.0.0.1", "*"])
async def test_some_hosts_are_reached_without_the_proxy(exception: str) -> None:
    """By name, by what the name ends in, or by where it leads."""
    async with HostileServer(keeps_answering(OK)) as server, HostileServer(tunnels) as proxy:
        async with through(Proxy(proxy.url(path=""), (exception,))) as outgoing:
            assert (await post(outgoing, server.url("hooks.test"))).status == 200
        assert (proxy.connections, server.connections) == (0, 1)
