"""What every way of calling workers must do. A queue's own test subclasses WorkQueueContract and says how to make one."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from adapters.queue.lanes import MOST
from application.ports.work_queue import Topic, WorkQueue

LONG = timedelta(seconds=10)
SHORT = timedelta(seconds=0.05)


class WorkQueueContract(ABC):
    """The suite."""

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[WorkQueue]:
        """A queue under test, closed in the end."""

    async def test_a_call_wakes_who_waits(self) -> None:
        """Work is done at once, not at the next poll."""
        async with self.open() as queue, asyncio.timeout(2):
            waiter = asyncio.create_task(queue.wait(Topic.DELIVERIES, LONG))
            await asyncio.sleep(0.05)
            assert not waiter.done()
            await queue.announce(Topic.DELIVERIES)
            await waiter

    async def test_a_call_before_the_wait_is_not_lost(self) -> None:
        """Work may come between looking and waiting."""
        async with self.open() as queue, asyncio.timeout(2):
            await queue.announce(Topic.DELIVERIES)
            await queue.wait(Topic.DELIVERIES, LONG)

    async def test_many_calls_wake_once(self) -> None:
        """A worker that has just looked need not look again for each call."""
        async with self.open() as queue, asyncio.timeout(2):
            for _ in range(100):
                await queue.announce(Topic.DELIVERIES)
            await queue.wait(Topic.DELIVERIES, LONG)
            assert not await self.woken(queue, Topic.DELIVERIES)

    async def test_without_a_call_the_wait_ends_in_time(self) -> None:
        """The database is looked at now and then, whatever was lost."""
        async with self.open() as queue, asyncio.timeout(2):
            began = asyncio.get_running_loop().time()
            await queue.wait(Topic.DELIVERIES, SHORT)
            assert asyncio.get_running_loop().time() - began >= 0.04

    @pytest.mark.parametrize("timeout", [timedelta(), timedelta(seconds=-1)])
    async def test_no_time_is_no_wait(self, timeout: timedelta) -> None:
        """A computed wait can come out at nothing."""
        async with self.open() as queue, asyncio.timeout(2):
            await queue.wait(Topic.DELIVERIES, timeout)

    async def test_every_waiter_of_a_topic_wakes(self) -> None:
        """Several workers share a burst."""
        async with self.open() as queue, asyncio.timeout(2):
            waiters = [asyncio.create_task(queue.wait(Topic.INBOX, LONG)) for _ in range(5)]
            await asyncio.sleep(0.05)
            await queue.announce(Topic.INBOX)
            await asyncio.gather(*waiters)

    async def test_topics_are_apart(self) -> None:
        """A delivery is nothing to the inbox's worker."""
        async with self.open() as queue, asyncio.timeout(2):
            await queue.announce(Topic.INBOX)
            assert not await self.woken(queue, Topic.DELIVERIES)
            await queue.wait(Topic.INBOX, LONG)

    async def test_a_cancelled_wait_takes_no_call_with_it(self) -> None:
        """A worker that stops does not swallow the work of the next."""
        async with self.open() as queue, asyncio.timeout(2):
            waiter = asyncio.create_task(queue.wait(Topic.DELIVERIES, LONG))
            await asyncio.sleep(0.05)
            await queue.announce(Topic.DELIVERIES)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            await queue.wait(Topic.DELIVERIES, LONG)

    async def test_calls_without_any_worker_do_not_wait(self) -> None:
        """Telling is quick, whoever listens."""
        async with self.open() as queue, asyncio.timeout(2):
            for _ in range(10_000):
                await queue.announce(Topic.INBOX)

    async def test_a_call_names_its_lanes(self) -> None:
        """Who waits need not look through all destinations for the one with work."""
        async with self.open() as queue, asyncio.timeout(2):
            await queue.announce(Topic.DELIVERIES, ["a", "b"])
            await queue.announce(Topic.DELIVERIES, ("b", "c"))
            assert await queue.wait(Topic.DELIVERIES, LONG) == {"a", "b", "c"}
            assert await queue.wait(Topic.DELIVERIES, timedelta()) == frozenset()

    async def test_what_is_called_before_a_woken_waiter_is_up_is_heard_with_it(self) -> None:
        """A burst costs one look, not two."""
        async with self.open() as queue, asyncio.timeout(2):
            waiter = asyncio.create_task(queue.wait(Topic.SETTINGS, LONG))
            await asyncio.sleep(0.05)
            await queue.announce(Topic.SETTINGS, ["a"])
            await queue.announce(Topic.SETTINGS, ["b"])
            assert await waiter == {"a", "b"}
            assert not await self.woken(queue, Topic.SETTINGS)

    @pytest.mark.parametrize("first", [True, False])
    async def test_a_call_for_unknown_lanes_makes_all_unknown(self, first: bool) -> None:
        """To hear of one lane only, and leave the others' work lying, would be wrong."""
        async with self.open() as queue, asyncio.timeout(2):
            await queue.announce(Topic.DELIVERIES, [] if first else ["a"])
            await queue.announce(Topic.DELIVERIES, ["a"] if first else [])
            assert await queue.wait(Topic.DELIVERIES, LONG) == frozenset()
            await queue.announce(Topic.DELIVERIES, ["b"])
            assert await queue.wait(Topic.DELIVERIES, LONG) == {"b"}

    async def test_too_many_lanes_are_unknown_lanes(self) -> None:
        """Memory is bounded, whoever never waits."""
        async with self.open() as queue, asyncio.timeout(2):
            for number in range(MOST):
                await queue.announce(Topic.DELIVERIES, [f"end_{number}"])
            assert len(await queue.wait(Topic.DELIVERIES, LONG)) == MOST
            await queue.announce(Topic.DELIVERIES, [f"end_{number}" for number in range(MOST)])
            await queue.announce(Topic.DELIVERIES, ["one more"])
            assert await queue.wait(Topic.DELIVERIES, LONG) == frozenset()
            assert not await self.woken(queue, Topic.DELIVERIES)

    async def test_a_cancelled_wait_leaves_its_lanes_to_the_next(self) -> None:
        """As it leaves the call."""
        async with self.open() as queue, asyncio.timeout(2):
            waiter = asyncio.create_task(queue.wait(Topic.DELIVERIES, LONG))
            await asyncio.sleep(0.05)
            await queue.announce(Topic.DELIVERIES, ["a"])
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
            await queue.announce(Topic.DELIVERIES, ["b"])
            assert await queue.wait(Topic.DELIVERIES, LONG) == {"a", "b"}

    async def test_a_call_is_heard_here_at_once(self) -> None:
        """The process that took an event in delivers it without asking a broker."""
        async with self.open() as queue:
            await queue.announce(Topic.DELIVERIES, ["a"])
            assert await queue.wait(Topic.DELIVERIES, timedelta()) == {"a"}

    async def test_opening_and_closing_may_be_repeated(self) -> None:
        """A start that fails half way closes what it may not have opened."""
        async with self.open() as queue, asyncio.timeout(5):
            await queue.open()
            await queue.aclose()
            await queue.aclose()
            await queue.announce(Topic.INBOX, ["a"])
            assert await queue.wait(Topic.INBOX, LONG) == {"a"}
            await queue.open()

    async def woken(self, queue: WorkQueue, topic: Topic) -> bool:
        """Whether a wait returns well before its time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await queue.wait(topic, timedelta(seconds=0.2))
        return loop.time() - began < 0.1
