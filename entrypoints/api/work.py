"""Work records: one controller for each kind, made from the kind's declaration."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import attrs
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter

from application.caller import Caller
from application.ports.store import Slice, Store
from application.work.change_record import ChangeRecord
from application.work.create_record import CreateRecord
from application.work.pointers import record_of, ways_from
from application.work.remove_record import RemoveRecord
from domain.organisations import Scope
from domain.refusals import Invalid
from domain.work.compounds import Reference
from domain.work.kinds import KINDS
from domain.work.records import Kind, Record
from domain.work.shapes import Shape
from domain.work.texts import Text
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.record_schemas import Changed, Created, Forms, Shown, is_body, read_body
from entrypoints.api.versions import versioned

ShownListing = Listing[Shown]


def _shown(record: Record) -> Shown:
    return Shown(record.body)


def records_of(kind: Kind) -> type[Controller]:
    """The controller of a kind: create, list, read, change, remove. The quoted types are those of the kind's own."""
    name, plural = kind.name, kind.plural
    forms = Forms.of(kind)

    def location(record: Record) -> str:
        return f"/api/{plural}/{record.id}"

    class Records(Controller):
        path = f"/api/{plural}"
        tags = (plural.capitalize(),)
        type_decoders = ((is_body, read_body),)
        signature_namespace = forms.namespace

        @post("/", scope=Scope.RECORDS_WRITE, operation_id=f"create_{name}", summary=f"Create a {name}")
        async def create(
            self,
            caller: NamedDependency[Caller],
            data: "JSONBody[Created]",
            create_record: NamedDependency[CreateRecord],
            idempotency: NamedDependency[Idempotency],
        ) -> "Response[Shown]":
            """Every field that is wrong is named at once. Records that it names must exist."""
            record = await create_record(caller, kind, data, once=idempotency.once(_shown, location=location))
            return versioned(_shown(record), record.version, status=201, headers={"Location": location(record)})

        @get(
            "/",
            scope=Scope.RECORDS_READ,
            operation_id=f"list_{plural}",
            summary=f"List {plural}",
            dependencies={"filters": Provide(_reading_filters(kind), sync_to_thread=False)},
        )
        async def list(
            self,
            caller: NamedDependency[Caller],
            store: NamedDependency[Store],
            slice: NamedDependency[Slice],
            filters: NamedDependency[Mapping[str, str]],
        ) -> "ShownListing":
            """Newest first; with several filters, those that match all of them."""
            async with store.reading(caller.organisation_id) as work:
                page = await work.records.matching(kind, slice, filters)
            return listing(page, _shown)

        @get("/{id:str}", scope=Scope.RECORDS_READ, operation_id=f"get_{name}", summary=f"One {name}")
        async def read(
            self, caller: NamedDependency[Caller], store: NamedDependency[Store], id: FromPath[str]
        ) -> "Response[Shown]":
            """The record with this id."""
            async with store.reading(caller.organisation_id) as work:
                record = await record_of(work, kind, id)
            return versioned(_shown(record), record.version)

        @patch("/{id:str}", scope=Scope.RECORDS_WRITE, operation_id=f"change_{name}", summary=f"Change a {name}")
        async def change(
            self,
            caller: NamedDependency[Caller],
            id: FromPath[str],
            data: "JSONBody[Changed]",
            change_record: NamedDependency[ChangeRecord],
            if_match: NamedDependency[int | None],
        ) -> "Response[Shown]":
            """A JSON merge patch (RFC 7396): what is left out stays, null clears, lists are replaced as a whole."""
            record = await change_record(caller, kind, id, data, version=if_match)
            return versioned(_shown(record), record.version)

        @delete("/{id:str}", scope=Scope.RECORDS_WRITE, operation_id=f"remove_{name}", summary=f"Remove a {name}")
        async def remove(
            self,
            caller: NamedDependency[Caller],
            id: FromPath[str],
            remove_record: NamedDependency[RemoveRecord],
            if_match: NamedDependency[int | None],
        ) -> None:
            """Refused while something needs it; records that can be without it let go of it."""
            await remove_record(caller, kind, id, version=if_match)

    Records.__name__ = Records.__qualname__ = plural.capitalize()
    Records.__doc__ = kind.about
    return Records


@attrs.frozen
class _Filter:
    """A query parameter: `path` is where the records keep what it is compared with."""

    name: str
    path: str
    shape: Shape
    about: str

    @property
    def parameter(self) -> inspect.Parameter:
        looks = {"oneOf": None, **self.shape.accepts}  # a parameter is left out, it is never null
        asked = QueryParameter(name=self.name, required=False, description=self.about, schema_extra=looks)
        hint = Annotated[str | None, asked]
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)

    def read(self, given: str) -> str:
        """What to compare with. Raises Invalid naming the parameter."""
        kept = self.shape.read(given, self.name)
        if not kept:
            raise Invalid.field(self.name, "This is empty; leave it out to see all.")
        return str(kept)


def _filters_of(kind: Kind) -> Iterator[_Filter]:
    shapes = {field.name: field.shape for field in kind.fields}
    if "status" in shapes:
        yield _Filter("status", "status", shapes["status"], "Only those with this status.")
    yield _Filter("external_id", "external_id", shapes["external_id"], "Only the one with this id of yours.")
    for way in ways_from(kind):
        shape = Reference(way.kinds[0]) if len(way.kinds) == 1 else Text(60)
        yield _Filter(way.path.replace(".", "_"), way.path, shape, f"Only those whose {way.field} is this record.")


def _reading_filters(kind: Kind) -> Callable[..., Mapping[str, str]]:
    """A dependency that asks for the filters a kind has: its signature is all that Litestar needs to know of them."""
    filters = {each.name: each for each in _filters_of(kind)}

    def provide(**given: str | None) -> Mapping[str, str]:
        return {filters[name].path: filters[name].read(text) for name, text in given.items() if text is not None}

    signature = inspect.Signature([each.parameter for each in filters.values()], return_annotation=Mapping[str, str])
    provide.__signature__ = signature  # type: ignore[attr-defined]  # functions take it (PEP 362)
    hints = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    provide.__annotations__ = {**hints, "return": signature.return_annotation}
    return provide


CONTROLLERS = tuple(records_of(kind) for kind in KINDS)
