"""How many attempts at once, and how fast."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notifications.windows import FIRST_WINDOW, LARGEST_WINDOW, Pace, Rate, Window
from domain.refusals import Invalid
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_window_grows_by_one_and_is_halved() -> None:
    """Between one and its largest."""
    window = Window()
    window.arrived()
    assert window.size == FIRST_WINDOW + 1
    for _ in range(100):
        window.arrived()
    assert window.size == LARGEST_WINDOW
    sizes = []
    for _ in range(8):
        window.strained()
        sizes.append(window.size)
    assert sizes == [32, 16, 8, 4, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("limit", "per_s", "field"),
    [(0, 1, "rate_limit"), (10_001, 1, "rate_limit"), (1, 0, "rate_period_s"), (1, 3601, "rate_period_s")],
)
def test_a_rate_has_its_bounds(limit: int, per_s: int, field: str) -> None:
    """The field is named."""
    with pytest.raises(Invalid) as refused:
        Rate(limit, per_s)
    assert [fault.field for fault in refused.value.faults] == [field]
    assert Rate(10_000, 3600).period == timedelta(hours=1)


def test_a_new_holder_waits_a_whole_period_after_the_last_one_sent() -> None:
    """It does not know how many were sent before."""
    pace = Pace(Rate(10), NOW)
    assert pace.next(NOW + SECOND / 2) == NOW + SECOND
    assert pace.next(NOW + 5 * SECOND) == NOW + 5 * SECOND
    assert Pace(Rate(10)).next(NOW) == NOW


@patiently
@given(st.integers(1, 8), st.integers(1, 5), st.lists(st.integers(0, 3000), max_size=60), st.integers(0, 59))
def test_in_no_window_of_time_are_there_more_than_allowed(
    limit: int, per_s: int, waits: list[int], handed_over_at: int
) -> None:
    """Wherever the window begins, however the attempts come, and although the lane changes hands once."""
    rate, at, sent = Rate(limit, per_s), NOW, list[datetime]()
    pace = Pace(rate)
    for number, wait in enumerate(waits):
        if number == handed_over_at and sent:
            pace = Pace(rate, sent[-1])
        at += timedelta(milliseconds=wait)
        moment = pace.next(at)
        assert moment >= at
        pace.sent(moment)
        sent.append(moment)
        at = moment
    for first, beyond in zip(sent, sent[limit:], strict=False):
        assert beyond - first >= rate.period
