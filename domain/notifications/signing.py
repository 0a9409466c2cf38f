"""Signing what we send, and checking what claims to be signed: Standard Webhooks 1.0.0, symmetric signatures (`v1`).

The signed content is `id.timestamp.body`; the header carries one signature for each live secret, so that a receiver can
change secrets without missing a message. The other styles are in signatures.py.
"""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import floor

import attrs

from domain.refusals import Refusal

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""A secret's length in bytes (Standard Webhooks, "signature scheme")."""

TOLERANCE = timedelta(minutes=5)
"""How far a message's timestamp may be from the receiver's time, either way."""

_ID = re.compile(r"[!-\-/-~]{1,256}")
"""Printable ASCII without a full stop: a stop could move the border between the id and the timestamp."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class UnusableSecret(Refusal):
    """The text is not a signing secret: not base64, or not 24 to 64 bytes. Never says what it is."""


class UntrustedWebhook(Exception):
    """Nothing proves that the message comes from a holder of the secret. The text says why, never what would be right."""


def new_secret(randomness: bytes) -> str:
    """A signing secret from 24 to 64 random bytes: `whsec_` and base64. Raises UnusableSecret for other lengths."""
    _check_length(randomness)
    return PREFIX + b64encode(randomness).decode()


@attrs.frozen(eq=False)
class Secrets:
    """An endpoint's live secrets, read once and kept for the thousands of messages they sign. Never shows a key.

    Each is an HMAC that has taken in its key already: copying it saves a third of the time of a signature.
    """

    _keyed: tuple[hmac.HMAC, ...] = attrs.field(repr=False)
    _keyed_by_text: tuple[hmac.HMAC, ...] = attrs.field(repr=False)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Secrets":
        """Read `whsec_` secrets, newest first. Raises UnusableSecret: there is none, or one of them is not a secret."""
        keys = _keys(texts)
        return cls(
            tuple(hmac.new(key, digestmod="sha256") for key in keys),
            tuple(hmac.new(text.strip().encode(), digestmod="sha256") for text in texts),
        )

    def sign(self, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
        """The three headers that go with a message.

        Args:
            message_id: the same on every attempt: printable ASCII without a full stop.
            at: the time of this attempt, aware.
            body: exactly the bytes that are sent.

        Raises:
            ValueError: the id or the time is not as above.
        """
        timestamp = unix_time(at)
        signatures = self.of_content(signed_content(message_id, timestamp, body))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signatures,
        }

    def of_content(self, content: bytes) -> str:
        """The `v1` signatures of what `signed_content` made, in one text, newest first."""
        # No generator: for the one secret that most endpoints have it costs as much as the digest.
        return " ".join(["v1," + b64encode(_digest(keyed, content)).decode() for keyed in self._keyed])

    def in_hex(self, content: bytes) -> list[str]:
        """HMAC-SHA256 under each secret's whole text, `whsec_` included, as Stripe keys it (signatures.py)."""
        return [_digest(keyed, content).hex() for keyed in self._keyed_by_text]


def sign(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers that go with a message, from secrets in text: for one message, or a few.

    Args:
        secrets: every secret to sign with, newest first.
        message_id: the same on every attempt: printable ASCII without a full stop.
        at: the time of this attempt, aware.
        body: exactly the bytes that are sent.

    Raises:
        UnusableSecret: there is none, or one of them is not a secret.
        ValueError: the id or the time is not as above.
    """
    return Secrets.of(secrets).sign(message_id, at, body)


def signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    """What Standard Webhooks signs. Raises ValueError for an id that is not printable ASCII, or holds a full stop."""
    if not _ID.fullmatch(message_id):
        raise ValueError("a message id is printable ASCII without a full stop")
    return b"%b.%b.%b" % (message_id.encode("ascii"), timestamp.encode("ascii"), body)


def unix_time(at: datetime) -> str:
    """Whole seconds since 1970. Raises ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError("the time of an attempt is aware")
    return str(floor(at.timestamp()))


def verify(
    secrets: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> str:
    """Check a message and return its id. It is genuine if any `v1` signature fits any of the secrets.

    Args:
        secrets: one secret or several.
        headers: of the request; their names in any case.
        body: the raw bytes, as received.
        now: the receiver's time, aware.

    Raises:
        UntrustedWebhook: a header is missing or malformed, the time is off by more than `tolerance`, or nothing fits.
        UnusableSecret: there is no secret, or one of them is not a secret.
    """
    keys = _keys((secrets,) if isinstance(secrets, str) else secrets)
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (_header(given, f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not _ID.fullmatch(message_id):
        raise UntrustedWebhook("The webhook-id header is malformed.")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise UntrustedWebhook("The webhook-timestamp header is not a whole number of seconds.")
    age = now.timestamp() - int(timestamp)
    if abs(age) > tolerance.total_seconds():
        raise UntrustedWebhook(f"The message's timestamp is too {'old' if age > 0 else 'new'}.")
    fits = False
    offered = [text.encode("utf-8", "replace") for text in signatures.split() if text.startswith("v1,")]
    # The signed timestamp is the header's own text: 0161… and 161… are different messages.
    content = signed_content(message_id, timestamp, body)
    for key in keys:
        expected = b"v1," + b64encode(hmac.digest(key, content, "sha256"))
        for signature in offered:
            fits |= hmac.compare_digest(expected, signature)
    if not fits:
        raise UntrustedWebhook("No signature fits.")
    return message_id


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        raise UntrustedWebhook(f"The {name} header is missing.")
    return value


def _digest(keyed: hmac.HMAC, content: bytes) -> bytes:
    one = keyed.copy()
    one.update(content)
    return one.digest()


def _keys(secrets: Sequence[str]) -> tuple[bytes, ...]:
    if not secrets:
        raise UnusableSecret("There is no signing secret.", field="secret")
    return tuple(_key(secret) for secret in secrets)


def _key(secret: str) -> bytes:
    """The bytes of a secret. The prefix and the padding may be missing: receivers lose both."""
    text = secret.strip().removeprefix(PREFIX).rstrip("=")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise UnusableSecret("A signing secret is whsec_ followed by base64.", field="secret") from error
    _check_length(key)
    return key


def _check_length(key: bytes) -> None:
    if not SHORTEST <= len(key) <= LONGEST:
        raise UnusableSecret(f"A signing secret has {SHORTEST} to {LONGEST} bytes.", field="secret")
