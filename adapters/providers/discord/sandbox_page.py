"""The channel as a person would see it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from litestar import Response
from markupsafe import Markup

from adapters.sandbox.page import empty, joined, moment, page

_LINK = re.compile(r"(?<!\\)\[((?:[^\]\\]|\\.)*)\]\((https?://[^)\s]+)\)|(https?://[^\s<>]*[^\s<>.,;:!?)])")
_ESCAPED = re.compile(r"\\([^\w\s])")


def channel_page(messages: Sequence[tuple[datetime, Mapping[str, Any]]]) -> Response[str]:
    """Newest first: (time, message) each."""
    return page(
        "Discord", joined([_message(*each) for each in reversed(messages)]) or empty("Nothing has been posted yet.")
    )


def _message(at: datetime, message: Mapping[str, Any]) -> Markup:
    embeds = joined([_embed(embed) for embed in message["embeds"]])
    return Markup(
        '<section><p><strong>{}</strong> <span class="tag">app</span> <small>{}</small></p>'
        '<p class="keep">{}</p>{}</section>'
    ).format(message["author"]["username"], moment(at), _markdown(message["content"]), embeds)


def _embed(embed: Mapping[str, Any]) -> Markup:
    fields = [
        Markup('<div><strong>{}</strong><div class="keep">{}</div></div>').format(
            _markdown(field["name"]), _markdown(field["value"])
        )
        for field in embed.get("fields", ())
    ]
    title = _markdown(embed.get("title", ""))
    if embed.get("url"):
        title = Markup('<a href="{}">{}</a>').format(embed["url"], title)
    return Markup(
        '<article style="border-left:5px solid #{colour:06x}"><h2>{title}</h2><p class="keep">{text}</p>'
        '<div class="fields">{fields}</div><p><small>{footer} · {at}</small></p></article>'
    ).format(
        colour=int(embed.get("color") or 0),
        title=title,
        text=_markdown(embed.get("description", "")),
        fields=joined(fields),
        footer=(embed.get("footer") or {}).get("text", ""),
        at=embed.get("timestamp", ""),
    )


def _markdown(text: str) -> Markup:
    """Links shown as links, escaped marks as the marks; other formatting is left as it was typed."""
    pieces, end = [], 0
    for found in _LINK.finditer(text):
        label, target, bare = found.groups()
        link = Markup('<a href="{}">{}</a>').format(target or bare, _plain(label) if target else bare)
        pieces += [_plain(text[end : found.start()]), link]
        end = found.end()
    return joined([*pieces, _plain(text[end:])])


def _plain(text: str) -> Markup:
    return Markup("{}").format(_ESCAPED.sub(r"\1", text))
