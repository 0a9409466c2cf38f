"""A channel that remembers what it was told, and answers as it was told to."""

from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final

import attrs

from application.ports.message_channel import MessageChannel, Meter, Preview
from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.message import Message
from domain.notifications.shortening import one_line, shorten

_MAX = 200


@attrs.frozen
class Sent:
    """One call of `send`."""

    access: Mapping[str, str]
    target: Mapping[str, Any]
    message: Message
    delivery_id: str


@final
class FakeChannel(MessageChannel):
    """Delivers everything, unless `next` holds outcomes, which are then given one by one.

    Its one limit: a title has at most 200 characters.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.next: deque[Outcome] = deque()

    def preview(self, message: Message) -> Preview:
        """The title and the text."""
        title = one_line(message.title)
        kept = shorten(title, _MAX)
        return Preview(
            payload={"title": kept, "text": message.text},
            meters=(Meter("title", len(kept), _MAX),),
            shortened=("title",) if kept != title else (),
        )

    async def send(
        self, access: Mapping[str, str], target: Mapping[str, Any], message: Message, *, delivery_id: str
    ) -> Outcome:
        """Remember the call."""
        self.sent.append(Sent(dict(access), dict(target), message, delivery_id))
        if self.next:
            return self.next.popleft()
        return Outcome(Verdict.DELIVERED, timedelta(milliseconds=1), status=200, body="ok")
