"""Slack as a place to post messages."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final

import attrs

from adapters.providers.slack.client import SlackWebhook
from adapters.providers.slack.mapping import shape
from application.ports.message_channel import MessageChannel, Preview
from application.ports.outgoing import Outgoing
from domain.notifications.attempts import Outcome
from domain.notifications.message import Message

TIMEOUT = timedelta(seconds=10)


@final
@attrs.frozen
class SlackChannel(MessageChannel):
    """Posts to an incoming webhook (`access["webhook_url"]`), which belongs to one channel: `target` says nothing more.

    Slack cannot tell a duplicate: after a time-out the message may appear twice.
    """

    _outgoing: Outgoing
    _timeout: timedelta = TIMEOUT

    def preview(self, message: Message) -> Preview:
        """The message as blocks."""
        return shape(message)

    async def send(
        self, access: Mapping[str, str], target: Mapping[str, Any], message: Message, *, delivery_id: str
    ) -> Outcome:
        """Post once."""
        return await SlackWebhook(self._outgoing, self._timeout).post(access["webhook_url"], shape(message).payload)
