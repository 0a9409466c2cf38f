"""The inbox: a provider's webhook as it came, kept until it has been handled."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.refusals import Conflict, Invalid

MAX_TRIES = 36
"""Tries over about a day: 1, 2, 4 … seconds apart, then an hour."""
_LONGEST = timedelta(hours=1)

HOLDING_TRIES = 9
"""So many tries hold up what came later about the same object: 1 + 2 + … + 256 seconds, eight and a half minutes.

That outlasts a restart, a dropped connection and a rate limit. What still fails then waits for a person or for the
provider, and the later webhook must not wait with it: it may be the one that says "paid". Going ahead is safe, because
handling asks the provider how the object is now (ADR 0005); the order only keeps the work down and the story readable."""

LONGEST_REASON = 500
"""Characters of a person's reason for skipping."""

FOUND_BY = "patchbay-found-by"
"""A header of ours: how a webhook came that the provider did not send."""
EVENT_LIST = "event list"


class InboxState(Enum):
    """Where a received webhook stands."""

    PENDING = "pending"
    HANDLED = "handled"
    IGNORED = "ignored"
    """A type the hub knows and has no use for, or does not know, or about something that the provider does not know;
    `error` says which. A copy that comes is handled."""
    FAILED = "failed"
    """Given up after MAX_TRIES; a person can have it handled again."""
    SKIPPED = "skipped"
    """A person decided that it is not to be handled; `error` says who and why."""


REPEATABLE = (InboxState.FAILED, InboxState.IGNORED, InboxState.SKIPPED)
"""What a person can have handled again."""

ENDED = (InboxState.HANDLED, InboxState.IGNORED, InboxState.SKIPPED)
"""What nobody has to look at any more; it is forgotten after the retention."""


@attrs.frozen
class Received:
    """A provider's webhook, verified, word for word.

    external_id: the provider's id of the event, or `content_id(body)`. object: what it is about, in words that are
    unique within the connection; None when it is about nothing that has an order.
    """

    id: str
    organisation_id: str
    connection_id: str
    provider: str
    external_id: str
    type: str
    body: bytes = attrs.field(repr=False)
    headers: Mapping[str, str]
    received_at: datetime
    due_at: datetime
    state: InboxState = InboxState.PENDING
    tries: int = 0
    handled_at: datetime | None = None
    error: str | None = None
    version: int = 1
    object: str | None = None

    @property
    def found_by_list(self) -> bool:
        """Whether the provider's event list had it, and no webhook brought it."""
        return self.headers.get(FOUND_BY) == EVENT_LIST

    @property
    def holds(self) -> bool:
        """Whether what came later about the same object waits for this one."""
        return self.state is InboxState.PENDING and self.tries < HOLDING_TRIES

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

    def missing(self, what: str, now: datetime) -> "Received":
        """The provider knows nothing of what it is about. It may do so in a moment: tried again as after `failed` until
        HOLDING_TRIES, then ignored, and handled anew should a copy of it come (`heard_again`)."""
        if self.tries + 1 >= HOLDING_TRIES:
            return self.ignored(f"{what} is not known to the provider.", now)
        return self.failed(f"{what} is not known to the provider yet; it is asked again.", now)

    def refused(self, why: str, now: datetime) -> "Received":
        """The provider answered, and its answer is no use: tried again as after `failed`, but given up at HOLDING_TRIES,
        because another day of asking brings the same answer. A person can have it handled again."""
        if self.tries + 1 >= HOLDING_TRIES:
            return attrs.evolve(self, state=InboxState.FAILED, tries=self.tries + 1, error=why)
        return self.failed(why, now)

    def heard_again(self, now: datetime) -> "Received":
        """A copy of it came. One that was ignored is handled anew, from its first try: what the provider did not know then
        (or whoever sent the first copy made up) may be there now. Any other stays as it is."""
        return self.again(now) if self.state is InboxState.IGNORED else self

    def again(self, now: datetime) -> "Received":
        """To be handled once more, from its first try; also one that waits for its next one.

        Raises Conflict when it was handled, or is about to be tried anyway.
        """
        if self.state not in REPEATABLE and not (self.state is InboxState.PENDING and self.tries):
            raise Conflict(f"This webhook is {self.state.value}.")
        return attrs.evolve(self, state=InboxState.PENDING, tries=0, due_at=now, handled_at=None)

    def skipped(self, actor: str, reason: str, now: datetime) -> "Received":
        """Not to be handled. Raises Conflict when it has ended already, Invalid for a reason that is none."""
        reason = reason.strip()
        if not reason or len(reason) > LONGEST_REASON:
            raise Invalid.field("reason", f"Say why, in 1 to {LONGEST_REASON} characters.")
        if self.state in ENDED:
            raise Conflict(f"This webhook is {self.state.value}.")
        why = f"Skipped by {actor}: {reason}"
        return attrs.evolve(self, state=InboxState.SKIPPED, handled_at=now, error=why)


def content_id(body: bytes) -> str:
    """What stands for an event's id where the provider gives none: the same bytes are the same event."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
