"""Event types and the patterns that subscribe to them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Event, check_event_type, check_patterns, wanted
from domain.refusals import Invalid
from tests.unit.domain.work.strategies import patiently

words = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
types = st.lists(words, min_size=2, max_size=4).map(".".join)


@pytest.mark.parametrize("type_", ["invoice.paid", "invoice.payment_failed", "acme.shop.order2.done", "a." + "b" * 98])
def test_a_type_is_dotted_lower_case_words(type_: str) -> None:
    """The form of Standard Webhooks."""
    assert check_event_type(type_) == type_


@pytest.mark.parametrize(
    "type_", ["", "paid", "Invoice.paid", "invoice.", ".paid", "invoice..paid", "invoice paid", "invoice.*", "*", "1.a",
              "invoice.paid\n", "a." + "b" * 99],
)  # fmt: skip
def test_anything_else_is_no_type(type_: str) -> None:
    """A type ends up in headers, URLs and patterns."""
    with pytest.raises(Invalid) as refused:
        check_event_type(type_, field="events.0")
    assert refused.value.faults[0].field == "events.0"


def test_an_event_cannot_be_made_with_a_wrong_type() -> None:
    """Wherever it comes from."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(Invalid):
        Event("evt_1", "org_1", "paid", {}, now, now)


def test_a_receiver_gets_the_type_the_time_and_the_data() -> None:
    """The time is when it happened, not when the hub heard of it; the organisation is nobody's business."""
    happened, heard = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    event = Event("evt_1", "org_1", "invoice.paid", {"a": 1}, happened, heard)
    assert event.body == {"id": "evt_1", "type": "invoice.paid", "timestamp": "2026-01-01T00:00:00Z", "data": {"a": 1}}


@patiently
@given(types)
def test_a_type_is_covered_by_itself_by_its_families_and_by_the_star(type_: str) -> None:
    """And by nothing else."""
    assert wanted((type_,), type_)
    assert wanted(("*",), type_)
    assert wanted(("other.thing", type_.rpartition(".")[0] + ".*"), type_)
    assert not wanted((), type_)
    assert not wanted((type_ + "x", type_.partition(".")[0]), type_)
    assert not wanted((type_ + ".*",), type_)


def test_a_family_does_not_cover_its_neighbour() -> None:
    """`invoice.*` must not catch `invoices.paid`."""
    assert not wanted(("invoice.*",), "invoices.paid")


@pytest.mark.parametrize("patterns", [("*",), ("invoice.*",), ("invoice.paid", "acme.shop.*")])
def test_patterns_are_types_families_or_the_star(patterns: tuple[str, ...]) -> None:
    """Types of the host application's own may be subscribed to before they are ever published."""
    assert check_patterns(patterns) == patterns


@pytest.mark.parametrize(
    ("patterns", "field"),
    [((), "events"), (("invoice.paid", "Invoice.*"), "events.1"), (("**",), "events.0"), (("*.paid",), "events.0"),
     (("invoice*",), "events.0"), ((".*",), "events.0"), (("invoice",), "events.0")],
)  # fmt: skip
def test_a_pattern_that_could_never_match_is_refused(patterns: tuple[str, ...], field: str) -> None:
    """Silence is the worst answer to a typing mistake."""
    with pytest.raises(Invalid) as refused:
        check_patterns(patterns)
    assert refused.value.faults[0].field == field
