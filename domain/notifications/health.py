"""How a destination has fared lately: when to leave it alone, when to warn about it, when to give it up.

The breaker is the usual one (M. Nygard, Release It!, "Circuit Breaker"): closed while attempts arrive; open, that is
nothing is sent, after several failed in a row; then half-open, one attempt at a time, until one arrives. Waiting for a
breaker uses up no attempt of a delivery's schedule.
"""

from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.schedule import LONGEST_ASKED

BREAKS_AT = 5
"""Failed attempts in a row that open the breaker."""

FIRST_BREAK = timedelta(seconds=30)
LONGEST_BREAK = timedelta(minutes=10)
"""An open breaker lets one attempt through after the first; each that fails doubles the wait, up to the second."""

LONGEST_THROTTLE = timedelta(minutes=1)
_THROTTLING = frozenset({429, 502, 503, 504})
"""Answers that say "too much" (Standard Webhooks, "deliverability and reliability"); a time-out says the same."""

FAILURES_UNTIL_DISABLED = 10
"""Deliveries that failed for good in a row before the endpoint is switched off."""

LONGEST_FAILING = timedelta(days=5)
"""For how long attempts may all fail before the endpoint is switched off."""

WARNINGS = (80, 50)
"""At how many per cent of either its people are warned, the more urgent first."""


class Breaker(Enum):
    """Whether a destination is called."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@attrs.frozen
class Health:
    """Of one destination; the worker that holds its lane keeps it, and hands it on with the lane.

    strikes: attempts in a row that failed. breaks: how often in a row the breaker opened. throttles: how often in a row the
    receiver was too slow or said "too much". paused_until: nothing is sent
    before (an open breaker, or the receiver asked for it). failures: deliveries in a row that failed for good.
    failing_since: the first of the failed attempts since one arrived. warned: at how many per cent people were warned.
    """

    strikes: int = 0
    breaks: int = 0
    paused_until: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    warned: int = 0
    throttles: int = 0

    def breaker(self, now: datetime) -> Breaker:
        """Where the breaker stands."""
        if not self.breaks:
            return Breaker.CLOSED
        return Breaker.OPEN if self.paused(now) else Breaker.HALF_OPEN

    def paused(self, now: datetime) -> bool:
        """Whether nothing is to be sent now."""
        return self.paused_until is not None and now < self.paused_until

    def attempted(self, outcome: Outcome, started: datetime, now: datetime) -> "Health":
        """After one more attempt.

        An attempt that was under way before the pause began says nothing new about it: it neither closes the breaker's
        question nor doubles its wait, unless it arrived.
        """
        if outcome.verdict is Verdict.DELIVERED:
            return WELL
        if outcome.unsent:
            return self
        if outcome.verdict is not Verdict.RETRY:
            return attrs.evolve(self, failing_since=self.failing_since or now)
        strikes, breaks, throttles, pause = self.strikes + 1, self.breaks, self.throttles, timedelta()
        probe = self.paused_until is None or started >= self.paused_until
        if breaks:
            if probe:
                breaks += 1
                pause = min(FIRST_BREAK * 2 ** min(breaks - 1, 10), LONGEST_BREAK)
        elif strikes >= BREAKS_AT:
            breaks, pause = 1, FIRST_BREAK
        elif probe and (outcome.timed_out or outcome.status in _THROTTLING):
            throttles += 1
            pause = min(timedelta(seconds=2 ** min(throttles - 1, 10)), LONGEST_THROTTLE)
        if outcome.retry_after is not None and outcome.status in _THROTTLING:
            pause = max(pause, min(outcome.retry_after, LONGEST_ASKED))
        until = self.paused_until
        if pause:
            until = max(now + pause, until or now)
        return Health(strikes, breaks, until, self.failures, self.failing_since or now, self.warned, throttles)

    def failed_for_good(self) -> "Health":
        """A delivery was given up."""
        return attrs.evolve(self, failures=self.failures + 1)

    def resumed(self) -> "Health":
        """A person asks to try at once: the pause is over; the breaker stays half-open until an attempt arrives."""
        return attrs.evolve(self, paused_until=None)

    def exhausted(self, now: datetime) -> str | None:
        """Why the destination is to be switched off, or None."""
        if self.failures >= FAILURES_UNTIL_DISABLED:
            return f"{self.failures} deliveries in a row failed for good"
        if self.failing_since is not None and now - self.failing_since >= LONGEST_FAILING:
            return f"every attempt has failed for {LONGEST_FAILING.days} days"
        return None

    def due_warning(self, now: datetime) -> int | None:
        """At how many per cent of what switches it off people are to be warned now, or None."""
        failing = timedelta() if self.failing_since is None else now - self.failing_since
        per_cent = 100 * max(self.failures / FAILURES_UNTIL_DISABLED, failing / LONGEST_FAILING)
        reached = next((level for level in WARNINGS if per_cent >= level), 0)
        return reached if reached > self.warned else None


WELL = Health()
