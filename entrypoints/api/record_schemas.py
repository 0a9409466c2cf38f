"""What each kind of record looks like in the OpenAPI document: the kinds' own JSON Schemas, as named components.

The bodies themselves are plain dicts. The domain reads them and names every field that is wrong at once; a reading by
types before it could only name the first.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import msgspec
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from domain.refusals import Invalid
from domain.work.records import Kind
from domain.work.shapes import JsonSchema
from entrypoints.api.paging import Listing


class Body(dict[str, Any]):
    """A record's body in one of its forms. Each kind has subclasses of its own, which say how theirs look."""

    looks: ClassVar[JsonSchema]


class Created(Body):
    """What a new record is made of."""


class Changed(Body):
    """A JSON merge patch."""


class Shown(Body):
    """A record as it is answered."""

    @property
    def version(self) -> int:
        """For the ETag."""
        return int(self["version"])


@attrs.frozen
class Forms:
    """The types of one kind's bodies, named after it: ClientCreated, ClientChanged, ClientView, ClientListing."""

    created: type[Created]
    changed: type[Changed]
    shown: type[Shown]
    listing: type[Any]

    @classmethod
    def of(cls, kind: Kind) -> "Forms":
        """The types of this kind."""
        name = kind.name.capitalize()
        created = {"description": f"A new {kind.name}.", "examples": [kind.group.sample]}
        changed = {"description": f"What to change in a {kind.name}; what is left out stays, null clears."}
        shown = _body(Shown, f"{name}View", kind.schema)
        return cls(
            _body(Created, f"{name}Created", {**kind.group.accepts, **created}),
            _body(Changed, f"{name}Changed", {**kind.group.accepts_patch, **changed}),
            shown,
            msgspec.defstruct(
                f"{name}Listing",
                [("items", list[shown]), ("next_cursor", str | None)],  # type: ignore[valid-type]
                module=__name__,
                namespace={"__doc__": Listing.__doc__},
            ),
        )

    @property
    def namespace(self) -> dict[str, type[Any]]:
        """What `Created`, `Changed`, `Shown` and `ShownListing` mean in the annotations of a controller of this kind."""
        return {
            "Created": self.created,
            "Changed": self.changed,
            "Shown": self.shown,
            "ShownListing": self.listing,
        }


def _body(form: type[Any], name: str, looks: JsonSchema) -> type[Any]:
    return type(name, (form,), {"__module__": __name__, "__doc__": looks["description"], "looks": looks})


def is_body(type_: Any) -> bool:
    """Whether a type is one of these."""
    return isinstance(type_, type) and issubclass(type_, Body)


def read_body(type_: type[Body], given: Any) -> Body:
    """The object that was sent. Raises Invalid for anything else."""
    if not isinstance(given, Mapping):
        raise Invalid.field("body", "This must be an object.")
    return type_(given)


class RecordSchemas(OpenAPISchemaPlugin):
    """Tells Litestar how these types look."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """The types of this module."""
        return is_body(field_definition.annotation)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Fills in the component of this name; Litestar puts references to it where it is used."""
        type_: type[Body] = field_definition.annotation
        component: Schema = schema_creator.schema_registry.get_schema_for_field_definition(field_definition)
        for name, value in _arguments(type_.looks).items():
            setattr(component, name, value)
        component.title = type_.__name__
        return component


def _schema(looks: JsonSchema) -> Schema:
    return Schema(**_arguments(looks))


def _arguments(looks: JsonSchema) -> dict[str, Any]:
    """A JSON Schema as the arguments of Litestar's Schema.

    What may be null becomes a choice of two: the generators of clients make a mess of an enumeration that holds null.
    """
    if isinstance(looks.get("type"), list):
        other = {**looks, "type": next(name for name in looks["type"] if name != "null")}
        about: dict[str, Any] = {name: other.pop(name) for name in ("description", "default") if name in other}
        if "enum" in other:
            other["enum"] = [value for value in other["enum"] if value is not None]
        return {"one_of": [_schema(other), Schema(type=OpenAPIType.NULL)], **about}
    names = Schema.field_aliases()
    arguments = {names.get(keyword, keyword): value for keyword, value in looks.items()}
    if "properties" in arguments:
        arguments["properties"] = {name: _schema(field) for name, field in arguments["properties"].items()}
    if "items" in arguments:
        arguments["items"] = _schema(arguments["items"])
    return arguments
