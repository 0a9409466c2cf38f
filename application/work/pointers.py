"""Records name other records: what is named must exist, in the same organisation and of the right kind."""

from collections.abc import Iterator

import attrs

from application.ports.store import Work
from domain.refusals import Fault, Invalid, NotFound
from domain.work.compounds import Reference, Subject
from domain.work.kinds import KINDS
from domain.work.records import Kind, Record


async def record_of(work: Work, kind: Kind, id: str) -> Record:
    """The record of this kind. Raises NotFound, also for the id of another kind."""
    try:
        Reference(kind.name).read(id, "id")
    except Invalid as error:
        raise NotFound(kind.name, id[:80]) from error
    record = await work.records.find(id)
    if record is None or record.kind is not kind:
        raise NotFound(kind.name, id[:80])
    return record


async def check_pointers(work: Work, record: Record, before: Record | None = None) -> None:
    """Raise Invalid naming every field that names what is not there.

    What `before` named already is not asked again: a record must stay changeable whatever became of its neighbours.
    """
    known = {(pointer.kind, pointer.id) for pointer in before.pointers} if before else set()
    named = [pointer for pointer in record.pointers if (pointer.kind, pointer.id) not in known]
    if not named:
        return
    wanted = {pointer.id for pointer in named if pointer.kind != "invoice"}
    found = await work.records.all(id=tuple(sorted(wanted))) if wanted else ()
    known |= {(one.kind.name, one.id) for one in found}
    for pointer in named:
        if pointer.kind == "invoice" and await work.invoices.find(pointer.id) is not None:
            known.add((pointer.kind, pointer.id))
    if faults := [
        Fault(pointer.field, f"There is no {pointer.kind} '{pointer.id}'.")
        for pointer in named
        if (pointer.kind, pointer.id) not in known
    ]:
        raise Invalid(*faults)


@attrs.frozen
class Way:
    """How records of one kind name another record, of one of `kinds`: its id is kept at `path` (`subject.id`)."""

    kind: Kind
    field: str
    path: str
    kinds: tuple[str, ...]


def ways_from(kind: Kind) -> Iterator[Way]:
    """The fields with which records of this kind name others. Those inside lists are left out: no query finds them."""
    for field in kind.fields:
        if isinstance(field.shape, Reference):
            yield Way(kind, field.name, field.name, (field.shape.kind,))
        elif isinstance(field.shape, Subject):
            yield Way(kind, field.name, f"{field.name}.id", field.shape.kinds)


def ways_to(kind: Kind) -> tuple[Way, ...]:
    """Every way in which records name one of this kind."""
    return tuple(way for other in KINDS for way in ways_from(other) if kind.name in way.kinds)
