"""The event catalogue: every event type the hub knows, with the JSON Schema of its data and a sample.

A host application may publish other types as well (`POST /api/events`); those have no entry here.
"""

from collections.abc import Mapping
from types import MappingProxyType

from domain.catalogue.billing import BILLING
from domain.catalogue.event_type import EventType
from domain.catalogue.hub import HOST, HUB
from domain.catalogue.work import WORK

__all__ = ["CATALOGUE", "EventType"]

_TYPES = (
    *(type_ for family in BILLING for type_ in family.types),
    *WORK,
    *(type_ for family in (*HOST, *HUB) for type_ in family.types),
)
_GROUPS = list(dict.fromkeys(type_.group for type_ in _TYPES))

CATALOGUE: Mapping[str, EventType] = MappingProxyType(
    {type_.name: type_ for type_ in sorted(_TYPES, key=lambda type_: _GROUPS.index(type_.group))}
)
"""Every event type by name; those of a group stand together."""
