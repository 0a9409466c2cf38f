"""An event on its way out: its data as the JSON that was stored, parsed only if a template, a filter or a form asks."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import attrs

from domain.events import Event
from domain.notifications.tokens import MAX_DIGITS
from domain.refusals import Invalid


@attrs.frozen
class Payload:
    """What an event is made of, for a body to be made of it.

    occurred_at: aware. data_json: UTF-8, without spaces. source_url: where the hub is, without a slash at the end.
    """

    id: str
    organisation_id: str
    type: str
    occurred_at: datetime
    data_json: bytes = attrs.field(repr=False)
    source_url: str

    @classmethod
    def of(cls, event: Event, source_url: str) -> "Payload":
        """The event's. Raises Invalid, field `data`, if its data cannot be said in JSON."""
        return cls(event.id, event.organisation_id, event.type, event.occurred_at, encode_data(event.data), source_url)

    @property
    def timestamp(self) -> str:
        """When it happened, RFC 3339."""
        return self.occurred_at.isoformat().replace("+00:00", "Z")

    @cached_property
    def view(self) -> Mapping[str, Any]:
        """What paths are looked up in; not to be changed. Raises Invalid, field `data`, if the data cannot be read."""
        return {
            "id": self.id,
            "type": self.type,
            "timestamp": self.timestamp,
            "organisation_id": self.organisation_id,
            "data": parse_data(self.data_json),
        }


def encode_data(data: Mapping[str, Any]) -> bytes:
    """An event's data as JSON without spaces, as it is sent; half a surrogate pair, which UTF-8 cannot say, becomes "?".

    Raises Invalid, field `data`, if JSON cannot say it.
    """
    try:
        return _encode(dict(data)).encode(errors="replace")
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid.field("data", f"The data cannot be said in JSON: {error}.") from error


def parse_data(data_json: bytes) -> Any:
    """The value. A number that most receivers cannot read (1e400, 500 digits) is seen as its text: nothing is lost.

    Raises Invalid, field `data`, if it is no JSON or nested so deeply that it cannot be read.
    """
    try:
        return _decode(data_json.decode())
    except RecursionError as error:
        raise Invalid.field("data", "The data is nested too deeply to be read.") from error
    except ValueError as error:
        raise Invalid.field("data", f"The data is not JSON: {error}.") from error


def _real(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MAX_DIGITS else text


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder(parse_float=_real, parse_int=_whole, parse_constant=str).decode
