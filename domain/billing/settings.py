"""How an organisation bills: who it is on paper, its numbers, when it reminds, when it tries again."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from domain.refusals import Fault, Invalid

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._-]{0,18}[A-Za-z/._-]|[A-Za-z]")
"""It ends in no digit: INV-1 with 0005 and INV- with 10005 would be the same number."""
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_EMAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")

MAX_LINES = 8
MAX_LINE = 120
MAX_FOOTER = 300
"""Three lines at the foot of a page."""
MAX_STEPS = 10


@attrs.frozen
class Seller:
    """Who the invoice is from, as it is printed."""

    name: str = ""
    address: tuple[str, ...] = ()
    tax_id: str = ""
    email: str = ""
    bank: tuple[str, ...] = ()
    footer: str = ""

    def faults(self) -> Iterator[Fault]:
        """What is wrong with it."""
        for field, text, most in (
            ("name", self.name, 200),
            ("tax_id", self.tax_id, 60),
            ("email", self.email, 254),
            ("footer", self.footer, MAX_FOOTER),
        ):
            if len(text) > most:
                yield Fault(f"seller.{field}", f"It has at most {most} characters.")
        if self.email and not _EMAIL.fullmatch(self.email):
            yield Fault("seller.email", "This is not a mail address.")
        for field, lines in (("address", self.address), ("bank", self.bank)):
            if len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines):
                yield Fault(f"seller.{field}", f"It has at most {MAX_LINES} lines of {MAX_LINE} characters.")


@attrs.frozen
class BillingSettings:
    """One an organisation; its id is the organisation's.

    reminders: days after the due day (below zero: before) on which the client is reminded. retries: days between charges
    of a renewal that failed; after the last it is past due and ends. locale: of the invoices (BCP 47).
    """

    id: str
    organisation_id: str
    seller: Seller
    created_at: datetime
    updated_at: datetime
    invoice_prefix: str = "INV-"
    credit_note_prefix: str = "CN-"
    reminders: tuple[int, ...] = ()
    retries: tuple[int, ...] = (2, 5, 7, 7)
    locale: str = "en"
    version: int = 1

    def __attrs_post_init__(self) -> None:
        faults = list(self.seller.faults())
        for field in ("invoice_prefix", "credit_note_prefix"):
            if not _PREFIX.fullmatch(getattr(self, field)):
                why = "A prefix has 1 to 20 letters, digits or / . _ -, begins with a letter or digit and ends in no digit."
                faults.append(Fault(field, why))
        if self.invoice_prefix == self.credit_note_prefix:
            faults.append(Fault("credit_note_prefix", "Invoices and credit notes need different prefixes."))
        if not _rising(self.reminders) or not all(-90 <= day <= 365 for day in self.reminders):
            why = f"Reminders are at most {MAX_STEPS} days from -90 to 365, each once and in order."
            faults.append(Fault("reminders", why))
        if len(self.retries) > MAX_STEPS or not all(1 <= days <= 60 for days in self.retries):
            faults.append(Fault("retries", f"Retries are at most {MAX_STEPS} waits of 1 to 60 days."))
        if not _LOCALE.fullmatch(self.locale):
            faults.append(Fault("locale", "A locale is a BCP 47 tag such as en, en-GB or zh-Hant-TW."))
        if faults:
            raise Invalid(*faults)

    def invoice_number(self, number: int) -> str:
        """INV-0001, INV-0002, …"""
        return f"{self.invoice_prefix}{number:04d}"

    def credit_note_number(self, number: int) -> str:
        """CN-0001, CN-0002, …"""
        return f"{self.credit_note_prefix}{number:04d}"


def _rising(days: Sequence[int]) -> bool:
    return len(days) <= MAX_STEPS and list(days) == sorted(set(days))
