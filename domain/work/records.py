"""A work record, and the declaration of its kind: what it holds, what must be true of it, what it tells."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from domain.refusals import Fault, Invalid
from domain.work.causes import Cause, told
from domain.work.compounds import sample_id
from domain.work.fields import Field, Group
from domain.work.rules import Rule
from domain.work.scalars import write_moment
from domain.work.shapes import JsonSchema, Pointer

_SAMPLE_MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)


@attrs.frozen(eq=False)
class Kind:
    """One kind of record, such as clients.

    name: in ids, references and events (`client`). plural: in URLs (`clients`). title: the fields that together are
    read as its name. There is one Kind value for each kind (domain/work/kinds); it is compared by identity.
    """

    name: str
    plural: str
    about: str
    fields: tuple[Field, ...] = attrs.field(repr=False)
    """What it holds besides id, version, created_at and updated_at."""
    title: tuple[str, ...] = ("name",)
    causes: tuple[Cause, ...] = attrs.field(default=(), repr=False)
    rules: tuple[Rule, ...] = attrs.field(default=(), repr=False)
    group: Group = attrs.field(init=False, repr=False)

    @group.default
    def _of_fields(self) -> Group:
        return Group(self.fields)

    def create(self, given: Mapping[str, Any], *, id_: str, organisation_id: str, now: datetime) -> "Record":
        """A new record. Raises Invalid naming every field that is wrong."""
        return Record(id_, organisation_id, self, self._judge(None, *self.group.sift(given)), now, now)

    def sample(self, fields: Mapping[str, Any] | None = None) -> "Record":
        """A record for examples, always the same; `fields` (as given) replace those of the sample."""
        given = {**self.group.sample, **(fields or {})}
        organisation_id = sample_id("organisation")
        return self.create(given, id_=sample_id(self.name), organisation_id=organisation_id, now=_SAMPLE_MOMENT)

    def merge(self, fields: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
        """The kept fields after a merge patch. Raises Invalid naming every field that is wrong."""
        return self._judge(fields, *self.group.sift(patch, kept=fields))

    def _judge(self, before: Mapping[str, Any] | None, after: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
        wrong = {fault.field.partition(".")[0] for fault in faults}
        was = None if before is None else self.group.filled(before)
        for rule in self.rules:
            if wrong.isdisjoint(rule.fields):
                faults.extend(rule.faults(was, self.group.filled(after)))
        if faults:
            raise Invalid(*faults)
        return after

    @property
    def schema(self) -> JsonSchema:
        """A record's body as JSON Schema."""
        moment = {"type": "string", "format": "date-time"}
        own = {
            "id": {"type": "string", "pattern": f"^{self.name}_[0-9A-Za-z]+$"},
            "version": {"type": "integer", "minimum": 1, "description": "Goes up by one with each change."},
            "created_at": moment,
            "updated_at": moment,
        }
        fields = self.group.schema
        return {
            **fields,
            "description": self.about,
            "properties": {**own, **fields["properties"]},
            "required": [*own, *fields["required"]],
        }

    @property
    def data_schema(self) -> JsonSchema:
        """The `data` of this kind's events as JSON Schema."""
        previous = "The fields that changed, as they were before."
        return {
            "type": "object",
            "properties": {
                self.name: self.schema,
                "previous": {"type": "object", "description": previous, "additionalProperties": True},
            },
            "required": [self.name],
            "additionalProperties": True,
        }


@attrs.frozen
class Record:
    """One record as it is kept.

    fields: in kept form, without the empty ones (domain/work/shapes.py). version: counted up by the store when a
    change is saved.
    """

    id: str
    organisation_id: str
    kind: Kind
    fields: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1

    def change(self, patch: Mapping[str, Any], now: datetime) -> tuple["Record", tuple[str, ...]]:
        """The record after a JSON merge patch (RFC 7396: null clears), and the types of the events it causes.

        A patch that changes nothing gives this very record and no events. Raises Invalid naming every field.
        """
        fields = self.kind.merge(self.fields, patch)
        if fields == self.fields:
            return self, ()
        after = attrs.evolve(self, fields=fields, updated_at=now)
        return after, told(self.kind.causes, self.filled, after.filled)

    @property
    def told_on_creation(self) -> tuple[str, ...]:
        """The event types that its creation causes: also those of the status it begins with."""
        return told(self.kind.causes, None, self.filled)

    @property
    def told_on_deletion(self) -> tuple[str, ...]:
        """The event types that its deletion causes."""
        return told(self.kind.causes, self.filled, None)

    @property
    def body(self) -> dict[str, Any]:
        """What the API and the events show."""
        return {
            "id": self.id,
            "version": self.version,
            "created_at": write_moment(self.created_at),
            "updated_at": write_moment(self.updated_at),
            **self.kind.group.show(self.fields),
        }

    def data(self, before: "Record | None" = None) -> dict[str, Any]:
        """The `data` of an event about it; with `before`, also what the changed fields were."""
        data: dict[str, Any] = {self.kind.name: self.body}
        if before is not None:
            was, now = self.kind.group.show(before.fields), self.kind.group.show(self.fields)
            data["previous"] = {name: value for name, value in was.items() if value != now[name]}
        return data

    @property
    def title(self) -> str:
        """One line to know it by; its id if it has no name."""
        words = [str(self.fields[name]) for name in self.kind.title if name in self.fields]
        return " ".join(words)[:120] or self.id

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        """The other records it names, for the use case to find."""
        return tuple(self.kind.group.pointers(self.fields, ""))

    @property
    def filled(self) -> dict[str, Any]:
        """The kept value of every field, None where it is empty: what causes and rules look at."""
        return self.kind.group.filled(self.fields)
