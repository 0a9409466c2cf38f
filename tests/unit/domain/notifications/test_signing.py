"""Signatures of Standard Webhooks. The list of cases is the one that the published libraries test."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notifications.signing import Secrets, UntrustedWebhook, UnusableSecret, new_secret, sign, verify

# The example that the published libraries share.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = new_secret(bytes(range(32)))


def signed(**changes: str) -> dict[str, str]:
    """The published example's headers, some of them changed."""
    return sign([SECRET], ID, AT, BODY) | {f"webhook-{name}": value for name, value in changes.items()}


def test_it_signs_the_published_example() -> None:
    """One byte off and no receiver accepts us."""
    assert sign([SECRET], ID, AT, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_it_verifies_the_published_example() -> None:
    """What others sign by the specification is accepted."""
    assert verify(SECRET, signed(), BODY, AT) == ID


def test_a_time_in_another_zone_signs_the_same() -> None:
    """The published Python library gets this wrong."""
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))
    assert sign([SECRET], ID, tokyo, BODY)["webhook-signature"] == SIGNATURE


def test_every_live_secret_signs_the_newest_first() -> None:
    """During a rotation both the old and the new receiver accept the message."""
    headers = sign([OTHER, SECRET], ID, AT, BODY)
    first, second = headers["webhook-signature"].split(" ")
    assert (first, second) == (sign([OTHER], ID, AT, BODY)["webhook-signature"], SIGNATURE)
    assert verify(SECRET, headers, BODY, AT) == verify(OTHER, headers, BODY, AT) == ID


def test_a_receiver_with_several_secrets_accepts_any() -> None:
    """Rotation on the receiving side."""
    assert verify([OTHER, SECRET], signed(), BODY, AT) == ID


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_header_is_named(missing: str, empty: bool) -> None:
    """The person at the other end can mend it."""
    headers = signed()
    if empty:
        headers[missing] = ""
    else:
        del headers[missing]
    with pytest.raises(UntrustedWebhook, match=missing):
        verify(SECRET, headers, BODY, AT)


def test_header_names_are_read_in_any_case() -> None:
    """Frameworks write them as they like."""
    assert verify(SECRET, {name.title(): value for name, value in signed().items()}, BODY, AT) == ID


@pytest.mark.parametrize("timestamp", ["hello", "1614265330.0", "-1", "1e9", "٣", "9" * 500, "nan", "16 14"])
def test_a_malformed_timestamp_is_refused(timestamp: str) -> None:
    """Never a crash, whatever it is."""
    with pytest.raises(UntrustedWebhook, match="timestamp"):
        verify(SECRET, signed(timestamp=timestamp), BODY, AT)


@pytest.mark.parametrize(("off", "word"), [(301, "old"), (-301, "new")])
def test_a_timestamp_too_far_off_is_refused(off: int, word: str) -> None:
    """A recorded message cannot be played again later."""
    with pytest.raises(UntrustedWebhook, match=f"too {word}"):
        verify(SECRET, signed(), BODY, AT + timedelta(seconds=off))


@pytest.mark.parametrize("off", [300, -300])
def test_five_minutes_off_is_still_accepted(off: int) -> None:
    """Clocks differ."""
    assert verify(SECRET, signed(), BODY, AT + timedelta(seconds=off)) == ID


@pytest.mark.parametrize(
    "signature",
    [
        "v1,dmFsaWQ=",
        "v1," + SIGNATURE[3:-2],
        SIGNATURE[:-1],
        SIGNATURE[3:],
        "v1",
        "v1,",
        "v1,,",
        "v1,a,b,c",
        ",",
        "   ,  ",
        "v2," + SIGNATURE[3:],
        "v1a," + SIGNATURE[3:],
        "V1," + SIGNATURE[3:],
        "v1,\udcff\udcfe",
        "v1,ü" + SIGNATURE[4:],
        "v1," + "A" * 100_000,
    ],
)
def test_a_wrong_or_malformed_signature_is_refused(signature: str) -> None:
    """One named error, never a ValueError that becomes a 500."""
    with pytest.raises(UntrustedWebhook):
        verify(SECRET, signed(signature=signature), BODY, AT)


def test_one_right_signature_among_others_is_enough() -> None:
    """Unknown versions and double spaces are passed over."""
    many = f"v1,dmFsaWQ=  v1a,aGVsbG8= v2,x  nonsense {SIGNATURE} v1,d3Jvbmc="
    assert verify(SECRET, signed(signature=many), BODY, AT) == ID


@pytest.mark.parametrize("message_id", ["msg.1", "msg 1", "mäg", "\udcff", "a" * 257, "a\nb"])
def test_an_id_that_could_be_misread_is_refused_on_both_sides(message_id: str) -> None:
    """A full stop in the id could move the border between the signed parts."""
    with pytest.raises(ValueError, match="id"):
        sign([SECRET], message_id, AT, BODY)
    with pytest.raises(UntrustedWebhook, match="id"):
        verify(SECRET, signed(id=message_id), BODY, AT)


def test_a_naive_time_is_refused() -> None:
    """It would be signed in the machine's own zone."""
    with pytest.raises(ValueError, match="aware"):
        sign([SECRET], ID, AT.replace(tzinfo=None), BODY)


def test_a_body_that_is_not_text_is_signed_and_verified() -> None:
    """The bytes are what is signed; the published Python library crashes here."""
    body = bytes(range(256))
    assert verify(SECRET, sign([SECRET], ID, AT, body), body, AT) == ID
    with pytest.raises(UntrustedWebhook):
        verify(SECRET, signed(), body, AT)


def test_prefix_and_padding_may_be_missing() -> None:
    """Receivers' configuration screens strip both."""
    padded = new_secret(bytes(25))
    assert padded.endswith("==")
    headers = sign([padded], ID, AT, BODY)
    for form in (padded, padded.rstrip("="), padded.removeprefix("whsec_"), f" {padded}\n", padded[:-1]):
        assert verify(form, headers, BODY, AT) == ID


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_*not base64*",
        "whsec_ü",
        "whsec_" + b64encode(bytes(23)).decode(),
        "whsec_" + b64encode(bytes(65)).decode(),
        "whsec_A",
    ],
)
def test_what_is_not_a_secret_is_refused_without_being_shown(secret: str) -> None:
    """An empty secret would sign everything with a key that everyone knows."""
    for attempt in (lambda: sign([secret], ID, AT, BODY), lambda: verify(secret, signed(), BODY, AT)):
        with pytest.raises(UnusableSecret) as caught:
            attempt()
        assert not secret or secret not in str(caught.value)


def test_no_secret_at_all_is_refused() -> None:
    """A message without a signature is never sent."""
    with pytest.raises(UnusableSecret):
        sign([], ID, AT, BODY)
    with pytest.raises(UnusableSecret):
        verify([], signed(), BODY, AT)


@pytest.mark.parametrize(("length", "fits"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_new_secret_has_24_to_64_bytes(length: int, fits: bool) -> None:
    """The rule of the specification."""
    if fits:
        assert new_secret(bytes(length)).startswith("whsec_")
    else:
        with pytest.raises(UnusableSecret):
            new_secret(bytes(length))


@given(key=st.binary(min_size=24, max_size=64), body=st.binary(), flip=st.integers(0))
def test_a_changed_body_is_always_noticed(key: bytes, body: bytes, flip: int) -> None:
    """What a signature is for."""
    headers = sign([new_secret(key)], ID, AT, body)
    assert verify(new_secret(key), headers, body, AT) == ID
    at = flip % (len(body) + 1)
    changed = body[:at] + b"x" + body[at:]
    with pytest.raises(UntrustedWebhook):
        verify(new_secret(key), headers, changed, AT)


@given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "Host"]), st.text()))
def test_no_headers_crash_it(headers: dict[str, str]) -> None:
    """The headers are written by strangers."""
    with pytest.raises(UntrustedWebhook):
        verify(SECRET, headers, BODY, AT)


@given(
    keys=st.lists(st.binary(min_size=24, max_size=64), min_size=1, max_size=3),
    bodies=st.lists(st.binary(), min_size=2, max_size=4),
)
def test_secrets_that_are_read_once_sign_every_message(keys: list[bytes], bodies: list[bytes]) -> None:
    """What one message leaves behind in a key must not be in the next."""
    texts = [new_secret(key) for key in keys]
    secrets = Secrets.of(texts)
    for number, body in enumerate(bodies):
        at = AT + timedelta(seconds=number)
        headers = secrets.sign(f"evt_{number}", at, body)
        assert headers == sign(texts, f"evt_{number}", at, body)
        for text in texts:
            assert verify(text, headers, body, at) == f"evt_{number}"


def test_a_secret_that_was_read_is_not_shown() -> None:
    """It is kept for hours, and whatever holds it may be written into a log."""
    shown = repr(Secrets.of([SECRET])) + str(Secrets.of([SECRET]))
    assert SECRET.removeprefix("whsec_")[:8] not in shown
    assert shown == "Secrets()" * 2


@pytest.mark.parametrize("texts", [[], [""], ["whsec_AAAA"], [SECRET, "nonsense!"]])
def test_secrets_that_are_none_are_refused_when_they_are_read(texts: list[str]) -> None:
    """Not at the first message."""
    with pytest.raises(UnusableSecret):
        Secrets.of(texts)
