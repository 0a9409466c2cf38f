"""A refusal says what is wrong and where, in words for the person who can mend it."""

import pytest

from domain.refusals import Conflict, Fault, Forbidden, Invalid, NotFound, Refusal, Stale


def test_a_refusal_says_why() -> None:
    """Its text is the answer's text."""
    refusal = Refusal("Only a draft can be changed.")
    assert str(refusal) == refusal.reason == "Only a draft can be changed."
    assert refusal.faults == ()


def test_a_refusal_may_point_at_a_field() -> None:
    """A form shows it there."""
    assert Refusal("Too much.", field="amount").faults == (Fault("amount", "Too much."),)


def test_invalid_names_every_fault() -> None:
    """A person mends the form in one go."""
    invalid = Invalid(Fault("lines.0.quantity", "Too few."), Fault("memo", "Too long."))
    assert [fault.field for fault in invalid.faults] == ["lines.0.quantity", "memo"]
    assert str(invalid) == invalid.reason == "lines.0.quantity: Too few.; memo: Too long."


def test_invalid_for_a_single_field_is_the_same_with_one_fault() -> None:
    """A shorter way to write the usual case."""
    assert Invalid.field("name", "Too long.").faults == Invalid(Fault("name", "Too long.")).faults


def test_not_found_says_what_was_looked_for_and_not_whose_it_is() -> None:
    """What belongs to someone else looks like what does not exist."""
    missing = NotFound("invoice", "inv_1")
    assert (missing.kind, missing.key) == ("invoice", "inv_1")
    assert missing.reason == "There is no invoice 'inv_1' here."


@pytest.mark.parametrize("kind", [Invalid, NotFound, Conflict, Stale, Forbidden])
def test_every_refusal_is_caught_as_one(kind: type[Refusal]) -> None:
    """The HTTP layer meets them in one place."""
    assert issubclass(kind, Refusal)
