"""Reconciling: the provider's books against ours, movement by movement."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.money import Money
from domain.refusals import Conflict, Invalid

LONGEST = timedelta(days=93)
"""The longest time that one reconciliation compares."""

MAX_NOTE = 500
"""Characters of a person's note."""


class RunState(Enum):
    """Where a reconciliation stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class DifferenceKind(Enum):
    """What does not agree."""

    MISSING_HERE = "missing_here"
    """The provider lists it and the hub has no such thing."""
    MISSING_THERE = "missing_there"
    """The hub has it and the provider knows nothing of it."""
    AMOUNT = "amount"
    STATE = "state"
    FEE = "fee"


class Fix(Enum):
    """What a person did about a difference."""

    ADOPTED = "adopted"
    """What was missing here was taken into the hub's records."""
    SETTLED = "settled"
    """The provider was asked once more how it is now."""
    ACCEPTED = "accepted"
    """It is as it is, and a note says why. It is not told of again."""


@attrs.frozen
class Reconciliation:
    """One comparison with one connection's provider, of what moved at or after `since` and before `until`.

    totals: by currency, then `ours:payment`, `theirs:payment`, `ours:refund` …, gross, in minor units. nightly: made by the
    hub for a whole day (UTC). begun_at: when comparing began; a run that began and holds no lease any more was cut off.
    """

    id: str
    organisation_id: str
    connection_id: str
    provider: str
    since: datetime
    until: datetime
    asked_by: str
    created_at: datetime
    updated_at: datetime
    state: RunState = RunState.RUNNING
    compared: int = 0
    differences: int = 0
    totals: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    error: str | None = None
    begun_at: datetime | None = None
    nightly: bool = False
    version: int = 1

    def begin(self, now: datetime) -> "Reconciliation":
        """Comparing begins. Raises Conflict when it ended already."""
        if self.state is not RunState.RUNNING:
            raise Conflict(f"The reconciliation is {self.state.value}.")
        return attrs.evolve(self, begun_at=now, updated_at=now)

    def failed(self, why: str, now: datetime) -> "Reconciliation":
        """It could not be done; another may be begun."""
        return attrs.evolve(self, state=RunState.FAILED, error=why[:MAX_NOTE], updated_at=now)


def check_window(since: datetime, until: datetime, now: datetime, settled_after: timedelta) -> None:
    """Raise Invalid unless the provider's books of this time are complete, and it is not too long."""
    if since >= until:
        raise Invalid.field("until", "It ends before it begins.")
    if until - since > LONGEST:
        raise Invalid.field("since", f"At most {LONGEST.days} days are compared at once.")
    if until > now - settled_after:
        late = _in_words(settled_after)
        raise Invalid.field(
            "until", f"The provider's books are complete {late} later; choose a time at least {late} ago."
        )


def _in_words(span: timedelta) -> str:
    """`15 minutes`, `1 hour`, `3 hours`."""
    minutes = int(span.total_seconds() // 60)
    count, unit = (minutes // 60, "hour") if minutes and minutes % 60 == 0 else (minutes, "minute")
    return f"{count} {unit}{'' if count == 1 else 's'}"


@attrs.frozen
class Difference:
    """Something that does not agree. ours, theirs: the amounts or states, in words. amount: what is at stake.

    reference: the movement's id at the provider. intent_reference: the payment there that it belongs to. note: a person's.
    """

    id: str
    organisation_id: str
    run_id: str
    kind: DifferenceKind
    movement: str
    reference: str
    ours: str
    theirs: str
    amount: Money
    at: datetime
    payment_id: str | None = None
    fixed_at: datetime | None = None
    fixed_by: str | None = None
    fix: str | None = None
    """What was done about it: `adopted`, `settled`, `accepted`."""
    note: str = ""
    intent_reference: str | None = None
    version: int = 1

    def fixed(self, fix: Fix, by: str, now: datetime, note: str = "") -> "Difference":
        """A person did something about it. Raises Conflict when somebody did before, Invalid for accepting without a note."""
        if self.fixed_at is not None:
            raise Conflict(f"{self.fixed_by} has {self.fix} this already.")
        note = note.strip()
        if len(note) > MAX_NOTE or (fix is Fix.ACCEPTED and not note):
            raise Invalid.field("note", f"Say why, in 1 to {MAX_NOTE} characters.")
        return attrs.evolve(self, fix=fix.value, fixed_by=by, fixed_at=now, note=note)

    @property
    def said(self) -> tuple[object, ...]:
        """What it says about which movement: the same in every run that finds it."""
        return (self.kind, self.movement, self.reference, self.ours, self.theirs)
