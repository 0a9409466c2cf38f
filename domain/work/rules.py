"""Rules between the fields of one record, declared as data beside them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs

from domain.refusals import Fault

Kept = Mapping[str, Any]


class Rule(ABC):
    """A rule looks at all fields (None if empty) before and after; `before` is None when the record is new."""

    __slots__ = ()

    @property
    @abstractmethod
    def fields(self) -> tuple[str, ...]:
        """The fields it looks at: it is not asked while one of them is wrong in itself."""

    @abstractmethod
    def faults(self, before: Kept | None, after: Kept) -> Iterator[Fault]:
        """What breaks it."""


@attrs.frozen
class Follows(Rule):
    """One day or moment does not come before another. strictly: nor at the same time."""

    later: str
    earlier: str
    strictly: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Both."""
        return self.later, self.earlier

    def faults(self, before: Kept | None, after: Kept) -> Iterator[Fault]:
        """Nothing is wrong while one of them is empty."""
        later, earlier = after[self.later], after[self.earlier]
        if later is None or earlier is None:
            return
        end, start = datetime.fromisoformat(later), datetime.fromisoformat(earlier)
        if end < start or (self.strictly and end == start):
            yield Fault(self.later, f"This must {'be after' if self.strictly else 'not be before'} {self.earlier}.")


@attrs.frozen
class AnyOf(Rule):
    """At least one of several fields is filled."""

    names: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """All of them."""
        return self.names

    def faults(self, before: Kept | None, after: Kept) -> Iterator[Fault]:
        """Blames the first."""
        if not any(after[name] for name in self.names):
            yield Fault(self.names[0], f"At least one of {', '.join(self.names)} is needed.")


@attrs.frozen
class Needs(Rule):
    """A field makes sense only beside another."""

    name: str
    other: str

    @property
    def fields(self) -> tuple[str, ...]:
        """Both."""
        return self.name, self.other

    def faults(self, before: Kept | None, after: Kept) -> Iterator[Fault]:
        """Blames the one that is missing."""
        if after[self.name] is not None and after[self.other] is None:
            yield Fault(self.other, f"This is needed with {self.name}.")


@attrs.frozen
class OneCurrency(Rule):
    """All amounts of a record are in one currency. code: the field that names it, where there is one."""

    names: tuple[str, ...]
    code: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The amounts, the lists that hold amounts, and the code."""
        return (*self.names, self.code) if self.code else self.names

    def faults(self, before: Kept | None, after: Kept) -> Iterator[Fault]:
        """Blames each amount that is not in the first one's currency."""
        wanted = after[self.code] if self.code else None
        for name in self.names:
            for path, currency in _currencies(after[name], name):
                wanted = wanted or currency
                if currency != wanted:
                    yield Fault(f"{path}.currency", f"This must be {wanted} as in the rest of the record.")


def _currencies(kept: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(kept, list):
        for index, item in enumerate(kept):
            yield from _currencies(item, f"{at}.{index}")
    elif isinstance(kept, Mapping):
        if "amount" in kept and isinstance(kept.get("currency"), str):
            yield at, kept["currency"]
        else:
            for name, value in kept.items():
                yield from _currencies(value, f"{at}.{name}")


@attrs.frozen
class Steps(Rule):
    """From which value of a status which others can be reached. A new record may begin anywhere: it may be imported."""

    name: str
    allowed: Mapping[str, tuple[str, ...]]

    @property
    def fields(self) -> tuple[str, ...]:
        """The status."""
        return (self.name,)

    def faults(self, before: Kept | None, after: Kept) -> Iterator[Fault]:
        """Staying is always allowed."""
        if before is None or before[self.name] == after[self.name]:
            return
        ways = self.allowed.get(before[self.name], ())
        if after[self.name] not in ways:
            onward = f"only {' or '.join(ways)} can follow" if ways else "nothing follows"
            yield Fault(self.name, f"{before[self.name]} cannot become {after[self.name]}: {onward}.")
