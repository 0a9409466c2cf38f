"""Patterns with `*` (any run of characters, also none) and `?` (any one), matched in one pass over the text.

The pattern is a set of states kept as the bits of one integer, moved on by each character (Baeza-Yates and Gonnet,
"A new approach to text searching", CACM 35(10), 1992): there is no backtracking, so no pattern can be slow.
"""

from typing import Any

import attrs

LONGEST = 4096
"""Characters; a longer text does not match."""


@attrs.frozen
class Glob:
    """A pattern for a whole text.

    masks: for each character of the pattern, the states it may leave. wild: the states that any character may leave.
    stars: the states that stay. last: the state that accepts.
    """

    masks: dict[str, int]
    wild: int
    stars: int
    last: int

    @classmethod
    def parse(cls, pattern: str) -> "Glob":
        """The pattern. Every text is one."""
        masks: dict[str, int] = {}
        wild = stars = 0
        bit = 1
        for character in pattern:
            if character == "*":
                stars |= bit
                continue
            if character == "?":
                wild |= bit
            else:
                masks[character] = masks.get(character, 0) | bit
            bit <<= 1
        return cls(masks, wild, stars, bit)

    def accepts(self, text: Any) -> bool:
        """Whether it is a text, not too long, and matches from its first to its last character."""
        if not isinstance(text, str) or len(text) > LONGEST:
            return False
        states, masks, wild, stars = 1, self.masks, self.wild, self.stars
        for character in text:
            states = ((states & (masks.get(character, 0) | wild)) << 1) | (states & stars)
            if not states:
                return False
        return bool(states & self.last)
