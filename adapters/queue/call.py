"""A call as it travels: which process says so, the number of its message, and what is called.

A message is JSON of less than 8,000 bytes, PostgreSQL's limit for a NOTIFY (https://www.postgresql.org/docs/current/sql-notify.html).
It holds names of lanes, which are ids, and no secret.
"""

from collections.abc import Collection

import attrs
import msgspec

from application.ports.work_queue import Topic

LONGEST = 7_999
"""Bytes."""


@attrs.frozen
class Call:
    """One message."""

    node: str
    number: int
    topic: str | None
    """None: nobody is called; the sender only wants to hear itself."""
    lanes: tuple[str, ...] = ()
    """Empty: it is unknown which."""


def written(node: str, number: int, topic: Topic | None, lanes: Collection[str] = ()) -> bytes:
    """The message. Lanes that do not fit become unknown ones."""
    message = msgspec.json.encode(Call(node, number, topic and topic.value, tuple(lanes)))
    if len(message) <= LONGEST:
        return message
    return msgspec.json.encode(Call(node, number, topic and topic.value))


def read(message: bytes | str) -> Call | None:
    """The call, or None for what is none: anybody who reaches the broker may write anything there."""
    try:
        return msgspec.json.decode(message, type=Call)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
