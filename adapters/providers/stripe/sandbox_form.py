"""How the sandbox reads a request: form-encoded text with brackets, checked name by name, as Stripe checks it.

It is stricter than Stripe in one way: a parameter that is given twice is refused, for that is a mistake of ours.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Reader = Callable[[Any, str], Any]
"""Takes a raw value and the name it came under; gives the value; raises StripeFault."""

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_DEEPEST = 6


class StripeFault(Exception):
    """The sandbox says no, in the shape of Stripe's error body. `more` is added to that body's `error`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON that is answered."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error |= {
                "code": self.code,
                "doc_url": f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}",
            }
        if self.param:
            error["param"] = self.param
        return {"error": error | self.more}


def decode(text: str) -> dict[str, Any]:
    """`a[b][0]=c` as {"a": {"b": {"0": "c"}}}; lists are recognised later, where one is expected."""
    try:
        pairs = (
            parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=2000)
            if text
            else []
        )
    except ValueError as error:
        raise StripeFault("The body is not form-encoded.") from error
    tree: dict[str, Any] = {}
    for name, value in pairs:
        found = _NAME.fullmatch(name)
        if not found:
            raise StripeFault(f"The parameter name {name[:100]!r} is malformed.", param=name[:100])
        parts = [found[1], *_PART.findall(found[2])]
        if len(parts) > _DEEPEST:
            raise StripeFault("The parameters are nested too deeply.", param=found[1])
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part or str(len(node)), {})
            if not isinstance(node, dict):
                raise StripeFault(f"{name} is given both as a value and as an object.", param=name)
        last = parts[-1] or str(len(node))
        if last in node:
            raise StripeFault(f"{name} is given more than once.", param=name)
        node[last] = value
    return tree


def text(most: int = 5000) -> Reader:
    """A text that is not empty, of at most so many characters."""

    def read(value: Any, at: str) -> str:
        if not isinstance(value, str):
            raise StripeFault(f"{at} must be a string.", param=at)
        if not value:
            raise StripeFault(f"{at} is empty and cannot be unset here.", code="parameter_invalid_empty", param=at)
        if len(value) > most:
            raise StripeFault(f"{at} may have {most} characters at most; it has {len(value)}.", param=at)
        return value

    return read


def whole(least: int | None = None, most: int | None = None) -> Reader:
    """A whole number within limits."""

    def read(value: Any, at: str) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            raise StripeFault(f"{at} must be a whole number.", code="parameter_invalid_integer", param=at)
        if least is not None and int(value) < least:
            raise StripeFault(f"{at} must be at least {least}.", code="parameter_invalid_integer", param=at)
        if most is not None and int(value) > most:
            raise StripeFault(f"{at} must be at most {most}.", code="parameter_invalid_integer", param=at)
        return int(value)

    return read


def flag(value: Any, at: str) -> bool:
    """`true` or `false`."""
    if value not in ("true", "false"):
        raise StripeFault(f"{at} must be true or false.", param=at)
    return bool(value == "true")


def one_of(*words: str) -> Reader:
    """One of these words."""

    def read(value: Any, at: str) -> str:
        if value not in words:
            raise StripeFault(f"{at} must be one of {', '.join(words)}.", param=at)
        return str(value)

    return read


def email(value: Any, at: str) -> str:
    """An e-mail address."""
    given = str(text(512)(value, at))
    if not _EMAIL.fullmatch(given):
        raise StripeFault(f"{given} is not an e-mail address.", code="email_invalid", param=at)
    return given


def url(value: Any, at: str) -> str:
    """An absolute http(s) address."""
    given = str(text()(value, at))
    if urlsplit(given).scheme not in ("http", "https") or not urlsplit(given).hostname:
        raise StripeFault(f"{at} is not an absolute URL.", code="url_invalid", param=at)
    return given


def metadata(value: Any, at: str) -> dict[str, str]:
    """At most 50 texts of 500 characters under names of 40. An empty text unsets, which an update acts on."""
    if value == "":
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise StripeFault(f"{at} must be an object of strings.", param=at)
    if len(value) > 50:
        raise StripeFault(f"{at} may have 50 keys at most.", param=at)
    for name, item in value.items():
        if len(name) > 40:
            raise StripeFault(f"The metadata key {name[:50]} is longer than 40 characters.", param=at)
        if len(item) > 500:
            raise StripeFault(f"The metadata value of {name} is longer than 500 characters.", param=at)
    return dict(value)


def or_unset(reader: Reader) -> Reader:
    """As the reader, and None for an empty text, which unsets."""
    return lambda value, at: None if value == "" else reader(value, at)


def many(reader: Reader, most: int = 100) -> Reader:
    """A list, written with indices or with `[]`."""

    def read(value: Any, at: str) -> list[Any]:
        if not isinstance(value, dict) or not all(name.isascii() and name.isdigit() for name in value):
            raise StripeFault(f"{at} must be an array.", param=at)
        if len(value) > most:
            raise StripeFault(f"{at} may have {most} items at most.", param=at)
        return [reader(value[name], f"{at}[{name}]") for name in sorted(value, key=int)]

    return read


def table(fields: Mapping[str, Reader], required: tuple[str, ...] = ()) -> Reader:
    """An object with these fields and no others."""

    def read(value: Any, at: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise StripeFault(f"{at} must be an object.", param=at)
        for name in value:
            if name not in fields:
                path = f"{at}[{name}]" if at else name
                raise StripeFault(f"The parameter {path} is not known here.", code="parameter_unknown", param=path)
        for name in required:
            if name not in value:
                path = f"{at}[{name}]" if at else name
                raise StripeFault(f"The parameter {path} is needed.", code="parameter_missing", param=path)
        return {name: fields[name](item, f"{at}[{name}]" if at else name) for name, item in value.items()}

    return read
