"""The letters that are printed, and which font has which.

Roboto is embedded: Latin, Greek, Cyrillic and nearly all currency signs. Chinese, Japanese and Korean are named fonts that
every PDF viewer brings along (Adobe's CID-keyed fonts); they are not embedded. Other scripts are printed as a replacement.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import cast
from xml.sax.saxutils import escape

import font_roboto
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

PLAIN, BOLD = "Roboto", "Roboto-Bold"
_FILES = {PLAIN: "Roboto-Regular.ttf", BOLD: "Roboto-Bold.ttf"}

_JAPANESE, _KOREAN, _SIMPLIFIED, _TRADITIONAL = "HeiseiKakuGo-W5", "HYGothic-Medium", "STSong-Light", "MSung-Light"

_REPLACED_BY = "?"


@cache
def register() -> None:
    """Make the fonts known to ReportLab, once in a process."""
    folder = Path(font_roboto.__file__).parent / "files"
    for name, file in _FILES.items():
        pdfmetrics.registerFont(TTFont(name, str(folder / file)))
    for name in (_JAPANESE, _KOREAN, _SIMPLIFIED, _TRADITIONAL):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)


@cache
def _letters() -> frozenset[int]:
    register()
    plain, bold = (cast("TTFont", pdfmetrics.getFont(name)).face.charToGlyph for name in (PLAIN, BOLD))
    return frozenset(plain) & frozenset(bold)


def printable(text: str) -> bool:
    """Whether the embedded font has every letter of it."""
    return all(ord(letter) in _letters() for letter in _clean(text))


def east_asian(text: str) -> bool:
    """Whether some of it is Chinese, Japanese or Korean, which breaks into lines anywhere."""
    return any(_wide(letter) for letter in text)


def marked_up(text: str, locale: str, font: str = PLAIN) -> str:
    """The text as ReportLab's paragraph markup: escaped, each run in a font that has its letters, line breaks kept."""
    pieces: list[str] = []
    for line in _clean(text).split("\n"):
        runs = [f'<font name="{name}">{escape(run)}</font>' for name, run in _runs(line, locale, font)]
        pieces.append("".join(runs))
    return "<br/>".join(pieces)


def _runs(line: str, locale: str, font: str) -> Iterator[tuple[str, str]]:
    asian = _asian_font(line, locale)

    def font_of(letter: str) -> str | None:
        if ord(letter) in _letters():
            return font
        return asian if _wide(letter) else None

    for name, letters in groupby(line, key=font_of):
        run = "".join(letters)
        yield (name, run) if name is not None else (font, _REPLACED_BY * len(run))


def _asian_font(text: str, locale: str) -> str:
    """By the letters that only one language has, then by the locale: the same Han sign looks different in each."""
    if any("\uac00" <= letter <= "\ud7af" or "\u1100" <= letter <= "\u11ff" for letter in text):
        return _KOREAN
    if any("\u3040" <= letter <= "\u30ff" for letter in text) or locale.startswith("ja"):
        return _JAPANESE
    if locale.startswith("ko"):
        return _KOREAN
    return _TRADITIONAL if any(part in locale for part in ("Hant", "-TW", "-HK", "-MO")) else _SIMPLIFIED


def _wide(letter: str) -> bool:
    """Han, kana, hangul and their punctuation, of the basic plane: what the named fonts have."""
    return (
        "\u1100" <= letter <= "\u11ff"
        or "\u3000" <= letter <= "\u30ff"
        or "\u3400" <= letter <= "\u9fff"
        or "\uac00" <= letter <= "\ud7af"
        or "\uf900" <= letter <= "\ufaff"
        or "\uff00" <= letter <= "\uffef"
    )


def _clean(text: str) -> str:
    """Composed, and without marks of direction and other letters that are not seen."""
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\t", " "))
    return "".join(letter for letter in composed if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf"))
