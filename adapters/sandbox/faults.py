"""What goes wrong with a sandbox's API when a test says so, and how many calls a second it takes."""

import asyncio
from collections import deque

import attrs


@attrs.define
class Fault:
    """What goes wrong with the next `count` calls whose path begins with `path`.

    status: answered instead, before the work or after it. timeout: the work is done and no answer comes. delay_ms: the
    work takes so long. retry_after: seconds, told with the status.
    """

    count: int = 1
    path: str = "/"
    status: int | None = None
    after_work: bool = False
    timeout: bool = False
    delay_ms: int = 0
    retry_after: int | None = None


class Faults:
    """Faults made to order, each used up call by call."""

    def __init__(self) -> None:
        self.waiting: deque[Fault] = deque()

    def order(self, fault: Fault) -> None:
        """Have this go wrong."""
        self.waiting.append(fault)

    def due(self, path: str) -> Fault | None:
        """What goes wrong with a call now; it counts as used."""
        for fault in self.waiting:
            if path.startswith(fault.path):
                fault.count -= 1
                if fault.count <= 0:
                    self.waiting.remove(fault)
                return fault
        return None

    def reset(self) -> None:
        """Nothing goes wrong any more."""
        self.waiting.clear()


class Pace:
    """At most so many calls in any second, for each key."""

    def __init__(self, per_second: int) -> None:
        self._default = per_second
        self.per_second = per_second
        self._spent: dict[str, deque[float]] = {}

    def admits(self, key: str) -> bool:
        """Count a call; False when it is one too many."""
        now = asyncio.get_running_loop().time()
        spent = self._spent.setdefault(key, deque())
        while spent and spent[0] <= now - 1:
            spent.popleft()
        if len(spent) >= self.per_second:
            return False
        spent.append(now)
        return True

    def reset(self) -> None:
        """Forget what was spent and set the limit back."""
        self._spent.clear()
        self.per_second = self._default
