"""Texts are cut where a reader would cut them."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notifications.shortening import clean, clusters, one_line, shorten, utf16

_WHOLE = [
    "e\u0301",  # a letter and its accent
    "👩‍👩‍👧‍👦",  # joined emoji
    "👍🏽",  # a skin tone
    "🇩🇪",  # a flag
    "❤️",  # a variation selector
    "각",  # a Hangul syllable in parts
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿",  # a flag of tags
]


def test_a_text_that_fits_is_left_alone() -> None:
    """At the limit, nothing is lost."""
    assert shorten("abcde", 5) == "abcde"


def test_a_text_one_over_is_cut_to_the_limit() -> None:
    """One over, and the ellipsis says so."""
    assert shorten("abcdef", 5) == "abcd…"


def test_a_cut_is_made_between_words() -> None:
    """Half a word reads as another word."""
    assert shorten("the quick brown fox", 12) == "the quick…"
    assert shorten("the quick brown fox", 10) == "the quick…"


def test_an_address_is_dropped_and_not_cut() -> None:
    """Half an address leads elsewhere."""
    assert shorten("Look: https://example.com/a/very/long/path", 30) == "Look:…"


@pytest.mark.parametrize("cluster", _WHOLE)
def test_what_a_person_sees_as_one_character_is_never_split(cluster: str) -> None:
    """Half a family is another family, half a flag a letter."""
    assert list(clusters(cluster * 3)) == [cluster] * 3
    for limit in range(len(cluster) * 3):
        kept = shorten(cluster * 3, limit).removesuffix("…")
        assert kept == cluster * (len(kept) // len(cluster))


@given(st.text(), st.integers(0, 60), st.sampled_from([len, utf16, lambda text: len(html.escape(text))]))
def test_the_limit_holds_however_it_is_counted(text, limit, size) -> None:  # type: ignore[no-untyped-def]
    """Whatever the text is; and what is kept is its beginning."""
    kept = shorten(text, limit, size=size)

    assert size(kept) <= limit
    assert kept == text or text.startswith(kept.removesuffix("…"))


def test_utf16_counts_an_emoji_twice() -> None:
    """As JavaScript does."""
    assert utf16("a😀") == 3


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_cleaned_text_can_be_sent(text: str) -> None:
    """Lone surrogates cannot be encoded; control characters are refused by many."""
    clean(text).encode()
    assert "\n" not in one_line(text)
    assert "\r" not in clean(text)
