"""Somewhere a message can be posted for people to read: Slack, Discord, mail."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from domain.notifications.attempts import Outcome
from domain.notifications.message import Message


@attrs.frozen
class Meter:
    """How much of one limit of the channel's a message uses, for a preview."""

    name: str
    used: int
    limit: int


@attrs.frozen
class Preview:
    """How a message will look.

    payload: what would be sent, as JSON (for mail: subject, html, text). meters: each limit the message comes near.
    shortened: the places where text had to be cut to fit.
    """

    payload: Mapping[str, Any]
    meters: tuple[Meter, ...] = ()
    shortened: tuple[str, ...] = ()


class MessageChannel(Protocol):
    """Posts neutral messages to one kind of place."""

    @abstractmethod
    def preview(self, message: Message) -> Preview:
        """Shape the message without sending it. Pure; always within the channel's limits."""

    @abstractmethod
    async def send(
        self, access: Mapping[str, str], target: Mapping[str, Any], message: Message, *, delivery_id: str
    ) -> Outcome:
        """Post it once. Never raises for what the receiver or the network does: that is the Outcome's verdict.

        Args:
            access: the connection's fields, secrets opened (for Slack: `webhook_url`).
            target: the configuration's own fields (for mail: `to`, a list of addresses).
            delivery_id: the same on every try, so that a channel that can tell duplicates apart does.
        """
