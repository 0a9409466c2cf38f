"""Envelopes: what stands around an event's data in a request.

The data is at hand as the JSON it was stored as, so that most envelopes put bytes together and parse nothing.
"""

import re
from collections.abc import Mapping
from enum import Enum
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import attrs

from domain.notifications.flattening import flat, form
from domain.notifications.payload import Payload

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
CLOUDEVENTS = "application/cloudevents+json"

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_UNQUOTED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_PLAIN_VALUE = re.compile(r"[!#$&-~]*")
_PLAIN_SEGMENT = re.compile(r"[\w.-]*", re.ASCII)


class Envelope(Enum):
    """The shapes a receiver may choose from."""

    STANDARD = "standard"
    """id, type, timestamp and data (Standard Webhooks, "Payload structure")."""
    DATA = "data"
    """The data alone."""
    FORM = "form"
    """The same as standard, as a form: `data[client][name]`."""
    CLOUDEVENTS = "cloudevents"
    """CloudEvents 1.0 in structured mode (JSON format, section 3)."""
    CLOUDEVENTS_BINARY = "cloudevents-binary"
    """CloudEvents 1.0 in binary mode: the attributes in `ce-` headers (HTTP protocol binding, section 3.1)."""
    THIN = "thin"
    """id, type, timestamp and a URL to fetch the event from with an API key."""
    ZAPIER = "zapier"
    """The same as standard on one level: `data__client__name`."""


@attrs.frozen
class Composed:
    """What is sent, unsigned. headers: besides the content type; names in lower case."""

    body: bytes = attrs.field(repr=False)
    media_type: str
    headers: Mapping[str, str]


def compose(envelope: Envelope, event: Payload) -> Composed:
    """Put the event into its envelope.

    Raises:
        TooLarge: an Invalid, field `envelope`; a form or flat body beyond 2 MiB or 64 levels.
        Invalid: field `data`; a form or flat body of data that cannot be read.
    """
    if envelope is Envelope.STANDARD:
        return Composed(b'%s,"data":%s}' % (_opening(event), event.data_json), JSON, _NO_HEADERS)
    if envelope is Envelope.DATA:
        return Composed(event.data_json, JSON, _NO_HEADERS)
    if envelope is Envelope.THIN:
        return Composed(b'%s,"url":%s}' % (_opening(event), _quoted(event_url(event))), JSON, _NO_HEADERS)
    if envelope is Envelope.CLOUDEVENTS:
        return Composed(_structured(event), CLOUDEVENTS, _NO_HEADERS)
    if envelope is Envelope.CLOUDEVENTS_BINARY:
        return Composed(event.data_json, JSON, binary_headers(event))
    if envelope is Envelope.FORM:
        return Composed(form(_shown(event)).encode(), FORM, _NO_HEADERS)
    return Composed(flat(_shown(event)).encode(), JSON, _NO_HEADERS)


def event_url(event: Payload) -> str:
    """Where the event can be fetched with an API key that may read events."""
    return f"{event.source_url}/api/events/{_segment(event.id)}"


def binary_headers(event: Payload) -> Mapping[str, str]:
    """The attributes as headers, percent-encoded (HTTP protocol binding, sections 3.1.3.1 and 3.1.3.2)."""
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": _source(event),
        "type": event.type,
        "time": event.timestamp,
    }
    return {
        f"ce-{name}": value if _PLAIN_VALUE.fullmatch(value) else quote(value, safe=_UNQUOTED, errors="replace")
        for name, value in attributes.items()
    }


def _structured(event: Payload) -> bytes:
    return (
        b'{"specversion":"1.0","id":%s,"source":%s,"type":%s,"time":"%s","datacontenttype":"application/json","data":%s}'
        % (
            _quoted(event.id),
            _quoted(_source(event)),
            _quoted(event.type),
            event.timestamp.encode(),
            event.data_json,
        )
    )


def _source(event: Payload) -> str:
    """Unique with the id for each event (CloudEvents, "source"): the organisation's address at this hub."""
    return f"{event.source_url}/organisations/{_segment(event.organisation_id)}"


def _segment(text: str) -> str:
    return text if _PLAIN_SEGMENT.fullmatch(text) else quote(text, safe="", errors="replace")


def _opening(event: Payload) -> bytes:
    """A JSON object's first three members, as `json.dumps` writes them without spaces."""
    opening = (
        f'{{"id":{encode_basestring(event.id)},"type":{encode_basestring(event.type)},"timestamp":"{event.timestamp}"'
    )
    return opening.encode(errors="replace")


def _quoted(text: str) -> bytes:
    quoted: str = encode_basestring(text)
    return quoted.encode(errors="replace")


def _shown(event: Payload) -> Mapping[str, object]:
    return {name: value for name, value in event.view.items() if name != "organisation_id"}
