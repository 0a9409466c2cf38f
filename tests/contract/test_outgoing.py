"""The transport keeps the contract of the port Outgoing; the fakes keep what they can of it. On uvloop: on_uvloop/."""

import asyncio
import ssl
from datetime import timedelta

import pytest

from adapters.http.guard import AddressGuard
from adapters.http.outgoing import GuardedOutgoing
from application.ports.outgoing import AddressRefused, Outgoing, Unreachable
from tests.contract.hostile_server import HostileServer, answers
from tests.contract.outgoing import BROKEN_HEADERS, ENOUGH
from tests.contract.outgoing_wire import WireContract
from tests.fakes.outgoing import FakeOutgoing, SandboxOutgoing


class TestGuardedOutgoing(WireContract):
    """The one that is in use."""

    def make(self, guard: AddressGuard, tls: ssl.SSLContext | None = None) -> Outgoing:
        return GuardedOutgoing(guard, tls=tls)

    async def dispose(self, outgoing: Outgoing) -> None:
        assert isinstance(outgoing, GuardedOutgoing)
        await outgoing.aclose()


@pytest.mark.parametrize("fake", [FakeOutgoing(), SandboxOutgoing(None)], ids=["scripted", "sandbox"])
class TestFakes:
    """They refuse before anything is sent what the real one refuses so."""

    @pytest.mark.parametrize("headers", BROKEN_HEADERS)
    async def test_headers_that_would_break_the_request_are_not_sent(
        self, fake: Outgoing, headers: dict[str, str]
    ) -> None:
        """A use case that relies on a fake must not be surprised by the real one."""
        with pytest.raises(ValueError, match="cannot be sent"):
            await fake.send("POST", "https://a.test/", headers=headers, body=b"", timeout=ENOUGH)

    @pytest.mark.parametrize("url", ["", "ftp://a.test/", "file:///etc/passwd", "https://", "a.test"])
    async def test_what_is_no_address_is_refused(self, fake: Outgoing, url: str) -> None:
        """With the field named."""
        with pytest.raises(AddressRefused) as caught:
            await fake.check(url, field="endpoint.url")
        assert [fault.field for fault in caught.value.faults] == ["endpoint.url"]
        with pytest.raises(AddressRefused):
            await fake.send("POST", url, headers={}, body=b"", timeout=ENOUGH)


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
async def test_an_answer_that_stands_still_is_given_up_before_its_time_is_over(begun: bytes) -> None:
    """A receiver with a minute to answer in does not hold a connection for a minute after it has died."""
    outgoing = GuardedOutgoing(AddressGuard(("127.0.0.1",)), read_timeout=timedelta(seconds=0.2))
    async with HostileServer(answers(begun, then_hold=True)) as server:
        with pytest.raises(Unreachable, match=r"stood still for 0\.2 s") as caught:
            async with asyncio.timeout(3):
                await outgoing.send("POST", server.url(), headers={}, body=b"", timeout=timedelta(seconds=60))
        assert caught.value.timed_out
    await outgoing.aclose()


async def test_an_answer_may_take_its_time_before_it_begins_and_as_a_whole() -> None:
    """Only a standstill is given up early: not a slow beginning, and not a slow but steady answer."""
    outgoing = GuardedOutgoing(AddressGuard(("127.0.0.1",)), read_timeout=timedelta(seconds=0.3))

    async def late_and_slow(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        await asyncio.sleep(0.5)
        for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 4\r\n\r\n", b"sl", b"ow"):
            writer.write(piece)
            await asyncio.sleep(0.15)

    async with HostileServer(late_and_slow) as server:
        reply = await outgoing.send("POST", server.url(), headers={}, body=b"", timeout=ENOUGH)
    assert reply.body == b"slow"
    await outgoing.aclose()
