"""Invoices and credit notes as documents a company sends: PDF."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import attrs

from domain.billing.credit_notes import CreditNote
from domain.billing.invoices import Invoice
from domain.billing.settings import Seller


@attrs.frozen
class Paper:
    """What is printed. seller: who it is from. locale: how amounts and days are written (BCP 47). pay_url: where it can be
    paid, None where it cannot. notes: its credit notes."""

    invoice: Invoice
    seller: Seller
    locale: str
    pay_url: str | None = None
    notes: Sequence[CreditNote] = ()


class InvoicePaper(Protocol):
    """Prints."""

    @abstractmethod
    def knows(self, locale: str) -> bool:
        """Whether amounts and days can be written in this locale (BCP 47)."""

    @abstractmethod
    async def invoice(self, paper: Paper) -> bytes:
        """The invoice as PDF: the same bytes for the same paper."""

    @abstractmethod
    async def credit_note(self, paper: Paper, note: CreditNote) -> bytes:
        """One of its credit notes as PDF: the same bytes for the same paper."""
