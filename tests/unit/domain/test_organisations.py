"""Keys of applications and sessions of people: who is let in, until when, and to what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from domain.organisations import ALL_SCOPES, SESSION_LIFE, ApiKey, Scope, Session, Unauthenticated
from domain.refusals import Forbidden, Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MOMENT = timedelta(microseconds=1)
SECRET = "s3cretS3cretS3cretS3cretS3cretS3cretS3cretWxyz"


def issue(**changes: Any) -> tuple[ApiKey, str]:
    """A key that reads events, and its text."""
    asked: dict[str, Any] = {
        "id": "key_01K9ABC",
        "secret": SECRET,
        "organisation_id": "org_1",
        "name": "The shop",
        "scopes": frozenset((Scope.EVENTS_READ,)),
        "now": NOW,
    }
    return ApiKey.issue(**(asked | changes))


KEY, TEXT = issue()


def faults(**changes: Any) -> list[str]:
    """The fields for which no key is issued."""
    with pytest.raises(Invalid) as refused:
        issue(**changes)
    return [fault.field for fault in refused.value.faults]


def test_the_text_of_a_key_carries_its_id() -> None:
    """The row is found by the id, so that only one hash has to be compared."""
    key, text = issue()
    assert text == f"pb_01K9ABC_{SECRET}"
    assert key.id == "key_01K9ABC"


def test_nothing_kept_of_a_key_gives_its_secret_away() -> None:
    """A stolen database opens nothing."""
    kept = repr(attrs.asdict(KEY))
    assert SECRET not in kept
    assert KEY.hash == ApiKey.hash_of(TEXT)
    assert KEY.hint == "Wxyz"


@pytest.mark.parametrize("name", ["x", "x" * 200])
def test_a_name_at_its_limits_is_kept(name: str) -> None:
    """The limit itself is allowed."""
    assert issue(name=name)[0].name == name


def test_a_name_is_kept_without_the_space_around_it() -> None:
    """It stands in a list."""
    assert issue(name="  The shop ")[0].name == "The shop"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_key_without_a_usable_name_is_not_issued(name: str) -> None:
    """Nobody dares to revoke a key that says nothing of who uses it."""
    assert faults(name=name) == ["name"]


def test_a_key_that_may_do_nothing_is_not_issued() -> None:
    """It would be a mistake."""
    assert faults(scopes=frozenset()) == ["scopes"]


@pytest.mark.parametrize("late", [timedelta(), SECOND])
def test_a_key_that_has_already_expired_is_not_issued(late: timedelta) -> None:
    """Nor one that expires at this very moment."""
    assert faults(expires_at=NOW - late) == ["expires_at"]


def test_a_key_is_admitted_by_its_own_text() -> None:
    """Without an expiry for good."""
    KEY.admit(TEXT, NOW)
    KEY.admit(TEXT, NOW + timedelta(days=36_500))


@pytest.mark.parametrize("text", ["", "pb_", TEXT[:-1], TEXT + " ", TEXT.upper(), SECRET, KEY.hash, TEXT + "ü"])
def test_any_other_text_is_not_known(text: str) -> None:
    """Least of all the hash, which is what a thief of the database holds."""
    with pytest.raises(Unauthenticated, match="not known"):
        KEY.admit(text, NOW)


def test_a_key_is_good_until_just_before_the_second_in_which_it_expires() -> None:
    """At the very second it is over."""
    end = NOW + timedelta(days=1)
    key, text = issue(expires_at=end)
    key.admit(text, end - MOMENT)
    for moment in (end, end + MOMENT):
        with pytest.raises(Unauthenticated, match="expired on 2026-03-02 12:00 UTC"):
            key.admit(text, moment)


def test_a_revoked_key_is_refused_at_once() -> None:
    """Also by a clock that runs behind the one that revoked it."""
    revoked = KEY.revoke(NOW)
    for moment in (NOW - SECOND, NOW, NOW + SECOND):
        with pytest.raises(Unauthenticated, match="revoked"):
            revoked.admit(TEXT, moment)


def test_a_stranger_does_not_learn_that_a_key_was_revoked_or_expired() -> None:
    """Only who holds the secret is told what became of the key."""
    old = attrs.evolve(KEY, expires_at=NOW, revoked_at=NOW)
    with pytest.raises(Unauthenticated, match="not known"):
        old.admit("pb_01K9ABC_guess", NOW)


def test_revoking_twice_keeps_the_first_moment() -> None:
    """It is what an investigation asks for."""
    revoked = KEY.revoke(NOW)
    assert revoked.revoked_at == NOW
    assert revoked.revoke(NOW + SECOND) is revoked


@pytest.mark.parametrize("scope", Scope)
def test_a_key_may_do_what_its_scopes_say_and_nothing_else(scope: Scope) -> None:
    """`write` does not include `read`, nor `admin` the rest."""
    key, _ = issue(scopes=frozenset((scope,)))
    key.require(scope)
    for other in ALL_SCOPES - {scope}:
        with pytest.raises(Forbidden, match=other.value):
            key.require(other)


def test_a_key_with_all_scopes_may_do_everything() -> None:
    """All of them are in the set."""
    key, _ = issue(scopes=ALL_SCOPES)
    for scope in Scope:
        key.require(scope)


def test_a_keys_use_is_noted_once_a_minute() -> None:
    """Otherwise every request would write."""
    used = KEY.used(NOW)
    assert used is not None
    assert used.last_used_at == NOW
    assert used.used(NOW + timedelta(minutes=1) - MOMENT) is None
    again = used.used(NOW + timedelta(minutes=1))
    assert again is not None
    assert again.last_used_at == NOW + timedelta(minutes=1)


def test_a_clock_that_is_set_back_does_not_set_back_the_last_use() -> None:
    """Two machines differ by a little."""
    used = KEY.used(NOW)
    assert used is not None
    assert used.used(NOW - timedelta(hours=1)) is None


def session(token: str = "token") -> Session:
    """A browser that signed in just now."""
    return Session(Session.id_of(token), "org_1", "usr_1", "csrf", NOW, NOW + SESSION_LIFE)


def test_a_session_lasts_until_just_before_its_end() -> None:
    """At the very second it is over."""
    assert session().live(NOW)
    assert session().live(NOW + SESSION_LIFE - MOMENT)
    assert not session().live(NOW + SESSION_LIFE)


def test_a_session_is_known_by_the_hash_of_its_token() -> None:
    """A stolen database signs nobody in."""
    assert session("token").id == session("token").id != session("Token").id
    assert "token" not in session("token").id
