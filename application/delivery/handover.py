"""From the intake to the worker in the same process: what was just accepted need not be read again."""

from collections.abc import Callable, Sequence

import attrs

from application.ports.dispatch import Ready

Take = Callable[[Sequence[Ready]], frozenset[str]]


@attrs.define
class Handover:
    """Where a worker says that it runs in this process. Without one, what is offered waits in the database."""

    _take: Take | None = None

    def offer(self, ready: Sequence[Ready]) -> frozenset[str]:
        """These were committed just now. Returns the destinations whose lanes the worker holds: nobody else need be told."""
        return self._take(ready) if self._take is not None and ready else frozenset()

    def meet(self, take: Take | None) -> None:
        """From now on, offer to this worker; None: to nobody."""
        self._take = take
