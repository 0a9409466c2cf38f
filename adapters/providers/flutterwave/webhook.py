"""Flutterwave's webhooks: who sent them, and where to look. Pure.

v3: the header `verif-hash` carries the secret hash itself (developer.flutterwave.com, docs/integration-guides/webhooks).
Nothing of the body is signed, so it is a hint and no more: whatever it says, the transaction is asked for.
v4: `flutterwave-signature` carries base64(HMAC-SHA256(secret hash, raw body)).
Which of the two is right is the connection's setting, never whichever header came.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from adapters.providers.flutterwave.mapping import moment
from application.ports.payments import BadSignature, ProviderEvent

HASH_HEADER = "verif-hash"
SIGNATURE_HEADER = "flutterwave-signature"

_LONGEST_ID = 120


def marked(version: str, secret: str) -> str:
    """A secret hash together with the version that it is for, as `verify` takes it."""
    return f"{'v4' if version == 'v4' else 'v3'}:{secret}"


def signature(secret: str, body: bytes) -> str:
    """The v4 signature of the raw body."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def verify(secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes) -> None:
    """Raise BadSignature unless the webhook fits one of the secrets, each by its own version (see `marked`; one without
    a version is for v3). Header names are matched without regard to case."""
    named = {name.lower(): value for name, value in headers.items()}
    why, fits = "No secret hash is known for this connection.", False
    for each in secrets:
        version, _, secret = each.partition(":") if each.startswith(("v3:", "v4:")) else ("v3", "", each)
        if not secret.strip():
            continue
        header = SIGNATURE_HEADER if version == "v4" else HASH_HEADER
        given, wanted = named.get(header), signature(secret, body) if version == "v4" else secret
        if not given:
            why = f"The {header} header is missing."
            continue
        # Every secret is compared, so that the time taken does not tell which was the one.
        fits = hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")) or fits
        why = f"The {header} header does not fit."
    if not fits:
        raise BadSignature(why)


def read(body: bytes) -> ProviderEvent:
    """Read a body. Raises ValueError if it is none of Flutterwave's events."""
    event = json.loads(body)
    if not isinstance(event, dict):
        raise ValueError("The body is not a Flutterwave event.")
    kind, about = event.get("event") or event.get("type"), event.get("data")
    if not isinstance(kind, str) or not isinstance(about, dict):
        raise ValueError("The body has no event and data, as Flutterwave's events have.")
    id_, status = _word(about.get("id")), _word(about.get("status"))
    if not id_:
        raise ValueError("The event does not say what it is about.")
    object_kind, object_reference, intent = _about(kind, id_, about)
    return ProviderEvent(
        # v3 has no id of an event: the same words about the same object are the same event. All the words count, so that
        # who makes up a hint ("7 is paid") cannot have Flutterwave's own, which says more, taken for a copy of it.
        external_id=_word(event.get("webhook_id")) or f"{kind}/{id_}/{status}/{_digest(event)}",
        type=kind,
        object_kind=object_kind,
        object_reference=object_reference,
        created_at=moment(about.get("created_at") or about.get("created_datetime")),
        # A body does not say so, and would not be believed.
        live=False,
        intent_reference=intent,
        payload=event,
    )


def _about(kind: str, id_: str, about: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """(kind of object, its reference, the payment it belongs to)."""
    family = kind.partition(".")[0]
    if family == "charge":
        if id_.isdigit():
            return "intent", id_, id_
        # The id of another API version, which v3 does not know; our own reference leads to the transaction.
        return "checkout", _word(about.get("tx_ref") or about.get("reference")) or id_, None
    if family == "transfer":
        return "payout", id_, None
    if family == "refund":
        of = _word(about.get("transaction_id") or about.get("tx_id"))
        return "refund", id_, of if of.isdigit() else None
    return family or "event", id_, None


def _digest(event: Mapping[str, Any]) -> str:
    """The same for the same words, in whatever order."""
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()[:16]


def _word(value: object) -> str:
    return str(value)[:_LONGEST_ID] if isinstance(value, str | int) and not isinstance(value, bool) else ""
