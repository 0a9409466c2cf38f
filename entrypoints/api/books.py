"""The ledger, and reconciliations with the providers' books."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from application.billing.fix_difference import FixDifference
from application.billing.reconcile import StartReconciliation
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.billing.ledger import Entry
from domain.billing.reconciliation import MAX_NOTE, Difference, Fix
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.books import BalanceView, DifferenceView, EntryView, LedgerView, ReconciliationView
from entrypoints.csv_files import csv_file

ENTRY_TITLES = ("id", "posting", "source", "account", "amount", "currency", "at", "subject")
DIFFERENCE_TITLES = (
    *("id", "kind", "movement", "reference", "ours", "theirs", "amount", "currency", "at", "payment_id"),
    *("fix", "fixed_by", "fixed_at", "note"),
)

Account = Annotated[
    str | None, QueryParameter(name="account", required=False, description="Of one account, such as `balance:stripe`.")
]
About = Annotated[
    str | None,
    QueryParameter(name="subject", required=False, description="About one invoice, payment or payout, by its id."),
]


def entry_cells(entry: Entry) -> tuple[object, ...]:
    """A row of the entries' CSV; amounts are decimals in major units."""
    money = entry.amount
    at = entry.at.isoformat()
    account = (entry.id, entry.posting, entry.source, entry.account)
    return (*account, money.decimal, money.currency.code, at, entry.subject)


def difference_cells(one: Difference) -> tuple[object, ...]:
    """A row of the differences' CSV."""
    what = (one.id, one.kind.value, one.movement, one.reference, one.ours, one.theirs)
    stake = (one.amount.decimal, one.amount.currency.code, one.at.isoformat(), one.payment_id)
    return (*what, *stake, one.fix, one.fixed_by, one.fixed_at.isoformat() if one.fixed_at else None, one.note)


def filters(account: str | None, subject: str | None) -> dict[str, str]:
    """What the entries are filtered by."""
    given = {"account": account, "subject": subject}
    return {name: value for name, value in given.items() if value}


class LedgerBooks(Controller):
    """Double entry: every movement of money is posted to accounts that add up to nothing."""

    path = "/api/billing/ledger"
    tags = ("Ledger",)

    @get("/", scope=Scope.BILLING_READ, summary="Balances of all accounts")
    async def get_balances(self, caller: NamedDependency[Caller], store: NamedDependency[Store]) -> LedgerView:
        """By account and currency. `docs/reconciling.md` has the chart of accounts."""
        async with store.reading(caller.organisation_id) as work:
            return LedgerView([BalanceView.of(one) for one in await work.ledger.balances()])

    @get("/entries", scope=Scope.BILLING_READ, summary="Entries of the ledger")
    async def list_entries(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        account: Account = None,
        subject: About = None,
    ) -> Listing[EntryView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.ledger.page(slice, **filters(account, subject)), EntryView.of)

    @get("/entries.csv", scope=Scope.BILLING_READ, summary="Entries of the ledger as CSV", media_type="text/csv")
    async def download_entries(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        account: Account = None,
        subject: About = None,
    ) -> Stream:
        """Oldest first; amounts are decimals in major units."""
        org, given = caller.organisation_id, filters(account, subject)
        return csv_file("ledger.csv", store, org, lambda work: work.ledger, ENTRY_TITLES, entry_cells, **given)


class ReconciliationAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to compare: a connection's id, or a provider's slug where there is one connection to it.

    Without times: the last whole day (UTC) of which the provider's books are complete.
    """

    connection: str
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class FixAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to do about a difference: `adopted` takes in what is missing here, `settled` asks the provider once more,
    `accepted` leaves it, with a note that says why. `invoice_id`: what an adopted payment pays, where it does not say so.
    """

    fix: Fix
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] = ""
    invoice_id: str | None = None


class Reconciliations(Controller):
    """What the provider lists as moved against what the hub has, every night and by hand."""

    path = "/api/billing/reconciliations"
    tags = ("Reconciliations",)

    @post("/", scope=Scope.BILLING_WRITE, summary="Start a reconciliation")
    async def start_comparing(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[ReconciliationAsked],
        start_reconciliation: NamedDependency[StartReconciliation],
        idempotency: NamedDependency[Idempotency],
    ) -> ReconciliationView:
        """It runs in the background, within a minute; `reconciliation.finished` tells of its end."""
        run = await start_reconciliation(
            caller,
            data.connection,
            since=data.since,
            until=data.until,
            once=idempotency.once(ReconciliationView.of),
        )
        return ReconciliationView.of(run)

    @get("/", scope=Scope.BILLING_READ, summary="List reconciliations")
    async def list_reconciliations(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[ReconciliationView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.reconciliations.page(slice), ReconciliationView.of)

    @get("/{reconciliation_id:str}", scope=Scope.BILLING_READ, summary="One reconciliation")
    async def get_reconciliation(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], reconciliation_id: FromPath[str]
    ) -> ReconciliationView:
        """How far it is, and what both sides come to."""
        async with store.reading(caller.organisation_id) as work:
            return ReconciliationView.of(await work.reconciliations.get(reconciliation_id))

    @get("/{reconciliation_id:str}/differences", scope=Scope.BILLING_READ, summary="What does not agree")
    async def list_differences(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        reconciliation_id: FromPath[str],
    ) -> Listing[DifferenceView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            await work.reconciliations.get(reconciliation_id)
            return listing(await work.differences.page(slice, run_id=reconciliation_id), DifferenceView.of)

    @get(
        "/{reconciliation_id:str}/differences.csv",
        scope=Scope.BILLING_READ,
        summary="What does not agree, as CSV",
        media_type="text/csv",
    )
    async def download_differences(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], reconciliation_id: FromPath[str]
    ) -> Stream:
        """Oldest first; amounts are decimals in major units."""
        org = caller.organisation_id
        async with store.reading(org) as work:
            run = await work.reconciliations.get(reconciliation_id)
        name, titles = f"{run.id}.csv", DIFFERENCE_TITLES
        return csv_file(name, store, org, lambda work: work.differences, titles, difference_cells, run_id=run.id)

    @post(
        "/{reconciliation_id:str}/differences/{difference_id:str}/fix",
        scope=Scope.BILLING_WRITE,
        status_code=200,
        summary="Do something about a difference",
    )
    async def fix_one(
        self,
        caller: NamedDependency[Caller],
        reconciliation_id: FromPath[str],
        difference_id: FromPath[str],
        data: JSONBody[FixAsked],
        fix_difference: NamedDependency[FixDifference],
        idempotency: NamedDependency[Idempotency],
    ) -> DifferenceView:
        """Written into the audit trail. Whether it agrees afterwards, the next reconciliation says."""
        fixed = await fix_difference(
            caller,
            reconciliation_id,
            difference_id,
            data.fix,
            note=data.note,
            invoice_id=data.invoice_id,
            once=idempotency.once(DifferenceView.of, status=200),
        )
        return DifferenceView.of(fixed)
