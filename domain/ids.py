"""Ids: a prefix that says what the thing is, then 26 characters that sort by the time they were made (`inv_01K9…`).

The 26 characters are a ULID (github.com/ulid/spec): 48 bits of Unix milliseconds, 80 random bits, Crockford's base 32.
"""

from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Ten bits at a time: several ids are made for every delivery."""
_SHIFTS = range(120, -1, -10)

PREFIXES = {
    "organisation": "org",
    "user": "usr",
    "session": "ses",
    "key": "key",
    "event": "evt",
    "delivery": "dlv",
    "attempt": "att",
    "endpoint": "wh",
    "notification": "ntf",
    "connection": "con",
    "invoice": "inv",
    "line": "lin",
    "payment": "pay",
    "refund": "ref",
    "link": "lnk",
    "checkout": "chk",
    "plan": "plan",
    "plan_at_provider": "pap",
    "subscription": "sub",
    "customer_at_provider": "cap",
    "saved_method": "pm",
    "payout": "po",
    "credit_note": "cn",
    "ledger_entry": "led",
    "posting": "pst",
    "reconciliation": "rec",
    "difference": "dif",
    "inbox": "inb",
    "audit": "aud",
    "call": "call",
    "signing_key": "sgk",
    "replay": "rpl",
    "worker": "wrk",
}
"""The prefix for each kind of thing; work records use the name of their kind (`client_…`)."""


def make_id(kind: str, at_ms: int, randomness: bytes) -> str:
    """Build an id.

    Args:
        kind: a key of PREFIXES, or any other word, which is then its own prefix.
        at_ms: Unix time in milliseconds.
        randomness: ten random bytes.
    """
    number = (at_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(randomness[:10], "big")
    text = "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
    return f"{PREFIXES.get(kind, kind)}_{text}"


def made_at(id: str) -> datetime | None:
    """When an id was made; None for a text that is not one of ours."""
    _, _, number = id.rpartition("_")
    if len(number) != 26 or any(letter not in _ALPHABET for letter in number) or number[0] > "7":
        return None
    at_ms = 0
    for letter in number[:10]:
        at_ms = at_ms * 32 + _ALPHABET.index(letter)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    except OverflowError:
        return None
