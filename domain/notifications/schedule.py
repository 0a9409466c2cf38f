"""When to try again: soon at first, because most failures are short, then rarely, for about three days."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import attrs

from domain.refusals import Invalid

MOST_DELAYS = 30
LONGEST_DELAY = timedelta(days=3)
LONGEST_SCHEDULE = timedelta(hours=84)

JITTER = 0.2
"""How far a delay is stretched or shrunk at most, as a part of it: retries of many deliveries spread out."""

LONGEST_GRACE = timedelta(days=7)
"""For how long at most a secret or key that was replaced signs along."""

LONGEST_ASKED = timedelta(days=1)
"""The longest Retry-After that is honoured; a receiver that asks for more is asked again after a day."""


@attrs.frozen
class RetrySchedule:
    """The waits after the first, second, third … failed attempt; after the last wait, one more attempt and no other."""

    delays: tuple[timedelta, ...]

    @classmethod
    def of_seconds(cls, seconds: Sequence[int], *, field: str = "retries") -> "RetrySchedule":
        """The waits in whole seconds: at most 30 of them, each from 1 second to 3 days, together at most 3 days and a half
        (so that the last attempt comes within four, whatever the jitter). Raises Invalid naming `field`."""
        if len(seconds) > MOST_DELAYS:
            raise Invalid.field(field, f"At most {MOST_DELAYS} waits.")
        if any(not 1 <= wait <= LONGEST_DELAY.total_seconds() for wait in seconds):
            raise Invalid.field(field, "Each wait is from 1 second to 3 days (259200 seconds).")
        if sum(seconds) > LONGEST_SCHEDULE.total_seconds():
            raise Invalid.field(field, "All waits together are at most 84 hours (302400 seconds).")
        return cls(tuple(timedelta(seconds=wait) for wait in seconds))

    @property
    def attempts(self) -> int:
        """How many attempts are made at most."""
        return len(self.delays) + 1

    def next_attempt(
        self, number: int, now: datetime, jitter: float, retry_after: timedelta | None = None
    ) -> datetime | None:
        """When to try again, or None to give up.

        Args:
            number: how many attempts have been made, from 1.
            now: when the last one failed.
            jitter: a number in [-1, 1]; 0 gives the exact delay. Raises ValueError outside.
            retry_after: how long the receiver asked to be left alone (RFC 9110, section 10.2.3). The next attempt is
                never earlier than that, up to LONGEST_ASKED, and may be up to JITTER of it later.
        """
        if not -1 <= jitter <= 1:
            raise ValueError(f"jitter is a number from -1 to 1, not {jitter}")
        if not 1 <= number <= len(self.delays):
            return None
        wait = self.delays[number - 1] * (1 + JITTER * jitter)
        if retry_after is not None:
            wait = max(wait, min(retry_after, LONGEST_ASKED) * (1 + JITTER * abs(jitter)))
        return now + wait


DEFAULT = RetrySchedule(
    (
        timedelta(seconds=1),
        timedelta(seconds=5),
        timedelta(seconds=30),
        timedelta(minutes=5),
        *(timedelta(hours=hours) for hours in (1, 2, 5, 10, 14, 20, 24)),
    )
)
"""Twelve attempts over 76 hours. The tail is the one that Standard Webhooks shows as its example."""


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a Retry-After header asks to wait: seconds or an HTTP date (RFC 9110, section 10.2.3), at least nothing.

    None for a missing or malformed value.
    """
    text = (value or "").strip()
    if re.fullmatch("[0-9]+", text):
        return timedelta(seconds=min(int(text[:12]), 10**9))
    try:
        at = parsedate_to_datetime(text)
        return max(timedelta(), (at if at.tzinfo else at.replace(tzinfo=UTC)) - now)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
