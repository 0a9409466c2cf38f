"""One holder at a time, over all nodes: a named lease that expires if its holder dies."""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol, runtime_checkable


class Held(Exception):
    """Someone else holds the lease."""


@runtime_checkable
class Leases(Protocol):
    """Named leases."""

    @abstractmethod
    def hold(self, name: str, *, for_: timedelta, wait: timedelta = timedelta()) -> AbstractAsyncContextManager[None]:
        """Hold the lease inside the block. Raises Held if it is still taken after `wait`. Released on leaving.

        While the holder lives the lease is prolonged; `for_` is how long others wait for one who died.
        """
