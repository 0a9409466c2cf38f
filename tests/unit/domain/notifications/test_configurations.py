"""A notification configuration: which news is read where."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from domain.notifications.configurations import Notification
from domain.refusals import Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def notification(**changes: Any) -> Notification:
    """Money matters, told in a channel."""
    new = Notification("ntf_1", "org_1", "Money", "acme", "con_1", ("invoice.*", "payment.received"), NOW, NOW)
    return attrs.evolve(new, **changes)


def fault_of(**changes: Any) -> str:
    """The field for which there is no such configuration."""
    with pytest.raises(Invalid) as refused:
        notification(**changes)
    return refused.value.faults[0].field


@pytest.mark.parametrize(
    ("type_", "wanted"),
    [("invoice.paid", True), ("payment.received", True), ("payment.failed", False), ("invoices.paid", False)],
)
def test_it_is_told_of_what_it_names(type_: str, wanted: bool) -> None:
    """Colleagues stop reading a channel that says too much."""
    assert notification().wants(type_) is wanted


def test_a_star_is_everything() -> None:
    """Also what a host application makes up."""
    assert notification(events=("*",)).wants("my_app.thing_happened")


def test_while_switched_off_it_is_told_nothing() -> None:
    """Whatever it names."""
    assert not notification(is_active=False).wants("invoice.paid")


def test_switching_off_by_the_hub_gives_the_reason() -> None:
    """The channel was deleted, and somebody will wonder why it is quiet; what it names stays for when it is mended."""
    off = notification().disable("The channel is gone", LATER)
    assert (off.is_active, off.reason, off.updated_at) == (False, "The channel is gone", LATER)
    assert off.events == notification().events


@pytest.mark.parametrize(
    ("events", "field"), [((), "events"), (("invoice",), "events.0"), (("*", "Invoice.*"), "events.1")]
)
def test_patterns_that_cannot_match_are_refused(events: tuple[str, ...], field: str) -> None:
    """A typing error would otherwise show as silence."""
    assert fault_of(events=events) == field


@pytest.mark.parametrize("name", ["x", "x" * 200])
def test_a_name_at_its_limits_is_kept(name: str) -> None:
    """The limit itself is allowed."""
    assert notification(name=name).name == name


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_it_has_a_name_of_one_to_two_hundred_characters(name: str) -> None:
    """It is how people tell one from the other."""
    assert fault_of(name=name) == "name"
