"""What a queue must do that carries calls between processes, whatever becomes of its broker."""

import asyncio
import json
import sys
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.queue.brokered import BrokeredQueue, Pace
from application.ports.work_queue import Topic, WorkQueue
from tests.contract.wire import Wire
from tests.contract.work_queue import LONG, SHORT, WorkQueueContract

QUICK = Pace(ping=0.3, echo=0.5, first_pause=0.02, longest_pause=0.1, opening=3)
UP, DOWN = "info", "warning"
PASSWORD = "s3cret-passw0rd"

GARBAGE = (
    b"x",
    b"[]",
    b"{}",
    b"[" * 3000,
    b'"deliveries"',
    b'{"node":"n","number":1,"topic":"of a later version","lanes":[]}',
    b'{"node":"n","number":1,"topic":"deliveries","lanes":[1]}',
    b'{"node":"n","number":"1","topic":"deliveries","lanes":[]}',
    b'{"node":null,"number":1,"topic":"deliveries","lanes":null}',
    b'{"node":"n","number":1e999,"topic":["deliveries"]}',
)

_ROOT = Path(__file__).resolve().parents[2]
_ELSEWHERE = """
import asyncio, sys
from adapters.queue import queue_at
from application.ports.work_queue import Topic

async def installation():
    return "a hub"

async def main():
    queue = queue_at(sys.argv[1] or None, sys.argv[2], installation)
    await queue.open()
    await queue.announce(Topic.DELIVERIES, ["from elsewhere"])
    await queue.aclose()

asyncio.run(main())
"""


class BetweenProcessesContract(WorkQueueContract):
    """The suite. Two queues that share nothing but the broker stand for two processes; one test has real ones."""

    @abstractmethod
    def queue(self, *, hub: str = "a hub", wire: Wire | None = None, pace: Pace = QUICK) -> BrokeredQueue:
        """A queue that is not open, of a hub; through a wire of `wire()` or directly. PASSWORD is in its address."""

    @abstractmethod
    def wire(self) -> Wire:
        """A cable to the broker."""

    @abstractmethod
    def settings(self) -> tuple[str, str]:
        """PATCHBAY_QUEUE_URL, or an empty text, and PATCHBAY_DATABASE_URL, for a process of its own."""

    @abstractmethod
    def listening(self, heard: Callable[[bytes], None]) -> AbstractAsyncContextManager[Callable[[bytes], Any]]:
        """Hear every message of "a hub" as it is on the broker; what is given back sends one as it is."""

    def open(self) -> AbstractAsyncContextManager[WorkQueue]:
        return self.opened(self.queue())

    @asynccontextmanager
    async def opened(self, queue: BrokeredQueue) -> AsyncIterator[BrokeredQueue]:
        """It is connected, and closed in the end."""
        await queue.open()
        try:
            yield queue
        finally:
            await queue.aclose()

    async def test_a_call_wakes_another_process(self) -> None:
        """A worker on one machine starts when another machine takes an event in."""
        async with self.opened(self.queue()) as queue, asyncio.timeout(20):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _ELSEWHERE, *self.settings(), cwd=_ROOT
            )
            assert await queue.wait(Topic.DELIVERIES, timedelta(seconds=20)) == {"from elsewhere"}
            assert await process.wait() == 0

    async def test_every_process_hears_a_call_and_its_sender_only_once(self) -> None:
        """Each worker takes a part of a burst; nobody looks twice for one call."""
        async with self.opened(self.queue()) as a, self.opened(self.queue()) as b, self.opened(self.queue()) as c:
            waiting = [asyncio.create_task(queue.wait(Topic.INBOX, LONG)) for queue in (a, b, c)]
            await asyncio.sleep(0.05)
            await a.announce(Topic.INBOX, ["x"])
            assert await asyncio.gather(*waiting) == [{"x"}, {"x"}, {"x"}]
            assert not await self.woken(a, Topic.INBOX)

    async def test_topics_are_apart_between_processes_too(self) -> None:
        """As within one."""
        async with self.opened(self.queue()) as a, self.opened(self.queue()) as b:
            await a.announce(Topic.SETTINGS)
            await a.announce(Topic.INBOX, ["x"])
            assert await b.wait(Topic.INBOX, LONG) == {"x"}
            assert await b.wait(Topic.SETTINGS, LONG) == frozenset()
            assert not await self.woken(b, Topic.DELIVERIES)

    async def test_a_flood_of_calls_is_few_messages(self) -> None:
        """100,000 events an hour must not be as many messages: at most one a topic in 5 ms, and none lost."""
        messages: list[bytes] = []
        async with (
            self.opened(self.queue()) as a,
            self.opened(self.queue()) as b,
            self.listening(messages.append),
        ):
            began = asyncio.get_running_loop().time()
            for number in range(3000):
                await a.announce(Topic.DELIVERIES, [f"end_{number % 50}"])
                if number % 100 == 0:
                    await asyncio.sleep(0.002)
            heard: set[str] = set()
            async with asyncio.timeout(5):
                while len(heard) < 50:
                    heard |= await b.wait(Topic.DELIVERIES, SHORT)
            took = asyncio.get_running_loop().time() - began
        calls = [message for message in messages if json.loads(message)["topic"]]
        assert 1 <= len(calls) <= took / QUICK.between_messages + 2

    async def test_names_that_do_not_fit_in_a_message_are_unknown_lanes(self) -> None:
        """A NOTIFY has less than 8,000 bytes."""
        messages: list[bytes] = []
        async with (
            self.opened(self.queue()) as a,
            self.opened(self.queue()) as b,
            self.listening(messages.append),
            asyncio.timeout(5),
        ):
            await a.announce(Topic.DELIVERIES, [f"end_{number:032}" for number in range(150)])
            assert len(await b.wait(Topic.DELIVERIES, LONG)) == 150
            await a.announce(Topic.DELIVERIES, [f"end_{number:032}" for number in range(500)])
            assert await self.woken(b, Topic.DELIVERIES)
            await a.announce(Topic.DELIVERIES, ["é" * 5000])
            assert await b.wait(Topic.DELIVERIES, LONG) == frozenset()
        assert max(map(len, messages)) < 8000

    async def test_a_message_that_is_none_is_passed_over(self) -> None:
        """Whoever reaches the broker can write there."""
        async with (
            self.opened(self.queue()) as a,
            self.opened(self.queue()) as b,
            self.listening(lambda _: None) as send,
            asyncio.timeout(5),
        ):
            with capture_logs() as logs:
                for garbage in GARBAGE:
                    await send(garbage)
                assert not await self.woken(b, Topic.DELIVERIES)
                await a.announce(Topic.DELIVERIES, ["x"])
                assert await b.wait(Topic.DELIVERIES, LONG) == {"x"}
            assert logs == []

    async def test_hubs_on_one_broker_do_not_wake_each_other(self) -> None:
        """Staging and production may share a server."""
        async with self.opened(self.queue()) as a, self.opened(self.queue(hub="another hub")) as b:
            await a.announce(Topic.DELIVERIES, ["x"])
            assert not await self.woken(b, Topic.DELIVERIES)

    async def test_without_its_broker_it_serves_its_process_and_comes_back_by_itself(self) -> None:
        """A broker may be started last."""
        wire = self.wire()
        async with wire, asyncio.timeout(20):
            await wire.cut()
            with capture_logs() as logs:
                hasty = Pace(ping=0.3, echo=0.5, first_pause=0.02, longest_pause=0.1, opening=0.1)
                async with self.opened(self.queue(wire=wire, pace=hasty)) as a, self.opened(self.queue()) as b:
                    await self.quick_and_alone(a)
                    await asyncio.sleep(0.5)
                    assert [line["log_level"] for line in logs if line["log_level"] != UP] == [DOWN]
                    assert await b.wait(Topic.DELIVERIES, SHORT) == frozenset()
                    await wire.join()
                    assert await b.wait(Topic.DELIVERIES, LONG) == {"x"}  # called while the line was cut
            self.shows_no_password(logs)

    async def test_a_cut_line_is_joined_again(self) -> None:
        """Said once when it breaks and once when it holds again; what may have been missed is looked for."""
        async with self.wire() as wire, asyncio.timeout(20):
            with capture_logs() as logs:
                async with self.opened(self.queue(wire=wire)) as a, self.opened(self.queue()) as b:
                    await wire.cut()
                    await asyncio.sleep(0.4)
                    await self.quick_and_alone(a)
                    await b.announce(Topic.SETTINGS, ["y"])
                    await asyncio.sleep(0.4)
                    await wire.join()
                    assert await b.wait(Topic.DELIVERIES, LONG) == {"x"}
                    assert await self.woken(a, Topic.SETTINGS)  # which lanes, it cannot know
                    assert await b.wait(Topic.SETTINGS, LONG) == {"y"}
                    await self.comes_through(b, a, Topic.INBOX)
            levels = [line["log_level"] for line in logs]
            assert levels == [UP, UP, DOWN, UP]
            self.shows_no_password(logs)

    async def test_a_broker_that_says_nothing_is_noticed_and_stops_nobody(self) -> None:
        """A machine that loses its power closes no connection."""
        async with self.wire() as wire, asyncio.timeout(20):
            with capture_logs() as logs:
                async with self.opened(self.queue(wire=wire)) as a, self.opened(self.queue()) as b:
                    wire.squeeze()
                    await self.quick_and_alone(a)
                    await asyncio.sleep(1.5)
                    await self.quick_and_alone(a)
                    assert [line["log_level"] for line in logs] == [UP, UP, DOWN]
                    wire.release()
                    assert await b.wait(Topic.DELIVERIES, LONG) == {"x"}
                    await self.comes_through(b, a, Topic.INBOX)

    async def test_what_a_dying_line_swallowed_is_sent_again(self) -> None:
        """It was written into the connection and never arrived."""
        async with self.wire() as wire, asyncio.timeout(20):
            with capture_logs() as logs:
                async with self.opened(self.queue(wire=wire)) as a, self.opened(self.queue()) as b:
                    wire.squeeze()
                    await a.announce(Topic.DELIVERIES, ["x"])
                    while [line["log_level"] for line in logs] != [UP, UP, DOWN]:  # noqa: ASYNC110  # the log is a list
                        await asyncio.sleep(0.05)
                    await wire.cut()
                    wire.release()
                    await wire.join()
                    assert await b.wait(Topic.DELIVERIES, LONG) == {"x"}

    async def test_it_tries_to_connect_less_and_less_often(self) -> None:
        """A hundred nodes that knock at once keep a broker from starting."""
        async with self.wire() as wire:
            wire.drops = True
            pace = Pace(first_pause=0.01, longest_pause=0.2, opening=1)
            with capture_logs() as logs:
                async with self.opened(self.queue(wire=wire, pace=pace)):
                    assert 3 <= wire.taken <= 40  # without growing pauses: a hundred and more
            assert [line["log_level"] for line in logs] == [DOWN]

    async def test_a_silent_line_that_only_listens_is_noticed_too(self) -> None:
        """A worker may call nobody for hours, and has to hear all the same."""
        async with self.wire() as wire, asyncio.timeout(20):
            with capture_logs() as logs:
                async with self.opened(self.queue(wire=wire)):
                    await asyncio.sleep(1)
                    assert [line["log_level"] for line in logs] == [UP]  # idle is not dead
                    wire.squeeze()
                    await asyncio.sleep(1.5)
                    assert [line["log_level"] for line in logs] == [UP, DOWN]

    async def test_what_was_called_last_is_told_before_it_closes(self) -> None:
        """A process that is stopped has just committed something, perhaps."""
        async with self.opened(self.queue()) as b, asyncio.timeout(5):
            a = self.queue()
            await a.open()
            for number in range(20):
                await a.announce(Topic.DELIVERIES, [f"end_{number}"])
            await a.aclose()
            heard: set[str] = set()
            while len(heard) < 20:
                heard |= await b.wait(Topic.DELIVERIES, SHORT)

    @pytest.mark.parametrize("state", ["up", "connecting", "cut", "silent"])
    async def test_closing_leaves_nothing_behind(self, state: str) -> None:
        """A task that goes on after the end writes into a closed log, at best."""
        async with self.wire() as wire, asyncio.timeout(10):
            if state == "connecting":
                wire.squeeze()
            queue = self.queue(wire=wire, pace=Pace(opening=0.2))
            await queue.open()
            if state == "cut":
                await wire.cut()
            if state == "silent":
                wire.squeeze()
            await queue.announce(Topic.DELIVERIES)
            began = asyncio.get_running_loop().time()
            await queue.aclose()
            assert asyncio.get_running_loop().time() - began < 3
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:  # a task that was cancelled has a moment to end
            await asyncio.wait(others, timeout=0.5)
        assert [task for task in others if not task.done()] == []

    async def quick_and_alone(self, queue: WorkQueue) -> None:
        """Announcing costs nothing, wakes this process, and a wait without a call ends in time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(1000):
            await queue.announce(Topic.DELIVERIES, ["x"])
        assert loop.time() - began < 0.5
        assert await queue.wait(Topic.DELIVERIES, timedelta()) == {"x"}
        began = loop.time()
        assert await queue.wait(Topic.DELIVERIES, SHORT) == frozenset()
        assert loop.time() - began < 0.5

    async def comes_through(self, sender: WorkQueue, hearer: WorkQueue, topic: Topic) -> None:
        """A call does by its name, sooner or later: one that is made while the hearer is away can only reach it unnamed."""
        while True:
            await sender.announce(topic, ["z"])
            if "z" in await hearer.wait(topic, timedelta(seconds=0.2)):
                return

    def shows_no_password(self, logs: list[Any]) -> None:
        """Neither in the text nor in a field."""
        assert logs
        assert PASSWORD not in repr(logs)
