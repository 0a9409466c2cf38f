"""One time that a provider was asked for money, and when to ask what came of it where no answer came."""

from datetime import datetime, timedelta
from enum import Enum

import attrs

FIRST_CHECKS = (timedelta(minutes=5), timedelta(hours=1))
"""How long after it was asked without an answer a charge or refund is looked up; afterwards daily."""

THEN_EVERY = timedelta(days=1)

PATIENCE = timedelta(minutes=2)
"""A call that is still at it is left alone for so long."""

GIVEN_UP_AFTER = timedelta(days=30)
"""After so long without an answer a person has to look."""


def next_check(asked_at: datetime, checks: int, checked_at: datetime | None) -> datetime:
    """When what got no answer is looked up next, having been looked up `checks` times."""
    if checks < len(FIRST_CHECKS):
        return asked_at + FIRST_CHECKS[checks]
    return (checked_at or asked_at) + THEN_EVERY


class AttemptState(Enum):
    """What came of asking the provider to charge."""

    ASKED = "asked"
    """Written down before the provider is asked."""
    UNKNOWN = "unknown"
    """No answer: it may have happened. It is looked up (`checks` times so far), never guessed."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@attrs.frozen
class Attempt:
    """One time that the hub asked the provider to charge. key: the idempotency key there, one an attempt.

    method: which kept method, for people. failure: why it failed, in the provider's words.
    """

    key: str
    at: datetime
    state: AttemptState
    method: str = ""
    failure: str | None = None
    checks: int = 0
    checked_at: datetime | None = None

    @property
    def waiting(self) -> bool:
        """Whether its answer is not known."""
        return self.state in (AttemptState.ASKED, AttemptState.UNKNOWN)

    def due(self, now: datetime) -> bool:
        """Whether it is to be looked up now."""
        return self.waiting and not self.stuck(now) and next_check(self.at, self.checks, self.checked_at) <= now

    def stuck(self, now: datetime) -> bool:
        """Whether it has been without an answer for so long that a person has to look."""
        return self.waiting and self.at + GIVEN_UP_AFTER <= now
