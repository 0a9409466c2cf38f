"""What the API shows of the ledger, reconciliations and payouts."""

from datetime import date, datetime

import msgspec

from domain.billing.ledger import Balance, Entry
from domain.billing.payouts import Payout
from domain.billing.reconciliation import Difference, Reconciliation
from domain.money import Currency, Money
from entrypoints.api.views.money import MoneyView


class BalanceView(msgspec.Struct, frozen=True):
    """What an account comes to in one currency: above zero a debit, below a credit."""

    account: str
    balance: MoneyView

    @classmethod
    def of(cls, balance: Balance) -> "BalanceView":
        return cls(balance.account, MoneyView.of(balance.amount))


class LedgerView(msgspec.Struct, frozen=True):
    """The balances of all accounts; in each currency they add up to nothing."""

    balances: list[BalanceView]


class EntryView(msgspec.Struct, frozen=True):
    """One side of a posting; the entries of a posting add up to nothing."""

    id: str
    posting: str
    source: str
    account: str
    amount: MoneyView
    at: datetime
    subject: str

    @classmethod
    def of(cls, entry: Entry) -> "EntryView":
        return cls(
            entry.id,
            entry.posting,
            entry.source,
            entry.account,
            MoneyView.of(entry.amount),
            entry.at,
            entry.subject,
        )


class TotalView(msgspec.Struct, frozen=True):
    """What one kind of movement comes to on both sides, gross."""

    movement: str
    ours: MoneyView
    theirs: MoneyView


class ReconciliationView(msgspec.Struct, frozen=True):
    """A reconciliation."""

    id: str
    connection_id: str
    provider: str
    since: datetime
    until: datetime
    status: str
    asked_by: str
    compared: int
    differences: int
    totals: list[TotalView]
    error: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, run: Reconciliation) -> "ReconciliationView":
        return cls(
            run.id,
            run.connection_id,
            run.provider,
            run.since,
            run.until,
            run.state.value,
            run.asked_by,
            run.compared,
            run.differences,
            totals(run),
            run.error,
            run.created_at,
            run.updated_at,
        )


def totals(run: Reconciliation) -> list[TotalView]:
    """By currency and movement."""
    views: list[TotalView] = []
    for code, sums in sorted(run.totals.items()):
        currency = Currency(code)
        for movement in sorted({name.partition(":")[2] for name in sums}):
            ours, theirs = (Money(sums.get(f"{side}:{movement}", 0), currency) for side in ("ours", "theirs"))
            views.append(TotalView(movement, MoneyView.of(ours), MoneyView.of(theirs)))
    return views


class DifferenceView(msgspec.Struct, frozen=True):
    """Something that does not agree, and what a person did about it."""

    id: str
    reconciliation_id: str
    kind: str
    movement: str
    reference: str
    ours: str
    theirs: str
    amount: MoneyView
    at: datetime
    payment_id: str | None
    fix: str | None
    fixed_by: str | None
    fixed_at: datetime | None
    note: str

    @classmethod
    def of(cls, one: Difference) -> "DifferenceView":
        return cls(
            one.id,
            one.run_id,
            one.kind.value,
            one.movement,
            one.reference,
            one.ours,
            one.theirs,
            MoneyView.of(one.amount),
            one.at,
            one.payment_id,
            one.fix,
            one.fixed_by,
            one.fixed_at,
            one.note,
        )


class PayoutView(msgspec.Struct, frozen=True):
    """A payout. `receiver`: who gets it, shortened; the whole destination is kept sealed and never shown."""

    id: str
    connection_id: str
    provider: str
    reference: str | None
    status: str
    amount: MoneyView
    fee: MoneyView
    receiver: str
    description: str
    failure: str | None
    arrives_on: date | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, payout: Payout) -> "PayoutView":
        return cls(
            payout.id,
            payout.connection_id,
            payout.provider,
            payout.reference,
            payout.state.value,
            MoneyView.of(payout.amount),
            MoneyView.of(Money(payout.fee, payout.amount.currency)),
            payout.receiver,
            payout.description,
            payout.failure,
            payout.arrives_on,
            payout.created_at,
            payout.updated_at,
        )
