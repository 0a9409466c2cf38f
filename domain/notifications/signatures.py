"""How an endpoint's requests are signed, and the key pairs an organisation signs with (ADR 0018).

Four styles: Standard Webhooks 1.0.0 with a shared secret (signing.py), with an Ed25519 key pair, with both, and the
header that Stripe documents. What has to be signed is made here; Ed25519 itself is behind a port.
"""

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.notifications.schedule import LONGEST_GRACE
from domain.notifications.signing import Secrets, UnusableSecret, signed_content, unix_time
from domain.refusals import Conflict, Invalid

PRIVATE, PUBLIC = "whsk_", "whpk_"
"""What a private and a public key begin with (Standard Webhooks 1.0.0, "signature scheme")."""

STRIPE_HEADER = "patchbay-signature"
"""The header of the Stripe style, unless the endpoint names another, such as `stripe-signature`."""

KEY_ID_HEADER = "webhook-key-id"

MOST_PAIRS = 5
"""How many pairs of one organisation sign at once: each costs 30 µs a message and 93 bytes of its header."""

_KEY_BYTES = 32
_HEADER = re.compile(r"[a-z0-9-]{0,91}signature")


class SignatureStyle(Enum):
    """How a request is signed. Each style also sends `webhook-id` and `webhook-timestamp`."""

    STANDARD = "standard"
    """Standard Webhooks 1.0.0, symmetric: `webhook-signature: v1,…`."""
    ASYMMETRIC = "standard-asymmetric"
    """Standard Webhooks 1.0.0, Ed25519: `webhook-signature: v1a,…`, checked with a public key."""
    BOTH = "standard-both"
    """Both of them in one header."""
    STRIPE = "stripe"
    """`t=…,v1=…` in a header of the receiver's choice, for receivers that were written for Stripe."""

    @property
    def uses_secrets(self) -> bool:
        """Whether it needs the endpoint's shared secrets."""
        return self is not SignatureStyle.ASYMMETRIC

    @property
    def uses_keys(self) -> bool:
        """Whether it needs the organisation's key pairs."""
        return self in (SignatureStyle.ASYMMETRIC, SignatureStyle.BOTH)


@attrs.frozen
class SigningKey:
    """A private key that is ready to sign. `sign` takes the content and returns the 64 bytes of RFC 8032."""

    id: str
    sign: Callable[[bytes], bytes] = attrs.field(repr=False)


def signed_headers(
    style: SignatureStyle,
    message_id: str,
    at: datetime,
    body: bytes,
    *,
    secrets: Secrets | None = None,
    keys: Sequence[SigningKey] = (),
    header: str = STRIPE_HEADER,
) -> dict[str, str]:
    """The headers that go with a message, in the endpoint's style.

    Args:
        message_id: the same on every attempt: printable ASCII without a full stop.
        at: the time of this attempt, aware.
        body: exactly the bytes that are sent.
        secrets: the endpoint's, for every style but the asymmetric one.
        keys: the organisation's live ones, newest first, for the asymmetric styles. Their ids go into `webhook-key-id`,
            in the order of the signatures.
        header: where the Stripe style puts its signatures.

    Raises:
        UnusableSecret: the style needs secrets or keys, and there are none.
        ValueError: the id or the time is not as above.
    """
    if style.uses_secrets and secrets is None:
        raise UnusableSecret("There is no signing secret.", field="secret")
    if style.uses_keys and not keys:
        raise UnusableSecret("There is no signing key.", field="signature_style")
    timestamp = unix_time(at)
    content = signed_content(message_id, timestamp, body)
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
    if style is SignatureStyle.STRIPE:
        assert secrets is not None
        headers[header] = _like_stripe(secrets, timestamp, body)
        return headers
    signatures = [] if secrets is None or not style.uses_secrets else [secrets.of_content(content)]
    if style.uses_keys:
        signatures += ["v1a," + b64encode(key.sign(content)).decode() for key in keys]
        headers[KEY_ID_HEADER] = " ".join(key.id for key in keys)
    headers["webhook-signature"] = " ".join(signatures)
    return headers


def _like_stripe(secrets: Secrets, timestamp: str, body: bytes) -> str:
    """docs.stripe.com/webhooks/signature: HMAC-SHA256 of `t.body` under the whole secret in hex, one `v1` for each."""
    content = b"%b.%b" % (timestamp.encode("ascii"), body)
    return ",".join([f"t={timestamp}", *(f"v1={signature}" for signature in secrets.in_hex(content))])


def check_signature_header(name: str, custom: Collection[str] = (), *, field: str = "signature_header") -> str:
    """The name of the Stripe style's header, in lower case. Raises Invalid.

    It ends in `signature`, as those of Stripe and of all who followed it do: so it can be neither a header that HTTP
    needs, nor one that the hub or a proxy sets. custom: the names of the endpoint's own headers, which may not hold it.
    """
    header = name.lower()
    if not _HEADER.fullmatch(header):
        raise Invalid.field(field, "A header name of at most 100 characters that ends in signature: stripe-signature.")
    if header.startswith("webhook-"):
        raise Invalid.field(field, "The headers that begin with webhook- are those of Standard Webhooks.")
    if header in {one.lower() for one in custom}:
        raise Invalid.field(field, "This is one of the endpoint's own headers.")
    return header


@attrs.frozen
class SigningKeyPair:
    """An organisation's Ed25519 key pair.

    id: also the `kid` in the JWKS. sealed: the private key (`whsk_…`) under the vault. public: `whpk_…`. expires_at: set
    when a newer pair has taken its place; from then on it neither signs nor is shown.
    """

    id: str
    organisation_id: str
    sealed: str = attrs.field(repr=False)
    public: str
    created_at: datetime
    expires_at: datetime | None = None
    version: int = 1

    def live(self, now: datetime) -> bool:
        """Whether deliveries are signed with it."""
        return self.expires_at is None or now < self.expires_at

    def superseded(self, until: datetime) -> "SigningKeyPair":
        """This pair with an end: the earlier of the one it has and this one."""
        end = until if self.expires_at is None else min(self.expires_at, until)
        return attrs.evolve(self, expires_at=end)

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517, RFC 8037 section 2)."""
        x = urlsafe_b64encode(read_public(self.public)).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.id, "use": "sig", "alg": "EdDSA"}


def live(pairs: Sequence[SigningKeyPair], now: datetime) -> tuple[SigningKeyPair, ...]:
    """The pairs that sign at this moment, newest first."""
    signing = [pair for pair in pairs if pair.live(now)]
    # By the end first: a clock that was set back must not put an older pair before the one that took its place.
    return tuple(sorted(signing, key=lambda pair: (pair.expires_at is None, pair.created_at, pair.id), reverse=True))


def rotated(
    pairs: Sequence[SigningKeyPair], new: SigningKeyPair, now: datetime, grace: timedelta
) -> tuple[SigningKeyPair, ...]:
    """What is live once `new` takes over, newest first; the older ones still sign until the grace is over.

    Raises Invalid for a grace below zero or over 7 days, and Conflict if more than MOST_PAIRS would sign.
    """
    if not timedelta() <= grace <= LONGEST_GRACE:
        raise Invalid.field("grace_seconds", "The grace period is from 0 seconds to 7 days (604800 seconds).")
    older = [pair.superseded(now + grace) for pair in pairs if pair.live(now)]
    kept = live((new, *older), now)
    if len(kept) > MOST_PAIRS:
        raise Conflict(
            f"At most {MOST_PAIRS} keys sign at once. Wait until one is over, or rotate with a shorter grace."
        )
    return kept


def private_text(seed: bytes, public: bytes) -> str:
    """`whsk_` and base64 of the seed and the public key, 32 bytes each: the 64 bytes that libsodium and Svix keep."""
    _check_length(seed, _KEY_BYTES)
    _check_length(public, _KEY_BYTES)
    return PRIVATE + b64encode(seed + public).decode()


def public_text(public: bytes) -> str:
    """`whpk_` and base64 of the public key's 32 bytes."""
    _check_length(public, _KEY_BYTES)
    return PUBLIC + b64encode(public).decode()


def read_private(text: str) -> bytes:
    """The seed's 32 bytes (RFC 8032 calls them the private key). Raises UnusableSecret, which never shows it."""
    raw = _read(text, PRIVATE)
    _check_length(raw, 2 * _KEY_BYTES)
    return raw[:_KEY_BYTES]


def read_public(text: str) -> bytes:
    """The public key's 32 bytes. Raises UnusableSecret."""
    raw = _read(text, PUBLIC)
    _check_length(raw, _KEY_BYTES)
    return raw


def _read(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise UnusableSecret(f"This key begins with {prefix}.", field="key")
    try:
        return b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:  # from None: the cause quotes what it could not read
        raise UnusableSecret(f"This key is {prefix} followed by base64.", field="key") from None


def _check_length(raw: bytes, length: int) -> None:
    if len(raw) != length:
        raise UnusableSecret(f"This key has {len(raw)} bytes instead of {length}.", field="key")
