"""What every printer of invoices must do. A printer's own test subclasses InvoicePaperContract and says how to make one."""

from abc import ABC, abstractmethod
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from application.ports.invoice_paper import InvoicePaper, Paper
from domain.billing.credit_notes import CreditedLine, CreditNote
from domain.billing.invoices import Billed, Invoice, InvoiceState
from domain.billing.lines import Discount, Line, Tax
from domain.billing.settings import Seller
from domain.money import Currency, Money

NOW = datetime(2026, 2, 14, 9, tzinfo=UTC)
EUR = Currency("EUR")
VAT, LEVY = Tax("VAT", 1950), Tax("City levy", 250, included=True)
URL = "https://hub.example/pay/3f8a1c9d7be2"
SELLER = Seller(
    "Harbour & Finch", ("12 Quay Street", "Bristol"), "GB 123", "b@hf.example", ("IBAN GB33",), "Thank you."
)
INVOICE = Invoice(
    "inv_1",
    "org_1",
    "INV-0042",
    Billed("client_1", "Łukasz <b>Żółć</b> & Söhne", "ada@acme.example"),
    EUR,
    (
        Line("Workshop", 2, Money(450_00, EUR), tax=VAT, discount=Discount(percent=1000, name="Trade")),
        Line("Hosting", 12, Money(9_99, EUR), tax=LEVY),
        Line("Travel", 1, Money(184_50, EUR)),
    ),
    NOW,
    NOW,
    state=InvoiceState.OPEN,
    due_on=date(2026, 2, 28),
    memo="Thanks.\nPurchase order 4711.",
    discount=Discount(amount=50_00),
    opened_at=NOW,
)
NOTE = CreditNote(
    "cn_1", "org_1", "CN-0001", "inv_1", Money(10_00, EUR), Money(1_00, EUR), "Late", NOW, lines=(CreditedLine(0, 1),)
)


def paper(**changes: Any) -> Paper:
    """A sheet in English, with a link."""
    given: dict[str, Any] = {"invoice": INVOICE, "seller": SELLER, "locale": "en-GB", "pay_url": URL, **changes}
    return Paper(**given)


class InvoicePaperContract(ABC):
    """The suite."""

    @abstractmethod
    def make(self) -> InvoicePaper:
        """A printer under test."""

    async def test_it_prints_a_pdf(self) -> None:
        """Programs know a file by how it begins and ends."""
        for content in (
            await self.make().invoice(paper()),
            await self.make().credit_note(paper(notes=(NOTE,)), NOTE),
        ):
            assert content.startswith(b"%PDF-1.")
            assert content.rstrip().endswith(b"%%EOF")

    async def test_the_same_invoice_is_printed_the_same(self) -> None:
        """Whoever compares two copies must not be led to think that the invoice was changed."""
        one, other = self.make(), self.make()
        first = await one.invoice(paper())
        await one.invoice(paper(locale="de"))
        assert await one.invoice(paper()) == first
        assert await other.invoice(paper()) == first
        assert await other.credit_note(paper(), NOTE) == await one.credit_note(paper(), NOTE)

    async def test_another_amount_is_printed_otherwise(self) -> None:
        """What was paid meanwhile stands on it."""
        part, _ = INVOICE.settle(Money(5_00, EUR), Money(0, EUR), NOW)
        assert await self.make().invoice(paper(invoice=part)) != await self.make().invoice(paper())

    @pytest.mark.parametrize("state", InvoiceState)
    async def test_an_invoice_of_every_state_can_be_printed(self, state: InvoiceState) -> None:
        """A draft to be looked at, a paid one for the files."""
        assert await self.make().invoice(paper(invoice=attrs.evolve(INVOICE, state=state), pay_url=None))

    @pytest.mark.parametrize(("locale", "known"), [("en", True), ("de", True), ("ja", True), ("tlh", False)])
    def test_it_says_which_locales_it_knows(self, locale: str, known: bool) -> None:
        """One that is not known is refused when it is set, not when the invoice is due."""
        assert self.make().knows(locale) is known
