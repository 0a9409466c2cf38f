"""Styles of signatures and an organisation's key pairs."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from domain.notifications.signatures import (
    MOST_PAIRS,
    STRIPE_HEADER,
    SignatureStyle,
    SigningKey,
    SigningKeyPair,
    check_signature_header,
    live,
    private_text,
    public_text,
    read_private,
    read_public,
    rotated,
    signed_headers,
)
from domain.notifications.signing import Secrets, UnusableSecret, new_secret, sign
from domain.refusals import Conflict, Invalid

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = "evt_01K9"
BODY = b'{"a":1}'
TEXTS = new_secret(bytes(range(32))), new_secret(b"\xff" * 24)
SECRETS = Secrets.of(TEXTS)
KEYS = tuple(SigningKey(f"sgk_{n}", lambda content, n=n: b"%d:" % n + content) for n in (2, 1))  # type: ignore[misc]
CONTENT = f"{ID}.{int(NOW.timestamp())}.".encode() + BODY
HOUR = timedelta(hours=1)


def headers(style: SignatureStyle, header: str = STRIPE_HEADER) -> dict[str, str]:
    """A message's headers, with two secrets and two keys at hand."""
    return signed_headers(style, ID, NOW, BODY, secrets=SECRETS, keys=KEYS, header=header)


def a_pair(number: int, expires: timedelta | None = None) -> SigningKeyPair:
    """A pair made `number` hours ago."""
    public = public_text(bytes([number]) * 32)
    at = NOW - number * HOUR
    return SigningKeyPair(
        f"sgk_{9 - number}", "org_1", "sealed", public, at, None if expires is None else NOW + expires
    )


NEW = a_pair(0)


def test_the_standard_style_is_that_of_sign() -> None:
    """Receivers from before there were styles notice nothing."""
    assert headers(SignatureStyle.STANDARD) == sign(TEXTS, ID, NOW, BODY)


def test_the_asymmetric_style_carries_one_signature_a_key_and_their_ids() -> None:
    """In the same order, the newest first; no shared secret is used."""
    expected = " ".join("v1a," + b64encode(b"%d:" % n + CONTENT).decode() for n in (2, 1))
    assert headers(SignatureStyle.ASYMMETRIC) == {
        "webhook-id": ID,
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": expected,
        "webhook-key-id": "sgk_2 sgk_1",
    }
    assert headers(SignatureStyle.ASYMMETRIC) == signed_headers(SignatureStyle.ASYMMETRIC, ID, NOW, BODY, keys=KEYS)


def test_the_style_with_both_carries_them_in_one_header() -> None:
    """First those that every library knows."""
    both, one, other = (
        headers(style) for style in (SignatureStyle.BOTH, SignatureStyle.STANDARD, SignatureStyle.ASYMMETRIC)
    )
    assert both == {**other, "webhook-signature": f"{one['webhook-signature']} {other['webhook-signature']}"}


def test_the_stripe_style_has_its_own_header() -> None:
    """And no webhook-signature, which would invite the wrong check."""
    got = headers(SignatureStyle.STRIPE, "stripe-signature")
    assert set(got) == {"webhook-id", "webhook-timestamp", "stripe-signature"}
    time, *signatures = got["stripe-signature"].split(",")
    assert time == f"t={got['webhook-timestamp']}"
    assert [one[:3] for one in signatures] == ["v1=", "v1="]
    assert all(len(one) == 67 for one in signatures)
    assert STRIPE_HEADER in headers(SignatureStyle.STRIPE)


@pytest.mark.parametrize("style", list(SignatureStyle))
def test_every_style_sends_id_and_time_and_refuses_what_could_be_misread(style: SignatureStyle) -> None:
    """Also Stripe's, which signs no id: receivers tell repeats by it."""
    got = headers(style)
    assert (got["webhook-id"], got["webhook-timestamp"]) == (ID, str(int(NOW.timestamp())))
    with pytest.raises(ValueError, match="full stop"):
        signed_headers(style, "evt.1", NOW, BODY, secrets=SECRETS, keys=KEYS)
    with pytest.raises(ValueError, match="aware"):
        signed_headers(style, ID, NOW.replace(tzinfo=None), BODY, secrets=SECRETS, keys=KEYS)


@pytest.mark.parametrize("style", list(SignatureStyle))
def test_nothing_is_sent_unsigned(style: SignatureStyle) -> None:
    """Whatever is missing is said before the request is made."""
    if style.uses_secrets:
        with pytest.raises(UnusableSecret, match="secret"):
            signed_headers(style, ID, NOW, BODY, keys=KEYS)
    if style.uses_keys:
        with pytest.raises(UnusableSecret, match="key"):
            signed_headers(style, ID, NOW, BODY, secrets=SECRETS)
    assert style.uses_secrets or style.uses_keys


@pytest.mark.parametrize("name", ["stripe-signature", "X-Signature", "signature", "a" * 91 + "signature"])
def test_a_signature_header_of_ones_own(name: str) -> None:
    """Header names have no case."""
    assert check_signature_header(name, ["X-Token"]) == name.lower()


@pytest.mark.parametrize(
    "name",
    [
        "", "host", "content-length", "authorization", "webhook-signature", "Webhook-My-Signature", "x signature",
        "x-signature\r\n", "x_signature", "ſignature", "a" * 92 + "signature", "x-signature-2", "X-Own-Signature",
    ],
)  # fmt: skip
def test_a_header_that_would_break_the_request_is_refused(name: str) -> None:
    """Naming the field that is wrong."""
    with pytest.raises(Invalid) as refused:
        check_signature_header(name, ["x-own-signature"])
    assert [fault.field for fault in refused.value.faults] == ["signature_header"]


def test_a_rotation_lets_the_older_ones_sign_until_the_grace_is_over() -> None:
    """And never gives one more time than it had."""
    old, older, over = a_pair(1), a_pair(2, expires=HOUR), a_pair(3, expires=timedelta())
    kept = rotated((over, older, old), NEW, NOW, 3 * HOUR)
    assert kept == (NEW, attrs.evolve(old, expires_at=NOW + 3 * HOUR), older)
    assert live(kept, NOW + HOUR) == kept[:2]
    assert live(kept, NOW + 3 * HOUR) == (NEW,)


def test_a_rotation_without_grace_leaves_the_new_one_alone() -> None:
    """For a key that others know."""
    assert rotated((a_pair(1), a_pair(2, expires=HOUR)), NEW, NOW, timedelta()) == (NEW,)


def test_the_pair_that_has_no_end_is_the_newest_whatever_the_clock_said() -> None:
    """It was set back between two rotations."""
    early = attrs.evolve(a_pair(5), id="sgk_0")
    assert live((a_pair(1, expires=HOUR), early), NOW)[0] == early


@pytest.mark.parametrize(("grace", "fits"), [(-1, False), (0, True), (604800, True), (604801, False)])
def test_the_grace_is_from_nothing_to_seven_days(grace: int, fits: bool) -> None:
    """Longer, and the old key is as good as the new."""
    if fits:
        assert rotated((a_pair(1),), NEW, NOW, timedelta(seconds=grace))[0] == NEW
    else:
        with pytest.raises(Invalid, match="grace_seconds"):
            rotated((a_pair(1),), NEW, NOW, timedelta(seconds=grace))


def test_not_more_than_five_keys_sign_at_once() -> None:
    """Each makes every message longer and slower; without a grace it is always possible."""
    many = tuple(a_pair(number, expires=HOUR) for number in range(1, MOST_PAIRS + 1))
    with pytest.raises(Conflict, match="shorter grace"):
        rotated(many, NEW, NOW, HOUR)
    assert len(rotated(many[1:], NEW, NOW, HOUR)) == MOST_PAIRS
    assert rotated(many, NEW, NOW, timedelta()) == (NEW,)


def test_a_public_key_is_a_json_web_key() -> None:
    """The example of RFC 8037, appendix A.2."""
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert attrs.evolve(NEW, public=public_text(raw)).jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": NEW.id,
        "use": "sig",
        "alg": "EdDSA",
    }


def test_keys_are_written_as_others_write_them() -> None:
    """The key pair that Svix's tests use: 64 bytes, of which the second half is the public key."""
    text = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
    seed, public = read_private(text), b64decode(text.removeprefix("whsk_"))[32:]
    assert private_text(seed, public) == text
    assert public_text(public) == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
    assert read_public(public_text(public)) == public


@pytest.mark.parametrize("rest", ["", "AAAA", "!", "ü", b64encode(bytes(31)).decode(), b64encode(bytes(65)).decode()])
def test_what_is_no_key_is_refused_without_being_shown(rest: str) -> None:
    """A damaged row, or a key of the other sort."""
    for read, right, wrong in ((read_private, "whsk_", "whpk_"), (read_public, "whpk_", "whsk_")):
        for text in (right + rest, wrong + b64encode(bytes(64)).decode(), "whsec_" + b64encode(bytes(32)).decode()):
            with pytest.raises(UnusableSecret) as refused:
                read(text)
            assert "AAAA" not in str(refused.value)
            assert refused.value.__cause__ is None
    for length in (31, 33):
        with pytest.raises(UnusableSecret):
            private_text(bytes(length), bytes(32))
        with pytest.raises(UnusableSecret):
            private_text(bytes(32), bytes(length))
        with pytest.raises(UnusableSecret):
            public_text(bytes(length))


def test_neither_a_pair_nor_a_key_shows_what_is_private() -> None:
    """They are in lists that may be logged."""
    assert "sealed" not in repr(NEW)
    assert "lambda" not in repr(KEYS)
