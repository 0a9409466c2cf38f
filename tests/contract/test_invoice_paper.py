"""Each printer keeps the contract of the port InvoicePaper, and the real one makes invoices that a company would send."""

import re
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.paper.fonts import BOLD, marked_up
from adapters.paper.printer import PdfPaper, note_sums
from adapters.paper.wording import Wording
from application.ports.invoice_paper import InvoicePaper
from domain.billing.invoices import Billed
from domain.billing.lines import Discount, Line, Tax
from domain.billing.settings import Seller
from domain.money import Currency, Money
from tests.contract.invoice_paper import EUR, INVOICE, NOTE, URL, InvoicePaperContract, paper
from tests.fakes.paper import PlainPaper


class TestPdfPaper(InvoicePaperContract):
    """The real one."""

    def make(self) -> InvoicePaper:
        return PdfPaper()


class TestPlainPaper(InvoicePaperContract):
    """The fake."""

    def make(self) -> InvoicePaper:
        return PlainPaper()


async def printed(**changes: Any) -> bytes:
    """A PDF."""
    return await PdfPaper().invoice(paper(**changes))


def pages(content: bytes) -> int:
    """How many it has."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", content))


async def test_a_long_invoice_has_several_pages() -> None:
    """A hundred lines is what an invoice may have."""
    lines = tuple(Line(f"{n}. {'Long words about work ' * 5}", 1, Money(1_00, EUR)) for n in range(100))
    assert pages(await printed()) == 1
    assert pages(await printed(invoice=attrs.evolve(INVOICE, lines=lines))) > 3


async def test_the_link_can_be_clicked_while_it_can_be_paid() -> None:
    """And the fonts travel with the file, so that it looks the same everywhere."""
    content = await printed()
    assert f"/URI ({URL})".encode() in content
    assert content.count(b"/FontFile2") == 2
    assert b"/URI" not in await printed(pay_url=None)


async def test_its_title_says_what_it_is() -> None:
    """A viewer shows it in the tab, a screen reader says it, in the right language."""
    content = await printed()
    assert b"Invoice INV-0042" in content
    assert b"en-GB" in content


@pytest.mark.parametrize(
    ("locale", "money", "day"),
    [
        ("en-GB", "€1,234.50", "14 February 2026"),
        ("de", "1.234,50\N{NO-BREAK SPACE}€", "14. Februar 2026"),
        ("fr", "1\N{NARROW NO-BREAK SPACE}234,50\N{NO-BREAK SPACE}€", "14 février 2026"),
        ("ja", "€1,234.50", "2026年2月14日"),
    ],
)
def test_amounts_and_days_are_written_as_the_locale_has_it(locale: str, money: str, day: str) -> None:
    """The organisation says how its clients read."""
    wording = Wording.of(locale)
    assert wording.money(Money(1234_50, EUR)) == money
    assert wording.day(INVOICE.created_at.date()) == day


@pytest.mark.parametrize(
    ("code", "minor", "shown"), [("JPY", 5000, "¥5,000"), ("KWD", 1250, "KWD 1.250"), ("NGN", 100_00, "NGN 100.00")]
)
def test_each_currency_has_its_own_places(code: str, minor: int, shown: str) -> None:
    """Yen have none, dinars three."""
    assert Wording.of("en").money(Money(minor, Currency(code))).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_a_credit_note_has_its_tax_by_rate() -> None:
    """Whoever declares the tax must see which rate is lowered."""
    note = attrs.evolve(NOTE, amount=Money(100_00, EUR), tax=Money(10_00, EUR), lines=())
    rows = note_sums(Wording.of("en"), paper(notes=(note,)), note)
    labels = [label.replace("\N{NO-BREAK SPACE}", "") for label, _, _ in rows]
    assert labels == ["Net", "VAT 19.5%", "City levy 2.5%", "Total credited"]
    assert [value for _, value, _ in rows] == ["€90.00", "€9.82", "€0.18", "€100.00"]
    untaxed = attrs.evolve(note, tax=Money(0, EUR))
    assert [label for label, _, _ in note_sums(Wording.of("en"), paper(notes=(untaxed,)), untaxed)] == [
        "Total credited"
    ]


@pytest.mark.parametrize("locale", ["ar", "he", "th", "hi", "xx", "english", ""])
def test_a_locale_whose_letters_cannot_be_printed_is_not_known(locale: str) -> None:
    """Question marks for a date are no date."""
    assert not PdfPaper().knows(locale)


def test_each_run_of_letters_is_in_a_font_that_has_it() -> None:
    """Kana decide that it is Japanese; what no font has is a question mark, and markup is text."""
    assert marked_up("Ada", "en") == '<font name="Roboto">Ada</font>'
    assert marked_up("株式会社カナ", "en") == '<font name="HeiseiKakuGo-W5">株式会社カナ</font>'
    assert marked_up("公司", "zh-Hant-TW") == '<font name="MSung-Light">公司</font>'
    assert marked_up("公司", "en") == '<font name="STSong-Light">公司</font>'
    assert 'name="HYGothic-Medium"' in marked_up("회사", "en")
    assert marked_up("😀<b>&", "en", BOLD) == (
        '<font name="Roboto-Bold">?</font><font name="Roboto-Bold">&lt;b&gt;&amp;</font>'
    )
    assert marked_up("a\nb", "en").count("<br/>") == 1


@settings(max_examples=25, deadline=None)
@given(words=st.text(max_size=400), name=st.text(min_size=1, max_size=200))
async def test_whatever_was_typed_can_be_printed(words: str, name: str) -> None:
    """A mail that cannot be printed would never be sent: no text may stop it."""
    lines = (Line(f"x{words}", 1, Money(1_00, EUR)),)
    invoice = attrs.evolve(INVOICE, lines=lines, memo=words, client=Billed("c", name, name), discount=None)
    seller = Seller(name, (words[:120],), words[:60], "", (words[:120],), words[:300])
    assert await printed(invoice=invoice, seller=seller)
    assert await PdfPaper().credit_note(paper(invoice=invoice, seller=seller), attrs.evolve(NOTE, reason=words))


async def test_the_longest_of_everything_still_fits() -> None:
    """Words without a blank are broken, and the largest amounts have room."""
    most = Money(999_999_999_999_99, EUR)
    lines = (Line("W" * 500, 1, most, discount=Discount(percent=1, name="W" * 60), tax=Tax("W" * 60, 1)),)
    invoice = attrs.evolve(
        INVOICE, lines=lines, memo="W" * 2000, client=Billed("c", "W" * 200, "w" * 250), discount=None
    )
    seller = Seller("W" * 200, ("W" * 120,) * 8, "W" * 60, "w" * 200, ("W" * 120,) * 8, "W" * 300)
    assert pages(await printed(invoice=invoice, seller=seller)) <= 8
