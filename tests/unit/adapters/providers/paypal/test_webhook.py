"""Whether a webhook is PayPal's, and what it says."""

import base64
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from adapters.providers.paypal import notes, sandbox_seal, webhook
from application.ports.payments import BadSignature, CannotVerify
from tests.specs import load

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
URL = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1"
HOOK = "1JE4291016473214C"
BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","amount":1.0,"nothing":{}}'
ROOT = sandbox_seal.authority(NOW)
SIGNER = sandbox_seal.issue(ROOT, NOW)
OTHER = sandbox_seal.issue(ROOT, NOW)


def signed(at: datetime = NOW, hook: str = HOOK, body: bytes = BODY) -> dict[str, str]:
    """The headers of a good webhook."""
    return sandbox_seal.headers(SIGNER, URL, "69cd13f0-d67a-11e5-baa3-778b53f4ae55", at, hook, body)


def check(headers: dict[str, str], body: bytes = BODY, hooks: tuple[str, ...] = (HOOK,), **more: Any) -> None:
    """Verify with the signer's certificate at hand."""
    certificates = {URL: more.get("certificate", SIGNER.certificate)}
    webhook.verify(hooks, headers, body, more.get("now", NOW), certificates.get)


def test_a_good_one_is_believed() -> None:
    """Whatever case its headers' names come in, and whichever of the hub's webhooks it was made for."""
    check(signed())
    check({name.upper(): value for name, value in signed().items()})
    check(signed(), hooks=("older", HOOK))


def test_the_message_is_what_paypal_signs() -> None:
    """The checksum is a decimal number without a sign; a negative one, as some languages make it, would never fit."""
    assert webhook.message("i", "t", "w", BODY) == f"i|t|w|{zlib.crc32(BODY)}".encode()
    assert zlib.crc32(b"123456789") == 3421780262  # the check value of CRC-32/ISO-HDLC


def test_the_published_example_verifies() -> None:
    """Computed by the published rule, elsewhere."""
    example: Any = next(one for one in _examples() if one["vendor"] == "paypal")
    key = load_pem_public_key(example["public_key_pem"].encode())

    class Holder:
        def public_key(self) -> Any:
            return key

    headers, body = example["headers"], example["body"].encode()
    at = datetime.fromisoformat(headers["PAYPAL-TRANSMISSION-TIME"])
    seal = webhook.seal_of(headers)
    assert webhook.message(seal.id, seal.time, example["webhook_id"], body).decode() == example["signed_string"]
    webhook.verify((example["webhook_id"],), headers, body, at, lambda _: Holder())  # type: ignore[arg-type,return-value]
    with pytest.raises(BadSignature):
        webhook.verify((example["webhook_id"],), headers, body + b" ", at, lambda _: Holder())  # type: ignore[arg-type,return-value]


def _examples() -> list[Any]:
    return list(load("webhook_vectors.json"))


def test_one_byte_more_is_not_believed() -> None:
    """Nor one less."""
    for body in (BODY + b" ", BODY[:-1], b""):
        with pytest.raises(BadSignature):
            check(signed(), body)


def test_a_body_that_was_decoded_and_written_anew_is_not_believed() -> None:
    """1.0 becomes 1 in some languages and {} becomes [] in others; the checksum is of the bytes that came."""
    anew = json.dumps(json.loads(BODY)).encode()
    assert anew != BODY
    with pytest.raises(BadSignature):
        check(signed(), anew)
    with pytest.raises(BadSignature):
        check(signed(), BODY.replace(b"1.0", b"1"))


def test_one_for_another_webhook_is_not_believed() -> None:
    """The id is signed too, so that nobody can play PayPal's webhooks to another merchant to us."""
    with pytest.raises(BadSignature):
        check(signed(hook="WH-ANOTHER"))
    with pytest.raises(BadSignature):
        check(signed(), hooks=())


@pytest.mark.parametrize(("age", "why"), [(webhook.OLDEST, "too long ago"), (-webhook.EARLY, "future")])
def test_old_and_future_ones_are_not_believed(age: timedelta, why: str) -> None:
    """What was overheard must not be played again for ever."""
    check(signed(NOW - age))
    beyond = age + timedelta(seconds=1 if age > timedelta() else -1)
    with pytest.raises(BadSignature, match=why):
        check(signed(NOW - beyond))


@pytest.mark.parametrize("name", sorted(signed()))
def test_a_missing_header_is_named(name: str) -> None:
    """The person who set up a proxy sees which one it drops."""
    with pytest.raises(BadSignature, match=name.lower()):
        check({other: value for other, value in signed().items() if other != name})
    with pytest.raises(BadSignature, match=name.lower()):
        check({**signed(), name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Paypal-Auth-Algo", "none"),
        ("Paypal-Auth-Algo", "SHA1withRSA"),
        ("Paypal-Transmission-Sig", "nonsense!"),
        ("Paypal-Transmission-Sig", base64.b64encode(b"x" * 256).decode()),
        ("Paypal-Transmission-Time", "yesterday"),
        ("Paypal-Transmission-Time", "2026-01-02T03:04:06Z"),
        ("Paypal-Transmission-Id", "another"),
    ],
)
def test_a_header_that_was_changed_is_not_believed(name: str, value: str) -> None:
    """All of them are signed or fixed."""
    with pytest.raises(BadSignature):
        check({**signed(), name: value})


def test_another_certificate_s_signature_is_not_believed() -> None:
    """Also when that certificate is as good."""
    with pytest.raises(BadSignature):
        check(signed(), certificate=OTHER.certificate)


def test_without_the_certificate_nothing_is_said() -> None:
    """Whoever reads must ask PayPal; a guess either way would be wrong."""
    with pytest.raises(CannotVerify):
        webhook.verify((HOOK,), signed(), BODY, NOW, lambda _: None)


def test_a_certificate_with_another_kind_of_key_is_no_certificate_of_these() -> None:
    """The algorithm is fixed."""
    key = generate_curve_key(SECP256R1())
    name = x509.Name([])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    with pytest.raises(BadSignature, match="RSA"):
        check(signed(), certificate=built.sign(key, SHA256()))


def event(type_: str, word: str, resource: Any, **more: Any) -> bytes:
    """A body."""
    told = {"id": "WH-1", "create_time": "2026-01-02T03:04:05.123Z", "event_type": type_, "resource_type": word}
    return json.dumps({**told, "resource": resource, **more}).encode()


UP = {"rel": "up", "href": "https://api.sandbox.paypal.com/v2/payments/captures/C1"}
OWN = notes.Note({"a": "b"}, own_page=True).text
HOSTED = notes.Note({"patchbay_invoice": "inv_1"}).text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (event("CHECKOUT.ORDER.APPROVED", "checkout-order", {"id": "O1"}), ("checkout", "O1", None, None)),
        (
            event("CHECKOUT.ORDER.APPROVED", "checkout-order", {"id": "O1", "purchase_units": [{"custom_id": OWN}]}),
            ("intent", "O1", "O1", None),
        ),
        (event("PAYMENT.CAPTURE.COMPLETED", "capture", {"id": "C1"}), ("intent", "C1", "C1", None)),
        (
            event(
                "PAYMENT.CAPTURE.COMPLETED",
                "capture",
                {"id": "C1", "custom_id": OWN, "supplementary_data": {"related_ids": {"order_id": "O1"}}},
            ),
            ("intent", "C1", "O1", None),
        ),
        (event("PAYMENT.CAPTURE.REFUNDED", "refund", {"id": "R1", "links": [UP]}), ("refund", "R1", "C1", None)),
        (event("PAYMENT.SALE.REFUNDED", "refund", {"id": "R1", "sale_id": "S1"}), ("refund", "R1", "S1", None)),
        (
            event("PAYMENT.SALE.COMPLETED", "sale", {"id": "S1", "billing_agreement_id": "I-1"}),
            ("intent", "S1", "S1", "I-1"),
        ),
        (
            event("BILLING.SUBSCRIPTION.CANCELLED", "subscription", {"id": "I-1"}),
            ("subscription", "I-1", None, "I-1"),
        ),
        (
            event("PAYMENT.PAYOUTS-ITEM.SUCCEEDED", "payouts_item", {"payout_batch_id": "B1"}),
            ("payout", "B1", None, None),
        ),
        (
            event("PAYMENT.PAYOUTSBATCH.SUCCESS", "payouts", {"batch_header": {"payout_batch_id": "B1"}}),
            ("payout", "B1", None, None),
        ),
        (
            event(
                "CUSTOMER.DISPUTE.CREATED",
                "dispute",
                {"dispute_id": "PP-D-1", "disputed_transactions": [{"seller_transaction_id": "C1"}]},
            ),
            ("dispute", "PP-D-1", "C1", None),
        ),
        (event("MOON.PHASE.CHANGED", "moon", {"id": "luna"}), ("moon", "luna", None, None)),
        (event("MOON.PHASE.CHANGED", "", {}), ("unknown", "", None, None)),
    ],
)
def test_what_an_event_is_about(body: bytes, expected: tuple[str, str, str | None, str | None]) -> None:
    """The inbox finds our records by it, and keeps the order of handling."""
    read = webhook.read(body)
    told = (read.object_kind, read.object_reference, read.intent_reference, read.subscription_reference)
    assert told == expected
    assert read.created_at == datetime(2026, 1, 2, 3, 4, 5, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "place", [{"custom_id": HOSTED}, {"custom": HOSTED}, {"purchase_units": [{"custom_id": HOSTED}]}]
)
def test_an_event_carries_our_metadata(place: dict[str, Any]) -> None:
    """So that a webhook that comes before our own row is saved is known for ours."""
    read = webhook.read(event("PAYMENT.CAPTURE.COMPLETED", "capture", {"id": "C1", **place}))
    assert read.metadata == {"patchbay_invoice": "inv_1"}


def test_a_failure_is_told_once_and_live_events_are_told_from_others() -> None:
    """Both are counted."""
    assert webhook.read(event("PAYMENT.CAPTURE.DENIED", "capture", {"id": "C1"})).failed
    assert not webhook.read(event("PAYMENT.CAPTURE.PENDING", "capture", {"id": "C1"})).failed
    live = [{"rel": "self", "href": "https://api.paypal.com/v1/notifications/webhooks-events/WH-1"}]
    assert webhook.read(event("X.Y", "x", {"id": "C1"}, links=live)).live
    assert not webhook.read(event("X.Y", "x", {"id": "C1"}, links=[UP])).live


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"id":"1","event_type":"X","create_time":"2026-01-02T03:04:05Z"}',
        b'{"id":"1","event_type":"X","create_time":"then","resource":{}}',
        event("CUSTOMER.DISPUTE.CREATED", "dispute", {"disputed_transactions": "none"}),
        event("PAYMENT.PAYOUTSBATCH.SUCCESS", "payouts", {"batch_header": []})[:-5],
        event("PAYMENT.CAPTURE.COMPLETED", "capture", {"id": "C1", "supplementary_data": "x"}),
        event("PAYMENT.CAPTURE.COMPLETED", "capture", {"id": "C1", "links": 7}),
    ],
)
def test_what_is_no_event_is_a_value_error(body: bytes) -> None:
    """It is kept and looked at by a person; nothing falls over it."""
    with pytest.raises(ValueError, match=r"."):
        webhook.read(body)
