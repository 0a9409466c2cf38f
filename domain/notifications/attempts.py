"""One try at telling one destination, and what came of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

KEPT_BODY = 16 * 1024
"""How many bytes of a request or a response body are kept with an attempt."""


class Verdict(Enum):
    """What an attempt's outcome means for its delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """It failed in a way that may pass: time-out, connection refused, 429, 5xx and any other non-2xx answer."""
    REFUSED = "refused"
    """It failed in a way that will not pass by waiting: the address is forbidden, the message is malformed."""
    GONE = "gone"
    """The receiver is gone for good (410, or Discord's 404 for a deleted webhook): stop using it."""


@attrs.frozen
class Outcome:
    """What one attempt brought back.

    status: the HTTP status or SMTP reply code. body: at most KEPT_BODY bytes, decoded leniently. duration: wall-clock
    time of the call. retry_after: how long the receiver asked to be left alone. timed_out: the time was up before it answered.
    unsent: nothing was sent, for a reason that says nothing about the receiver: the event does not fit its template.
    request_body: empty where the event's own body was sent as it is, which is kept with the event.
    """

    verdict: Verdict
    duration: timedelta
    status: int | None = None
    error: str | None = None
    request_headers: Mapping[str, str] = attrs.field(factory=dict)
    request_body: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: str = ""
    retry_after: timedelta | None = None
    timed_out: bool = False
    unsent: bool = False


@attrs.frozen
class Attempt:
    """An outcome as it is kept: the delivery's number N try, at this moment."""

    id: str
    organisation_id: str
    delivery_id: str
    number: int
    at: datetime
    outcome: Outcome
