"""One entry of the catalogue: what an event is called, when it happens, and what its `data` holds."""

from collections.abc import Mapping
from typing import Any

import attrs

from domain.work.fields import Group
from domain.work.shapes import JsonSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@attrs.frozen
class EventType:
    """An event type.

    group: the heading it stands under in a list. description: one sentence. schema: JSON Schema (2020-12) of `data`,
    which lets receivers meet fields that are added later. sample: a `data` that the schema accepts.
    """

    name: str
    group: str
    description: str
    schema: JsonSchema = attrs.field(repr=False)
    sample: dict[str, Any] = attrs.field(repr=False)


def event_type(name: str, group: str, description: str, schema: JsonSchema, sample: dict[str, Any]) -> EventType:
    """An entry whose schema says which dialect it is in and what it is about."""
    schema = {"$schema": DIALECT, "title": name, "description": description, **schema}
    return EventType(name, group, description, schema, sample)


@attrs.frozen
class Family:
    """Event types whose `data` is alike. rows: (name, description, what the sample's data holds instead, as given)."""

    group: str
    data: Group
    rows: tuple[tuple[str, str, Mapping[str, Any]], ...]

    @property
    def types(self) -> tuple[EventType, ...]:
        """The entry of each row."""
        sample = self.data.read(self.data.sample, "")
        return tuple(
            event_type(
                name, self.group, description, self.data.schema, self.data.show(self.data.merge(sample, changes, ""))
            )
            for name, description, changes in self.rows
        )
