"""Calls between processes over a broker that may be slow, wiped or dead. Only the adapters know which broker it is.

Callers touch memory alone: a call wakes this process at once and is laid down for the broker. One task holds the line to
the broker, sends what lies there, and calls this process for what it hears. It believes in the line as long as it hears
its own messages come back; that covers the dead peer, the deleted stream and the pooler that swallows LISTEN alike.
"""

import asyncio
import random
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from math import inf

import attrs
import structlog

from adapters.queue.call import read, written
from adapters.queue.embedded import EmbeddedQueue
from adapters.queue.lanes import Called
from application.ports.work_queue import Topic, WorkQueue


@attrs.frozen
class Pace:
    """How quick and how patient it is, in seconds."""

    between_messages: float = 0.005
    """At most one message a topic in this time; calls in between are sent as one."""
    ping: float = 10
    """After so much silence it calls itself, to see whether the line is alive."""
    echo: float = 5
    """How long its own message may take to come back, and anything asked of the broker."""
    first_pause: float = 0.1
    longest_pause: float = 10
    """Between two tries to connect: from the first, doubling, to the longest; each shortened at random by up to a half."""
    opening: float = 1
    """How long `open` waits for the line."""
    closing: float = 0.5
    """How long `aclose` waits for what was not told yet."""


@attrs.frozen
class Line:
    """A connection to the broker that listens already."""

    send: Callable[[Topic | None, bytes], Awaitable[None]]
    """Hand a message over to all processes, this one included. It may raise, and may not return: it is given up then."""
    lost: asyncio.Future[None]
    """Done when the connection is known to be gone."""


class _Lost(Exception):
    """The line does not carry any more; the text says how that was noticed."""


class BrokeredQueue(WorkQueue, ABC):
    """What all brokers have in common. For one event loop."""

    def __init__(self, broker: str, where: str, pace: Pace | None = None) -> None:
        """`broker` and `where` are for the log: no credentials."""
        self._log = structlog.get_logger("queue").bind(broker=broker, where=where)
        self._pace = pace or Pace()
        self._node = secrets.token_hex(8)
        self._here = EmbeddedQueue()
        self._unsent: dict[Topic, Called] = {}
        self._on_the_way: dict[Topic, Called] = {}
        self._stir = asyncio.Event()
        self._up = asyncio.Event()
        self._told = asyncio.Event()
        self._sent = self._heard = 0
        self._was_up: bool | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    def _line(self, heard: Callable[[bytes | str], None]) -> AbstractAsyncContextManager[Line]:
        """Connect and listen; `heard` is called with every message, in this event loop. May raise anything."""

    async def announce(self, topic: Topic, lanes: Collection[str] = ()) -> None:
        """Say that there is work. Never fails and never waits for a worker, nor for the broker."""
        self._here.call(topic, lanes)
        self._unsent.setdefault(topic, Called()).add(lanes)
        self._told.clear()
        self._stir.set()

    async def wait(self, topic: Topic, timeout: timedelta) -> frozenset[str]:
        """Return when work was announced since the last wait, or when the time is up, with the lanes named since."""
        return await self._here.wait(topic, timeout)

    async def open(self) -> None:
        """Begin to connect, and wait a moment for it. Without a broker the queue still serves this process."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="queue")
        try:
            async with asyncio.timeout(self._pace.opening):
                await self._up.wait()
        except TimeoutError:
            return  # it is tried on in the background, which also writes the log

    async def aclose(self) -> None:
        """Tell what was not told yet, if that is quick, and let go of the connection."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._up.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.closing):
                    await self._told.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _keep(self) -> None:
        """Hold a line to the broker, one after the other."""
        loop, pause = asyncio.get_running_loop(), self._pace.first_pause
        while True:
            began = loop.time()
            try:
                async with self._line(self._hear) as line:
                    line.lost.add_done_callback(lambda _: self._stir.set())
                    await self._begin(line)
                    await self._use(line)
            except Exception as error:  # noqa: BLE001  # whatever a broker does, the hub delivers
                self._is_down(error)
            finally:
                self._up.clear()
            if loop.time() - began > self._pace.longest_pause:  # it was a good one: the next may be there at once
                pause = self._pace.first_pause
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # it only spreads the nodes
            pause = min(2 * pause, self._pace.longest_pause)

    async def _begin(self, line: Line) -> None:
        """Hear ourselves once. What was on its way when the last line broke is sent again."""
        for topic, called in self._on_the_way.items():
            self._unsent.setdefault(topic, Called()).merge(called)
        self._on_the_way = {}
        await self._hand_over(line, None)
        deadline = asyncio.get_running_loop().time() + self._pace.echo
        while self._heard < self._sent:
            self._check(line, deadline)
            await self._stirred(deadline)
        if self._was_up is not True:
            self._log.info("calls between processes are carried")
        if self._was_up is False:
            # Others may have called meanwhile: everybody looks at everything once.
            for topic in Topic:
                self._here.call(topic)
        self._was_up = True
        self._up.set()

    async def _use(self, line: Line) -> None:
        """Send what there is to send, and listen. Raises when the line is dead."""
        loop = asyncio.get_running_loop()
        ping_at = loop.time() + self._pace.ping
        echo_by, expected = inf, self._heard
        while True:
            if self._heard >= self._sent:
                echo_by, self._on_the_way = inf, {}
                if not self._unsent:
                    self._told.set()
            elif self._heard >= expected:  # the line is alive; now it owes us the last that was sent
                echo_by, expected = loop.time() + self._pace.echo, self._sent
            self._check(line, echo_by)
            if self._unsent:
                await self._send(line)
                ping_at = loop.time() + self._pace.ping
                await asyncio.sleep(self._pace.between_messages)
            elif loop.time() >= ping_at:
                await self._hand_over(line, None)
                ping_at = loop.time() + self._pace.ping
            else:
                await self._stirred(min(ping_at, echo_by))

    async def _send(self, line: Line) -> None:
        batch, self._unsent = self._unsent, {}
        for topic, called in batch.items():  # first noted, then sent: a line that breaks meanwhile loses none
            self._on_the_way.setdefault(topic, Called()).merge(called)
        for topic, called in batch.items():
            await self._hand_over(line, topic, called.lanes)

    async def _hand_over(self, line: Line, topic: Topic | None, lanes: Collection[str] = ()) -> None:
        self._sent += 1
        async with asyncio.timeout(self._pace.echo):
            await line.send(topic, written(self._node, self._sent, topic, lanes))

    async def _stirred(self, until: float) -> None:
        """Until there is something to send, something was heard, or the line is lost; no longer than to a loop time."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._stir.wait()
        self._stir.clear()

    def _check(self, line: Line, echo_by: float) -> None:
        """Raises _Lost."""
        if line.lost.done():
            raise _Lost("the connection was closed")
        if asyncio.get_running_loop().time() >= echo_by:
            raise _Lost("our own messages do not come back")

    def _hear(self, message: bytes | str) -> None:
        """A message came. What is no call, or a call of another version's, is passed over."""
        call = read(message)
        if call is None:
            return
        if call.node == self._node:  # this process was woken when it called
            self._heard = max(self._heard, call.number)
            self._stir.set()
        elif call.topic in _TOPICS:
            self._here.call(_TOPICS[call.topic], call.lanes)

    def _is_down(self, error: Exception) -> None:
        """Said once. The text of a library's error may hold an address with a password, so its kind must do."""
        if self._was_up is not False:
            reason = str(error) if isinstance(error, _Lost) else type(error).__name__
            self._log.warning("calls between processes are not carried; workers look every second", reason=reason)
        self._was_up = False


_TOPICS = {topic.value: topic for topic in Topic}
