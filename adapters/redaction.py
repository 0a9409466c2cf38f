"""Takes secrets out of what is about to be written down: by the name of a field, and by the look of a value.

The look is the last net, not the first: who logs should not hand over a secret at all.
"""

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

REDACTED = "[redacted]"
LONGEST = 16_000
"""Characters of one text that are kept; more is cut off."""

_DEEPEST = 8
_SECRET_NAMES = (
    "secret password passwd passphrase token authorization authorisation apikey webhookurl cookie credential privatekey"
    " accesskey masterkey signature dsn databaseurl queueurl proxyurl"
).split()
_ASSIGNED = r"(?:secret|password|passwd|token|api_?key|authorization)[\w-]{0,40}[\"']?\s{0,4}"

# The repetitions are bounded: a hostile answer that lands in a log must not make the search take minutes.
_LOOKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, replacement, flags in (
        (
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
            REDACTED,
            re.DOTALL,
        ),
        (r"\b([sr]k_(?:live|test)_)[A-Za-z0-9]+", rf"\1{REDACTED}", 0),  # Stripe's keys
        (r"\b(whsec_)[A-Za-z0-9+/_=-]+", rf"\1{REDACTED}", 0),  # signing secrets, Stripe's and ours
        (r"\b(pb_[A-Za-z0-9]{1,60}_)[A-Za-z0-9_-]+", rf"\1{REDACTED}", 0),  # our keys; the part before is their name
        (r"\b(xox[a-z]-|xapp-)[A-Za-z0-9-]+", rf"\1{REDACTED}", 0),  # Slack's tokens
        (r"\b((?:pi|seti|cs)_[A-Za-z0-9]{1,100}_secret_)\w+", rf"\1{REDACTED}", 0),  # Stripe's client secrets
        (r"\beyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]*", REDACTED, 0),  # JSON web tokens
        (r"(?i)\b(bearer\s{1,4})[\w.~+/=-]+", rf"\1{REDACTED}", 0),
        (r"\b(Basic )[A-Za-z0-9+/]{8,}={0,2}", rf"\1{REDACTED}", 0),
        (r"(://)[^/\s'\"?#]{1,500}@", rf"\1{REDACTED}@", 0),  # a user name and password in a URL
        (r"(hooks\.slack(?:-gov)?\.com/)[^\s'\"<>]+", rf"\1{REDACTED}", 0),
        (r"(/services/)T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]+", rf"\1{REDACTED}", 0),  # Slack's, at another host
        (r"(/webhooks/\d{1,30}/)[\w-]+", rf"\1{REDACTED}", 0),  # Discord's, at any host
        (r"(/pay/)[\w-]{8,}", rf"\1{REDACTED}", 0),  # our payment links: who has one can see the invoice
        (rf"(?i)({_ASSIGNED}[:=]\s{{0,4}})\"[^\"]*\"", rf'\1"{REDACTED}"', 0),
        (rf"(?i)({_ASSIGNED}[:=]\s{{0,4}})'[^']*'", rf"\1'{REDACTED}'", 0),
        (rf"(?i)({_ASSIGNED}=)(?!\[redacted\])[^\s,;&'\"<>()]+", rf"\1{REDACTED}", 0),
    )
)


def redact_text(text: str) -> str:
    """The text without what looks like a secret, cut at LONGEST characters."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + " … (cut)"
    for pattern, replacement in _LOOKS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any, depth: int = 0) -> Any:
    """The value as plain JSON types without secrets. What is of no plain type becomes its text, redacted too."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value[:LONGEST]).decode("utf-8", "replace"))
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {redact_text(str(name)): _field(str(name), item, depth + 1) for name, item in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value]
    return redact_text(_text(value))


def _field(name: str, value: Any, depth: int) -> Any:
    """A field that is named like a secret keeps only whether there is one."""
    plain = re.sub("[^a-z]", "", name.lower())
    if value is None or isinstance(value, bool) or not any(word in plain for word in _SECRET_NAMES):
        return redact(value, depth)
    return REDACTED


def _text(value: object) -> str:
    try:
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}"
        return str(value) if isinstance(value, date | time | timedelta | Enum | PurePath | UUID) else repr(value)
    except Exception:  # noqa: BLE001 -- an object that cannot be shown must not stop the log
        return f"<{type(value).__name__}>"
