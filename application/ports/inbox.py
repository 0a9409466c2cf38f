"""The inbox as the door, the workers and whoever looks after it need it: many webhooks at a time, over organisations."""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import attrs

from application.ports.store import Page, Slice
from domain.inbox import InboxState, Received


class InboxUnavailable(Exception):
    """What comes in cannot be kept now: the database is away, full, or too slow. The sender is to send it again."""


@attrs.frozen
class Wanted:
    """Which webhooks of an organisation are meant; what is None matters not.

    object: the object's words, or the last part of them (the provider's own id of it). since, until: when it came, the
    first included, the second not.
    """

    provider: str | None = None
    connection_id: str | None = None
    states: tuple[InboxState, ...] = ()
    type: str | None = None
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@runtime_checkable
class WebhookInbox(Protocol):
    """Received webhooks."""

    # The door.

    @abstractmethod
    async def take_in(self, received: Sequence[Received]) -> Sequence[bool]:
        """Keep them, durable when it returns; for each, whether it is new to its connection. One that came before and was
        ignored is due again at the copy's due_at (domain.inbox.Received.heard_again); it is not new for that.

        Calls made at the same time share one transaction, each with its own outcome. Raises InboxUnavailable; then
        nothing of this call was kept, or it was not learnt in time, and to send it again is right.
        """

    @abstractmethod
    async def known(self, connection_id: str, external_ids: Sequence[str]) -> frozenset[str]:
        """Which of these events a connection has already."""

    # The workers' side.

    @abstractmethod
    async def claim(self, now: datetime, lease: timedelta, limit: int) -> tuple[Received, ...]:
        """Take due webhooks for this worker, the longest due first, each with a version that nobody else holds.

        Of one connection's object at most one is under way, and none while an earlier one (by received_at, then id)
        holds it up (domain.inbox.Received.holds).
        """

    @abstractmethod
    async def renew(self, claimed: Received, until: datetime) -> bool:
        """Hold a claimed one longer. False when it is no longer this worker's; then nothing it brings can be recorded."""

    @abstractmethod
    async def record(self, ended: Received) -> None:
        """Keep what became of a claimed one, and end the claim. `error` is kept without what looks like a secret.

        Raises StaleWrite when the claim was lost, or a person decided meanwhile.
        """

    @abstractmethod
    async def next_due(self, now: datetime) -> datetime | None:
        """When the next one can be claimed, as far as is known. Never waits for a writer."""

    # Who looks after it.

    @abstractmethod
    async def page(self, organisation_id: str, wanted: Wanted, slice: Slice) -> Page[Received]:
        """A part of the list, without the bodies (they are empty)."""

    @abstractmethod
    async def count(self, organisation_id: str, wanted: Wanted) -> int:
        """How many these are."""

    @abstractmethod
    async def again(self, organisation_id: str, wanted: Wanted, now: datetime, limit: int) -> int:
        """Have the oldest `limit` of these that ended, other than handled, handled once more. Returns how many."""
