"""How a worker's places are shared out, so that nobody's slow receivers cost somebody else his own.

A destination with nothing under way may always begin one attempt. Beyond that a lane takes what its window allows, while
there is room; as it becomes crowded, what each lane of the organisation would get if they all had the same.
"""

from collections import Counter

import attrs

AT_ONCE = 1_024
"""Attempts under way in one worker; beyond it only who has less than his share may begin more."""

OF_ONE_ORGANISATION = 512

MOST_AT_ONCE = 2_048
"""Attempts under way, whoever begins them: what a process has sockets for."""


@attrs.define(eq=False)
class Places:
    """Of one worker."""

    taken: int = 0
    _by_organisation: Counter[str] = attrs.field(factory=Counter)
    _lanes: Counter[str] = attrs.field(factory=Counter)
    """By organisation, how many lanes have something under way."""

    def free_for(self, organisation: str, under_way: int) -> bool:
        """Whether a lane of this organisation's, with so many attempts under way, may begin one more."""
        if self.taken >= MOST_AT_ONCE:
            return False
        if not under_way:
            return True
        its = self._by_organisation[organisation]
        if its >= OF_ONE_ORGANISATION:
            return False
        if its >= OF_ONE_ORGANISATION // 2 and under_way >= max(1, OF_ONE_ORGANISATION // self._lanes[organisation]):
            return False
        return self.taken < AT_ONCE or its < AT_ONCE // len(self._lanes)

    def take(self, organisation: str, *, first: bool) -> None:
        """An attempt begins; `first`: of its lane."""
        self.taken += 1
        self._by_organisation[organisation] += 1
        self._lanes[organisation] += first

    def free(self, organisation: str, *, last: bool) -> None:
        """An attempt ended; `last`: of its lane."""
        self.taken -= 1
        self._by_organisation[organisation] -= 1
        self._lanes[organisation] -= last
        if not self._lanes[organisation]:  # organisations come and go
            del self._lanes[organisation], self._by_organisation[organisation]
