"""A notification configuration: which events are told to which channel."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from domain.events import check_patterns, wanted
from domain.refusals import Invalid


@attrs.frozen
class Notification:
    """One place where people read the news.

    platform: the provider's slug (`slack`, `discord`, `smtp`). connection_id: whose credentials post it.
    target: the channel's own fields (for mail: `to`, a list of addresses). reason: why the hub switched it off.
    """

    id: str
    organisation_id: str
    name: str
    platform: str
    connection_id: str
    events: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    target: Mapping[str, Any] = attrs.field(factory=dict)
    is_active: bool = True
    reason: str | None = None
    version: int = 1

    def __attrs_post_init__(self) -> None:
        check_patterns(self.events)
        if not self.name.strip() or len(self.name) > 200:
            raise Invalid.field("name", "A name has 1 to 200 characters.")

    def wants(self, type_: str) -> bool:
        """Whether it is to be told of events of this type."""
        return self.is_active and wanted(self.events, type_)

    def disable(self, reason: str, now: datetime) -> "Notification":
        """Switch off by the hub's own decision."""
        return attrs.evolve(self, is_active=False, reason=reason, updated_at=now)
