"""Letting go of what is old, a little at a time, so that no writer waits long."""

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

import attrs


@attrs.frozen
class Pruned:
    """How much one step changed, and where the next one goes on; None when there is nothing more."""

    count: int
    position: str | None


class Pruning(Protocol):
    """Each call is one short transaction. `position`: where the call before ended, None to begin."""

    @abstractmethod
    async def blank_payloads(self, before: datetime) -> Pruned:
        """Empty the headers and bodies of some attempts made before a moment, and remember how far that went: later
        calls, also of later days, go on from there. What the attempts say otherwise stays."""

    @abstractmethod
    async def forget_events(self, before: datetime, position: str | None) -> Pruned:
        """Delete some events made before a moment of which no delivery is left, in whatever state."""

    @abstractmethod
    async def forget_audit(self, before: datetime, position: str | None) -> Pruned:
        """Delete some audit entries written before a moment."""
