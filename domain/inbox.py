"""The inbox: a provider's webhook as it came, kept until it has been handled."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

MAX_TRIES = 36
"""Tries over about a day: 1, 2, 4 … seconds apart, then an hour."""
_LONGEST = timedelta(hours=1)


class InboxState(Enum):
    """Where a received webhook stands."""

    PENDING = "pending"
    HANDLED = "handled"
    IGNORED = "ignored"
    """A type the hub knows and has no use for, or does not know; `error` says which."""
    FAILED = "failed"
    """Given up after MAX_TRIES; a person can have it handled again."""


@attrs.frozen
class Received:
    """A provider's webhook, verified, word for word. `external_id` is the provider's id of the event."""

    id: str
    organisation_id: str
    connection_id: str
    provider: str
    external_id: str
    type: str
    body: bytes
    headers: Mapping[str, str]
    received_at: datetime
    due_at: datetime
    state: InboxState = InboxState.PENDING
    tries: int = 0
    handled_at: datetime | None = None
    error: str | None = None
    version: int = 1

    def handled(self, now: datetime) -> "Received":
        """It has had its effect."""
        return attrs.evolve(self, state=InboxState.HANDLED, handled_at=now, tries=self.tries + 1, error=None)

    def ignored(self, why: str, now: datetime) -> "Received":
        """It has no effect here."""
        return attrs.evolve(self, state=InboxState.IGNORED, handled_at=now, tries=self.tries + 1, error=why)

    def failed(self, why: str, now: datetime) -> "Received":
        """It could not be handled now: again after 1, 2, 4 … seconds (at most an hour), until MAX_TRIES."""
        tries = self.tries + 1
        if tries >= MAX_TRIES:
            return attrs.evolve(self, state=InboxState.FAILED, tries=tries, error=why)
        return attrs.evolve(
            self, tries=tries, error=why, due_at=now + min(timedelta(seconds=2 ** (tries - 1)), _LONGEST)
        )
