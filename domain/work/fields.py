"""Fields put shapes under names; a group of fields reads a whole object and names everything that is wrong with it."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from domain.refusals import Fault, Invalid
from domain.work.shapes import JsonSchema, Pointer, Shape

_MOST_STRANGERS = 10
"""How many unknown names are reported: a body of a hundred thousand of them deserves no answer of that length."""


@attrs.frozen
class Field:
    """One named value.

    required: it may not be empty. default: kept when nothing is given, and again when it is cleared.
    example: a better sample than the shape's own, as given. always: shown even when empty (as null or `[]`).
    """

    name: str
    shape: Shape
    about: str = ""
    required: bool = False
    default: Any = None
    example: Any = None
    always: bool = True

    def read(self, given: Any, at: str) -> Any:
        """The kept form. Raises Invalid, also when it is needed and empty."""
        return self._settle(None if given is None else self.shape.read(given, at), at)

    def merge(self, kept: Any, patch: Any, at: str) -> Any:
        """The kept form after a merge patch. Raises Invalid."""
        return self._settle(None if patch is None else self.shape.merge(kept, patch, at), at)

    def _settle(self, kept: Any, at: str) -> Any:
        if kept is None or kept == []:
            if self.required and self.default is None:
                raise Invalid.field(at, "This is needed.")
            return self.default
        return kept

    def show(self, kept: Any) -> Any:
        """The shown form; a value kept before the field existed shows its default."""
        kept = self.default if kept is None else kept
        return self.shape.blank if kept is None else self.shape.show(kept)

    @property
    def schema(self) -> JsonSchema:
        """The shown form as JSON Schema; null is allowed where nothing may be kept."""
        never_null = self.required or self.default is not None or self.shape.blank is not None
        return self._described(self.shape.schema if never_null else _or_null(self.shape.schema))

    def accepts(self, *, clearing: bool = False) -> JsonSchema:
        """The given form as JSON Schema. clearing: as part of a patch, where null clears what may be cleared."""
        needed = self.required and self.default is None
        schema = self.shape.accepts if needed else _or_null(self.shape.accepts)
        default = {"default": self.default} if self.default is not None and not clearing else {}
        return self._described({**schema, **default})

    def _described(self, schema: JsonSchema) -> JsonSchema:
        return {**schema, "description": self.about} if self.about else schema

    @property
    def sample(self) -> Any:
        """An example, as given."""
        return self.shape.sample if self.example is None else self.example


def _or_null(schema: JsonSchema) -> JsonSchema:
    nullable = {**schema, "type": [schema["type"], "null"]}
    return {**nullable, "enum": [*schema["enum"], None]} if "enum" in schema else nullable


@attrs.frozen
class Group(Shape):
    """An object with these fields and no others."""

    fields: tuple[Field, ...] = attrs.field(repr=False)

    def sift(
        self, given: Any, at: str = "", *, kept: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], list[Fault]]:
        """What can be kept of an object and all that is wrong with it.

        With `kept`, `given` is a merge patch on it: only the fields it names are read.
        """
        if not isinstance(given, Mapping):
            return {}, [Fault(at or "body", "This must be an object.")]
        faults = list(self._strangers(given, at))
        after = dict(kept or {})
        for field in self.fields:
            if kept is not None and field.name not in given:
                continue
            path = _join(at, field.name)
            try:
                if kept is None:
                    value = field.read(given.get(field.name), path)
                else:
                    value = field.merge(kept.get(field.name), given[field.name], path)
            except Invalid as invalid:
                faults.extend(invalid.faults)
                continue
            after[field.name] = value
        return {name: value for name, value in after.items() if value is not None}, faults

    def read(self, given: Any, at: str) -> dict[str, Any]:
        """All fields; those that hold nothing are left out."""
        return self._sound(*self.sift(given, at))

    def merge(self, kept: Any, patch: Any, at: str) -> dict[str, Any]:
        """The fields that the patch names over those that are kept."""
        return self._sound(*self.sift(patch, at, kept=kept or None))

    @staticmethod
    def _sound(kept: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
        if faults:
            raise Invalid(*faults)
        return kept

    def _strangers(self, given: Mapping[str, Any], at: str) -> Iterator[Fault]:
        names = [field.name for field in self.fields]
        for stranger in sorted(map(str, given.keys() - set(names)))[:_MOST_STRANGERS]:
            close = difflib.get_close_matches(stranger[:60], names, n=1)
            meant = f" Did you mean {close[0]}?" if close else ""
            yield Fault(_join(at, stranger[:100]), f"There is no such field here.{meant}")

    def show(self, kept: Any) -> dict[str, Any]:
        """Every field, null where nothing is kept; those not `always` shown are left out instead."""
        return {f.name: f.show(kept.get(f.name)) for f in self.fields if f.always or kept.get(f.name) is not None}

    def give(self, kept: Any) -> Any:
        """The fields that hold something, each as given."""
        if kept is None:
            return None
        return {f.name: f.shape.give(kept[f.name]) for f in self.fields if kept.get(f.name) is not None}

    def filled(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """The kept value of every field, its default or None where nothing is kept."""
        return {f.name: f.default if kept.get(f.name) is None else kept[f.name] for f in self.fields}

    @property
    def schema(self) -> JsonSchema:
        """An object that may gain fields later."""
        return {
            "type": "object",
            "properties": {field.name: field.schema for field in self.fields},
            "required": [field.name for field in self.fields if field.always],
            "additionalProperties": True,
        }

    @property
    def accepts(self) -> JsonSchema:
        """An object with these fields and no others."""
        return {
            "type": "object",
            "properties": {field.name: field.accepts() for field in self.fields},
            "required": [field.name for field in self.fields if field.required and field.default is None],
            "additionalProperties": False,
        }

    @property
    def accepts_patch(self) -> JsonSchema:
        """A JSON merge patch of it."""
        properties = {field.name: field.accepts(clearing=True) for field in self.fields}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    @property
    def sample(self) -> dict[str, Any]:
        """Every field filled in."""
        return {field.name: field.sample for field in self.fields}

    def pointers(self, kept: Any, at: str) -> Iterator[Pointer]:
        """Every record that is named in it."""
        for field in self.fields:
            if kept.get(field.name) is not None:
                yield from field.shape.pointers(kept[field.name], _join(at, field.name))


@attrs.frozen
class ListOf(Shape):
    """A list of objects of one group, such as the lines of a proposal. A patch replaces it as a whole (RFC 7396)."""

    group: Group
    maximum: int = 100

    def read(self, given: Any, at: str) -> list[dict[str, Any]]:
        """Each item; the faults of all of them."""
        if not isinstance(given, list | tuple):
            raise Invalid.field(at, "This must be a list.")
        if len(given) > self.maximum:
            raise Invalid.field(at, f"This may have {self.maximum} items at most; it has {len(given)}.")
        sifted = [self.group.sift(item, f"{at}.{index}") for index, item in enumerate(given)]
        if faults := [fault for _, found in sifted for fault in found]:
            raise Invalid(*faults)
        return [kept for kept, _ in sifted]

    @property
    def schema(self) -> JsonSchema:
        """An array of objects."""
        return {"type": "array", "items": self.group.schema, "maxItems": self.maximum}

    @property
    def accepts(self) -> JsonSchema:
        """An array of objects, as given."""
        return {"type": "array", "items": self.group.accepts, "maxItems": self.maximum}

    @property
    def sample(self) -> list[dict[str, Any]]:
        """One item."""
        return [self.group.sample]

    @property
    def blank(self) -> list[Any]:
        """No items."""
        return []

    def show(self, kept: Any) -> Any:
        """Each item as shown."""
        return [self.group.show(item) for item in kept]

    def give(self, kept: Any) -> Any:
        """Each item as given."""
        return kept and [self.group.give(item) for item in kept]

    def pointers(self, kept: Any, at: str) -> Iterator[Pointer]:
        """The records that any item names."""
        for index, item in enumerate(kept):
            yield from self.group.pointers(item, f"{at}.{index}")


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
