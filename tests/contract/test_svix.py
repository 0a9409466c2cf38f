"""Svix's Python package verifies what we sign: receivers that were written for Svix keep their code."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from svix.webhooks import Webhook, WebhookVerificationError

from adapters.signer import Ed25519Signer
from domain.notifications.signatures import SignatureStyle, SigningKey, signed_headers
from domain.notifications.signing import Secrets, UntrustedWebhook, new_secret, verify

OTHER = new_secret(bytes(range(30)))
KEY = SigningKey("sgk_1", Ed25519Signer().signing(bytes(32)))


@pytest.mark.parametrize("style", [SignatureStyle.STANDARD, SignatureStyle.BOTH])
@given(key=st.binary(min_size=24, max_size=64), body=st.text(st.characters(codec="utf-8")))
def test_it_accepts_what_we_sign_and_refuses_what_was_changed(style: SignatureStyle, key: bytes, body: str) -> None:
    """Under each of the live secrets, with and without a v1a signature beside them."""
    secret, raw = new_secret(key), body.encode()
    at = datetime.now(UTC)  # the package reads the machine's clock
    headers = signed_headers(style, "evt_01K9", at, raw, secrets=Secrets.of([OTHER, secret]), keys=[KEY])
    for one in (secret, OTHER):
        Webhook(one).verify(raw, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(one).verify(raw + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret(b"another secret of 32 bytes, zzzz")).verify(raw, headers)


@given(key=st.binary(min_size=24, max_size=64), body=st.text(st.characters(codec="utf-8")))
def test_we_accept_what_it_signs(key: bytes, body: str) -> None:
    """And senders that were written for it."""
    secret, at = new_secret(key), datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body),
    }
    assert verify(secret, headers, body.encode(), at) == "msg_1"
    with pytest.raises(UntrustedWebhook):
        verify(secret, headers, body.encode() + b" ", at)
