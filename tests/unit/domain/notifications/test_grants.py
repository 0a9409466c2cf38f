"""OAuth 2.0 client credentials: the request as RFC 6749 has it, and answers as servers give them."""

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from domain.notifications.grants import LONGEST_LIFE, UNSTATED_LIFE, Grant, NotGranted, TokenAuth, read_token
from domain.refusals import Invalid

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GRANT = Grant("https://login.example/token", "the id", "s3cr:t/é".encode("ascii", "replace").decode(), "read write")


def answer(**fields: object) -> bytes:
    """A token server's."""
    return json.dumps({"access_token": "tok", "token_type": "Bearer", **fields}).encode()


def test_the_secret_goes_into_the_header_form_encoded() -> None:
    """RFC 6749, section 2.3.1: both are form-encoded first, so that a colon in an id is not taken for the separator."""
    headers, body = Grant("https://x/", "a:b", "c d", audience="https://api").request
    assert b64decode(headers["authorization"].removeprefix("Basic ")) == b"a%3Ab:c+d"
    assert parse_qs(body.decode()) == {"grant_type": ["client_credentials"], "audience": ["https://api"]}
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_or_into_the_form_and_then_not_into_the_header() -> None:
    """ "The client MUST NOT use more than one authentication method in each request" (section 2.3)."""
    headers, body = Grant("https://x/", "id", "secret", "read write", auth=TokenAuth.BODY).request
    assert "authorization" not in headers
    form = parse_qs(body.decode())
    assert (form["client_id"], form["client_secret"], form["scope"]) == (["id"], ["secret"], ["read write"])


def test_a_grant_is_the_same_after_it_was_sealed() -> None:
    """What is kept is what was given."""
    assert Grant.from_json(GRANT.to_json()) == GRANT
    assert GRANT.client_secret not in repr(GRANT)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_id", ""),
        ("client_id", "x" * 501),
        ("client_secret", "new\nline"),
        ("client_secret", "ünicode"),
        ("scope", "two  spaces"),
        ("scope", 'quo"te'),
        ("audience", ""),
        ("token_url", ""),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_name(field: str, value: str) -> None:
    """Before it is kept."""
    given: dict[str, Any] = {"token_url": "https://x/", "client_id": "id", "client_secret": "s", field: value}
    with pytest.raises(Invalid) as refused:
        Grant(**given)
    assert [fault.field for fault in refused.value.faults] == [f"oauth.{field}"]


@pytest.mark.parametrize(
    ("stated", "used"),
    [
        (3600, timedelta(seconds=3540)),
        ("3600", timedelta(seconds=3540)),
        (3600.0, timedelta(seconds=3540)),
        (60, timedelta(seconds=30)),
        (10**12, LONGEST_LIFE - timedelta(minutes=1)),
        (None, UNSTATED_LIFE - timedelta(minutes=1)),
        (0, UNSTATED_LIFE - timedelta(minutes=1)),
        (-5, UNSTATED_LIFE - timedelta(minutes=1)),
        (True, UNSTATED_LIFE - timedelta(minutes=1)),
        ("soon", UNSTATED_LIFE - timedelta(minutes=1)),
        (float("nan"), UNSTATED_LIFE - timedelta(minutes=1)),
    ],
)
def test_a_token_is_replaced_before_it_expires(stated: object, used: timedelta) -> None:
    """A minute before, or at half its life if that is short; whatever a server writes into expires_in."""
    assert read_token(200, answer(expires_in=stated), NOW).renew_at - NOW == used


@pytest.mark.parametrize("kind", ["bearer", "BEARER", "Bearer"])
def test_the_type_is_read_in_any_case(kind: str) -> None:
    """RFC 6749, section 5.1: "Value is case insensitive"."""
    assert read_token(200, answer(token_type=kind), NOW).text == "tok"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, answer(token_type="mac"), "only Bearer"),
        (200, answer(token_type=7), "only Bearer"),
        (200, answer(access_token=""), "no access_token"),
        (200, answer(access_token=["x"]), "no access_token"),
        (200, answer(access_token="a b"), "cannot stand in a header"),
        (200, answer(access_token="a\r\nx: y"), "cannot stand in a header"),
        (200, answer(access_token="x" * 9000), "longer than 8 KiB"),
        (200, b"<html>", "no access_token"),
        (200, b"[1]", "no access_token"),
        (200, b"[" * 100_000, "no access_token"),
        (200, b"\xff\xfe", "no access_token"),
        (200, b'{"error": "invalid_client"}', "does not accept this client id"),
        (401, b'{"error": "invalid_client"}', "answered 401: invalid_client; it does not accept this client id"),
        (400, b'{"error": "invalid_scope", "error_description": "no such scope"}', 'it says "no such scope"'),
        (400, b'{"error": "made_up"}', "answered 400: made_up."),
        (400, b'{"error": {"x": 1}}', "answered 400."),
        (503, b"", "answered 503."),
    ],
)
def test_no_token_says_why(status: int, body: bytes, said: str) -> None:
    """Whoever set the endpoint up reads it at the attempt."""
    with pytest.raises(NotGranted, match=r".*") as refused:
        read_token(status, body, NOW)
    assert said in str(refused.value)


def test_a_server_that_repeats_the_secret_does_not_bring_it_into_the_record() -> None:
    """Nor line breaks, nor a novel."""
    told = {"error": "invalid_client", "error_description": "bad\nsecret hunter2 " + "x" * 5000}
    with pytest.raises(NotGranted) as refused:
        read_token(401, json.dumps(told).encode(), NOW, "hunter2")
    text = str(refused.value)
    assert "hunter2" not in text
    assert "bad secret •••" in text
    assert len(text) < 500
