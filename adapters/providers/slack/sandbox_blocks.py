"""What Slack refuses in a payload, in Slack's words."""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.providers.slack import limits
from domain.notifications.shortening import utf16

_REALLY_TOO_LONG = 13_200
"""Where msg_blocks_too_long was seen (github.com/slackapi/bolt-js#2509); what we send stays below it with a margin."""


def faults_of(payload: Mapping[str, Any]) -> str:
    """Slack's word for what is wrong with the payload of an incoming webhook; "" if nothing is."""
    text, blocks = payload.get("text"), payload.get("blocks")
    if text is not None and not isinstance(text, str):
        return "invalid_payload"
    if not text and not blocks and not payload.get("attachments"):
        return "no_text"
    if blocks is None:
        return ""
    if not isinstance(blocks, list) or len(blocks) > limits.BLOCKS or not all(_block(block) for block in blocks):
        return "invalid_blocks"
    return "msg_blocks_too_long" if sum(_length(block) for block in blocks) > _REALLY_TOO_LONG else ""


def _block(block: Any) -> bool:
    if not isinstance(block, Mapping):
        return False
    check = _BLOCKS.get(str(block.get("type")))
    block_id = block.get("block_id", "")
    return check is not None and isinstance(block_id, str) and len(block_id) <= 255 and check(block)


def _text(value: Any, most: int, *, plain: bool = False) -> bool:
    """A text object: plain_text (emoji allowed) or mrkdwn (verbatim allowed), with 1 to `most` characters."""
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
        return False
    allowed = {"plain_text": {"emoji"}, "mrkdwn": {"verbatim"}}.get(str(value.get("type")))
    if allowed is None or (plain and value["type"] != "plain_text"):
        return False
    return not set(value) - {"type", "text"} - allowed and 1 <= utf16(value["text"]) <= most


def _list(value: Any, most: int, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= most and all(check(each) for each in value)


def _header(block: Mapping[str, Any]) -> bool:
    return _text(block.get("text"), limits.HEADER_TEXT, plain=True) and _only(block, "text")


def _section(block: Mapping[str, Any]) -> bool:
    text, fields = block.get("text"), block.get("fields")
    return (
        (text is not None or fields is not None)
        and (text is None or _text(text, limits.SECTION_TEXT))
        and (fields is None or _list(fields, limits.SECTION_FIELDS, lambda field: _text(field, limits.FIELD_TEXT)))
        and _only(block, "text", "fields", "accessory", "expand")
    )


def _actions(block: Mapping[str, Any]) -> bool:
    return _list(block.get("elements"), limits.ACTIONS, _button) and _only(block, "elements")


def _button(element: Any) -> bool:
    if not isinstance(element, Mapping) or element.get("type") != "button":
        return False
    url = element.get("url")
    link = url is None or (
        isinstance(url, str) and url.startswith(("http://", "https://")) and utf16(url) <= limits.BUTTON_URL
    )
    return link and _text(element.get("text"), limits.BUTTON_TEXT, plain=True)


def _context(block: Mapping[str, Any]) -> bool:
    return _list(
        block.get("elements"), limits.CONTEXT_ELEMENTS, lambda element: _text(element, limits.CONTEXT_TEXT)
    ) and _only(block, "elements")


def _only(block: Mapping[str, Any], *names: str) -> bool:
    return not set(block) - {"type", "block_id", *names}


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "header": _header,
    "section": _section,
    "actions": _actions,
    "context": _context,
    "divider": _only,
}
"""The kinds of block that this sandbox knows; it refuses others, which Slack may take."""


def _length(value: Any) -> int:
    if isinstance(value, Mapping):
        own = value.get("text")
        return utf16(own) if isinstance(own, str) else sum(_length(each) for each in value.values())
    return sum(_length(each) for each in value) if isinstance(value, list) else 0
