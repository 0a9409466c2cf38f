"""Which deliveries are meant: by destination, type of event, state, time and what went wrong."""

from datetime import datetime
from enum import Enum

import attrs

from domain.events import check_patterns, wanted
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.refusals import Fault, Invalid

MOST_PATTERNS = 50

TIMED_OUT = ("in time", "No complete answer came", "stood still")
"""A delivery keeps its last error in words; one of these is in the words of every time-out."""


class Trouble(Enum):
    """What went wrong at the last attempt."""

    REFUSED = "4xx"
    """The receiver answered 400 to 499."""
    FAULT = "5xx"
    """The receiver answered 500 to 599."""
    TIMEOUT = "timeout"
    """No answer came in time."""
    UNREACHABLE = "unreachable"
    """No answer came for another reason: the name, the connection, the certificate, a forbidden address."""

    @classmethod
    def of(cls, delivery: Delivery) -> "Trouble | None":
        """What a delivery's last attempt met; None for success, for no attempt, and for answers below 400."""
        status, error = delivery.last_status, delivery.last_error
        if status is not None:
            return {4: cls.REFUSED, 5: cls.FAULT}.get(status // 100)
        if error is None or not delivery.attempts or delivery.state is DeliveryState.CANCELLED:
            return None  # why it was cancelled stands in the place of the last error
        return cls.TIMEOUT if any(words in error for words in TIMED_OUT) else cls.UNREACHABLE


@attrs.frozen
class Selection:
    """A filter on deliveries. What is empty or None does not limit.

    event_types: patterns as endpoints have them. since, until: when the delivery (of missed events: the event) was made;
    aware, `until` itself excluded. Raises Invalid for a wrong pattern, more than 50 of them, a moment without a time
    zone, an empty time.
    """

    destination_id: str | None = None
    event_types: tuple[str, ...] = ()
    states: tuple[DeliveryState, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    event_id: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.event_types:
            check_patterns(self.event_types, field="event_types")
        if len(self.event_types) > MOST_PATTERNS:
            raise Invalid.field("event_types", f"At most {MOST_PATTERNS} patterns.")
        naive = [
            Fault(name, "Say the time zone, as in 2026-05-04T09:00:00Z.")
            for name, moment in (("since", self.since), ("until", self.until))
            if moment is not None and moment.tzinfo is None
        ]
        if naive:
            raise Invalid(*naive)
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise Invalid.field("until", "This is not after `since`.")

    def wants_type(self, type_: str) -> bool:
        """Whether events of this type are meant."""
        return not self.event_types or wanted(self.event_types, type_)

    def in_time(self, moment: datetime) -> bool:
        """Whether this moment is meant."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)

    def accepts(self, delivery: Delivery) -> bool:
        """Whether this delivery is meant."""
        return (
            self.destination_id in (None, delivery.destination_id)
            and self.event_id in (None, delivery.event_id)
            and self.wants_type(delivery.event_type)
            and (not self.states or delivery.state in self.states)
            and (not self.troubles or Trouble.of(delivery) in self.troubles)
            and self.in_time(delivery.created_at)
        )
