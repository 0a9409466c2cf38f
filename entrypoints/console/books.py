"""The ledger: what each account comes to, and its entries."""

from litestar import Controller, Response, get
from litestar.response import Stream

from application.caller import Caller
from application.ports.store import Slice, Store
from entrypoints.api.books import ENTRY_TITLES, entry_cells
from entrypoints.api.paging import listing
from entrypoints.console.pages import Page
from entrypoints.csv_files import csv_file

FILTERS = ("account", "subject")

MEANINGS = {
    "receivable": "What clients owe on open invoices",
    "revenue": "What invoices asked for, without tax",
    "tax": "Tax on invoices",
    "fees": "What providers kept",
    "refunds": "What went back of earned money",
    "payouts": "What left a provider's balance",
    "disputes": "What payers' banks took back or hold",
    "overpayments": "What clients paid too much: it is theirs",
    "credits": "What credit notes took back",
    "written_off": "What is given up",
    "suspense": "Money that nobody has explained yet",
}


class LedgerPages(Controller):
    """/console/ledger"""

    path = "/ledger"

    @get("/")
    async def show(self, page: Page, slice: Slice) -> Response[str]:
        """Balances, and entries newest first."""
        filters = page.filters(*FILTERS)
        async with page.reading() as work:
            balances = await work.ledger.balances()
            entries = await work.ledger.page(slice, **filters)
        return page(
            "ledger.html",
            balances=balances,
            meanings=MEANINGS,
            entries=listing(entries, lambda entry: entry),
            filters=filters,
        )

    @get("/entries.csv", media_type="text/csv")
    async def download(self, page: Page, caller: Caller, store: Store) -> Stream:
        """All entries that the filter means."""
        org, filters = caller.organisation_id, page.filters(*FILTERS)
        return csv_file("ledger.csv", store, org, lambda work: work.ledger, ENTRY_TITLES, entry_cells, **filters)
