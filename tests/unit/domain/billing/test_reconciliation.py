"""Reconciliations: which time can be compared."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.billing.reconciliation import LONGEST, check_window
from domain.refusals import Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (timedelta(minutes=15), "15 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=3), "3 hours"),
    ],
)
def test_how_long_it_must_lie_back_is_said_in_words(late: timedelta, words: str) -> None:
    """Nobody counts a quarter of an hour as 0.25 hours."""
    check_window(NOW - timedelta(days=1), NOW - late, NOW, late)
    with pytest.raises(Invalid) as refused:
        check_window(NOW - timedelta(days=1), NOW - late + timedelta(seconds=1), NOW, late)
    (fault,) = refused.value.faults
    assert (fault.field, fault.reason) == (
        "until",
        f"The provider's books are complete {words} later; choose a time at least {words} ago.",
    )


def test_a_time_that_is_too_long_or_upside_down_is_refused() -> None:
    """Each names the end that is wrong."""
    for since, until, field in (
        (NOW, NOW, "until"),
        (NOW - LONGEST - timedelta(days=2), NOW - timedelta(days=1), "since"),
    ):
        with pytest.raises(Invalid) as refused:
            check_window(since, until, NOW, timedelta(0))
        assert [fault.field for fault in refused.value.faults] == [field]
