"""The sandbox's webhooks: registered, listed, sent again, and verified (Webhooks v1)."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from adapters.providers.paypal import mapping
from adapters.providers.paypal.sandbox_books import Books, Call, Json, PayPalFault, copied
from adapters.providers.paypal.sandbox_seal import Issued

_MOST = 10
_EVENT = re.compile(rb'"webhook_event"\s*:\s*')


def _missing(what: str) -> PayPalFault:
    return PayPalFault(404, "INVALID_RESOURCE_ID", message=f"There is no such {what}.")


def _invalid(field: str) -> PayPalFault:
    return PayPalFault(400, "VALIDATION_ERROR", "INVALID_PARAMETER", field=field, message="The request does not fit.")


def create(books: Books, call: Call) -> tuple[int, Json]:
    """POST /v1/notifications/webhooks."""
    asked = call.body if isinstance(call.body, dict) else {}
    url, types = asked.get("url"), asked.get("event_types")
    if not isinstance(url, str) or not url.startswith("http"):
        raise _invalid("url")
    if not isinstance(types, list) or not types or not all(isinstance(one.get("name"), str) for one in types):
        raise _invalid("event_types")
    if any(one["url"] == url for one in books.webhooks.values()):
        raise PayPalFault(400, "WEBHOOK_URL_ALREADY_EXISTS", message="The address has a webhook already.")
    if len(books.webhooks) >= _MOST:
        raise PayPalFault(400, "WEBHOOK_NUMBER_LIMIT_EXCEEDED", message="There are ten webhooks already.")
    id_ = books.id(17)
    books.webhooks[id_] = {
        "id": id_,
        "url": url,
        "event_types": copied(types),
        "links": [books.link(f"/v1/notifications/webhooks/{id_}", "self")],
    }
    return 201, copied(books.webhooks[id_])


def every(books: Books, call: Call) -> tuple[int, Json]:
    """GET /v1/notifications/webhooks."""
    return 200, {"webhooks": copied(list(books.webhooks.values()))}


def fetch(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v1/notifications/webhooks/{id}."""
    if id_ not in books.webhooks:
        raise _missing("webhook")
    return 200, copied(books.webhooks[id_])


def remove(books: Books, call: Call, id_: str) -> tuple[int, None]:
    """DELETE /v1/notifications/webhooks/{id}."""
    if books.webhooks.pop(id_, None) is None:
        raise _missing("webhook")
    return 204, None


def events(books: Books, call: Call) -> tuple[int, Json]:
    """GET /v1/notifications/webhooks-events: the newest first."""
    begin, end = (mapping.moment(call.query.get(name)) for name in ("start_time", "end_time"))
    wanted = call.query.get("event_type")
    found = []
    for event in reversed(books.events):
        at = mapping.moment(event["create_time"])
        late = at is None or (begin is not None and at < begin) or (end is not None and at > end)
        if not late and wanted in (None, event["event_type"]):
            found.append(event)
    size, skip = int(call.query.get("page_size", 10)), int(call.query.get("skip", 0))
    some = found[skip : skip + size]
    links = [books.link("/v1/notifications/webhooks-events", "self")]
    if skip + size < len(found):
        asked = "&".join(f"{name}={value}" for name, value in {**call.query, "skip": str(skip + size)}.items())
        links.append(books.link(f"/v1/notifications/webhooks-events?{asked}", "next"))
    return 200, {"events": copied(some), "count": len(some), "links": links}


def fetch_event(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v1/notifications/webhooks-events/{id}."""
    return 200, copied(event_in(books, id_))


def resend(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """POST /v1/notifications/webhooks-events/{id}/resend."""
    event = event_in(books, id_)
    books.unsent.append(event)
    return 202, copied(event)


def event_in(books: Books, id_: str) -> Json:
    """The event. Raises PayPalFault."""
    for event in books.events:
        if event["id"] == id_:
            return event
    raise _missing("event")


def wants(webhook: Json, type_: str) -> bool:
    """Whether the webhook is for events of the type."""
    return any(one["name"] in ("*", type_) for one in webhook["event_types"])


def verifier(signer: Callable[[], Issued], certificate_url: Callable[[], str]) -> Any:
    """POST /v1/notifications/verify-webhook-signature, over the bytes of `webhook_event` as they came."""

    def verify(books: Books, call: Call) -> tuple[int, Json]:
        asked = call.body if isinstance(call.body, dict) else {}
        names = ("auth_algo", "cert_url", "transmission_id", "transmission_sig", "transmission_time", "webhook_id")
        for name in names:
            if not isinstance(asked.get(name), str) or not asked[name]:
                raise _invalid(name)
        if not isinstance(asked.get("webhook_event"), dict):
            raise _invalid("webhook_event")
        known = asked["webhook_id"] in books.webhooks and asked["cert_url"] == certificate_url()
        body = _bytes_of_event(call.raw)
        said = f"{asked['transmission_id']}|{asked['transmission_time']}|{asked['webhook_id']}|{zlib.crc32(body)}"
        try:
            signature = base64.b64decode(asked["transmission_sig"], validate=True)
            signer().key.public_key().verify(signature, said.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, binascii.Error):
            known = False
        return 200, {"verification_status": "SUCCESS" if known else "FAILURE"}

    return verify


def _bytes_of_event(raw: bytes) -> bytes:
    found = _EVENT.search(raw)
    if found is None:
        return b""
    text = raw[found.end() :].decode()
    _, end = json.JSONDecoder().raw_decode(text)
    return text[:end].encode()
