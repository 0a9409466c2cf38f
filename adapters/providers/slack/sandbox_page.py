"""The channel as a person would see it."""

import html
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from litestar import Response
from markupsafe import Markup

from adapters.sandbox.page import empty, joined, moment, page

_TOKEN = re.compile(r"<([^<>]+)>|\*([^*\n]+)\*")


def channel_page(messages: Sequence[tuple[datetime, str, Mapping[str, Any]]]) -> Response[str]:
    """Newest first: (time, channel, payload) of each message."""
    parts = [_message(*message) for message in reversed(messages)]
    return page("Slack", joined(parts) or empty("Nothing has been posted yet."))


def _message(at: datetime, channel: str, payload: Mapping[str, Any]) -> Markup:
    blocks = payload.get("blocks") or [{"type": "section", "text": {"type": "mrkdwn", "text": payload.get("text", "")}}]
    return Markup(
        '<article><p><strong>Patchbay</strong> <span class="tag">app</span> <small>{} · {}</small></p>{}</article>'
    ).format(channel, moment(at), joined([_block(block) for block in blocks]))


def _block(block: Mapping[str, Any]) -> Markup:
    parts: list[Markup] = []
    if block["type"] == "divider":
        parts.append(Markup("<hr>"))
    if block["type"] == "header":
        parts.append(Markup("<h2>{}</h2>").format(_text(block["text"])))
    elif "text" in block:
        parts.append(Markup('<p class="keep">{}</p>').format(_text(block["text"])))
    if block.get("fields"):
        cells = [Markup('<div class="keep">{}</div>').format(_text(field)) for field in block["fields"]]
        parts.append(Markup('<div class="fields">{}</div>').format(joined(cells)))
    for element in block.get("elements", ()):
        if element["type"] == "button":
            link = Markup('<p><a class="button" href="{}">{}</a></p>')
            parts.append(link.format(element.get("url", "#"), _text(element["text"])))
        else:
            parts.append(Markup("<p><small>{}</small></p>").format(_text(element)))
    return joined(parts)


def _text(text: Mapping[str, Any]) -> Markup:
    """A text object. In mrkdwn, `<url>`, `<url|label>`, `<!date^…|label>` and *bold* are shown as Slack shows them."""
    whole = str(text["text"])
    if text["type"] != "mrkdwn":
        return Markup("{}").format(whole)
    pieces, end = [], 0
    for found in _TOKEN.finditer(whole):
        pieces += [_plain(whole[end : found.start()]), _link(found[1]) if found[1] else _bold(found[2])]
        end = found.end()
    return joined([*pieces, _plain(whole[end:])])


def _plain(text: str) -> Markup:
    return Markup("{}").format(html.unescape(text))


def _bold(text: str) -> Markup:
    return Markup("<strong>{}</strong>").format(html.unescape(text))


def _link(inside: str) -> Markup:
    target, _, label = html.unescape(inside).partition("|")
    if not target.startswith(("http://", "https://")):
        return Markup("{}").format(label or target)
    return Markup('<a href="{}">{}</a>').format(target, label or target)
