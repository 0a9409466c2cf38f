"""Discord as a place to post messages."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final

import attrs

from adapters.providers.discord import limits
from adapters.providers.discord.client import DiscordWebhook
from adapters.providers.discord.mapping import shape
from application.ports.clock import Clock
from application.ports.message_channel import MessageChannel, Preview
from application.ports.outgoing import Outgoing
from domain.notifications.attempts import Outcome
from domain.notifications.message import Message
from domain.notifications.shortening import one_line, shorten

TIMEOUT = timedelta(seconds=10)


@final
@attrs.frozen
class DiscordChannel(MessageChannel):
    """Posts to a webhook (`access["webhook_url"]`), which belongs to one channel.

    `target` may name a thread of that channel: `thread_id`, or in a forum channel `thread_name`, which opens a post.
    Discord cannot tell a duplicate of a webhook's message: after a time-out it may appear twice.
    """

    _outgoing: Outgoing
    _clock: Clock
    _timeout: timedelta = TIMEOUT
    _webhook: DiscordWebhook = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_webhook", DiscordWebhook(self._outgoing, self._clock, self._timeout))

    def preview(self, message: Message) -> Preview:
        """The message as an embed."""
        return shape(message)

    async def send(
        self, access: Mapping[str, str], target: Mapping[str, Any], message: Message, *, delivery_id: str
    ) -> Outcome:
        """Post once, or answer RETRY at once while the webhook's rate limit runs."""
        payload = dict(shape(message).payload)
        thread_id, thread_name = str(target.get("thread_id") or ""), one_line(str(target.get("thread_name") or ""))
        if thread_name and not thread_id:
            payload["thread_name"] = shorten(thread_name, limits.THREAD_NAME)
        return await self._webhook.post(access["webhook_url"], payload, thread_id=thread_id or None)
