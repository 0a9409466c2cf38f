"""A neutral message as one Discord embed, within every limit. Pure.

A colour for the tone, the text, the facts as inline fields, a link line, and a footer with the source and the time.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import attrs

from adapters.providers.discord import limits
from application.ports.message_channel import Meter, Preview
from domain.notifications.message import Action, Fact, Message, Tone
from domain.notifications.shortening import clean, one_line, shorten

COLOUR: Mapping[Tone, int] = {Tone.GOOD: 0x2E9E5B, Tone.NEUTRAL: 0x5865F2, Tone.WARNING: 0xE0A100, Tone.BAD: 0xD83C3E}

_URL = re.compile(r"https?://[^\s<>\"…]+[^\s<>\"….,;:!?)\]}']")
_MARK = re.compile(r"[\\*_~`|\[\]<]")
_LINE_MARK = re.compile(r"^(\s*)([#>+-])", re.MULTILINE)
_SMALLEST_FACT = 40
"""With less room than this left in the embed, a fact is left out and not cut to a stump."""


@attrs.define
class _Room:
    """What is left of the room that all texts of the embed share, and what had to give way."""

    left: int = limits.EMBED_TOTAL
    shortened: list[str] = attrs.field(factory=list)

    def take(self, place: str, text: str, limit: int, *, marked_up: bool = True) -> str:
        """The text cut to its own limit and to what is left, as it stands in the payload."""
        shown = markdown if marked_up else str
        kept = shorten(text, min(limit, self.left), size=lambda part: len(shown(part)))
        if kept != text and place not in self.shortened:
            self.shortened.append(place)
        self.left -= len(shown(kept))
        return shown(kept)


def shape(message: Message) -> Preview:
    """The body of Execute Webhook for the message, and how near each limit it comes."""
    room = _Room()
    source = one_line(message.source) or "Patchbay"
    embed: dict[str, Any] = {
        "title": room.take("title", one_line(message.title) or source, limits.TITLE),
        "color": COLOUR[message.tone],
        "timestamp": message.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "footer": {"text": room.take("source", source, limits.FOOTER // 4, marked_up=False)},
    }
    link = _link(room, message.action)
    if link and message.action:
        embed["url"] = message.action.url
    room.left -= len(link)
    text = room.take("text", clean(message.text).strip(), limits.DESCRIPTION - len(link))
    if text or link:
        embed["description"] = f"{text}{link}".strip()
    fields = _fields(room, message.facts)
    if fields:
        embed["fields"] = fields
    payload: dict[str, Any] = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    name = username(source)
    if name:
        payload["username"] = name
    return Preview(payload=payload, meters=_meters(embed, room), shortened=tuple(room.shortened))


def markdown(text: str) -> str:
    """Plain text as Discord's mark-up: whatever would be read as formatting, mention or link is escaped.

    Addresses stay as they are, so that they can be clicked: a backslash would become part of them.
    """
    pieces, end = [], 0
    for found in _URL.finditer(text):
        pieces += [_MARK.sub(r"\\\g<0>", text[end : found.start()]), found[0]]
        end = found.end()
    return _LINE_MARK.sub(r"\1\\\2", "".join([*pieces, _MARK.sub(r"\\\g<0>", text[end:])]))


def username(source: str) -> str | None:
    """The name to post under, or None for the webhook's own where Discord would refuse ours.

    Refused are names with "discord" or "clyde" in them (developers/resources/webhook, "Create Webhook"), and those a
    user may not have: "everyone", "here", or with @ # : ``` in them (developers/resources/user).
    """
    name = shorten(source, limits.USERNAME)
    low = name.casefold()
    if low in ("everyone", "here") or any(part in low for part in ("discord", "clyde", "@", "#", ":", "```")):
        return None
    return name


def _fields(room: _Room, facts: tuple[Fact, ...]) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = []
    for fact in facts:
        if room.left < _SMALLEST_FACT or len(fields) == limits.FIELDS:
            room.shortened.append("facts")
            break
        name = room.take(f"facts.{fact.label}", one_line(fact.label) or "–", min(limits.FIELD_NAME, room.left // 2))
        value = room.take(f"facts.{fact.label}", clean(fact.value).strip() or "–", limits.FIELD_VALUE)
        fields.append({"name": name, "value": value, "inline": True})
    return fields


def _link(room: _Room, action: Action | None) -> str:
    if action is None:
        return ""
    if not action.url.startswith(("http://", "https://")) or len(action.url) > limits.URL:
        room.shortened.append("action")  # a link cannot be cut: it would lead elsewhere
        return ""
    url = action.url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
    label = shorten(one_line(action.label) or "Open", limits.USERNAME)
    return f"\n\n[{markdown(label)}]({url})"


def _meters(embed: dict[str, Any], room: _Room) -> tuple[Meter, ...]:
    return (
        Meter("title", len(embed["title"]), limits.TITLE),
        Meter("text", len(embed.get("description", "")), limits.DESCRIPTION),
        Meter("facts", len(embed.get("fields", [])), limits.FIELDS),
        Meter("whole embed", limits.EMBED_TOTAL - room.left, limits.EMBED_TOTAL),
    )
