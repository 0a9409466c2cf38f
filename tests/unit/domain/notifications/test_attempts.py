"""What is kept of one attempt."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from domain.notifications.attempts import KEPT_BODY, Attempt, Outcome, Verdict

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("verdict", Verdict)
def test_an_outcome_needs_no_more_than_a_verdict_and_how_long_it_took(verdict: Verdict) -> None:
    """A connection that was refused has neither a status nor a body."""
    bare = Outcome(verdict, timedelta(seconds=15))
    assert (bare.status, bare.error, bare.retry_after) == (None, None, None)
    assert (bare.request_body, bare.body, bare.request_headers, bare.headers) == ("", "", {}, {})


def test_two_outcomes_share_nothing() -> None:
    """What is noted of one attempt must not show up with the next."""
    one, other = Outcome(Verdict.RETRY, timedelta()), Outcome(Verdict.RETRY, timedelta())
    assert one.headers is not other.headers
    assert one.request_headers is not other.request_headers


def test_an_attempt_cannot_be_changed_afterwards() -> None:
    """It is the record of what happened."""
    attempt = Attempt("att_1", "org_1", "dlv_1", 1, NOW, Outcome(Verdict.DELIVERED, timedelta(), 200))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        attempt.number = 2  # type: ignore[misc]


def test_sixteen_kibibytes_of_a_body_are_kept() -> None:
    """Enough to read an error page, too little to fill the disk; docs/events.md promises the figure."""
    assert KEPT_BODY == 16_384
