"""Texts come from forms, Zaps and imports: what is kept is tidy, and what could harm later is refused now."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusals import Invalid
from domain.work.shapes import Shape
from domain.work.texts import CurrencyCode, Email, LongText, Phone, Text, Url
from tests.unit.domain.work.strategies import patiently

SHAPES: list[Shape] = [Text(), LongText(), Email(), Phone(), Url(), CurrencyCode()]


@pytest.mark.parametrize(
    ("shape", "sent", "kept"),
    [
        (Text(), "  Acme Ltd ", "Acme Ltd"),
        (Text(), "Cafe\u0301", "Café"),
        (Text(5), "abcde", "abcde"),
        (Text(), "👩‍💻 Ada", "👩‍💻 Ada"),
        (Text(), "   ", None),
        (Text(2, "GB", "[A-Z]{2}", "a country", str.upper), "gb", "GB"),
        (LongText(), "one\r\n\ttwo\n", "one\n\ttwo"),
        (Email(), "Ada.Lovelace+x@ACME.Example", "Ada.Lovelace+x@acme.example"),
        (Email(), "jürgen@münchen.example", "jürgen@münchen.example"),
        (Email(), "", None),
        (Phone(), "+44 (0)20 7183-8750", "+442071838750"),
        (Phone(), "+1.415.555.0123", "+14155550123"),
        (Url(), "https://acme.example:8443/a?b=c#d", "https://acme.example:8443/a?b=c#d"),
        (Url(), "http://[2001:db8::1]/", "http://[2001:db8::1]/"),
        (CurrencyCode(), "usd", "USD"),
    ],
)
def test_a_good_text_is_kept_in_its_normal_form(shape: Shape, sent: str, kept: str | None) -> None:
    """Two ways of writing the same thing must compare equal, or every change would look like one."""
    assert shape.read(sent, "x") == kept


@pytest.mark.parametrize(
    ("shape", "sent"),
    [
        (Text(5), "abcdef"),
        (Text(), 7),
        (Text(), ["a"]),
        (Text(), "a\nBcc: all@acme.example"),
        (Text(), "a\u2028b"),
        (Text(), "a\x00b"),
        (Text(), "a\ud800b"),
        (Text(2, "GB", "[A-Z]{2}", "a country", str.upper), "GBR"),
        (Text(10, "GB", "[A-Z]{2}", "a country"), "gb"),
        (LongText(), "a\x00b"),
        (LongText(), "a" * 20_001),
        (Email(), "@"),
        (Email(), "ada"),
        (Email(), "ada@acme"),
        (Email(), "ada@@acme.example"),
        (Email(), "ada lovelace@acme.example"),
        (Email(), "ada..l@acme.example"),
        (Email(), ".ada@acme.example"),
        (Email(), "ada@-acme.example"),
        (Email(), "ada@acme..example"),
        (Email(), f"{'a' * 65}@acme.example"),
        (Email(), f"a@{'b' * 250}.example"),
        (Email(), "Ada <ada@acme.example>"),
        (Email(), "ada@acme.example\nBcc: x@y.zz"),
        (Phone(), "020 7183 8750"),
        (Phone(), "+44 CALL ME"),
        (Phone(), "+0123456789"),
        (Phone(), "+1234567890123456"),
        (Phone(), "+٤٤٢٠٧١٨٣٨٧٥٠"),
        (Url(), "acme.example"),
        (Url(), "ftp://acme.example/"),
        (Url(), "javascript:alert(1)"),
        (Url(), "https://"),
        (Url(), "https://ada:secret@acme.example/"),
        (Url(), "https://acme.example:port/"),
        (Url(), "https://[acme.example/"),
        (Url(), "https://acme.example/a b"),
        (Url(), 'https://acme.example/"><script>'),
        (Url(), "https://acme.example/" + "a" * 2048),
        (CurrencyCode(), "EURO"),
        (CurrencyCode(), "XXX"),
    ],
)
def test_a_bad_text_is_refused_by_its_path(shape: Shape, sent: Any) -> None:
    """Among them: header injection, script in a link, a password in an address, what PostgreSQL cannot keep."""
    with pytest.raises(Invalid) as refused:
        shape.read(sent, "lines.0.x")
    assert [fault.field for fault in refused.value.faults] == ["lines.0.x"]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
@patiently
@given(sent=st.text())
def test_any_text_is_kept_for_good_or_refused(shape: Shape, sent: str) -> None:
    """No text may crash the hub, and reading what was kept must keep the same: a record is read and sent back."""
    try:
        kept = shape.read(sent, "x")
    except Invalid:
        return
    if kept is not None:
        assert shape.read(kept, "x") == kept
        kept.encode()


def test_a_refusal_repeats_nothing_of_a_huge_text() -> None:
    """An answer of the size of the mistake would double the harm."""
    with pytest.raises(Invalid) as refused:
        Text(10).read("x" * 1_000_000, "x")
    assert len(str(refused.value)) < 200
