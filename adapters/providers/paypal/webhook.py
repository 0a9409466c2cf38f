"""PayPal's webhooks: whether they are PayPal's, and what they say. Pure.

What is signed is `transmission id|transmission time|webhook id|CRC-32 of the raw body`, with RSA and SHA-256, by the key of
a certificate that a header names (developer.paypal.com/api/rest/webhooks/rest, "self verification"; PayPal-Python-SDK,
notifications.py). The body must be the very bytes that came: written anew, its checksum is another.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from adapters.providers.paypal import mapping, notes
from application.ports.payments import BadSignature, CannotVerify, ProviderEvent

OLDEST = timedelta(days=4)
"""PayPal sends again for three days. Whether it then names the first time or the new one is not documented, so a day more
than that is taken; the inbox keeps an event that is played again only once."""
EARLY = timedelta(minutes=5)
"""How far PayPal's clock may be ahead of ours."""

ALGORITHM = "SHA256withRSA"
_ID, _TIME, _SIGNATURE = "paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig"
CERTIFICATE, _ALGORITHM = "paypal-cert-url", "paypal-auth-algo"

EVENTS = (
    "BILLING.SUBSCRIPTION.ACTIVATED",
    "BILLING.SUBSCRIPTION.CANCELLED",
    "BILLING.SUBSCRIPTION.CREATED",
    "BILLING.SUBSCRIPTION.EXPIRED",
    "BILLING.SUBSCRIPTION.PAYMENT.FAILED",
    "BILLING.SUBSCRIPTION.RE-ACTIVATED",
    "BILLING.SUBSCRIPTION.SUSPENDED",
    "BILLING.SUBSCRIPTION.UPDATED",
    "CHECKOUT.ORDER.APPROVED",
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED",
    "CUSTOMER.DISPUTE.CREATED",
    "CUSTOMER.DISPUTE.RESOLVED",
    "CUSTOMER.DISPUTE.UPDATED",
    "PAYMENT.CAPTURE.COMPLETED",
    "PAYMENT.CAPTURE.DECLINED",
    "PAYMENT.CAPTURE.DENIED",
    "PAYMENT.CAPTURE.PENDING",
    "PAYMENT.CAPTURE.REFUNDED",
    "PAYMENT.CAPTURE.REVERSED",
    "PAYMENT.PAYOUTS-ITEM.BLOCKED",
    "PAYMENT.PAYOUTS-ITEM.CANCELED",
    "PAYMENT.PAYOUTS-ITEM.DENIED",
    "PAYMENT.PAYOUTS-ITEM.FAILED",
    "PAYMENT.PAYOUTS-ITEM.HELD",
    "PAYMENT.PAYOUTS-ITEM.REFUNDED",
    "PAYMENT.PAYOUTS-ITEM.RETURNED",
    "PAYMENT.PAYOUTS-ITEM.SUCCEEDED",
    "PAYMENT.PAYOUTS-ITEM.UNCLAIMED",
    "PAYMENT.PAYOUTSBATCH.DENIED",
    "PAYMENT.PAYOUTSBATCH.PROCESSING",
    "PAYMENT.PAYOUTSBATCH.SUCCESS",
    "PAYMENT.REFUND.FAILED",
    "PAYMENT.SALE.COMPLETED",
    "PAYMENT.SALE.DENIED",
    "PAYMENT.SALE.PENDING",
    "PAYMENT.SALE.REFUNDED",
    "PAYMENT.SALE.REVERSED",
)
"""The webhooks that tell the hub something it keeps."""

_FAILURES = ("PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED")


@attrs.frozen
class Sealed:
    """What the headers say a webhook was signed with."""

    id: str
    time: str
    signature: bytes
    certificate: str
    algorithm: str


def seal_of(headers: Mapping[str, str]) -> Sealed:
    """Read the headers, whose names may be in any case. Raises BadSignature naming the one that is missing or malformed."""
    given = {name.lower(): value for name, value in headers.items()}
    for name in (_ID, _TIME, _SIGNATURE, CERTIFICATE, _ALGORITHM):
        if not given.get(name):
            raise BadSignature(f"The header {name} is missing.")
    if given[_ALGORITHM] != ALGORITHM:
        raise BadSignature(f"The algorithm is not {ALGORITHM}.")
    try:
        signature = base64.b64decode(given[_SIGNATURE], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature("The signature is not base64.") from error
    return Sealed(given[_ID], given[_TIME], signature, given[CERTIFICATE], given[_ALGORITHM])


def message(id: str, time: str, webhook_id: str, body: bytes) -> bytes:
    """What is signed."""
    return f"{id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()


def check_time(text: str, now: datetime) -> None:
    """Raise BadSignature unless the transmission is neither too old nor of the future."""
    at = mapping.moment(text)
    if at is None:
        raise BadSignature("The time of the transmission cannot be read.")
    if now - at > OLDEST:
        raise BadSignature("It was sent too long ago.")
    if at - now > EARLY:
        raise BadSignature("It was sent in the future.")


def verify(
    webhook_ids: tuple[str, ...],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    certificate: Callable[[str], x509.Certificate | None],
) -> None:
    """Raises BadSignature, or CannotVerify where the certificate is not at hand. certificate: the checked one of a URL."""
    seal = seal_of(headers)
    check_time(seal.time, now)
    found = certificate(seal.certificate)
    if found is None:
        raise CannotVerify("PayPal's certificate is not at hand.")
    key = found.public_key()
    if not isinstance(key, RSAPublicKey):
        raise BadSignature("PayPal's certificate has no RSA key.")
    for webhook_id in webhook_ids:
        try:
            key.verify(seal.signature, message(seal.id, seal.time, webhook_id, body), PKCS1v15(), SHA256())
        except InvalidSignature:
            continue
        return
    raise BadSignature("The signature is not of this body and webhook.")


def read(body: bytes) -> ProviderEvent:
    """What a verified body says. Raises ValueError when it is not an event."""
    event = json.loads(body.decode())
    if not isinstance(event, dict) or not isinstance(event.get("event_type"), str) or not event.get("id"):
        raise ValueError("it has no id and event_type")
    resource = event.get("resource")
    if not isinstance(resource, dict):
        raise ValueError("it has no resource")
    created = mapping.moment(event.get("create_time"))
    if created is None:
        raise ValueError("it has no create_time")
    try:
        kind, reference, intent, subscription = _about(
            str(event.get("resource_type") or ""), event["event_type"], resource
        )
        metadata = notes.read(_note(resource)).metadata
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        raise ValueError("its resource is not as PayPal's are") from error
    return ProviderEvent(
        external_id=str(event["id"]),
        type=event["event_type"],
        object_kind=kind,
        object_reference=reference,
        created_at=created,
        live=mapping.is_live(event) or mapping.is_live(resource),
        intent_reference=intent,
        subscription_reference=subscription,
        metadata=metadata,
        failed=event["event_type"] in _FAILURES,
        payload=event,
    )


def _about(word: str, type_: str, resource: Mapping[str, Any]) -> tuple[str, str, str | None, str | None]:
    """Kind, reference, payment and subscription of what an event is about."""
    id_ = _text(resource.get("id"))
    if word == "checkout-order":
        of_hosts_page = notes.read(_text(mapping.unit_of(resource).get("custom_id"))).own_page
        return ("intent", id_, id_, None) if of_hosts_page else ("checkout", id_, None, None)
    if type_.startswith("CHECKOUT.PAYMENT-APPROVAL."):
        return "checkout", _text(resource.get("order_id")), None, None
    if type_.startswith("PAYMENT.CAPTURE.") and word == "capture":
        return "intent", id_, mapping.intent_reference({"id": id_, **resource}), None
    if word == "refund":
        # The resource is the refund; its link "up" leads to what was refunded.
        up = (mapping.link(resource, "up") or "").rsplit("/", 1)[-1] or _text(resource.get("sale_id"))
        return "refund", id_, up or None, None
    if word == "sale":
        return "intent", id_, id_, _text(resource.get("billing_agreement_id")) or None
    if word == "subscription" or type_.startswith("BILLING.SUBSCRIPTION."):
        return "subscription", id_, None, id_ or None
    if word in ("payouts", "payouts_item"):
        header = resource.get("batch_header") or {}
        return "payout", _text(resource.get("payout_batch_id") or header.get("payout_batch_id")), None, None
    if word == "dispute":
        disputed = resource.get("disputed_transactions") or [{}]
        return (
            "dispute",
            _text(resource.get("dispute_id")),
            _text(disputed[0].get("seller_transaction_id")) or None,
            None,
        )
    return {"payment_token": "method", "plan": "plan"}.get(word, word or "unknown"), id_, None, None


def _note(resource: Mapping[str, Any]) -> str:
    """What the hub wrote on it; a sale calls it `custom`, an order has it on its purchase unit."""
    return _text(resource.get("custom_id") or resource.get("custom") or mapping.unit_of(resource).get("custom_id"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
