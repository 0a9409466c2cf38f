"""A delivery: one event on its way to one destination, through as many attempts as it takes."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import attrs

from domain.events import Event
from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.schedule import RetrySchedule
from domain.refusals import Conflict


class DestinationKind(Enum):
    """What stands at the other end."""

    ENDPOINT = "endpoint"
    """A webhook endpoint of the host application's."""
    NOTIFICATION = "notification"
    """A notification configuration: Slack, Discord, mail to colleagues."""
    MAIL = "mail"
    """One mail to a client, such as an invoice with its payment link; `destination_id` is the mail connection."""


class DeliveryState(Enum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up: refused, gone, or the last attempt of the schedule failed."""
    CANCELLED = "cancelled"
    """Its destination was removed or switched off, or a person skipped it."""
    EXPIRED = "expired"
    """Its time ran out before it could arrive."""
    WAITING = "waiting"
    """It waits for its receiver to fetch it: the endpoint is polled."""


@attrs.frozen
class Delivery:
    """One event on its way to one destination.

    attempts: how many were made. due_at: when the next one is due (while pending). message_id: what a receiver sees as
    `webhook-id`; a retry and a person's "send again" keep it, so that a receiver can tell a repetition. mail: the
    recipient and the message of a MAIL delivery. replay_of: the delivery a person sent again. expires_at: when it is no
    longer of use, if ever.
    """

    id: str
    organisation_id: str
    event_id: str
    event_type: str
    kind: DestinationKind
    destination_id: str
    message_id: str
    created_at: datetime
    due_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    last_error: str | None = None
    last_status: int | None = None
    finished_at: datetime | None = None
    mail: Mapping[str, Any] | None = None
    replay_of: str | None = None
    expires_at: datetime | None = None

    @classmethod
    def of(
        cls,
        event: Event,
        kind: DestinationKind,
        destination_id: str,
        *,
        id: str,
        now: datetime,
        mail: Mapping[str, Any] | None = None,
    ) -> "Delivery":
        """A new delivery of an event, due at once. Its message id is the event's."""
        return cls(id, event.organisation_id, event.id, event.type, kind, destination_id, event.id, now, now, mail=mail)

    def after(self, outcome: Outcome, now: datetime, schedule: RetrySchedule, jitter: float) -> "Delivery":
        """The delivery after one more attempt: delivered, given up, expired, or due again."""
        state, due_at, number = DeliveryState.FAILED, now, self.attempts + 1
        if outcome.verdict is Verdict.DELIVERED:
            state = DeliveryState.DELIVERED
        elif outcome.verdict is Verdict.RETRY:
            again = schedule.next_attempt(number, now, jitter, outcome.retry_after)
            if again is not None and self.expires_at is not None and again >= self.expires_at:
                state = DeliveryState.EXPIRED
            elif again is not None:
                state, due_at = DeliveryState.PENDING, again
        # Written out: this is done for every attempt, and `evolve` costs several times as much.
        return Delivery(
            self.id,
            self.organisation_id,
            self.event_id,
            self.event_type,
            self.kind,
            self.destination_id,
            self.message_id,
            self.created_at,
            due_at,
            state,
            number,
            outcome.error,
            outcome.status,
            None if state is DeliveryState.PENDING else now,
            self.mail,
            self.replay_of,
            self.expires_at,
        )

    def expired(self, now: datetime) -> bool:
        """Whether its time has run out."""
        return self.expires_at is not None and now >= self.expires_at

    def expire(self, now: datetime) -> "Delivery":
        """Give it up because its time has run out."""
        why = "It expired before it could be delivered."
        return attrs.evolve(self, state=DeliveryState.EXPIRED, last_error=self.last_error or why, finished_at=now)

    def collected(self, now: datetime) -> "Delivery":
        """Its receiver fetched it and said so."""
        return attrs.evolve(self, state=DeliveryState.DELIVERED, finished_at=now)

    def cancel(self, reason: str, now: datetime) -> "Delivery":
        """Stop trying."""
        return attrs.evolve(self, state=DeliveryState.CANCELLED, last_error=reason, finished_at=now)

    def send_again(self, *, id: str, now: datetime) -> "Delivery":
        """A new delivery of the same event to the same destination, due at once: a replay is a new row.

        Raises Conflict while this one is still pending and has not been tried: it is about to go anyway.
        """
        if self.state is DeliveryState.PENDING and self.attempts == 0:
            raise Conflict("This delivery is already on its way.")
        return attrs.evolve(
            self,
            id=id,
            created_at=now,
            due_at=now,
            state=DeliveryState.PENDING,
            attempts=0,
            last_error=None,
            last_status=None,
            finished_at=None,
            replay_of=self.id,
            expires_at=None,
        )
