"""A group of fields names everything that is wrong at once, so that a caller mends a body in one go."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from domain.refusals import Fault, Invalid
from domain.work.compounds import Amount, Tags
from domain.work.fields import Field, Group, ListOf
from domain.work.scalars import Choice, Flag, Whole
from domain.work.texts import Email, Text

LINES = Group(
    (
        Field("text", Text(20), required=True),
        Field("count", Whole(1, 9), default=1),
        Field("price", Amount()),
    )
)
ORDER = Group(
    (
        Field("name", Text(20), required=True),
        Field("email", Email()),
        Field("status", Choice(("new", "old")), default="new"),
        Field("tags", Tags()),
        Field("lines", ListOf(LINES, maximum=3)),
        Field("paid", Flag()),
    )
)


def faults(given: Any, kept: dict[str, Any] | None = None) -> list[Fault]:
    """What is wrong with a body, or with a patch."""
    return ORDER.sift(given, kept=kept)[1]


def test_every_fault_is_named_by_its_path() -> None:
    """Also those deep in a list, and those of different sorts together."""
    given = {
        "email": "no",
        "status": "odd",
        "lines": [{"text": "ok"}, {"text": "", "count": 10, "price": {"amount": "1.005", "currency": "USD"}}, 7],
        "nmae": "Acme",
    }
    assert [fault.field for fault in faults(given)] == [
        "nmae", "name", "email", "status", "lines.1.text", "lines.1.count", "lines.1.price.amount", "lines.2",
    ]  # fmt: skip


def test_a_misspelt_field_is_refused_and_the_right_one_suggested() -> None:
    """A field that is silently ignored is found months later."""
    assert faults({"name": "a", "nmae": "b"}) == [Fault("nmae", "There is no such field here. Did you mean name?")]
    assert faults({"name": "a", "zzz": None}) == [Fault("zzz", "There is no such field here.")]


def test_a_flood_of_unknown_fields_gives_a_short_answer() -> None:
    """Each of a hundred thousand names need not be repeated, nor compared with ours."""
    assert len(faults({"name": "a", **{f"{'x' * 1000}{index}": 1 for index in range(10_000)}})) == 10


def test_nothing_is_kept_of_an_empty_field() -> None:
    """Null, an empty text and an empty list all mean the same, so that a form and a program agree."""
    kept = ORDER.read({"name": "a", "email": " ", "tags": [], "lines": [], "paid": None}, "")
    assert kept == {"name": "a", "status": "new"}
    assert ORDER.show(kept) == {"name": "a", "email": None, "status": "new", "tags": [], "lines": [], "paid": None}


def test_false_and_zero_are_something() -> None:
    """Only null, an empty text and an empty list are nothing."""
    assert ORDER.read({"name": "a", "paid": False}, "")["paid"] is False
    assert Group((Field("count", Whole(), required=True),)).read({"count": 0}, "") == {"count": 0}


def test_null_in_a_patch_clears_a_field_or_brings_back_its_default() -> None:
    """RFC 7396: null removes; what has a default cannot be without a value."""
    kept = {"name": "a", "email": "a@b.example", "status": "old"}
    assert ORDER.merge(kept, {"email": None, "status": None}, "") == {"name": "a", "status": "new"}


def test_a_required_field_cannot_be_cleared() -> None:
    """Not with null, and not with blanks."""
    for nothing in (None, "  "):
        assert faults({"name": nothing}, {"name": "a"}) == [Fault("name", "This is needed.")]


def test_a_patch_leaves_alone_what_it_does_not_name() -> None:
    """Even if a rule was tightened since it was kept: the caller did not touch it."""
    assert ORDER.merge({"name": "x" * 500, "status": "old"}, {"paid": True}, "") == {
        "name": "x" * 500,
        "status": "old",
        "paid": True,
    }


def test_a_patch_replaces_a_list_as_a_whole() -> None:
    """RFC 7396 knows no parts of lists."""
    kept = ORDER.read({"name": "a", "lines": [{"text": "one"}, {"text": "two"}]}, "")
    assert ORDER.merge(kept, {"lines": [{"text": "three"}]}, "")["lines"] == [{"text": "three", "count": 1}]


def test_too_long_a_list_is_refused_as_one() -> None:
    """Not item by item."""
    assert faults({"name": "a", "lines": [{}] * 4}) == [Fault("lines", "This may have 3 items at most; it has 4.")]


@pytest.mark.parametrize("given", [None, [], "name", 7])
def test_a_body_that_is_no_object_is_refused(given: Any) -> None:
    """JSON need not be an object at its top."""
    with pytest.raises(Invalid):
        ORDER.read(given, "")


def test_a_record_kept_before_a_field_existed_shows_its_default() -> None:
    """A new version of the hub reads what an older one wrote, without a migration."""
    assert ORDER.show({"name": "a"})["status"] == "new"
    assert ORDER.filled({"name": "a"})["status"] == "new"


def test_the_schemas_say_what_is_taken_and_what_is_shown() -> None:
    """Generated clients are made from them."""
    shown, taken, patched = (
        Draft202012Validator(schema) for schema in (ORDER.schema, ORDER.accepts, ORDER.accepts_patch)
    )
    kept = ORDER.read({"name": "a", "lines": [{"text": "b", "price": {"amount": "1.00", "currency": "USD"}}]}, "")
    shown.validate(ORDER.show(kept))
    shown.validate({**ORDER.show(kept), "a_field_of_tomorrow": 1})
    taken.validate(ORDER.give(kept))
    taken.validate(ORDER.sample)
    patched.validate({"email": None})
    assert not taken.is_valid({"email": None})
    assert not taken.is_valid({"name": None})
    assert not taken.is_valid({"name": "a", "nmae": "b"})
    assert not patched.is_valid({"name": None})
    assert not shown.is_valid({"name": "a"})
