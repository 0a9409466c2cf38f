"""Money, numbers and days as their reader writes them: the amount stays the same to the last digit."""

from datetime import UTC, date, datetime
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import MAX_MINOR_UNITS, Currency, Money
from entrypoints.console.reader import Reader

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def reading(language: str) -> Reader:
    """Someone whose browser asks for this."""
    return Reader.asking(language, NOW)


def plain(text: str) -> str:
    """Without the marks and narrow blanks by which locales part digits from symbols."""
    marks = "\u200f\u200e\u061c"
    return "".join(" " if c in "\u00a0\u202f" else c for c in normalize("NFC", text) if c not in marks)


@pytest.mark.parametrize(
    ("language", "money", "shown"),
    [
        ("en", Money(123_456, Currency("USD")), "$1,234.56"),
        ("en-GB", Money(123_456, Currency("USD")), "US$1,234.56"),
        ("de", Money(123_456, Currency("EUR")), "1.234,56 €"),
        ("fr", Money(123_456, Currency("EUR")), "1 234,56 €"),
        ("ja", Money(148_000, Currency("JPY")), "￥148,000"),
        ("en", Money(148_000, Currency("JPY")), "¥148,000"),
        ("en", Money(5_124, Currency("KWD")), "KWD 5.124"),
        ("en", Money(500, Currency("UGX")), "UGX 500"),
        ("en", Money(-250, Currency("EUR")), "-€2.50"),
        ("en-NG", Money(1_000_000, Currency("NGN")), "₦10,000.00"),
        ("ar", Money(5_124, Currency("KWD")), "5.124 د.ك."),
    ],
)
def test_an_amount_has_the_currencys_places_and_the_readers_separators(language: str, money: Money, shown: str) -> None:
    """Yen have no decimals, Kuwaiti dinars have three, and Babel's own habits (UGX with two) do not count."""
    assert plain(reading(language).money(money)) == shown


def test_every_reader_gets_western_digits() -> None:
    """An amount must be comparable with the provider's page and the bank statement; separators are the locale's."""
    money = Money(123_456, Currency("EGP"))
    for language in ("ar", "ar-EG", "hi", "ur", "he", "zh-TW"):
        assert "1,234.56" in plain(reading(language).money(money)), language


@given(
    st.integers(-MAX_MINOR_UNITS, MAX_MINOR_UNITS),
    st.sampled_from(["USD", "JPY", "KWD", "UGX", "ISK", "CLF", "HUF", "NGN"]),
    st.sampled_from(["en", "de", "fr", "ja", "ar", "de-CH", "en-IN", "sv", "pt-BR"]),
)
def test_no_digit_is_lost_on_the_way(amount: int, code: str, language: str) -> None:
    """A float would round large amounts: the digits that are shown are those of the amount, in every locale."""
    money = Money(amount, Currency(code))
    shown = reading(language).money(money)
    digits = "".join(c for c in shown if c.isdecimal()).lstrip("0")
    assert digits == str(abs(amount)).lstrip("0")


def test_days_and_numbers_follow_the_reader_too() -> None:
    """The third of April must not be read as the fourth of March."""
    assert reading("en").day(date(2026, 4, 3)) == "Apr 3, 2026"
    assert reading("en-GB").day(date(2026, 4, 3)) == "3 Apr 2026"
    assert reading("de").day(date(2026, 4, 3)) == "03.04.2026"
    assert reading("ja").day(date(2026, 4, 3)) == "2026/04/03"
    assert plain(reading("fr").number(12_345)) == "12 345"


@pytest.mark.parametrize("asked", ["", "*", "xx-YY", "de;q=abc", ";;;", "en" * 4000])
def test_whoever_asks_for_nothing_known_reads_english(asked: str) -> None:
    """The header is anybody's to write."""
    assert reading(asked).tag == "en"
