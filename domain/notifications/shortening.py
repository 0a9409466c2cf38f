"""Cutting a text to what a place takes, without breaking a word, an emoji or an escape.

A channel counts in its own way (characters after escaping, UTF-16 units), so `shorten` is told how to count and works
on the text *before* escaping: what is cut can then never be half an escape.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

ELLIPSIS = "…"

_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff]")
_SPACE = re.compile(r"\s+")
_JOINER = "\u200d"
_WORD_SHARE = 0.6
"""A cut moves back to the last space only if that keeps this share of the room: one endless word is cut inside."""


def clean(text: str) -> str:
    """The text with line ends as \\n, without other control characters and without halves of surrogate pairs."""
    whole = _LINE_END.sub("\n", text)
    if not whole.isascii():
        whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL.sub("", whole)


def one_line(text: str) -> str:
    """The text cleaned, on one line: every run of white space is one space."""
    return _SPACE.sub(" ", clean(text)).strip()


def utf16(text: str) -> int:
    """The length in UTF-16 code units, as JavaScript counts: an emoji is mostly two."""
    return len(text) + sum(character > "\uffff" for character in text)


def shorten(text: str, limit: int, *, size: Callable[[str], int] = len) -> str:
    """The text if it fits, else its beginning and "…", cut at a space where one is near the end.

    Args:
        limit: what `size` of the answer may be at most.
        size: counts a text as the receiver will. It must never shrink when the text grows, and never be less than the
            number of characters.

    Returns:
        "" if not even the ellipsis fits.
    """
    if size(text) <= limit:
        return text
    ends = [0]
    for cluster in clusters(text[: limit + 64]):
        ends.append(ends[-1] + len(cluster))
        if ends[-1] >= limit:
            break
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if size(text[: ends[middle]] + ELLIPSIS) <= limit:
            low = middle
        else:
            high = middle - 1
    kept = text[: ends[low]]
    if low == 0:
        return ELLIPSIS if size(ELLIPSIS) <= limit else ""
    if not text[len(kept)].isspace():
        space = max(kept.rfind(" "), kept.rfind("\n"))
        if space >= len(kept) * _WORD_SHARE or (space > 0 and "://" in kept[space:]):
            kept = kept[:space]
    return kept.rstrip() + ELLIPSIS


def clusters(text: str) -> Iterator[str]:
    """The text in pieces a person sees as one character: a letter with its accents, a flag, a family of emoji.

    A working subset of Unicode's extended grapheme clusters (UAX #29): marks, variation selectors, skin tones, tags,
    zero-width-joiner sequences, pairs of regional indicators, Hangul syllables in parts, CR LF.
    """
    start = 0
    for index in range(1, len(text)):
        if not _joined(text, start, index):
            yield text[start:index]
            start = index
    if text:
        yield text[start:]


def _joined(text: str, start: int, index: int) -> bool:
    before, here = text[index - 1], text[index]
    if before.isascii() and here.isascii():
        return before == "\r" and here == "\n"
    if here == _JOINER or _extends(here):
        return before not in "\r\n"
    if before == _JOINER:
        return unicodedata.category(here) == "So"
    if _regional(here) and _regional(before):
        return (index - start) % 2 == 1
    return _hangul_joined(before, here)


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _hangul_joined(before: str, here: str) -> bool:
    if "\u1160" <= here <= "\u11ff":
        return "\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3"
    return "\u1100" <= here <= "\u115f" and "\u1100" <= before <= "\u115f"
