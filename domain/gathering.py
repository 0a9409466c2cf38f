"""Several rules are asked of one request, and the caller is told of everything that is wrong at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from domain.refusals import Fault, Invalid


class Gathering:
    """Collects what rules find wrong; `close` raises it all as one Invalid."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Keep what is raised inside, and go on after it."""
        try:
            yield
        except Invalid as invalid:
            self.faults += invalid.faults

    def add(self, field: str, reason: str) -> None:
        """One more."""
        self.faults.append(Fault(field, reason))

    def close(self) -> None:
        """Raise Invalid if anything was wrong."""
        if self.faults:
            raise Invalid(*self.faults)
