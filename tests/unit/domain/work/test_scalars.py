"""Days, moments, numbers: one written form each, and nothing that only looks like one."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusals import Invalid
from domain.work.scalars import Choice, Day, Flag, Moment, Number, Whole, write_moment
from domain.work.shapes import Shape
from tests.unit.domain.work.strategies import patiently


@pytest.mark.parametrize(
    ("shape", "sent", "kept"),
    [
        (Day(), "2024-02-29", "2024-02-29"),
        (Day(), "", None),
        (Moment(), "2026-03-31T09:30Z", "2026-03-31T09:30:00Z"),
        (Moment(), "2026-03-31 09:30:00+02:00", "2026-03-31T07:30:00Z"),
        (Moment(), "2026-03-31t09:30:00.250z", "2026-03-31T09:30:00.250000Z"),
        (Moment(), "", None),
        (Whole(), 3, 3),
        (Whole(), 3.0, 3),
        (Whole(0, 0), 0, 0),
        (Number(), 6.5, 6.5),
        (Number(), 6, 6.0),
        (Flag(), False, False),
        (Choice(("open", "won")), "won", "won"),
    ],
)
def test_a_good_value_is_kept_in_its_normal_form(shape: Shape, sent: Any, kept: Any) -> None:
    """Moments are kept in UTC, so that the same moment from two offices is the same text."""
    assert shape.read(sent, "x") == kept
    assert type(shape.read(sent, "x")) is type(kept)


@pytest.mark.parametrize(
    ("shape", "sent"),
    [
        (Day(), "2026-02-29"),
        (Day(), "20260301"),
        (Day(), "2026-W01-1"),
        (Day(), "2026-060"),
        (Day(), "01/03/2026"),
        (Day(), "2026-03-01T00:00:00Z"),
        (Day(), "２０２６-03-01"),
        (Day(), 20260301),
        (Moment(), "2026-03-31T09:30:00"),
        (Moment(), "2026-03-31"),
        (Moment(), "2026-03-31T24:00:00Z"),
        (Moment(), "2026-03-31T09:30:60Z"),
        (Moment(), "2026-03-31T09:30:00+99:00"),
        (Moment(), "0001-01-01T00:00:00+14:00"),
        (Moment(), 1_767_225_600),
        (Whole(), 3.5),
        (Whole(), True),
        (Whole(), "3"),
        (Whole(), -1),
        (Whole(), 2**53),
        (Whole(), 10**400),
        (Whole(), float("nan")),
        (Whole(), float("inf")),
        (Number(), float("nan")),
        (Number(), float("-inf")),
        (Number(), -(10**400)),
        (Number(), "6.5"),
        (Flag(), 1),
        (Flag(), "true"),
        (Choice(("open", "won")), "Won"),
        (Choice(("open", "won")), ["won"]),
        (Choice(("open", "won")), ""),
    ],
)
def test_what_only_looks_like_a_value_is_refused(shape: Shape, sent: Any) -> None:
    """A moment without an offset is the classic: nine o'clock, but where?"""
    with pytest.raises(Invalid) as refused:
        shape.read(sent, "starts_at")
    assert [fault.field for fault in refused.value.faults] == ["starts_at"]


@patiently
@given(st.datetimes(timezones=st.timezones() | st.integers(-840, 840).map(lambda m: timezone(timedelta(minutes=m)))))
def test_a_moment_survives_writing_and_reading(moment: datetime) -> None:
    """In any zone, to the microsecond."""
    try:
        written = write_moment(moment)
    except OverflowError:
        return
    assert datetime.fromisoformat(written) == moment.astimezone(UTC)
    assert Moment().read(written, "x") == written


@patiently
@given(
    st.text()
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.text())
)
def test_no_json_value_crashes_a_shape(value: Any) -> None:
    """Whatever is sent, the answer is a value or a refusal."""
    for shape in (Day(), Moment(), Whole(), Number(), Flag(), Choice(("a",))):
        try:
            kept = shape.read(value, "x")
        except Invalid:
            continue
        assert kept is None or shape.read(kept, "x") == kept
