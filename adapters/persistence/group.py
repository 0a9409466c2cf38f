"""Group commit: calls that come while one is being committed share the next commit, and each gets its own outcome."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Grouped(Generic[T, R]):
    """Hands groups to `write`, one group at a time.

    write: gets at least one item; returns an outcome for each, in order. What it raises, every call of the group raises.
    most: the most weight of a group; an item that is heavier alone makes a group of its own. A call that finds nothing
    under way waits for no other, except those that are made in the same turn of the event loop.
    """

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int, weight: Callable[[T], int]
    ) -> None:
        self._write = write
        self._most = most
        self._weight = weight
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Have the item written; its outcome."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._run())
        # The caller may give up (its client hung up): the group goes on, and the item is written.
        return await future

    async def _run(self) -> None:
        while self._waiting:
            group = self._next()
            try:
                outcomes = await self._write([item for item, _ in group])
            except BaseException as error:  # each caller is told; the next group may fare better
                for _, future in group:
                    if not future.done():
                        future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
                if not isinstance(error, Exception):
                    raise
            else:
                for (_, future), outcome in zip(group, outcomes, strict=True):
                    if not future.done():
                        future.set_result(outcome)

    def _next(self) -> list[tuple[T, asyncio.Future[R]]]:
        group = [self._waiting.popleft()]
        weight = self._weight(group[0][0])
        while self._waiting and weight + self._weight(self._waiting[0][0]) <= self._most:
            group.append(self._waiting.popleft())
            weight += self._weight(group[-1][0])
        return group
