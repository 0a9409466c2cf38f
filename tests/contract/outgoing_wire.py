"""What a transport of our own must get right beyond the port: the letter of HTTP/1.1, connections, time and cancellation."""

import asyncio
import gc
import socket
import struct
from collections.abc import Sequence
from datetime import timedelta

import pytest

from adapters.http.guard import AddressGuard
from application.ports.outgoing import Outgoing, Reply, Unreachable
from domain.notifications.attempts import KEPT_BODY
from tests.contract.certificates import Authority
from tests.contract.hostile_server import Behaviour, HostileServer, answers, keeps_answering, never_stops
from tests.contract.outgoing import ENOUGH, OK, SHORT, OutgoingContract, names

_LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: "
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class WireContract(OutgoingContract):
    """The contract of the port, and these."""

    # Answers.

    @pytest.mark.parametrize(
        ("answer", "status", "body"),
        [
            (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
            (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
            (b"\r\n\r\n" + OK, 200, b"ok"),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
            (b"HTTP/1.1 200 OK\r\nX:\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
            (b"HTTP/1.1 200 OK\r\nContent-Length:2\t \r\n\r\nok", 200, b"ok"),
            (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, b""),
            (b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", 304, b""),
            (b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b""),
            (_CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;z\r\nT: x\r\n\r\n', 200, b"hello"),
            (b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" * 9 + OK, 200, b"ok"),
            (b"HTTP/1.1 150 Odd\r\n\r\n" + OK, 200, b"ok"),
            (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        ],
    )
    async def test_unusual_but_valid_answers_are_understood(
        self, local: Outgoing, answer: bytes, status: int, body: bytes
    ) -> None:
        """No reason phrase, several interim answers, a length where there is no body: all of it is out there."""
        reply = await self.ask(local, answers(answer, then_hold=True))
        assert (reply.status, reply.body) == (status, body)
        assert "link" not in reply.headers, "an interim answer's headers are not the answer's"
        assert reply.headers.get("t") is None, "a trailer is no header"

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            f"{_LENGTH}99999999999999999999999\r\n\r\nok".encode(),
            f"{_LENGTH}+2\r\n\r\nok".encode(),
            f"{_LENGTH}2, 3\r\n\r\nok".encode(),
            _CHUNKED + b"0\r\nContent-Length: 9\r\n\r\n",
            _CHUNKED + b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX\x00: a\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + OK,
            b"ICY 200 OK\r\n\r\n",
        ],
    )
    async def test_an_answer_that_can_be_read_in_two_ways_is_none(self, local: Outgoing, answer: bytes) -> None:
        """Whatever stands between reads it the other way, and the next answer is somebody else's (RFC 9112, section 11)."""
        async with HostileServer(answers(answer, then_hold=True)) as server:
            with pytest.raises(Unreachable) as caught:
                await self.send(local, server)
            assert not caught.value.timed_out
            async with asyncio.timeout(2):
                await server.finished.wait()

    @pytest.mark.parametrize("tail", [b"garbage", OK, b"HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n", b"\x00"])
    async def test_what_follows_an_answer_is_never_taken_for_the_next(self, local: Outgoing, tail: bytes) -> None:
        """A second answer that nobody asked for would be believed by the next delivery."""
        async with HostileServer(answers(OK + tail, then_hold=True)) as server:
            for _ in range(3):
                reply = await self.send(local, server)
                assert (reply.status, reply.body) == (200, b"ok")
            assert server.connections == 3

    async def test_what_comes_on_an_idle_connection_ends_it(self, local: Outgoing) -> None:
        """The same, a little later."""
        late = answers(OK, b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n", pause=0.03, then_hold=True)
        async with HostileServer(late) as server:
            assert (await self.send(local, server)).status == 200
            await asyncio.sleep(0.1)
            assert (await self.send(local, server)).status == 200
            assert server.connections == 2

    @pytest.mark.parametrize("headers", [b"Content-Length: 5000", b"Transfer-Encoding: chunked", b"X: y"])
    async def test_an_answer_to_head_has_no_body(self, local: Outgoing, headers: bytes) -> None:
        """Whatever its headers promise (RFC 9110, section 9.3.2)."""
        async with HostileServer(answers(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n", then_hold=True)) as server:
            reply = await local.send("HEAD", server.url(), headers={}, body=b"", timeout=ENOUGH)
            assert (reply.status, reply.body) == (200, b"")
            assert b"content-length" not in server.requests[0].lower()

    @pytest.mark.parametrize(
        ("start", "chunk"),
        [
            (_CHUNKED, b"1;" + b"x" * 4000 + b"\r\ny\r\n"),
            (_CHUNKED + b"1\r\nx\r\n0\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
            (_CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"y" * 1000),
            (_CHUNKED + b"1;", b"x" * 1000),
            (b"", b"HTTP/1.1 103 Hints\r\nX: " + b"y" * 1000 + b"\r\n\r\n"),
        ],
        ids=["extensions", "trailers", "trailer", "extension", "interim"],
    )
    async def test_what_wraps_an_answer_is_bounded_too(self, local: Outgoing, start: bytes, chunk: bytes) -> None:
        """An attacker who may not send a long body sends long wrappings; either way it is over quickly."""
        async with HostileServer(never_stops(start, chunk)) as server:
            (came,) = await asyncio.gather(self.send(local, server), return_exceptions=True)
            if isinstance(came, Reply):
                assert len(came.body) < KEPT_BODY
            else:
                assert isinstance(came, Unreachable)
                assert not came.timed_out
            async with asyncio.timeout(2):
                await server.finished.wait()

    async def test_a_reset_in_the_middle_of_a_body_is_no_answer(self, local: Outgoing) -> None:
        """Half an answer is none, also where its length was not known."""

        async def cut(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            await asyncio.sleep(0.05)
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET,
                socket.SO_LINGER,
                struct.pack("ii", 1, 0),  # close with RST
            )
            writer.transport.abort()

        with pytest.raises(Unreachable, match="too soon"):
            await self.ask(local, cut)

    # Connections.

    @pytest.mark.parametrize(
        ("method", "headers", "repeated"),
        [
            ("POST", {"Webhook-Id": "msg_1"}, True),
            ("POST", {"Idempotency-Key": "k"}, True),
            ("PUT", {}, True),
            ("POST", {"X-A": "b"}, False),
            ("PATCH", {}, False),
        ],
    )
    async def test_only_what_may_arrive_twice_is_sent_twice(
        self, local: Outgoing, method: str, headers: dict[str, str], repeated: bool
    ) -> None:
        """A server that closes while the next request is on its way may have acted on it (RFC 9110, section 9.2.2)."""
        async with HostileServer(_closes_on_second()) as server:
            assert (await self.send(local, server)).status == 200
            if repeated:
                reply = await local.send(method, server.url(), headers=headers, body=b"x", timeout=ENOUGH)
                assert reply.status == 200
            else:
                with pytest.raises(Unreachable, match="lost before the answer"):
                    await local.send(method, server.url(), headers=headers, body=b"x", timeout=ENOUGH)
            assert (server.connections, len(server.requests)) == ((2, 3) if repeated else (1, 2))

    async def test_a_request_is_repeated_once_and_never_on_a_first_connection(self, local: Outgoing) -> None:
        """A receiver that always hangs up is not to be hammered."""

        async def hangs_up(server: HostileServer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await server.read_request(reader)

        async with HostileServer(hangs_up) as server:
            with pytest.raises(Unreachable):
                await self.send(local, server)
            assert len(server.requests) == 1

    async def test_a_request_that_ran_out_of_time_is_not_repeated(self, local: Outgoing) -> None:
        """It most likely arrived."""

        async def falls_asleep(
            server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await server.read_request(reader)
            writer.write(OK)
            await server.read_request(reader)
            await reader.read()

        async with HostileServer(falls_asleep) as server:
            assert (await self.send(local, server)).status == 200
            with pytest.raises(Unreachable) as caught:
                await self.send(local, server, timeout=SHORT)
            assert caught.value.timed_out
            assert (server.connections, len(server.requests)) == (1, 2)

    async def test_a_kept_connection_needs_no_look_up(self) -> None:
        """The connection leads where the guard once looked; a name server is asked for new ones only."""
        asked = []

        async def counting(host: str, _: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"]

        async with (
            HostileServer(keeps_answering(OK)) as server,
            self.open(AddressGuard(("127.0.0.1",), resolve=counting)) as outgoing,
        ):
            for _ in range(5):
                await self.send(outgoing, server, host="kept.test")
        assert asked == ["kept.test"]

    # Time and cancellation.

    async def test_a_time_out_may_be_shorter_than_the_one_before(self, local: Outgoing) -> None:
        """The timer of a kept connection is the new request's."""

        async def slower(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.write(OK)
            await server.read_request(reader)
            await asyncio.sleep(3)

        async with HostileServer(slower) as server:
            await self.send(local, server, timeout=timedelta(seconds=60))
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unreachable) as caught:
                await self.send(local, server, timeout=timedelta(seconds=0.2))
            assert caught.value.timed_out
            assert 0.1 < asyncio.get_running_loop().time() - began < 1.5

    async def test_a_time_out_may_be_longer_than_the_one_before(self, local: Outgoing) -> None:
        """The first request's timer must not end the second."""

        async def slower(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.write(OK)
            await server.read_request(reader)
            await asyncio.sleep(0.4)
            writer.write(OK)

        async with HostileServer(slower) as server:
            await self.send(local, server, timeout=timedelta(seconds=0.2))
            assert (await self.send(local, server, timeout=ENOUGH)).status == 200
            assert server.connections == 1

    @pytest.mark.parametrize("tls", [False, True])
    @pytest.mark.parametrize("after", [0, 0.001, 0.01, 0.05])
    async def test_a_send_can_be_cancelled_at_any_moment(self, tls: bool, after: float) -> None:
        """In the look-up, the handshake, the request or the answer: no connection stays, and no complaint."""
        authority = Authority()
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        slow = never_stops(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", pause=0.01)
        async with HostileServer(slow, authority.server("a.test") if tls else None) as server:
            guard = AddressGuard(("127.0.0.1",), resolve=names(a_test=["127.0.0.1"]))
            async with self.open(guard, authority.client()) as outgoing:
                tasks = [asyncio.create_task(self.send(outgoing, server, host="a.test")) for _ in range(5)]
                await asyncio.sleep(after)
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(one, asyncio.CancelledError) for one in ended)
                async with asyncio.timeout(2):
                    await server.deserted()
        gc.collect()
        await asyncio.sleep(0)
        assert complaints == [], complaints

    # TLS.

    async def test_tls_1_0_is_not_spoken(self) -> None:
        """Deprecated since 2021 (RFC 8996)."""
        authority = Authority()
        async with (
            HostileServer(answers(OK), authority.old_server("127.0.0.1")) as server,
            self.open(AddressGuard(("127.0.0.1",)), authority.client()) as outgoing,
        ):
            with pytest.raises(Unreachable, match="secure connection") as caught:
                await self.send(outgoing, server)
            assert not caught.value.timed_out
            assert server.requests == []

    async def test_answers_of_every_kind_come_over_tls_too(self) -> None:
        """The end of a connection looks different there."""
        authority = Authority()
        guard = AddressGuard(("127.0.0.1",))
        for behaviour, body in _over_tls():
            async with (
                HostileServer(behaviour, authority.server("127.0.0.1")) as server,
                self.open(guard, authority.client()) as outgoing,
            ):
                assert (await self.send(outgoing, server)).body == body
                assert (await self.send(outgoing, server)).body == body

    async def test_a_client_certificate_is_shown_to_a_server_that_asks(self) -> None:
        """Mutual TLS; connections with and without it are not mixed up."""
        authority = Authority()
        async with (
            HostileServer(keeps_answering(OK), authority.asking_server("127.0.0.1")) as server,
            self.open(AddressGuard(("127.0.0.1",)), authority.client()) as outgoing,
        ):
            identity = authority.identity()
            for _ in range(2):
                reply = await outgoing.send(
                    "POST", server.url(), headers={}, body=b"x", timeout=ENOUGH, identity=identity
                )
                assert reply.status == 200
            assert server.connections == 1
            for other in (None, Authority().identity(), authority.identity(expired=True)):
                with pytest.raises(Unreachable) as caught:
                    await outgoing.send("POST", server.url(), headers={}, body=b"x", timeout=ENOUGH, identity=other)
                assert not caught.value.timed_out
            assert len(server.requests) == 2


def _closes_on_second() -> Behaviour:
    """Answer one request of the first connection and close on the next without a word; after that answer everything."""

    async def behave(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = server.connections == 1
        while True:
            await server.read_request(reader)
            if first and len(server.requests) == 2:
                return
            writer.write(OK)

    return behave


def _over_tls() -> list[tuple[Behaviour, bytes]]:
    large = b"x" * 40_000
    return [
        (keeps_answering(OK), b"ok"),
        (answers(b"HTTP/1.1 200 OK\r\n\r\nuntil", b" close", pause=0.02), b"until close"),
        (answers(_CHUNKED + b"2\r\no", b"k\r\n0\r\n\r\n", pause=0.02), b"ok"),
        (answers(f"{_LENGTH}40000\r\n\r\n".encode() + large), large[:KEPT_BODY]),
    ]
