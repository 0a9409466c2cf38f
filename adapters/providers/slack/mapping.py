"""A neutral message as Slack's blocks, within every limit. Pure.

A header with an emoji for the tone, the text, the facts in two columns, a button, and a footer with source and time.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import attrs

from adapters.providers.slack import limits
from application.ports.message_channel import Meter, Preview
from domain.notifications.message import Action, Fact, Message, Tone
from domain.notifications.shortening import clean, one_line, shorten, utf16

EMOJI: Mapping[Tone, str] = {Tone.GOOD: "✅", Tone.NEUTRAL: "🔔", Tone.WARNING: "⚠️", Tone.BAD: "🚨"}

_URL = re.compile(r"https?://[^\s<>\"…]+[^\s<>\"….,;:!?)\]}']")
_SMALLEST_FACT = 40
"""With less room than this left in the message, a fact is left out and not cut to a stump."""

_MAX_SECTIONS = 40
"""Sections of facts at most: what remains of a message's blocks is ample for the rest."""


@attrs.define
class _Room:
    """What is left of the room that all texts of the blocks share, and what had to give way."""

    left: int = limits.ALL_BLOCKS_TEXT
    shortened: list[str] = attrs.field(factory=list)

    def take(self, place: str, text: str, limit: int, *, marked_up: bool = False) -> str:
        """The text cut to its own limit and to what is left, as it stands in the payload."""
        shown = mrkdwn if marked_up else str
        kept = shorten(text, min(limit, self.left), size=lambda part: utf16(shown(part)))
        if kept != text and place not in self.shortened:
            self.shortened.append(place)
        self.left -= utf16(shown(kept))
        return shown(kept)


def shape(message: Message) -> Preview:
    """The payload of an incoming webhook for the message, and how near each limit it comes."""
    room = _Room()
    title = one_line(message.title) or one_line(message.source) or "Patchbay"
    footer_blocks = [_footer(room, message)]  # first: small, and it must be there
    header = room.take("title", f"{EMOJI[message.tone]} {title}", limits.HEADER_TEXT)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}}]
    action = _action(room, message.action)
    text = clean(message.text).strip()
    if text:
        blocks.append(
            {"type": "section", "text": _mrkdwn(room.take("text", text, limits.SECTION_TEXT, marked_up=True))}
        )
    blocks += _facts(room, message.facts)
    blocks += action
    blocks += footer_blocks
    top_level = _top_level(title, text, room)
    payload = {"text": top_level, "blocks": blocks}
    return Preview(payload=payload, meters=_meters(payload, room), shortened=tuple(room.shortened))


def _top_level(title: str, text: str, room: _Room) -> str:
    """What a notification on a telephone shows and a screen reader reads: title and text, escaped."""
    whole = f"{title}\n{text}" if text else title
    kept = shorten(whole, limits.TEXT, size=lambda part: utf16(mrkdwn(part)))
    if kept != whole and "text" not in room.shortened:
        room.shortened.append("text")
    return mrkdwn(kept)


def mrkdwn(text: str) -> str:
    """Plain text as Slack's mark-up: `&`, `<` and `>` escaped, addresses made links.

    Only those three may be escaped (docs.slack.dev, messaging/formatting-message-text). Links are written out, because
    `verbatim` then keeps Slack from finding names and channels in the text to link and to notify.
    """
    pieces, end = [], 0
    for found in _URL.finditer(text):
        pieces += [escape(text[end : found.start()]), f"<{escape(found[0].replace('|', '%7C'))}>"]
        end = found.end()
    return "".join([*pieces, escape(text[end:])])


def escape(text: str) -> str:
    """The three characters that Slack gives a meaning, and no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _facts(room: _Room, facts: tuple[Fact, ...]) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = []
    for fact in facts:
        if room.left < _SMALLEST_FACT or len(fields) == _MAX_SECTIONS * limits.SECTION_FIELDS:
            room.shortened.append("facts")
            break
        label = shorten(one_line(fact.label), limits.BUTTON_TEXT)
        before = room.left
        head = f"*{escape(label)}*\n"
        room.left -= utf16(head)
        value = room.take(
            f"facts.{fact.label}", clean(fact.value).strip() or "–", limits.FIELD_TEXT - utf16(head), marked_up=True
        )
        if not value:
            room.left = before
            room.shortened.append("facts")
            break
        fields.append(_mrkdwn(head + value))
    step = limits.SECTION_FIELDS
    return [{"type": "section", "fields": fields[at : at + step]} for at in range(0, len(fields), step)]


def _action(room: _Room, action: Action | None) -> list[dict[str, Any]]:
    if action is None:
        return []
    if not action.url.startswith(("http://", "https://")) or utf16(action.url) > limits.BUTTON_URL:
        room.shortened.append("action")  # a link cannot be cut: it would lead elsewhere
        return []
    label = room.take("action", one_line(action.label) or "Open", limits.BUTTON_TEXT)
    button = {"type": "button", "text": {"type": "plain_text", "text": label, "emoji": True}, "url": action.url}
    return [{"type": "actions", "elements": [button]}]


def _footer(room: _Room, message: Message) -> dict[str, Any]:
    at = message.at.astimezone(UTC)
    moment = f"{at:%Y-%m-%d %H:%M} UTC"
    # A date token: each reader sees the moment in their own time zone, and the text after the bar where it is unknown.
    token = f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{moment}>"
    source = room.take(
        "source", one_line(message.source) or "Patchbay", limits.CONTEXT_TEXT - utf16(f" · {token}"), marked_up=True
    )
    room.left -= utf16(f" · {token}")
    return {"type": "context", "elements": [_mrkdwn(f"{source} · {token}")]}


def _meters(payload: dict[str, Any], room: _Room) -> tuple[Meter, ...]:
    blocks = payload["blocks"]
    sections = [utf16(block["text"]["text"]) for block in blocks if block["type"] == "section" and "text" in block]
    fields = [len(block["fields"]) for block in blocks if "fields" in block]
    return (
        Meter("title", utf16(blocks[0]["text"]["text"]), limits.HEADER_TEXT),
        Meter("text", sum(sections), limits.SECTION_TEXT),
        Meter("facts", sum(fields), _MAX_SECTIONS * limits.SECTION_FIELDS),
        Meter("blocks", len(blocks), limits.BLOCKS),
        Meter("all blocks", limits.ALL_BLOCKS_TEXT - room.left, limits.ALL_BLOCKS_TEXT),
    )
