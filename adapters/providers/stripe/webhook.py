"""Stripe's webhooks: is it really from Stripe, and what does it say? Pure.

The scheme is that of docs.stripe.com/webhooks/signature: `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>]`, where the
hex is HMAC-SHA256 of `<t>.<raw body>` under the whole secret, `whsec_` included. Other schemes (v0) are passed over.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from adapters.providers.stripe.events import OBJECT_KINDS
from adapters.providers.stripe.mapping import moment, reference_of, texts
from application.ports.payments import BadSignature, ProviderEvent

HEADER = "Stripe-Signature"
TOLERANCE = timedelta(seconds=300)
"""How old, or how far ahead of our clock, a signed moment may be. Stripe's SDK does not look ahead; a webhook from the
future is either a broken clock or a signature made to be replayed."""

_MOMENT = re.compile(r"[1-9][0-9]{0,10}", re.ASCII)


def signature(secret: str, at: int, body: bytes) -> str:
    """The v1 signature of the raw body at a Unix second, in hex."""
    return hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()


def verify(secrets: tuple[str, ...], header: str | None, body: bytes, now: datetime) -> None:
    """Raise BadSignature unless one of the secrets signed this body within TOLERANCE of `now` (aware)."""
    usable = [secret for secret in secrets if secret.strip()]
    if not usable:
        raise BadSignature("No signing secret is known for this connection.")
    if not header:
        raise BadSignature(f"The {HEADER} header is missing.")
    items = [item.partition("=")[::2] for item in header.split(",")]
    moments = [value for name, value in items if name == "t"]
    given = [value.encode("utf-8", "replace") for name, value in items if name == "v1"]
    if len(moments) != 1 or not _MOMENT.fullmatch(moments[0]):
        raise BadSignature(f"The {HEADER} header has no readable time.")
    if not given:
        raise BadSignature(f"The {HEADER} header has no v1 signature.")
    at = int(moments[0])
    expected = [signature(secret, at, body).encode() for secret in usable]
    # Every pair is compared, so that the time taken does not tell which secret or which signature was the one.
    if not any([hmac.compare_digest(ours, theirs) for ours in expected for theirs in given]):  # noqa: C419
        raise BadSignature("No v1 signature matches the body.")
    age = now.timestamp() - at
    if age > TOLERANCE.total_seconds():
        raise BadSignature(f"It was signed {age:.0f} seconds ago.")
    if -age > TOLERANCE.total_seconds():
        raise BadSignature(f"It was signed {-age:.0f} seconds in the future.")


def read(body: bytes) -> ProviderEvent:
    """Read a verified body. Raises ValueError if it is not one of Stripe's snapshot events."""
    event = json.loads(body)
    if not isinstance(event, dict) or event.get("object") != "event":
        raise ValueError("The body is not a Stripe event; thin events (v2) are not read.")
    about = event.get("data", {}).get("object") if isinstance(event.get("data"), dict) else None
    if not isinstance(about, dict):
        raise ValueError("The event has no data.object.")
    try:
        return _event(event, about)
    except (KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise ValueError(f"The event cannot be read: {type(error).__name__}: {error}") from error


def _event(event: Mapping[str, Any], about: Mapping[str, Any]) -> ProviderEvent:
    word = str(about["object"])
    kind = OBJECT_KINDS.get(word, word)
    reference = str(about.get("id") or "")
    return ProviderEvent(
        external_id=str(event["id"]),
        type=str(event["type"]),
        object_kind=kind,
        object_reference=reference,
        created_at=moment(event["created"]),
        live=event.get("livemode") is True,
        intent_reference=reference if kind == "intent" else reference_of(about.get("payment_intent")),
        metadata=texts(dict(about.get("metadata") or {})),
        # Stripe also sends charge.failed for the same try; it must not count twice.
        failed=event["type"] == "payment_intent.payment_failed",
        payload=event,
        subscription_reference=_subscription(kind, reference, about),
    )


def _subscription(kind: str, reference: str, about: Mapping[str, Any]) -> str | None:
    """The subscription that an object is of; an invoice names it under `parent` (since 2025), before that by itself."""
    if kind == "subscription":
        return reference or None
    if kind == "invoice":
        details = (about.get("parent") or {}).get("subscription_details") or {}
        return reference_of(details.get("subscription")) or reference_of(about.get("subscription"))
    return reference_of(about.get("subscription")) if kind == "checkout" else None


def read_webhook(secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderEvent:
    """Verify, then read. Header names are matched without regard to case. Raises BadSignature or ValueError."""
    verify(secrets, next((v for name, v in headers.items() if name.lower() == HEADER.lower()), None), body, now)
    return read(body)
