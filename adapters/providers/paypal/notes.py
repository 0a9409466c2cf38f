"""What the hub writes on a PayPal object so that it comes back: its metadata, in the 127 characters of `custom_id`.

It is written `o:…,i:…`: an id of the hub's without its prefix, which its letter tells. Only characters are used that the
list of transactions gives back too (Reporting v1, `custom_field`); any other is an apostrophe and two hexadecimal digits.
Two marks go before: `?` an order for the host's own page, `!` an order that was closed here, whose money is never taken
(PayPal cannot close an order itself). Pure.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import attrs

from domain.refusals import Invalid

LONGEST = 127
_OWN_PAGE, _CLOSED, _ENDS = "?", "!", "e"
_LETTERS = {
    "patchbay_organisation": ("o", "org_"),
    "patchbay_invoice": ("i", "inv_"),
    "patchbay_checkout": ("c", "chk_"),
    "patchbay_payment": ("p", "pay_"),
    "patchbay_subscription": ("s", "sub_"),
}
_NAMES = {letter: (name, prefix) for name, (letter, prefix) in _LETTERS.items()}
_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_ESCAPED = re.compile(rb"'([0-9A-F]{2})")


@attrs.frozen
class Note:
    """A `custom_id`, read. ends_at: when the hub stops taking payments on the order."""

    metadata: Mapping[str, str] = attrs.field(factory=dict)
    ends_at: datetime | None = None
    own_page: bool = False
    closed: bool = False

    @property
    def text(self) -> str:
        """As it is written. Raises domain.refusals.Invalid naming `metadata` when it is too long."""
        pairs = [_short(name, value) for name, value in self.metadata.items()]
        if self.ends_at is not None:
            pairs.append((_ENDS, str(int(self.ends_at.timestamp()))))
        marks = (_CLOSED if self.closed else "") + (_OWN_PAGE if self.own_page else "")
        text = marks + ",".join(f"{name}:{value}" for name, value in pairs)
        # One character is kept for the mark of a closed order, which is set later.
        if len(text) > LONGEST - (0 if self.closed else 1):
            raise Invalid.field(
                "metadata", f"PayPal keeps {LONGEST} characters with a payment; this takes {len(text)}."
            )
        return text


def read(text: str | None) -> Note:
    """Read a `custom_id`; one that is not the hub's has no metadata of the hub's."""
    text = text or ""
    closed = text.startswith(_CLOSED)
    rest = text.removeprefix(_CLOSED)
    own_page = rest.startswith(_OWN_PAGE)
    metadata: dict[str, str] = {}
    ends_at = None
    for pair in rest.removeprefix(_OWN_PAGE).split(","):
        name, colon, written = pair.partition(":")
        value = _plain(written)
        if not colon:
            continue
        if name == _ENDS and value.isascii() and value.isdigit() and len(value) <= 11:
            ends_at = datetime.fromtimestamp(int(value), UTC)
        elif name in _NAMES:
            known, prefix = _NAMES[name]
            metadata[known] = prefix + value if _ULID.fullmatch(written) else value
        else:
            metadata[_plain(name)] = value
    return Note(metadata, ends_at, own_page, closed)


def _short(name: str, value: str) -> tuple[str, str]:
    """Name and value as they are written. A name that is a letter of ours is escaped, so that it is not taken for it."""
    if name not in _LETTERS:
        taken = name in _NAMES or name == _ENDS
        return f"'{ord(name):02X}" if taken else _escaped(name), _escaped(value)
    letter, prefix = _LETTERS[name]
    bare = value.removeprefix(prefix)
    # A bare id that is no id of this kind would come back with a prefix: it is escaped where it begins.
    if bare != value and _ULID.fullmatch(bare):
        return letter, bare
    return letter, f"'{ord(value[0]):02X}{_escaped(value[1:])}" if _ULID.fullmatch(value) else _escaped(value)


def _escaped(text: str) -> str:
    return "".join(
        letter if letter in _PLAIN else "".join(f"'{byte:02X}" for byte in letter.encode()) for letter in text
    )


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode()).decode("utf-8", "replace")
