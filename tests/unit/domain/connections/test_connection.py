"""A connection moves between its states as the provider answers and people decide."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from domain.connections.connection import Connection, ConnectionState, checked_name
from domain.refusals import Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CONNECTED, FAILING, PAUSED, DISCONNECTED = ConnectionState


def connection(state: ConnectionState = CONNECTED, **changes: Any) -> Connection:
    """A connection to Acme."""
    settings, sealed = {"region": "eu"}, {"secret_key": "sealed"}
    new = Connection("con_1", "org_1", "acme", "Acme", settings, sealed, NOW, NOW, state=state)
    return attrs.evolve(new, **changes)


@pytest.mark.parametrize(
    ("state", "usable"), [(CONNECTED, True), (FAILING, True), (PAUSED, False), (DISCONNECTED, False)]
)
def test_a_failing_connection_may_still_be_used(state: ConnectionState, usable: bool) -> None:
    """The next call may well work; only a person's decision stops it."""
    assert connection(state).connected is usable


@pytest.mark.parametrize(
    ("before", "worked", "failed"),
    [
        (CONNECTED, CONNECTED, FAILING),
        (FAILING, CONNECTED, FAILING),
        (PAUSED, PAUSED, PAUSED),
        (DISCONNECTED, DISCONNECTED, DISCONNECTED),
    ],
)
def test_answers_move_only_what_is_switched_on(
    before: ConnectionState, worked: ConnectionState, failed: ConnectionState
) -> None:
    """A call that was under way must not switch on again what a person has just switched off."""
    assert connection(before).worked(LATER).state is worked
    assert connection(before).failed("The key was refused.", LATER).state is failed


def test_a_failure_is_noted_for_a_person_to_read() -> None:
    """With the moment."""
    failing = connection().failed("The key was refused.", LATER)
    assert (failing.last_error, failing.last_error_at, failing.updated_at) == ("The key was refused.", LATER, LATER)


def test_when_it_works_again_the_error_is_gone() -> None:
    """And when it last worked is noted."""
    again = connection().failed("The key was refused.", NOW).worked(LATER)
    assert (again.state, again.last_error, again.last_used_at) == (CONNECTED, None, LATER)


def test_a_paused_connection_keeps_its_error_while_calls_end() -> None:
    """It is why it was paused."""
    paused = connection().failed("The key was refused.", NOW).switched(on=False, now=NOW)
    assert paused.worked(LATER).last_error == "The key was refused."


def test_the_accounts_name_is_learnt_and_not_forgotten() -> None:
    """Not every answer tells it."""
    known = connection().worked(NOW, "Studio Nord")
    assert known.account == "Studio Nord"
    assert known.worked(LATER).account == "Studio Nord"
    assert known.worked(LATER, "Studio Süd").account == "Studio Süd"


@pytest.mark.parametrize(
    ("before", "on", "off"),
    [(CONNECTED, CONNECTED, PAUSED), (FAILING, FAILING, PAUSED), (PAUSED, CONNECTED, PAUSED)],
)
def test_a_person_switches_it_on_and_off(before: ConnectionState, on: ConnectionState, off: ConnectionState) -> None:
    """Switching on what is on does not hide that it fails."""
    assert connection(before).switched(on=True, now=LATER).state is on
    assert connection(before).switched(on=False, now=LATER).state is off


@pytest.mark.parametrize(("state", "on"), [(CONNECTED, True), (FAILING, True), (PAUSED, False), (DISCONNECTED, False)])
def test_switching_to_what_it_is_changes_nothing(state: ConnectionState, on: bool) -> None:
    """A saved form without a change makes no new version."""
    same = connection(state)
    assert same.switched(on=on, now=LATER) is same


@pytest.mark.parametrize("state", ConnectionState)
def test_disconnecting_forgets_the_credentials_and_keeps_the_row(state: ConnectionState) -> None:
    """Payments and deliveries name it."""
    gone = connection(state).disconnected(LATER)
    assert (gone.state, gone.sealed, gone.connected) == (DISCONNECTED, {}, False)
    assert (gone.id, gone.name, gone.settings) == ("con_1", "Acme", {"region": "eu"})


def test_what_events_say_of_it_holds_no_credentials() -> None:
    """Not even sealed."""
    failing = connection().failed("The key was refused.", NOW)
    assert failing.body == {
        "id": "con_1",
        "provider": "acme",
        "name": "Acme",
        "status": "failing",
        "last_error": "The key was refused.",
    }


@pytest.mark.parametrize("name", ["x", "x" * 200])
def test_a_name_at_its_limits_is_kept(name: str) -> None:
    """The limit itself is allowed."""
    assert checked_name(name) == connection(name=name).name == name


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_it_has_a_name_of_one_to_two_hundred_characters(name: str) -> None:
    """It is how people tell one from the other."""
    with pytest.raises(Invalid) as refused:
        connection(name=name)
    assert [fault.field for fault in refused.value.faults] == ["name"]
