"""What every maker of ids must do. A maker's own test subclasses IdsContract and says how to make one."""

import re
from abc import ABC, abstractmethod

import pytest

from application.ports.ids import Ids
from domain.ids import PREFIXES


class IdsContract(ABC):
    """The suite."""

    @abstractmethod
    def make(self) -> Ids:
        """A maker under test."""

    @pytest.mark.parametrize("kind", [*PREFIXES, "client"])
    def test_an_id_says_what_the_thing_is(self, kind: str) -> None:
        """A person who reads a log knows what is meant."""
        prefix = PREFIXES.get(kind, kind)
        assert re.fullmatch(rf"{prefix}_[0-7][0-9A-HJKMNP-TV-Z]{{25}}", self.make().new(kind))

    def test_ids_sort_in_the_order_they_were_made(self) -> None:
        """Lists are paged by id: a later one must never come before an earlier one, also within a millisecond."""
        ids = self.make()
        made = [ids.new("invoice") for _ in range(20_000)]
        assert made == sorted(set(made))

    @pytest.mark.parametrize("size", [1, 16, 24, 32])
    def test_tokens_are_url_safe_long_enough_and_all_different(self, size: int) -> None:
        """They stand in links."""
        ids = self.make()
        tokens = [ids.token(size) for _ in range(3)]
        assert all(re.fullmatch(r"[A-Za-z0-9_-]+", token) and len(token) * 6 >= size * 8 for token in tokens)
        assert size == 1 or len(set(tokens)) == 3

    def test_randomness_has_the_length_that_was_asked_for(self) -> None:
        """A signing secret of 31 bytes would be a mistake that nobody sees."""
        ids = self.make()
        assert [len(ids.randomness(size)) for size in (0, 1, 24, 64)] == [0, 1, 24, 64]
        assert ids.randomness(32) != ids.randomness(32)

    def test_jitter_stays_in_its_range(self) -> None:
        """The schedule refuses anything else."""
        ids = self.make()
        assert all(-1 <= ids.jitter() <= 1 for _ in range(1000))
