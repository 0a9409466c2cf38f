"""What every transport behind the port Outgoing must do, whatever the server at the other end does.

A transport's own test subclasses OutgoingContract and says how to make one.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from adapters.http.guard import AddressGuard
from application.ports.outgoing import AddressRefused, Outgoing, Reply, Unreachable
from domain.notifications.attempts import KEPT_BODY
from tests.contract.certificates import Authority
from tests.contract.hostile_server import Behaviour, HostileServer, answers, keeps_answering, never_stops

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ENOUGH = timedelta(seconds=5)
SHORT = timedelta(seconds=0.4)

_WRITTEN_WITHOUT_SPACES = """
http://127.0.0.1/ http://127.0.0.1:8080/ http://127.1/ http://127.0.1/ http://2130706433/ http://0x7f000001/
http://0x7f.1/ http://0x7f.0.0.1/ http://0177.1/ http://0177.0.0.1/ http://017700000001/ http://127.0.0.01/
http://127.0.0.1./ http://0/ http://0.0.0.0/ http://1.2.3.4.5/ http://256.1.1.1/ http://4294967296/ http://0x/
http://10.0.0.1/ http://100.64.0.1/ http://169.254.169.254/latest/meta-data/ http://172.16.0.1/ http://172.31.255.255/
http://192.0.0.1/ http://192.0.2.1/ http://192.88.99.1/ http://192.168.0.1/ http://198.18.0.1/ http://198.19.255.255/
http://198.51.100.1/ http://203.0.113.1/ http://224.0.0.1/ http://239.255.255.255/ http://240.0.0.1/
http://255.255.255.255/ http://１２７.0.0.1/ http://127。0。0。1/ http://①②⑦.0.0.1/ http://%31%32%37.0.0.1/
http://[::]/ http://[::1]/ http://[0:0:0:0:0:0:0:1]/ http://[::127.0.0.1]/ http://[::8.8.8.8]/
http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[0:0:0:0:0:ffff:10.0.0.1]/ http://[::ffff:169.254.169.254]/
http://[::ffff:0:127.0.0.1]/ http://[64:ff9b::127.0.0.1]/ http://[64:ff9b::a9fe:a9fe]/ http://[64:ff9b:1::1]/
http://[64:ff9b:1::8.8.8.8]/ http://[100::1]/ http://[100:0:0:1::1]/ http://[2001::1]/
http://[2001:0:808:808:0:0:f7f7:f7f7]/ http://[2001:2::1]/ http://[2001:10::1]/ http://[2001:db8::1]/
http://[2002:7f00:1::]/ http://[2002:808:808::1]/ http://[3fff::1]/ http://[4000::1]/ http://[5f00::1]/ http://[fc00::1]/
http://[fd00:ec2::254]/ http://[fe80::1]/ http://[fe80::1%25eth0]/ http://[fe80::1%eth0]/ http://[2606:4700::1%251]/
http://[fec0::1]/ http://[ff02::1]/ http://[v1.a]/ http://[::1/ http://::1/ http://[]/ http://[127.0.0.1]/
http://user@8.8.8.8/ http://user:pass@8.8.8.8/ http://8.8.8.8@127.0.0.1/ https://1:2@[::1]/ http://@8.8.8.8/
http://8.8.8.8:0/ http://8.8.8.8:65536/ http://8.8.8.8:-1/ http://8.8.8.8:/ http://8.8.8.8:80:80/ http://8.8.8.8:8o/
http:// http:///path http://:80/ http://./ http://a..b/ http://.a/ http://-a.test/ http://a_.-b/ https://xn--/
https://xn--a.test/ http://a%00.test/ http:8.8.8.8 http:/8.8.8.8 //8.8.8.8/ 8.8.8.8 localhost:80 /path
http://8.8.8.8\\@127.0.0.1/ http:\\\\127.0.0.1 ftp://8.8.8.8/ file:///etc/passwd gopher://8.8.8.8/ data:text/plain,x
javascript:alert(1) unix:///run/docker.sock ws://8.8.8.8/ HTTP+UNIX://x/
"""
FORBIDDEN_URLS = (
    *_WRITTEN_WITHOUT_SPACES.split(),
    "",
    " ",
    " http://8.8.8.8/",
    "http://8.8.8.8/ ",
    "http://8.8.8.8/a b",
    "http://8.8.8.8/\r\nX: y",
    "http://8.8.8.8/\x00",
    "http://8.8.8.8\t/",
    "http://\u200b8.8.8.8/\u2028",
    "http://8.8.8.8/\udcff",
    "http://" + "a" * 64 + ".test/",
    "http://" + "a." * 130 + "test/",
    "http://8.8.8.8/" + "a" * 3000,
)
"""No transport may dial anything for these."""

BROKEN_HEADERS: tuple[dict[str, str], ...] = (
    {"bad name": "x"}, {"": "x"}, {"X:": "x"}, {"X\r\nY": "x"}, {"X\x00": "x"}, {"Ü": "x"},
    {"X": "a\r\nY: b"}, {"X": "a\nY: b"}, {"X": "a\rb"}, {"X": "a\x00b"}, {"X": "\x7f"}, {"X": "\udcff"},
    {"X": "a\r\n\r\nGET / HTTP/1.1\r\nHost: inside\r\n\r\n"},
)  # fmt: skip
"""None may be sent, whoever typed them."""

FORBIDDEN_ADDRESSES = (
    "127.0.0.1 0.0.0.0 10.1.2.3 100.100.100.200 169.254.169.254 172.20.0.1 192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255"
    " ::1 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::a00:1 2002:7f00:1:: 2001::f5ff:fffe"
    " fd00:ec2::254 fe80::1 fe80::1%2 ff02::1 2001:db8::1 nonsense"
).split()


class OutgoingContract(ABC):
    """The suite."""

    @abstractmethod
    def make(self, guard: AddressGuard, tls: ssl.SSLContext | None = None) -> Outgoing:
        """A transport under test."""

    @abstractmethod
    async def dispose(self, outgoing: Outgoing) -> None:
        """Close it."""

    @pytest.fixture
    async def local(self) -> AsyncIterator[Outgoing]:
        """A transport that may dial 127.0.0.1, and knows no names."""
        async with self.open(AddressGuard(("127.0.0.1",), resolve=names())) as outgoing:
            yield outgoing

    @asynccontextmanager
    async def open(self, guard: AddressGuard, tls: ssl.SSLContext | None = None) -> AsyncIterator[Outgoing]:
        """A transport that is closed in the end."""
        outgoing = self.make(guard, tls)
        try:
            yield outgoing
        finally:
            await self.dispose(outgoing)

    # What works.

    async def test_a_request_arrives_as_it_was_meant(self, local: Outgoing) -> None:
        """Method, path, headers and the very bytes of the body: a signature hangs on them."""
        async with HostileServer(answers(OK)) as server:
            body = bytes(range(256))
            reply = await local.send(
                "POST",
                server.url(path="/a%2Fb/ü?q=1&r=a b".replace(" ", "+") + "#part"),
                headers={
                    "webhook-id": "msg_1",
                    "Content-Type": "application/json",
                    "Host": "evil",
                    "Content-Length": "1",
                },
                body=body,
                timeout=ENOUGH,
            )
        head, _, sent = server.requests[0].partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(b":") for line in lines[1:])}
        assert lines[0] == b"POST /a%2Fb/%C3%BC?q=1&r=a+b HTTP/1.1"
        assert len(fields) == len(lines) - 1, "no header twice"
        assert fields[b"host"] == f"127.0.0.1:{server.port}".encode()
        assert fields[b"user-agent"] == b"Patchbay/0.1 (+webhooks)"
        assert fields[b"webhook-id"] == b"msg_1"
        assert fields[b"content-type"] == b"application/json"
        assert fields[b"content-length"] == b"256"
        assert sent == body
        assert (reply.status, reply.body) == (200, b"ok")
        assert timedelta() < reply.duration < ENOUGH

    async def test_header_names_come_back_in_lower_case_and_repetitions_joined(self, local: Outgoing) -> None:
        """`Retry-After` is found however it was written."""
        answer = b"HTTP/1.1 429 Slow\r\nRETRY-after: 7\r\nX: 1\r\nx: 2\r\nContent-Length: 0\r\n\r\n"
        reply = await self.ask(local, answers(answer))
        assert reply.status == 429
        assert reply.headers["retry-after"] == "7"
        assert reply.headers["x"] == "1, 2"

    @pytest.mark.parametrize("status", [204, 304, 400, 404, 410, 500, 503, 599])
    async def test_every_final_status_is_an_answer(self, local: Outgoing, status: int) -> None:
        """What a status means is the domain's to say."""
        reply = await self.ask(local, answers(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()))
        assert (reply.status, reply.body) == (status, b"")

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_an_answer_and_not_followed(self, local: Outgoing, status: int) -> None:
        """A redirect is the classic way round an address guard."""
        async with HostileServer(answers(OK)) as elsewhere:
            moved = f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url()}\r\nContent-Length: 0\r\n\r\n".encode()
            reply = await self.ask(local, answers(moved))
            assert reply.status == status
            assert reply.headers["location"] == elsewhere.url()
            assert elsewhere.connections == 0

    async def test_a_connection_is_used_again(self, local: Outgoing) -> None:
        """A burst of deliveries to one endpoint does not pay for a handshake each."""
        async with HostileServer(keeps_answering(OK)) as server:
            for _ in range(5):
                assert (await self.send(local, server)).status == 200
            assert (server.connections, len(server.requests)) == (1, 5)

    async def test_many_at_once_do_not_mix_their_answers(self, local: Outgoing) -> None:
        """Each answer belongs to its request."""

        async def echo(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                body = (await server.read_request(reader)).partition(b"\r\n\r\n")[2]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        async with HostileServer(echo) as server:
            bodies = [f"number {n}".encode() for n in range(40)]
            replies = await asyncio.gather(*(self.send(local, server, body) for body in bodies))
        assert [reply.body for reply in replies] == bodies

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\n\r\nok",
        ],
    )
    async def test_a_server_that_closes_after_its_answer_is_dialled_anew(self, local: Outgoing, answer: bytes) -> None:
        """A closed connection is not mistaken for a live one."""
        async with HostileServer(answers(answer)) as server:
            for _ in range(3):
                assert (await self.send(local, server)).body == b"ok"
            assert server.connections == 3

    async def test_a_server_that_closes_an_idle_connection_does_not_cost_a_delivery(self, local: Outgoing) -> None:
        """Servers drop idle connections without a word."""
        async with HostileServer(answers(OK)) as server:
            assert (await self.send(local, server)).status == 200
            await asyncio.sleep(0.05)
            assert (await self.send(local, server)).status == 200

    async def test_a_chunked_answer_is_put_together(self, local: Outgoing) -> None:
        """With chunk extensions and trailers, in pieces that cut a chunk in two."""
        reply = await self.ask(
            local,
            answers(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhe",
                b"llo\r\n1\r\n \r",
                b"\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n",
                pause=0.02,
            ),
        )
        assert reply.body == b"hello world"

    async def test_interim_answers_are_passed_over(self, local: Outgoing) -> None:
        """100, 102 and 103 announce an answer; they are none."""
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert (await self.ask(local, answers(interim, OK, pause=0.02))).status == 200

    async def test_a_compressed_body_is_kept_as_it_came(self, local: Outgoing) -> None:
        """Nobody asked for compression, and 16 KiB of zeros can be a gigabyte."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bxx"
        assert (await self.ask(local, answers(answer))).body == b"\x1f\x8bxx"

    @pytest.mark.parametrize("size", [KEPT_BODY - 1, KEPT_BODY, KEPT_BODY + 1, KEPT_BODY * 20])
    async def test_at_most_16_kib_of_a_body_are_kept(self, local: Outgoing, size: int) -> None:
        """An answer is evidence, not a download."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
        reply = await self.ask(local, keeps_answering(answer))
        assert reply.body == b"x" * min(size, KEPT_BODY)

    async def test_an_endless_body_is_an_answer_and_the_connection_is_closed(self, local: Outgoing) -> None:
        """What was kept is enough; the rest is not waited for."""
        start, chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"
        async with HostileServer(never_stops(start, chunk)) as server:
            reply = await self.send(local, server)
            assert len(reply.body) == KEPT_BODY
            async with asyncio.timeout(2):
                await server.finished.wait()

    async def test_an_answer_before_the_body_was_read_is_an_answer(self, local: Outgoing) -> None:
        """A 413 often comes while a large body is still on its way."""

        async def hasty(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
            await asyncio.sleep(0.05)
            while await reader.read(65536):
                pass

        async with HostileServer(hasty) as server:
            reply = await self.send(local, server, b"x" * 2_000_000)
            assert (reply.status, reply.body) == (413, b"large")

    async def test_an_answer_from_a_server_that_reads_nothing_is_an_answer(self, local: Outgoing) -> None:
        """A firewall says 403 and hangs up; an ordinary body fits the buffers between."""

        async def deaf(_: HostileServer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            await writer.drain()
            await asyncio.sleep(0.1)

        async with HostileServer(deaf) as server:
            assert (await self.send(local, server, b"x" * 20_000)).status == 403

    # What goes wrong on the wire.

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"\r\n\r\n",
            b"hello, I am not HTTP at all\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00" + b"\x00" * 300,
            bytes(range(256)) * 20,
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 1000 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nBad name : x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nok",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        ],
    )
    async def test_garbage_is_no_answer(self, local: Outgoing, answer: bytes) -> None:
        """Truncated, contradictory or not HTTP: one named error, and the next request is not harmed."""
        with pytest.raises(Unreachable) as caught:
            await self.ask(local, answers(answer))
        assert not caught.value.timed_out
        assert caught.value.reason == str(caught.value)
        assert (await self.ask(local, answers(OK))).status == 200

    @pytest.mark.parametrize(
        "head",
        [b"X: " + b"a" * 1_000_000 + b"\r\n", b"X: y\r\n" * 200_000, b"a" * 1_000_000],
        ids=["long", "many", "name"],
    )
    async def test_huge_headers_are_no_answer(self, local: Outgoing, head: bytes) -> None:
        """A megabyte of headers is an attack on memory."""
        with pytest.raises(Unreachable):
            await self.ask(local, answers(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n"))

    async def test_large_headers_are_still_an_answer(self, local: Outgoing) -> None:
        """8 KiB is what ordinary servers send at most."""
        answer = b"HTTP/1.1 200 OK\r\nX: " + b"a" * 8192 + b"\r\nContent-Length: 0\r\n\r\n"
        assert len((await self.ask(local, answers(answer))).headers["x"]) == 8192

    @pytest.mark.parametrize(
        "behaviour",
        [
            answers(then_hold=True),
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", then_hold=True),
            never_stops(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", pause=0.05),
            never_stops(b"HTTP/1.1 200 OK\r\nX: ", b"y", pause=0.05),
            never_stops(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"x", pause=0.05),
            never_stops(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", pause=0.05),
            never_stops(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.001),
        ],
        ids=["silence", "no body", "slow headers", "slow header", "slow body", "slow chunks", "endless interim"],
    )
    async def test_the_time_is_limited_as_a_whole(self, local: Outgoing, behaviour: Behaviour) -> None:
        """A byte now and then must not hold a worker for ever."""
        began = asyncio.get_running_loop().time()
        async with HostileServer(behaviour) as server:
            with pytest.raises(Unreachable) as caught:
                await self.send(local, server, timeout=SHORT)
            assert caught.value.timed_out
            assert asyncio.get_running_loop().time() - began < 2
            async with asyncio.timeout(2):
                await server.finished.wait()

    async def test_a_server_that_reads_nothing_and_says_nothing_runs_out_of_time(self, local: Outgoing) -> None:
        """Sending is limited as receiving is."""

        async def stone(*_: object) -> None:
            await asyncio.sleep(30)

        async with HostileServer(stone) as server:
            with pytest.raises(Unreachable) as caught:
                await self.send(local, server, b"x" * 20_000_000, timeout=SHORT)
        assert caught.value.timed_out

    async def test_a_time_out_leaves_nothing_behind(self, local: Outgoing) -> None:
        """After twenty time-outs the transport works as before."""
        async with HostileServer(answers(then_hold=True)) as server:
            tries = (self.send(local, server, timeout=timedelta(seconds=0.1)) for _ in range(20))
            results = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(result, Unreachable) and result.timed_out for result in results)
        assert (await self.ask(local, answers(OK))).status == 200

    async def test_a_refused_connection_is_named(self, local: Outgoing) -> None:
        """The person learns that nobody listens there."""
        async with HostileServer(answers(OK)) as server:
            pass
        with pytest.raises(Unreachable, match="refused") as caught:
            await self.send(local, server)
        assert not caught.value.timed_out

    async def test_a_reset_connection_is_no_answer(self, local: Outgoing) -> None:
        """A proxy on the way may cut it."""

        async def cut(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.transport.abort()

        with pytest.raises(Unreachable):
            await self.ask(local, cut)

    async def test_a_cancelled_send_leaves_nothing_behind(self, local: Outgoing) -> None:
        """A worker that is told to stop stops."""
        async with HostileServer(answers(then_hold=True)) as server:
            task = asyncio.create_task(self.send(local, server))
            await server.asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(2):
                await server.finished.wait()
        assert (await self.ask(local, answers(OK))).status == 200

    @pytest.mark.parametrize("headers", BROKEN_HEADERS)
    async def test_headers_that_would_break_the_request_are_not_sent(
        self, local: Outgoing, headers: dict[str, str]
    ) -> None:
        """No header can smuggle in another, or a second request."""
        async with HostileServer(answers(OK)) as server:
            with pytest.raises(ValueError, match="cannot be sent"):
                await local.send("POST", server.url(), headers=headers, body=b"", timeout=ENOUGH)
            assert server.connections == 0

    # TLS.

    async def test_tls_goes_by_the_name_and_not_by_the_address(self) -> None:
        """SNI, the certificate and the Host header name the host, though its checked address is dialled."""
        authority = Authority()
        async with HostileServer(keeps_answering(OK), authority.server("hooks.test")) as server:
            guard = AddressGuard((f"hooks.test:{server.port}",), resolve=names(hooks_test=["127.0.0.1"]))
            async with self.open(guard, authority.client()) as outgoing:
                assert (await self.send(outgoing, server, host="hooks.test")).status == 200
                assert (await self.send(outgoing, server, host="HOOKS.test.")).status == 200
            assert server.names == ["hooks.test"]
            assert f"\r\nhost: hooks.test:{server.port}\r\n".encode() in server.requests[0].lower()

    @pytest.mark.parametrize(
        ("host", "certified", "expired"),
        [("hooks.test", "other.test", False), ("hooks.test", "hooks.test", True), ("127.0.0.1", "hooks.test", False)],
    )
    async def test_a_certificate_that_does_not_fit_is_no_answer(self, host: str, certified: str, expired: bool) -> None:
        """Nothing is sent to whoever sits in between."""
        authority = Authority()
        async with HostileServer(answers(OK), authority.server(certified, expired=expired)) as server:
            guard = AddressGuard(("127.0.0.1",), resolve=names(hooks_test=["127.0.0.1"]))
            async with self.open(guard, authority.client()) as outgoing:
                with pytest.raises(Unreachable, match="certificate") as caught:
                    await self.send(outgoing, server, host=host)
                assert not caught.value.timed_out
            assert server.requests == []

    async def test_an_unknown_authority_is_not_trusted(self) -> None:
        """By default only the usual authorities are."""
        async with HostileServer(answers(OK), Authority().server("127.0.0.1")) as server:
            async with self.open(AddressGuard(("127.0.0.1",))) as outgoing:
                with pytest.raises(Unreachable, match="certificate"):
                    await self.send(outgoing, server)
            assert server.requests == []

    @pytest.mark.parametrize(
        "says", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"", b"\x16" * 9000]
    )
    async def test_a_server_that_does_not_speak_tls_is_no_answer(self, local: Outgoing, says: bytes) -> None:
        """https:// to a port that speaks something else."""

        async def plain(_: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(says)
            await writer.drain()

        async with HostileServer(plain) as server:
            with pytest.raises(Unreachable):
                await local.send("POST", f"https://127.0.0.1:{server.port}/", headers={}, body=b"", timeout=ENOUGH)

    async def test_a_tls_handshake_that_hangs_runs_out_of_time(self, local: Outgoing) -> None:
        """The time-out covers the handshake."""

        async def mute(_: HostileServer, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            while await reader.read(100):
                pass

        async with HostileServer(mute) as server:
            with pytest.raises(Unreachable) as caught:
                await local.send("POST", f"https://127.0.0.1:{server.port}/", headers={}, body=b"", timeout=SHORT)
        assert caught.value.timed_out

    # Where it may go.

    @pytest.mark.parametrize("url", FORBIDDEN_URLS)
    async def test_a_forbidden_url_is_refused_before_anything_is_sent(self, url: str) -> None:
        """Every known way of writing a private address, or of hiding one."""
        async with self.open(AddressGuard(resolve=names())) as outgoing:
            with pytest.raises(AddressRefused) as caught:
                await outgoing.check(url, field="endpoint.url")
            assert [fault.field for fault in caught.value.faults] == ["endpoint.url"]
            with pytest.raises(AddressRefused):
                await outgoing.send("POST", url, headers={}, body=b"", timeout=SHORT)

    @pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
    @pytest.mark.parametrize("public", [[], ["8.8.8.8"], ["2606:4700::1111"]])
    async def test_a_name_that_leads_to_one_forbidden_address_is_refused(self, address: str, public: list[str]) -> None:
        """All of its addresses must be public: the next look-up may give another one."""
        async with self.open(AddressGuard(resolve=names(trap_test=[*public, address]))) as outgoing:
            with pytest.raises(AddressRefused) as checked:
                await outgoing.check("https://trap.test/", field="url")
            with pytest.raises(AddressRefused) as sent:
                await outgoing.send("POST", "https://trap.test/", headers={}, body=b"", timeout=SHORT)
        for caught in (checked, sent):
            assert "trap.test" in caught.value.reason
            assert address not in caught.value.reason, "the private network's names stay private"

    async def test_a_public_address_passes_the_check(self) -> None:
        """The guard does not refuse the world."""
        public = names(hooks_example_com=["8.8.8.8", "2606:4700::1111"], nat64_example_com=["64:ff9b::808:808"])
        async with self.open(AddressGuard(resolve=public)) as outgoing:
            for url in (
                "https://hooks.example.com",
                "https://HOOKS.example.com.:8443/a?b#c",
                "http://8.8.8.8/",
                "https://[2606:4700::1111]/",
                "https://[::ffff:8.8.8.8]/",
                "https://nat64.example.com/",
            ):
                await outgoing.check(url)

    async def test_a_name_that_changes_its_address_after_the_check_is_not_dialled(self) -> None:
        """DNS rebinding: public when it is registered, 127.0.0.1 when it is used."""
        async with HostileServer(answers(OK)) as server:
            answered = iter([["8.8.8.8"], ["127.0.0.1"]])

            async def rebinding(_: str, __: int) -> Sequence[str]:
                return next(answered)

            async with self.open(AddressGuard(resolve=rebinding)) as outgoing:
                await outgoing.check(server.url("rebinding.test"))
                with pytest.raises(AddressRefused):
                    await self.send(outgoing, server, host="rebinding.test")
            assert server.connections == 0

    async def test_the_address_that_was_checked_is_the_one_that_is_dialled(self) -> None:
        """Within one attempt the name is looked up once: there is no moment between check and connection."""
        async with HostileServer(answers(OK)) as server:
            asked = []

            async def flipping(host: str, _: int) -> Sequence[str]:
                asked.append(host)
                return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

            async with self.open(AddressGuard(("127.0.0.1",), resolve=flipping)) as outgoing:
                assert (await self.send(outgoing, server, host="flipping.test")).status == 200
                with pytest.raises(AddressRefused):
                    await self.send(outgoing, server, host="flipping.test")
            assert (asked, server.connections) == (["flipping.test"] * 2, 1)

    async def test_the_next_address_is_tried_when_one_does_not_answer(self) -> None:
        """A host with a dead IPv6 address is still reached."""
        async with HostileServer(answers(OK)) as server:
            guard = AddressGuard(("127.0.0.0/8", "::1"), resolve=names(two_test=["127.0.0.9", "::1", "127.0.0.1"]))
            async with self.open(guard) as outgoing:
                assert (await self.send(outgoing, server, host="two.test")).status == 200

    async def test_an_unknown_name_is_unreachable_when_sending_and_refused_when_checking(self) -> None:
        """A name that is gone may come back for a retry; one that is typed wrong should be mended now."""
        async with self.open(AddressGuard(resolve=names())) as outgoing:
            with pytest.raises(AddressRefused, match="not found"):
                await outgoing.check("https://nowhere.test/")
            with pytest.raises(Unreachable, match="not found") as caught:
                await outgoing.send("POST", "https://nowhere.test/", headers={}, body=b"", timeout=ENOUGH)
            assert not caught.value.timed_out

    async def test_a_name_that_takes_too_long_is_unreachable(self) -> None:
        """A slow name server must not hold a worker."""

        async def slow(_: str, __: int) -> Sequence[str]:
            await asyncio.sleep(30)
            return []

        async with self.open(AddressGuard(resolve=slow, timeout=timedelta(seconds=0.1))) as outgoing:
            with pytest.raises(Unreachable) as caught:
                await outgoing.send("POST", "https://slow.test/", headers={}, body=b"", timeout=ENOUGH)
            assert caught.value.timed_out

    async def test_the_environment_cannot_divert_a_request(
        self, local: Outgoing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy would resolve the name itself."""
        async with HostileServer(answers(OK)) as proxy, HostileServer(answers(OK)) as server:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url(path=""))
            async with self.open(AddressGuard(("127.0.0.1",))) as outgoing:
                await self.send(outgoing, server)
            assert (proxy.connections, server.connections) == (0, 1)

    # Not tests.

    async def ask(self, outgoing: Outgoing, behaviour: Behaviour) -> Reply:
        """Send one request to a server that behaves so."""
        async with HostileServer(behaviour) as server:
            return await self.send(outgoing, server)

    async def send(
        self,
        outgoing: Outgoing,
        server: HostileServer,
        body: bytes = b"{}",
        *,
        host: str = "127.0.0.1",
        timeout: timedelta = ENOUGH,
    ) -> Reply:
        """Send one request to a server."""
        headers = {"webhook-id": "msg_1"}  # by which a receiver knows a request that comes twice
        return await outgoing.send("POST", server.url(host), headers=headers, body=body, timeout=timeout)


def names(**known: list[str]) -> Callable[[str, int], "asyncio.Future[Sequence[str]]"]:
    """A resolver that knows these names, an underscore for a dot, and fails for others as the real one does."""

    def resolve(host: str, _: int) -> "asyncio.Future[Sequence[str]]":
        future: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        found = known.get(host.replace(".", "_"))
        if found is None:
            future.set_exception(OSError("no such name"))
        else:
            future.set_result(found)
        return future

    return resolve
