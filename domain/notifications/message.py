"""A message before any channel has shaped it: Slack makes blocks of it, Discord an embed, mail a page."""

from datetime import datetime
from enum import Enum

import attrs


class Tone(Enum):
    """How the news is meant; a channel turns it into a colour and an emoji."""

    GOOD = "good"
    NEUTRAL = "neutral"
    WARNING = "warning"
    BAD = "bad"


@attrs.frozen
class Fact:
    """One labelled value, such as Amount: 125.00 USD."""

    label: str
    value: str


@attrs.frozen
class Action:
    """One thing to do about it: a labelled link."""

    label: str
    url: str


@attrs.frozen
class Attachment:
    """A document that goes with it, where the channel can carry one: its file's name, its media type, its bytes."""

    name: str
    media_type: str
    content: bytes = attrs.field(repr=False)


@attrs.frozen
class Message:
    """What is to be said. Plain text throughout: a channel escapes it in its own way.

    title: one line. text: a sentence, or paragraphs parted by a blank line. source: who speaks (the organisation).
    """

    title: str
    text: str
    at: datetime
    facts: tuple[Fact, ...] = ()
    action: Action | None = None
    tone: Tone = Tone.NEUTRAL
    source: str = "Patchbay"
    attachments: tuple[Attachment, ...] = ()
