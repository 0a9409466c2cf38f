"""What makes a record's event happen, declared as data: each cause looks at the record before and after, and decides.

`before` is None when the record is new, `after` is None when it is deleted; both hold every field (None if empty).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs

Kept = Mapping[str, Any]


@attrs.frozen
class Cause(ABC):
    """One event type of a kind and what brings it about. about: one sentence for the catalogue."""

    type: str
    about: str

    @abstractmethod
    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """Whether the step from `before` to `after` is such an event."""

    @property
    def tells(self) -> frozenset[str]:
        """The fields whose change it reports, so that a plain "updated" need not report them as well."""
        return frozenset()

    @property
    def shows(self) -> Mapping[str, Any]:
        """What the catalogue's sample of the event must hold."""
        return {}


@attrs.frozen
class Created(Cause):
    """The record is new."""

    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """There was nothing before."""
        return before is None and after is not None


@attrs.frozen
class Deleted(Cause):
    """The record is gone."""

    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """There is nothing after."""
        return before is not None and after is None


@attrs.frozen
class Reaches(Cause):
    """A field takes a value, by a change or by being created with it.

    only_from: the earlier values that count; a project taken up again after a pause has not started anew.
    """

    field: str
    value: str
    only_from: tuple[str, ...] = ()

    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """It has the value now and had another one."""
        if after is None or after[self.field] != self.value:
            return False
        if before is None:
            return True
        was = before[self.field]
        return was != self.value and (not self.only_from or was in self.only_from)

    @property
    def tells(self) -> frozenset[str]:
        """The field."""
        return frozenset((self.field,))

    @property
    def shows(self) -> Mapping[str, Any]:
        """The value."""
        return {self.field: self.value}


@attrs.frozen
class Changes(Cause):
    """A field changes from one value to another."""

    field: str

    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """Creation is no change."""
        return before is not None and after is not None and before[self.field] != after[self.field]

    @property
    def tells(self) -> frozenset[str]:
        """The field."""
        return frozenset((self.field,))


@attrs.frozen
class Fills(Cause):
    """An empty field is filled, by a change or on creation. again: so is giving it another value."""

    field: str
    again: bool = False

    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """It holds something now, and held nothing (or something else)."""
        if after is None or not after[self.field]:
            return False
        was = before[self.field] if before else None
        return not was or (self.again and was != after[self.field])

    @property
    def tells(self) -> frozenset[str]:
        """The field."""
        return frozenset((self.field,))


@attrs.frozen
class Updated(Cause):
    """Something changed that no other event of the same step reports (`tells`)."""

    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """Any difference between the two."""
        return before is not None and after is not None and before != after


@attrs.frozen
class Elsewhere(Cause):
    """An event about a record that no change of it brings about: the scheduler or the host application says it."""

    def happened(self, before: Kept | None, after: Kept | None) -> bool:
        """Never."""
        return False


def told(causes: tuple[Cause, ...], before: Kept | None, after: Kept | None) -> tuple[str, ...]:
    """The event types of one step, in the order of their declaration."""
    happened = [cause for cause in causes if cause.happened(before, after)]
    if before is not None and after is not None:
        reported = frozenset[str]().union(*(cause.tells for cause in happened))
        rest = {name for name in after if before[name] != after[name]} - reported
        happened = [cause for cause in happened if rest or not isinstance(cause, Updated)]
    return tuple(cause.type for cause in happened)
