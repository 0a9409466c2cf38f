"""An endpoint: what it is told, what it is signed with, when it is switched off, what may be sent along."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notifications.endpoints import (
    MAX_HEADERS,
    Endpoint,
    EndpointState,
    SigningSecret,
    check_headers,
)
from domain.notifications.schedule import LONGEST_GRACE
from domain.refusals import Conflict, Invalid
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MOMENT = timedelta(microseconds=1)


def endpoint(**changes: Any) -> Endpoint:
    """An endpoint that is told everything."""
    secrets = (SigningSecret("first", NOW),)
    new = Endpoint("wh_1", "org_1", "https://acme.example/hook", "The shop", ("*",), secrets, NOW, NOW)
    return attrs.evolve(new, **changes)


def signing(one: Endpoint, at: datetime) -> list[str]:
    """What a delivery is signed with at this moment."""
    return [secret.sealed for secret in one.signing(at)]


def fault_of(**changes: Any) -> str:
    """The field for which there is no such endpoint."""
    with pytest.raises(Invalid) as refused:
        endpoint(**changes)
    return refused.value.faults[0].field


def header_faults(headers: dict[str, str]) -> list[str]:
    """The headers that are refused."""
    with pytest.raises(Invalid) as refused:
        check_headers(headers)
    return [fault.field for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("events", "type_", "wanted"),
    [
        (("*",), "invoice.paid", True),
        (("invoice.*",), "invoice.paid", True),
        (("invoice.*",), "invoices.paid", False),
        (("invoice.paid",), "invoice.paid", True),
        (("invoice.paid",), "invoice.paid_late", False),
        (("payment.failed", "invoice.*"), "invoice.sent", True),
        (("payment.failed",), "invoice.sent", False),
    ],
)
def test_an_endpoint_is_told_what_it_asked_for(events: tuple[str, ...], type_: str, wanted: bool) -> None:
    """Neither less nor more."""
    assert endpoint(events=events).wants(type_) is wanted


@pytest.mark.parametrize("state", [EndpointState.PAUSED, EndpointState.DISABLED])
def test_an_endpoint_that_is_switched_off_wants_nothing(state: EndpointState) -> None:
    """Whatever it asked for."""
    assert not endpoint(state=state).wants("invoice.paid")


@pytest.mark.parametrize(("events", "field"), [((), "events"), (("*", "Paid"), "events.1"), (("*.paid",), "events.0")])
def test_patterns_that_cannot_match_are_refused(events: tuple[str, ...], field: str) -> None:
    """A typing error would otherwise show as silence."""
    assert fault_of(events=events) == field


@pytest.mark.parametrize("seconds", [1, 15, 30])
def test_an_attempt_may_take_from_one_to_thirty_seconds(seconds: int) -> None:
    """Both limits are allowed."""
    assert endpoint(timeout_s=seconds).timeout_s == seconds


@pytest.mark.parametrize("seconds", [-1, 0, 31])
def test_a_time_out_beyond_that_is_refused(seconds: int) -> None:
    """A slow receiver would hold up the others."""
    assert fault_of(timeout_s=seconds) == "timeout_s"


def test_a_name_has_at_most_two_hundred_characters_and_may_be_missing() -> None:
    """The address says enough."""
    assert endpoint(name="").name == ""
    assert endpoint(name="x" * 200).name == "x" * 200
    assert fault_of(name="x" * 201) == "name"


def test_without_a_grace_the_old_secret_signs_no_more() -> None:
    """It was stolen."""
    rotated = endpoint().rotate("second", NOW, timedelta())
    assert signing(rotated, NOW) == ["second"]
    assert len(rotated.secrets) == 1


@pytest.mark.parametrize("grace", [SECOND, LONGEST_GRACE])
def test_both_secrets_sign_until_just_before_the_grace_is_over(grace: timedelta) -> None:
    """The receiver changes over without missing a message; the newest stands first."""
    rotated = endpoint().rotate("second", NOW, grace)
    assert signing(rotated, NOW) == ["second", "first"]
    assert signing(rotated, NOW + grace - MOMENT) == ["second", "first"]
    assert signing(rotated, NOW + grace) == ["second"]


@pytest.mark.parametrize("grace", [-MOMENT, LONGEST_GRACE + MOMENT, timedelta(days=8)])
def test_a_grace_below_nothing_or_over_a_week_is_refused(grace: timedelta) -> None:
    """An old secret that signs for ever is no rotation."""
    with pytest.raises(Invalid) as refused:
        endpoint().rotate("second", NOW, grace)
    assert refused.value.faults[0].field == "grace_seconds"


def test_several_rotations_keep_each_secret_for_its_own_grace() -> None:
    """A second rotation does not give the first secret a longer life."""
    twice = endpoint().rotate("second", NOW, timedelta(hours=1)).rotate("third", NOW, timedelta(hours=2))
    assert signing(twice, NOW) == ["third", "second", "first"]
    assert signing(twice, NOW + timedelta(hours=1)) == ["third", "second"]
    assert signing(twice, NOW + timedelta(hours=2)) == ["third"]


def test_a_rotation_with_a_shorter_grace_shortens_the_older_ones() -> None:
    """Who rotates without grace means every older secret."""
    twice = endpoint().rotate("second", NOW, LONGEST_GRACE)
    assert signing(twice.rotate("third", NOW, SECOND), NOW + SECOND) == ["third"]
    assert signing(twice.rotate("third", NOW, timedelta()), NOW) == ["third"]


def test_secrets_that_are_over_are_forgotten_at_the_next_rotation() -> None:
    """They are of no use to anyone but a thief."""
    rotated = endpoint().rotate("second", NOW, SECOND).rotate("third", NOW + SECOND, SECOND)
    assert [secret.sealed for secret in rotated.secrets] == ["third", "second"]


@patiently
@given(
    st.lists(st.tuples(st.timedeltas(timedelta(), timedelta(days=3)), st.timedeltas(timedelta(), LONGEST_GRACE))),
    st.timedeltas(timedelta(), timedelta(days=3)),
)
def test_whatever_the_rotations_there_is_a_secret_and_the_newest_stands_first(
    rotations: list[tuple[timedelta, timedelta]], later: timedelta
) -> None:
    """A delivery without a signature is refused by every receiver."""
    one, now = endpoint(), NOW
    for number, (wait, grace) in enumerate(rotations):
        now += wait
        one = one.rotate(str(number), now, grace)
    newest = str(len(rotations) - 1) if rotations else "first"
    assert signing(one, now + later)[0] == newest
    assert signing(one, now + LONGEST_GRACE) == [newest]


def test_an_endpoint_that_is_gone_is_disabled_with_the_reason() -> None:
    """Its owner asks why nothing arrives; a person switches it on again."""
    gone = endpoint().disable("The receiver answered 410", NOW + SECOND)
    assert (gone.state, gone.reason, gone.updated_at) == (
        EndpointState.DISABLED,
        "The receiver answered 410",
        NOW + SECOND,
    )
    on = gone.enable(NOW + 2 * SECOND)
    assert (on.active, on.reason, on.updated_at) == (True, None, NOW + 2 * SECOND)


def test_pausing_says_that_a_person_did_it() -> None:
    """Its owner asks why nothing arrives."""
    paused = endpoint().pause(NOW)
    assert (paused.state, paused.reason) == (EndpointState.PAUSED, "paused by a person")
    assert paused.enable(NOW).active


def test_only_an_active_endpoint_can_be_tried_out() -> None:
    """The refusal says what to do next."""
    endpoint().require_active()
    for off in (endpoint().pause(NOW), endpoint().disable("gone", NOW)):
        with pytest.raises(Conflict, match="Switch it on first"):
            off.require_active()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer abc"},
        {"X-Shop": ""},
        {"x!#$%&'*+-.^_`|~9": " ".join(map(chr, range(33, 127)))},
        {"X" * 100: "x" * 2000},
        {f"X-{n}": "x" for n in range(MAX_HEADERS)},
    ],
)
def test_ordinary_headers_are_kept_as_they_are(headers: dict[str, str]) -> None:
    """Up to each limit: 20 of them, 100 characters of a name, 2000 of a value."""
    assert check_headers(headers) == headers


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "Content-Type", "Transfer-Encoding", "Connection", "USER-AGENT", "webhook-id",
        "Webhook-Timestamp", "webhook-signature", "Upgrade", "Expect", "TE", "Trailer", "Keep-Alive",
    ],
)  # fmt: skip
def test_headers_that_the_hub_sets_itself_are_refused_in_any_case(name: str) -> None:
    """They could forge a signature or smuggle a second request."""
    assert header_faults({name: "x"}) == [f"headers.{name}"]


@pytest.mark.parametrize(
    "name", ["", " ", "X Shop", "X:Shop", "X-Shop\r\n", "X\r\nHost: evil", "Ünlaut", "X\0", "x" * 101]
)
def test_what_is_no_header_name_is_refused(name: str) -> None:
    """The form is RFC 9110's token."""
    assert header_faults({name: "x"}) == [f"headers.{name[:40]}"]


@pytest.mark.parametrize(
    "value", ["a\r\nHost: evil", "a\nb", "\r", "a\tb", "a\0", "a\x7f", "ü", "€", "\ud800", "x" * 2001, " a", "a "]
)
def test_a_value_that_could_not_be_sent_is_refused(value: str) -> None:
    """A line end would begin a header of its own; a space at an end would fail every delivery (RFC 9110, 5.5)."""
    assert header_faults({"X-Shop": value}) == ["headers.X-Shop"]


def test_one_header_more_than_twenty_is_refused() -> None:
    """A request has to stay a request."""
    assert header_faults({f"X-{n}": "x" for n in range(MAX_HEADERS + 1)}) == ["headers"]


def test_every_wrong_header_is_named() -> None:
    """A person mends them in one go."""
    assert header_faults({"Host": "x", "X-Good": "x", "X-Bad": "ü"}) == ["headers.Host", "headers.X-Bad"]


@patiently
@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3))
def test_no_header_that_is_kept_can_break_a_request(headers: dict[str, str]) -> None:
    """Whatever is typed: either refused, or one line of printable ASCII."""
    try:
        kept = check_headers(headers)
    except Invalid:
        return
    text = "".join(f"{name}{value}" for name, value in kept.items())
    assert text.isascii()
    assert not text or text.isprintable()
