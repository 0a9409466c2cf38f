"""Changing a record is a JSON merge patch: these are its laws, for every kind, with bodies made up from the fields."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.catalogue import CATALOGUE
from domain.refusals import Invalid
from domain.work.kinds import KINDS
from domain.work.records import Kind, Record
from tests.unit.domain.work.strategies import LATER, merge_patch, objects, patches, patiently, record

BODIES = {kind.name: objects(kind.group) for kind in KINDS}
PATCHES = {kind.name: patches(kind.group) for kind in KINDS}

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def made(kind: Kind, body: dict[str, Any]) -> Record | None:
    """A record, or None where a rule between the fields forbids what was made up."""
    try:
        return record(kind, body)
    except Invalid:
        return None


def changed(before: Record, patch: dict[str, Any]) -> tuple[Record, tuple[str, ...]] | None:
    """The changed record and its events, or None where a rule forbids it."""
    try:
        return before.change(patch, LATER)
    except Invalid:
        return None


@each_kind
@patiently
@given(data=st.data())
def test_a_patch_gives_what_the_rfc_says(kind: Kind, data: st.DataObject) -> None:
    """The oracle is the algorithm of RFC 7396 applied to the body as a caller would send it."""
    if (before := made(kind, data.draw(BODIES[kind.name]))) is None:
        return
    patch = data.draw(PATCHES[kind.name])
    if (step := changed(before, patch)) is None:
        return
    expected = kind.group.read(merge_patch(kind.group.give(before.fields), patch), "")
    assert dict(step[0].fields) == expected


@each_kind
@patiently
@given(data=st.data())
def test_the_same_patch_a_second_time_changes_and_tells_nothing(kind: Kind, data: st.DataObject) -> None:
    """Clients repeat themselves; nobody is to be told twice that a deal was won."""
    if (before := made(kind, data.draw(BODIES[kind.name]))) is None:
        return
    patch = data.draw(PATCHES[kind.name])
    if (step := changed(before, patch)) is None:
        return
    after, _ = step
    assert after.change(patch, LATER) == (after, ())
    assert after.change({}, LATER) == (after, ())


@each_kind
@patiently
@given(data=st.data())
def test_a_record_sent_back_as_it_was_shown_is_unchanged(kind: Kind, data: st.DataObject) -> None:
    """Read, edit one field, send the whole: the fields that were not edited must not move."""
    if (before := made(kind, data.draw(BODIES[kind.name]))) is None:
        return
    shown = kind.group.show(before.fields)
    assert before.change(shown, LATER) == (before, ())


@each_kind
@patiently
@given(data=st.data())
def test_whatever_happens_to_a_record_its_events_match_the_catalogue(kind: Kind, data: st.DataObject) -> None:
    """A receiver that trusts the published schema must never be surprised."""
    if (before := made(kind, data.draw(BODIES[kind.name]))) is None:
        return
    Draft202012Validator(kind.schema).validate(before.body)
    for type_ in (*before.told_on_creation, *before.told_on_deletion):
        assert CATALOGUE[type_].schema["properties"][kind.name] == kind.schema
    step = changed(before, data.draw(PATCHES[kind.name]))
    if step is None:
        return
    after, types = step
    for type_ in types:
        Draft202012Validator(CATALOGUE[type_].schema).validate(after.data(before))
