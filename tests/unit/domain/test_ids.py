"""Ids say what a thing is, and sort by when it was made."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import PREFIXES, made_at, make_id
from tests.unit.domain.work.strategies import patiently

moments = st.integers(0, 2**48 - 1)
randomness = st.binary(min_size=10, max_size=10)


def test_an_id_begins_with_the_prefix_of_its_kind() -> None:
    """A support ticket that says `inv_…` needs no further question."""
    assert make_id("invoice", 0, bytes(10)) == "inv_" + "0" * 26
    assert make_id("client", 0, bytes(10)) == "client_" + "0" * 26


def test_the_form_is_that_of_a_ulid() -> None:
    """The largest ULID of github.com/ulid/spec, and its example's time part."""
    assert make_id("event", 2**48 - 1, b"\xff" * 10) == "evt_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
    assert make_id("event", 1_469_918_176_385, bytes(10)).startswith("evt_01ARYZ6S41")


def test_no_two_kinds_share_a_prefix() -> None:
    """The prefix alone must tell."""
    assert len(set(PREFIXES.values())) == len(PREFIXES)
    assert all(re.fullmatch("[a-z]{2,5}", prefix) for prefix in PREFIXES.values())


@patiently
@given(kind=st.sampled_from(sorted(PREFIXES)), first=moments, second=moments, a=randomness, b=randomness)
def test_ids_of_a_kind_sort_by_time(kind: str, first: int, second: int, a: bytes, b: bytes) -> None:
    """Cursors page through ids, and the newest is the last, whatever the randomness."""
    one, other = make_id(kind, first, a), make_id(kind, second, b)
    assert re.fullmatch(r"[a-z]+_[0-7][0-9A-HJKMNP-TV-Z]{25}", one)
    if first != second:
        assert (one < other) == (first < second)
    else:
        assert (one < other) == (a < b)


@patiently
@given(at=moments, a=randomness, b=randomness)
def test_different_randomness_gives_different_ids(at: int, a: bytes, b: bytes) -> None:
    """All eighty bits count."""
    assert (make_id("event", at, a) == make_id("event", at, b)) == (a == b)


@given(st.integers(0, 253_402_300_799_000), randomness, st.sampled_from(["invoice", "work_item"]))
def test_an_id_tells_when_it_was_made(at_ms: int, random: bytes, kind: str) -> None:
    """What was never answered is looked for from that moment on."""
    at = made_at(make_id(kind, at_ms, random))
    assert at is not None
    assert at - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(milliseconds=at_ms)


@pytest.mark.parametrize(
    "text", ["", "inv_", "k", "inv_" + "0" * 25, "inv_" + "U" * 26, "inv_" + "Z" * 26, "inv_7" + "Z" * 25]
)
def test_any_other_text_tells_nothing(text: str) -> None:
    """A key of somebody else's is no id, and no date beyond all calendars is one."""
    assert made_at(text) is None
