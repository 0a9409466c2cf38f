"""One holder at a time, over all nodes: a named lease that expires if its holder dies."""

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol, runtime_checkable


class Held(Exception):
    """Someone else holds the lease. `name`: the lease's, for the log; nobody outside is told it."""

    def __init__(self, text: str, *, name: str | None = None) -> None:
        super().__init__(text)
        self.name = name


@runtime_checkable
class Leases(Protocol):
    """Named leases."""

    @abstractmethod
    def hold(self, name: str, *, for_: timedelta, wait: timedelta = timedelta()) -> AbstractAsyncContextManager[None]:
        """Hold the lease inside the block. Raises Held if it is still taken after `wait`. Released on leaving.

        While the holder lives the lease is prolonged; `for_` is how long others wait for one who died.
        """

    @abstractmethod
    def hold_free(self, names: Iterable[str], *, for_: timedelta) -> AbstractAsyncContextManager[frozenset[str]]:
        """Hold, inside the block, those of these leases that are free now, and be told which. Otherwise as `hold`."""
