"""The books: every movement of money as entries that add up to nothing, in every currency (double entry).

A posting is made for one source (`captured:pay_…:pi_1`) and is there once, whatever happens twice. The accounts:

receivable          what clients owe on invoices that are open
revenue, tax        what invoices asked for, without and as tax
balance:<provider>  what a provider holds for the organisation
fees                what providers kept
refunds             what went back to payers and was earned before
payouts             what left a provider's balance
disputes            what a payer's bank took back or holds
overpayments        what clients paid beyond what they owe: it is theirs
credits             what credit notes took back of revenue
written_off         what is given up
suspense            money that nobody has explained yet (conflicted payments)

Above zero is a debit, below a credit: an asset or a cost is above zero, a debt or income below.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256

import attrs

from domain.money import Currency, Money

RECEIVABLE, REVENUE, TAX, FEES, REFUNDS = "receivable", "revenue", "tax", "fees", "refunds"
PAYOUTS, DISPUTES, OVERPAYMENTS, CREDITS = "payouts", "disputes", "overpayments", "credits"
WRITTEN_OFF, SUSPENSE = "written_off", "suspense"

MAX_SOURCE = 255
"""Characters of a source, as the column has it."""


def balance_at(provider: str) -> str:
    """The account of what a provider holds."""
    return f"balance:{provider}"


@attrs.frozen
class Entry:
    """One side of a posting. amount: above zero is a debit, below a credit; the entries of a posting add up to 0.

    posting: what the entries of one posting share. source: what it is posted for (`captured:pay_…:pi_1`), posted once.
    account: `receivable`, `balance:stripe`, `fees`, `refunds` …
    """

    id: str
    organisation_id: str
    posting: str
    source: str
    account: str
    amount: Money
    at: datetime
    subject: str
    """The id of the invoice, payment or payout that this side is about."""


@attrs.frozen
class Balance:
    """What the entries of one account in one currency add up to."""

    account: str
    amount: Money


class DoesNotBalance(Exception):
    """A posting whose sides do not add up to nothing: a mistake in this program, never of a caller."""


@attrs.frozen
class Side:
    """One side of a posting that is about to be made."""

    account: str
    amount: Money
    subject: str


@attrs.frozen
class Posting:
    """What is to be posted for one source. Raises DoesNotBalance."""

    source: str
    sides: tuple[Side, ...]

    def __attrs_post_init__(self) -> None:
        sums: dict[Currency, int] = {}
        for side in self.sides:
            sums[side.amount.currency] = sums.get(side.amount.currency, 0) + side.amount.amount
        if any(sums.values()):
            raise DoesNotBalance(f"{self.source}: {self.sides}")

    def entries(self, organisation_id: str, new_id: Callable[[str], str], at: datetime) -> tuple[Entry, ...]:
        """Its entries; a side of nothing makes none."""
        posting = new_id("posting")
        return tuple(
            Entry(
                new_id("ledger_entry"),
                organisation_id,
                posting,
                self.source,
                side.account,
                side.amount,
                at,
                side.subject,
            )
            for side in self.sides
            if side.amount
        )


def source_of(*parts: str) -> str:
    """What a posting is for, in at most MAX_SOURCE characters: what is longer ends in a digest of itself."""
    source = ":".join(parts)
    if len(source) <= MAX_SOURCE:
        return source
    digest = sha256(source.encode()).hexdigest()
    return f"{source[: MAX_SOURCE - len(digest) - 1]}:{digest}"


def standing(entries: Iterable[Entry], currency: Currency) -> Mapping[str, int]:
    """What the entries about one subject add up to by account, in minor units of one currency."""
    sums: dict[str, int] = {}
    for entry in entries:
        if entry.amount.currency == currency:
            sums[entry.account] = sums.get(entry.account, 0) + entry.amount.amount
    return sums


def client_moves(now: Mapping[str, int], change: int) -> dict[str, int]:
    """How the client's account on an invoice moves when they owe `change` more (below zero: less).

    Nobody owes less than nothing: what is beyond is an overpayment. What had been written off is owed again as soon as
    something is paid of it. `now`: how the invoice stands. The changes add up to `change`.
    """
    receivable, over, given_up = now.get(RECEIVABLE, 0), now.get(OVERPAYMENTS, 0), now.get(WRITTEN_OFF, 0)
    again = given_up if change < 0 else 0
    owed = receivable + over + again + change
    return {RECEIVABLE: max(owed, 0) - receivable, OVERPAYMENTS: min(owed, 0) - over, WRITTEN_OFF: -again}
