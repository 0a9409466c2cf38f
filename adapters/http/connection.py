"""One connection: a request goes out in one write, its answer comes back, and one timer watches both."""

import asyncio
import ssl
from typing import final

from adapters.http.wire import AnswerReader, NotHttp
from application.ports.outgoing import Unreachable
from domain.notifications.attempts import KEPT_BODY

_EARLY = 0.0005
"""Seconds by which a loop's timer may come early: uvloop counts in milliseconds."""


class Lost(Unreachable):
    """The other end closed or cut the connection before the first byte of an answer."""


@final
class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time: `await ask(...)`, then read `answer`.

    host: how the other end is called in errors. silence: seconds that an answer, once it has begun, may stand still.
    keep: bytes of a body that are kept. closed: it can carry nothing any more. made: when it was made, by the loop's clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, silence: float, keep: int = KEPT_BODY) -> None:
        self.host = host
        self.answer = AnswerReader(keep)
        self.closed = False
        self.made = loop.time()
        self.idle_since = 0.0
        self._loop = loop
        self._silence = silence
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Unreachable | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = self._silent_at = 0.0
        self._seconds = 0.0

    async def ask(self, request: bytes, *, deadline: float, seconds: float, is_head: bool = False) -> AnswerReader:
        """Send a request and wait for its answer, which is read with the next `ask` at the latest.

        deadline: by the loop's clock; seconds: how long the whole was given, for the error. Cancelled or failed, it leaves
        the connection closed. Raises Unreachable: Lost if nothing of an answer had come.
        """
        if not self.usable or self._transport is None:
            raise Lost(f"{self.host} closed the connection.")
        self.answer.expect(is_head=is_head)
        self._failure, self._seconds = None, seconds
        self._deadline = self._silent_at = deadline
        self._waiter = self._loop.create_future()
        if self._timer is None or self._timer_at > deadline:
            self._watch(deadline)
        self._transport.write(request)
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise
        problem, self._failure = self._failure, None
        if problem is not None:
            raise problem
        return self.answer

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Shake hands for TLS. name: what the certificate must be for, and what is asked for by SNI (RFC 6066, section 3).

        Raises what the handshake raises: OSError, ssl.SSLError. Cancelled or failed, it leaves the connection closed.
        """
        if self.closed or self._transport is None:
            raise ConnectionResetError
        plain = self._transport
        try:
            secured = await self._loop.start_tls(plain, self, context, server_hostname=name)
        except BaseException:
            self.closed = True
            plain.abort()
            raise
        if secured is None:  # uvloop, when the other end left at the wrong moment
            self.close()
            raise ConnectionResetError
        self._transport = secured
        self.renew()

    def renew(self) -> None:
        """What comes from here on is another conversation: a tunnel's, or one over TLS."""
        self.answer.drop()
        self.answer = AnswerReader()

    @property
    def usable(self) -> bool:
        """Whether a request can be written. A transport knows of its end a little before it says so."""
        return not self.closed and self._transport is not None and not self._transport.is_closing()

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: the answer was framed, and the request was taken in full."""
        transport = self._transport
        return self.answer.reusable and self.usable and transport is not None and not transport.get_write_buffer_size()

    def close(self) -> None:
        """Close at once. What was not sent yet is not sent; TLS says no good-bye, for an answer says itself where it ends."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self.answer.drop()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        """Read on. What comes without a request ends the connection, lest it be taken for the next answer."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.close()
            return
        try:
            done = self.answer.feed(data)
        except NotHttp as problem:
            self._fail(Unreachable(str(problem)))
            return
        if done:
            self._wake()
        else:
            self._silent_at = self._loop.time() + self._silence
            if self._silent_at < self._timer_at:
                self._watch(self._silent_at)

    def eof_received(self) -> None:
        """The end of an answer without a length, or of the connection."""
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, in whatever way."""
        self._ended(exc)
        self.close()

    def _ended(self, error: Exception | None) -> None:
        self.closed = True
        if self._waiter is None or self._waiter.done():
            return
        if isinstance(error, ssl.SSLError):
            self._fail(
                Unreachable(f"{self.host} ended the secure connection (TLS): {error.reason or 'no reason given'}.")
            )
        elif not self.answer.begun:
            self._fail(Lost("The connection was lost before the answer."))
        elif error is None and self.answer.end():
            self._wake()
        else:
            self._fail(Unreachable("The answer ended too soon."))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)  # failures are kept apart: a future nobody reads any more must not complain
        self._waiter = None

    def _fail(self, problem: Unreachable) -> None:
        self._failure = problem
        self._wake()
        self.close()

    def _watch(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        """The timer outlives exchanges: an early one is set anew, rather than each exchange setting one of its own."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        now = self._loop.time()
        due = min(self._deadline, self._silent_at)
        if now < due - _EARLY:
            self._watch(due)
        elif self._deadline <= now + _EARLY:
            self._fail(Unreachable(f"No complete answer came within {self._seconds:g} s.", timed_out=True))
        else:
            self._fail(Unreachable(f"The answer stood still for {self._silence:g} s.", timed_out=True))
