"""What to send to create a record of any kind, made from the kinds' own samples."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domain.work.compounds import Reference, Subject, sample_id
from domain.work.fields import ListOf
from domain.work.kinds import kind_named
from domain.work.records import Kind

Create = Callable[[Kind, dict[str, Any]], Awaitable[str]]
"""Creates a record and gives its id."""


def alone(kind: Kind) -> dict[str, Any]:
    """The sample without what names other records, unless it is needed."""
    return {
        field.name: field.sample
        for field in kind.fields
        if field.required
        or not (isinstance(field.shape, Reference | Subject) or list(_named_by_a_list(field.shape, field.sample)))
    }


def naming(given: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """The same with the samples' ids replaced by those of real records, by kind."""
    text = json.dumps(given)
    for kind, real in ids.items():
        text = text.replace(sample_id(kind), real)
    replaced: dict[str, Any] = json.loads(text)
    return replaced


async def whole(kind: Kind, create: Create) -> dict[str, Any]:
    """The whole sample, after the records that it names were created."""
    ids: dict[str, str] = {}

    async def ensure(name: str) -> None:
        if name in ids:
            return
        neighbour = kind_named(name)
        needed = [f.shape.kind for f in neighbour.fields if f.required and isinstance(f.shape, Reference)]
        for other in needed:
            await ensure(other)
        ids[name] = await create(neighbour, naming(alone(neighbour), ids))

    for pointer in kind.sample().pointers:
        await ensure(pointer.kind)
    return naming(kind.group.sample, ids)


def _named_by_a_list(shape: object, sample: Any) -> Any:
    return shape.pointers(sample, "") if isinstance(shape, ListOf) else ()
