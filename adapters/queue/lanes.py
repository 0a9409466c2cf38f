"""Which lanes were called: some by name, or nobody knows which."""

from collections.abc import Collection

import attrs

MOST = 1000
"""Names that are kept; beyond that, looking at everything is as cheap."""


@attrs.define
class Called:
    """Calls that were made and not yet heard. What is unknown stays unknown whatever is added."""

    _named: set[str] = attrs.field(factory=set)
    _unknown: bool = False

    def __bool__(self) -> bool:
        return self._unknown or bool(self._named)

    def add(self, lanes: Collection[str]) -> None:
        """A call for some lanes; for none of them means for unknown ones."""
        if lanes and not self._unknown:
            self._named.update(lanes)
        if not lanes or len(self._named) > MOST:
            self._named, self._unknown = set(), True

    def merge(self, other: "Called") -> None:
        """What another has, too."""
        if other:
            self.add(other.lanes)

    @property
    def lanes(self) -> frozenset[str]:
        """The lanes by name; empty when they are unknown, and when there was no call."""
        return frozenset(self._named)
