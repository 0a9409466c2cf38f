"""What Discord refuses in a message, told as it tells it; and the message it makes of what it takes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.providers.discord import limits

_TEXTS = (("title", limits.TITLE), ("description", limits.DESCRIPTION), ("url", limits.URL))


def faults_of(request: Any) -> dict[str, Any] | None:
    """The error body for the request ({message, code, errors}), or None if Discord takes it.

    The leaves of `errors` have a word for a code ("BASE_TYPE_MAX_LENGTH"; developers/reference, "Error Messages"),
    though Discord's own API description calls it a number.
    """
    if not isinstance(request, Mapping):
        return {"message": "Invalid Form Body", "code": 50035, "errors": _leaf("BASE_TYPE_BAD_TYPE", "Not an object.")}
    errors: dict[str, Any] = {}
    _length(errors, request, "content", limits.CONTENT)
    _length(errors, request, "username", limits.USERNAME, least=1)
    name = request.get("username")
    if isinstance(name, str) and any(word in name.lower() for word in ("discord", "clyde")):
        errors["username"] = _leaf("USERNAME_INVALID_CONTAINS", "Username cannot contain this word.")
    embeds = request.get("embeds") or []
    if not isinstance(embeds, list) or len(embeds) > limits.EMBEDS:
        errors["embeds"] = _leaf("BASE_TYPE_MAX_LENGTH", f"Must be {limits.EMBEDS} or fewer in length.")
    else:
        found = {str(at): _embed(embed) for at, embed in enumerate(embeds)}
        kept = {at: inner for at, inner in found.items() if inner}
        if not kept and sum(_size(embed) for embed in embeds) > limits.EMBED_TOTAL:
            kept = _leaf("MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {limits.EMBED_TOTAL}")
        errors |= {"embeds": kept} if kept else {}
    if errors:
        return {"message": "Invalid Form Body", "code": 50035, "errors": errors}
    if not str(request.get("content") or "").strip() and not embeds:
        return {"message": "Cannot send an empty message", "code": 50006}
    return None


def message_of(
    request: Mapping[str, Any], *, id_: str, at: datetime, channel_id: str, webhook_id: str, name: str
) -> dict[str, Any]:
    """The message as Execute Webhook answers it with `wait=true`."""
    author = {
        "id": webhook_id,
        "username": request.get("username") or name,
        "avatar": None,
        "discriminator": "0000",
        "public_flags": 0,
        "flags": 0,
        "bot": True,
        "global_name": None,
        "primary_guild": None,
    }
    return {
        "id": id_,
        "type": 0,
        "content": request.get("content") or "",
        "channel_id": channel_id,
        "author": author,
        "attachments": [],
        "embeds": [_kept_embed(embed) for embed in request.get("embeds") or []],
        "mentions": [],
        "mention_roles": [],
        "pinned": False,
        "mention_everyone": False,
        "tts": bool(request.get("tts")),
        "timestamp": at.isoformat(),
        "edited_timestamp": None,
        "flags": 0,
        "components": [],
        "webhook_id": webhook_id,
    }


def _kept_embed(embed: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in embed.items() if value is not None} | {"type": "rich"}
    if "fields" in kept:
        kept["fields"] = [{**field, "inline": bool(field.get("inline"))} for field in kept["fields"]]
    return kept


def _embed(embed: Any) -> dict[str, Any]:
    if not isinstance(embed, Mapping):
        return _leaf("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    errors: dict[str, Any] = {}
    for name, most in _TEXTS:
        _length(errors, embed, name, most)
    colour = embed.get("color")
    if colour is not None and not (isinstance(colour, int) and 0 <= colour <= 0xFFFFFF):
        errors["color"] = _leaf("NUMBER_TYPE_MAX", "int value should be less than or equal to 16777215.")
    url = embed.get("url")
    if isinstance(url, str) and not url.startswith(("http://", "https://")):
        errors["url"] = _leaf("URL_TYPE_INVALID_SCHEME", "Scheme must be one of ('http', 'https').")
    footer: dict[str, Any] = {}
    _length(footer, embed.get("footer") or {}, "text", limits.FOOTER)
    errors |= {"footer": footer} if footer else {}
    fields = embed.get("fields") or []
    if len(fields) > limits.FIELDS:
        errors["fields"] = _leaf("BASE_TYPE_MAX_LENGTH", f"Must be {limits.FIELDS} or fewer in length.")
        return errors
    found = {str(at): _field(field) for at, field in enumerate(fields)}
    kept = {at: inner for at, inner in found.items() if inner}
    return errors | ({"fields": kept} if kept else {})


def _field(field: Any) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    for name, most in (("name", limits.FIELD_NAME), ("value", limits.FIELD_VALUE)):
        text = field.get(name) if isinstance(field, Mapping) else None
        if not isinstance(text, str) or not text.strip():
            errors[name] = _leaf("BASE_TYPE_REQUIRED", "This field is required")
        else:
            _length(errors, field, name, most)
    return errors


def _length(errors: dict[str, Any], holder: Mapping[str, Any], name: str, most: int, *, least: int = 0) -> None:
    value = holder.get(name)
    if value is None:
        return
    if not isinstance(value, str):
        errors[name] = _leaf("STRING_TYPE_CONVERT", "Could not interpret this as a string.")
    elif len(value) > most:
        errors[name] = _leaf("BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
    elif len(value.strip()) < least:
        errors[name] = _leaf("BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")


def _leaf(code: str, message: str) -> dict[str, Any]:
    return {"_errors": [{"code": code, "message": message}]}


def _size(embed: Mapping[str, Any]) -> int:
    texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    texts += [(embed.get("author") or {}).get("name")]
    texts += [text for field in embed.get("fields") or [] for text in (field.get("name"), field.get("value"))]
    return sum(len(text) for text in texts if isinstance(text, str))
