"""What must hold for every declared kind, and for any that is added."""

import re
from collections import Counter

import pytest
from jsonschema import Draft202012Validator

from domain.refusals import NotFound
from domain.work.compounds import Subject
from domain.work.kinds import KINDS, kind_named
from domain.work.records import Kind
from domain.work.rules import Steps
from domain.work.scalars import Choice

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def test_the_kinds_are_those_of_the_product() -> None:
    """product.md, "Systems" and "Events": a kind that is lost here is lost everywhere."""
    assert " ".join(kind.plural for kind in KINDS) == (
        "clients contacts companies leads deals projects milestones tasks contracts proposals meetings registrations"
        " notes tags"
    )


def test_a_kind_is_found_by_its_name() -> None:
    """Not by the word in its address."""
    assert kind_named("company").plural == "companies"
    for word in ("companies", "invoice", ""):
        with pytest.raises(NotFound):
            kind_named(word)


@each_kind
def test_field_names_are_distinct_words_that_no_record_uses_itself(kind: Kind) -> None:
    """The body of a record puts its id and its fields side by side."""
    names = [field.name for field in kind.fields]
    assert max(Counter(names).values()) == 1
    assert not {"id", "version", "created_at", "updated_at", "kind", "previous"} & set(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)


@each_kind
def test_titles_rules_and_causes_speak_of_fields_that_exist(kind: Kind) -> None:
    """A misspelt name in a declaration would otherwise fail in the middle of somebody's request."""
    names = {field.name for field in kind.fields}
    assert set(kind.title) <= names
    assert {name for rule in kind.rules for name in rule.fields} <= names
    assert {name for cause in kind.causes for name in (*cause.tells, *cause.shows)} <= names


@each_kind
def test_statuses_named_in_rules_and_causes_are_options(kind: Kind) -> None:
    """And every option of a ruled status says what may follow it."""
    options = {field.name: field.shape.options for field in kind.fields if isinstance(field.shape, Choice)}
    for rule in kind.rules:
        if isinstance(rule, Steps):
            assert set(rule.allowed) == set(options[rule.name])
            assert {value for ways in rule.allowed.values() for value in ways} <= set(options[rule.name])
    for cause in kind.causes:
        for name, value in cause.shows.items():
            assert value in options[name]
        assert set(getattr(cause, "only_from", ())) <= set(options.get("status", ()))


@each_kind
def test_the_sample_is_taken_and_shown_as_the_schemas_say(kind: Kind) -> None:
    """The sample stands in the API's description and in the catalogue, where people copy it from."""
    Draft202012Validator.check_schema(kind.schema)
    Draft202012Validator.check_schema(kind.group.accepts)
    Draft202012Validator.check_schema(kind.group.accepts_patch)
    sample = kind.sample()
    Draft202012Validator(kind.schema).validate(sample.body)
    Draft202012Validator(kind.group.accepts).validate(kind.group.sample)
    Draft202012Validator(kind.group.accepts_patch).validate(kind.group.sample)
    assert sample.title != sample.id
    assert all(value not in (None, []) for value in sample.body.values())


@each_kind
def test_references_point_at_kinds_that_exist(kind: Kind) -> None:
    """A reference to a kind that is not there could never be filled in."""
    known = {other.name for other in KINDS} | {"invoice"}
    assert {pointer.kind for pointer in kind.sample().pointers} <= known
    for field in kind.fields:
        if isinstance(field.shape, Subject):
            assert set(field.shape.kinds) <= known


def test_no_two_kinds_claim_the_same_event() -> None:
    """The catalogue has one schema for each type."""
    types = Counter(cause.type for kind in KINDS for cause in kind.causes)
    assert max(types.values()) == 1
