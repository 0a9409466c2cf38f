"""How a hub dies: at the n-th time that it touches the world, and from then on nothing of it touches anything any more.

A process that is killed rolls nothing back and lets go of nothing: its database transaction is over, its leases stay until
their time is up, and the answer to a call that it had sent is read by nobody.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, final

from application.ports.inbox import WebhookInbox
from application.ports.leases import Leases
from application.ports.store import Store


class Killed(BaseException):
    """The process is gone. No `except Exception` keeps it."""


class Fuse:
    """Counts the times the hub touches the world."""

    def __init__(self) -> None:
        self._left: int | None = None
        self.dead = False

    def arm(self, after: int | None) -> None:
        """A new process begins; it dies at its touch number `after` (from 0), or never."""
        self._left, self.dead = after, False

    def touch(self) -> None:
        """Raises Killed when it is over, and ever after."""
        if self._left is not None and not self.dead:
            self.dead = self._left <= 0
            self._left -= 1
        if self.dead:
            raise Killed


class MortalStore:
    """A store as a process that can die sees it: before each unit of work, and before and after each commit."""

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self._inner, self._fuse = store, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def of(self, organisation_id: str) -> AsyncIterator[Any]:
        """A unit of work that may write."""
        self._fuse.touch()
        async with self._inner.of(organisation_id) as work:
            yield _MortalWork(work, self._fuse)

    @asynccontextmanager
    async def together(self, organisation_id: str) -> AsyncIterator[Any]:
        """The same."""
        self._fuse.touch()
        async with self._inner.together(organisation_id) as work:
            yield _MortalWork(work, self._fuse)

    @asynccontextmanager
    async def reading(self, organisation_id: str) -> AsyncIterator[Any]:
        """A unit of work that only reads."""
        self._fuse.touch()
        async with self._inner.reading(organisation_id) as work:
            yield work

    async def mark(self, name: str, value: str) -> None:
        """A write of its own."""
        self._fuse.touch()
        await self._inner.mark(name, value)


class _MortalWork:
    def __init__(self, work: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = work, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def commit(self) -> None:
        self._fuse.touch()
        await self._inner.commit()
        self._fuse.touch()


@final
class MortalLeases(Leases):
    """Leases of a process that can die: those that it held then stay held until their time is up."""

    def __init__(self, leases: Leases, fuse: Fuse) -> None:
        self._inner, self._fuse = leases, fuse
        self._left_behind: list[Any] = []

    async def forget(self) -> None:
        """Nobody will ask for them again."""
        for lease in self._left_behind:
            await lease.__aexit__(None, None, None)

    @asynccontextmanager
    async def hold(self, name: str, *, for_: timedelta, wait: timedelta = timedelta()) -> AsyncIterator[None]:
        """As the port says."""
        self._fuse.touch()
        async with self._unless_dead(self._inner.hold(name, for_=for_, wait=wait)):
            yield

    @asynccontextmanager
    async def hold_free(self, names: Iterable[str], *, for_: timedelta) -> AsyncIterator[frozenset[str]]:
        """As the port says."""
        self._fuse.touch()
        async with self._unless_dead(self._inner.hold_free(names, for_=for_)) as free:
            yield free

    @asynccontextmanager
    async def _unless_dead(self, lease: Any) -> AsyncIterator[Any]:
        held = await lease.__aenter__()
        try:
            yield held
        finally:
            if self._fuse.dead:
                self._left_behind.append(lease)
            else:
                await lease.__aexit__(None, None, None)


class MortalInbox:
    """The inbox as a process that can die sees it: before each of its calls, and after what came of a webhook is kept."""

    def __init__(self, inbox: WebhookInbox, fuse: Fuse) -> None:
        self._inner, self._fuse = inbox, fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def called(*args: Any, **kwargs: Any) -> Any:
            self._fuse.touch()
            answer = await method(*args, **kwargs)
            if name == "record":
                self._fuse.touch()
            return answer

        return called
