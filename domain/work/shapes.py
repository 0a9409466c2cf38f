"""The shape of a value: it reads one JSON value and normalises it, or says what is wrong with it.

A value has three forms. *Given* is what a caller sends, *kept* is what is stored, *shown* is what the API and the
events say. For most shapes (`texts.py`, `scalars.py`) the three are the same; an amount of money is the exception
(`compounds.py`). `fields.py` puts shapes under names.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

JsonSchema = dict[str, Any]


@attrs.frozen
class Pointer:
    """One record naming another: at which dotted path, and the kind and id of what it names."""

    field: str
    kind: str
    id: str


class Shape(ABC):
    """One type of value."""

    __slots__ = ()

    @abstractmethod
    def read(self, given: Any, at: str) -> Any:
        """The kept form of a value that is not null; None or `[]` if it says nothing. Raises Invalid naming `at`."""

    @property
    @abstractmethod
    def schema(self) -> JsonSchema:
        """The shown form as JSON Schema (2020-12)."""

    @property
    @abstractmethod
    def sample(self) -> Any:
        """An example, as given."""

    @property
    def accepts(self) -> JsonSchema:
        """The given form as JSON Schema."""
        return self.schema

    @property
    def blank(self) -> Any:
        """What is shown when nothing is kept: null, or an empty list for lists."""
        return None

    def show(self, kept: Any) -> Any:
        """The shown form of a kept value."""
        return kept

    def give(self, kept: Any) -> Any:
        """The given form of a kept value: reading it again keeps the same."""
        return kept

    def merge(self, kept: Any, patch: Any, at: str) -> Any:
        """The kept form after a JSON merge patch (RFC 7396): an object is merged name by name, the rest replaced."""
        given = self.give(kept)
        if isinstance(given, Mapping) and isinstance(patch, Mapping):
            patch = {**given, **patch}
        return self.read(patch, at)

    def pointers(self, kept: Any, at: str) -> Iterator[Pointer]:
        """The records that a kept value names."""
        return iter(())
