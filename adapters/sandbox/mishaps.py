"""What a sandbox can be told to do wrong, so that the hub can be seen to bear it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs

from domain.refusals import Invalid

_LONGEST_S = 3600.0


@attrs.define
class Mishaps:
    """The next `fail_next` requests are answered with `status`; every one is held up for `delay_ms`.

    retry_after: seconds, told with a failure. hang: requests are not answered at all, until told otherwise.
    """

    fail_next: int = 0
    status: int = 503
    retry_after: float | None = None
    delay_ms: int = 0
    hang: bool = False
    _released: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

    def plan(self, told: Mapping[str, Any]) -> None:
        """Take over what a control request says of these. Raises Invalid for a value that cannot be."""
        self.fail_next = int(_number(told, "fail_next", self.fail_next, 1_000_000))
        self.status = int(_number(told, "status", self.status, 599))
        self.delay_ms = int(_number(told, "delay_ms", self.delay_ms, _LONGEST_S * 1000))
        if "retry_after" in told:
            given = told["retry_after"]
            self.retry_after = None if given is None else _number(told, "retry_after", 0, 86_400)
        self.hang = bool(told.get("hang", self.hang))
        if not self.hang:
            self._released.set()  # whoever waits goes on
            self._released = asyncio.Event()

    def reset(self) -> None:
        """Nothing goes wrong any more."""
        self.plan({"fail_next": 0, "status": 503, "retry_after": None, "delay_ms": 0, "hang": False})

    async def hold_up(self) -> None:
        """Wait as long as was planned."""
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        if self.hang:
            await self._released.wait()

    def next_failure(self) -> int | None:
        """The status to fail with now, if a failure is due; it is then used up."""
        if self.fail_next <= 0:
            return None
        self.fail_next -= 1
        return self.status


def _number(told: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Invalid.field(name, f"{name} is a number from 0 to {most:g}.")
    return value
