"""The hot door: events of host applications, many at a time, durable when it answers."""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import attrs

from application.once import Once
from application.ports.store import Answer
from domain.notifications.payload import Payload


@attrs.frozen
class NewEvent:
    """An event that was accepted and is to be kept. deliver_at, expires_at: for every delivery of it."""

    payload: Payload
    created_at: datetime
    deliver_at: datetime | None = None
    expires_at: datetime | None = None


@attrs.frozen
class Submission:
    """The events of one call, of one organisation. once: of its Idempotency-Key."""

    organisation_id: str
    events: Sequence[NewEvent]
    once: Once | None = None
    result: object = None
    """What `once` renders the answer of."""


class Intake(Protocol):
    """Keeps events and makes their deliveries."""

    @abstractmethod
    async def accept(self, submission: Submission) -> Answer | None:
        """Keep the events and a delivery for each who wants them, in one transaction, which calls at the same moment share.

        Returns None when that is done; or the answer that an earlier call with the same Idempotency-Key was given, and then
        nothing was kept. Raises TooMuchAtOnce, and what the database raises; then nothing was kept either.
        """
