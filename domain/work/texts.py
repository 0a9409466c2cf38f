"""Shapes whose values are texts: lines, paragraphs, addresses, codes."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs

from domain.money import Currency, UnknownCurrency
from domain.refusals import Invalid
from domain.work.shapes import JsonSchema, Shape

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROLS_OR_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def holds_controls(text: str) -> bool:
    """Whether it has control characters other than tabs and line ends, or unpaired surrogates."""
    return _CONTROLS.search(text.replace("\r\n", "\n")) is not None


def read_text(given: Any, at: str, maximum: int, *, lines: bool = False) -> str:
    """A trimmed text in Unicode's composed form (NFC), at most `maximum` characters.

    Control characters and unpaired surrogates are refused (PostgreSQL and UTF-8 cannot keep them); so are line breaks
    unless `lines`, because such a text may become a mail header.
    """
    if not isinstance(given, str):
        raise Invalid.field(at, "This must be a text.")
    text = given.replace("\r\n", "\n").strip()
    if len(text) <= maximum:
        text = unicodedata.normalize("NFC", text)
    if len(text) > maximum:
        raise Invalid.field(at, f"This may have {maximum} characters at most; it has {len(text)}.")
    if (_CONTROLS if lines else _CONTROLS_OR_BREAKS).search(text):
        raise Invalid.field(at, "This holds a control character" + ("." if lines else " or a line break."))
    return text


@attrs.frozen
class Text(Shape):
    """One line of text. pattern: it must match as a whole; hint: how such a text looks; fold: applied before."""

    maximum: int = 200
    sample: str = "Text"
    pattern: str | None = None
    hint: str = ""
    fold: Callable[[str], str] | None = None

    def read(self, given: Any, at: str) -> str | None:
        """Trimmed, folded, matched."""
        text = read_text(given, at, self.maximum)
        text = self.fold(text) if self.fold else text
        if text and self.pattern and not re.fullmatch(self.pattern, text):
            raise Invalid.field(at, f"This must be {self.hint}.")
        return text or None

    @property
    def schema(self) -> JsonSchema:
        """A string with its pattern."""
        pattern = {"pattern": f"^(?:{self.pattern})$"} if self.pattern else {}
        return {"type": "string", "maxLength": self.maximum, **pattern}

    @property
    def accepts(self) -> JsonSchema:
        """Without the pattern where folding forgives it."""
        return {"type": "string", "maxLength": self.maximum} if self.fold else self.schema


@attrs.frozen
class LongText(Shape):
    """Paragraphs of plain text or Markdown."""

    sample: str = "A few words."
    maximum: int = 20_000

    def read(self, given: Any, at: str) -> str | None:
        """Trimmed; line breaks become \\n."""
        return read_text(given, at, self.maximum, lines=True) or None

    @property
    def schema(self) -> JsonSchema:
        """A string."""
        return {"type": "string", "maxLength": self.maximum}


_LABEL = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_ATOM = r'[^\s@.<>()\[\]\\,;:"]+'
_EMAIL = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")


@attrs.frozen
class Email(Shape):
    """An e-mail address, at most 254 characters (RFC 5321); its domain is kept in lower case."""

    sample: str = "ada@acme.example"

    def read(self, given: Any, at: str) -> str | None:
        """Judged by its form alone: only a message that arrives proves an address."""
        text = read_text(given, at, 254)
        local, _, domain = text.rpartition("@")
        address = f"{local}@{domain.lower()}"
        if not text:
            return None
        if not _EMAIL.fullmatch(address):
            raise Invalid.field(at, "This must be an e-mail address such as ada@acme.example.")
        return address

    @property
    def schema(self) -> JsonSchema:
        """A string in the e-mail format."""
        return {"type": "string", "format": "email", "maxLength": 254}


@attrs.frozen
class Phone(Shape):
    """A telephone number in international form (E.164), kept without its spaces, dots, dashes and brackets."""

    sample: str = "+442071838750"

    def read(self, given: Any, at: str) -> str | None:
        """A plus sign, the country's code, 7 to 15 digits in all."""
        text = read_text(given, at, 40)
        number = re.sub(r"\(0\)|[ \u00a0().\-/]", "", text)
        if text and not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
            raise Invalid.field(at, "This must be a number in international form such as +44 20 7183 8750.")
        return number or None

    @property
    def schema(self) -> JsonSchema:
        """A string of digits after a plus sign."""
        return {"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$"}

    @property
    def accepts(self) -> JsonSchema:
        """With spaces and the like."""
        return {"type": "string", "maxLength": 40}


@attrs.frozen
class Url(Shape):
    """An http or https address without a name and password in it, at most 2,048 characters. It is never fetched."""

    sample: str = "https://acme.example/"

    def read(self, given: Any, at: str) -> str | None:
        """The address as it was written."""
        text = read_text(given, at, 2048)
        if not text:
            return None
        if not _is_web_address(text):
            raise Invalid.field(at, "This must be a web address such as https://acme.example/page.")
        if "@" in urlsplit(text).netloc:
            raise Invalid.field(at, "Leave the name and password out of the address.")
        return text

    @property
    def schema(self) -> JsonSchema:
        """A string in the URI format."""
        return {"type": "string", "format": "uri", "maxLength": 2048}


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not _unsafe(text)
    except ValueError:  # a port that is not a number, an unclosed IPv6 bracket
        return False


def _unsafe(text: str) -> bool:
    return re.search(r'[\s<>"\\^`{|}]', text) is not None


@attrs.frozen
class CurrencyCode(Shape):
    """An ISO 4217 code, in upper case."""

    sample: str = "USD"

    def read(self, given: Any, at: str) -> str | None:
        """Any case is taken."""
        text = read_text(given, at, 10)
        try:
            return Currency(text).code if text else None
        except UnknownCurrency as error:
            raise Invalid.field(at, error.reason) from error

    @property
    def schema(self) -> JsonSchema:
        """Three capitals."""
        return {"type": "string", "pattern": "^[A-Z]{3}$"}

    @property
    def accepts(self) -> JsonSchema:
        """Three letters."""
        return {"type": "string", "pattern": "^[A-Za-z]{3}$"}
