"""The `t=,v1=` style is Stripe's: its own library takes it, and so does what reads Stripe's webhooks here."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import SignatureVerificationError, WebhookSignature

from adapters.providers.stripe.webhook import verify
from application.ports.payments import BadSignature
from domain.notifications.signatures import SignatureStyle, signed_headers
from domain.notifications.signing import Secrets, new_secret

OTHER, WRONG = new_secret(bytes(range(30))), new_secret(b"another secret of 32 bytes, zzzz")


def now() -> datetime:
    """Stripe's library reads the machine's clock."""
    return datetime.now(UTC)


def header(secrets: list[str], body: bytes, at: datetime) -> str:
    """What the receiver gets."""
    name = "stripe-signature"
    return signed_headers(SignatureStyle.STRIPE, "evt_1", at, body, secrets=Secrets.of(secrets), header=name)[name]


@given(key=st.binary(min_size=24, max_size=64), body=st.text(st.characters(codec="utf-8")))
def test_stripes_library_accepts_what_we_sign_and_refuses_what_was_changed(key: bytes, body: str) -> None:
    """Under each of the live secrets: its receivers can change theirs without missing a message."""
    secret = new_secret(key)
    signed = header([OTHER, secret], body.encode(), now())
    assert signed.count("v1=") == 2
    for one in (OTHER, secret):
        assert WebhookSignature.verify_header(body, signed, one, 300)
        with pytest.raises(SignatureVerificationError):
            WebhookSignature.verify_header(body + " ", signed, one, 300)
    with pytest.raises(SignatureVerificationError):
        WebhookSignature.verify_header(body, signed, WRONG, 300)


def test_stripes_library_refuses_an_old_one() -> None:
    """The time is signed with the body."""
    signed = header([OTHER], b"{}", now() - timedelta(minutes=6))
    with pytest.raises(SignatureVerificationError, match="tolerance"):
        WebhookSignature.verify_header("{}", signed, OTHER, 300)


@given(body=st.binary())
def test_our_own_reader_of_stripes_webhooks_accepts_it(body: bytes) -> None:
    """Two hubs can be chained."""
    at = now()
    signed = header([OTHER, new_secret(bytes(24))], body, at)
    verify((OTHER,), signed, body, at)
    with pytest.raises(BadSignature):
        verify((OTHER,), signed, body + b" ", at)
    with pytest.raises(BadSignature):
        verify((WRONG,), signed, body, at)
