"""Reconciliations: the providers' books against ours, and what to do about a difference."""

from datetime import UTC, date, datetime, timedelta

from litestar import Controller, Response, get, post
from litestar.response import Stream

from application.billing.fix_difference import FixDifference
from application.billing.reconcile import StartReconciliation, midnight, settlements_of
from application.caller import Caller
from application.ports.leases import Held
from application.ports.providers import Providers
from application.ports.store import AlreadyThere, Slice, Store
from domain.billing.reconciliation import Fix, RunState
from domain.connections.abilities import NotOffered
from domain.connections.connection import Connection
from domain.refusals import Invalid, NotFound, Refusal
from entrypoints.api.books import DIFFERENCE_TITLES, difference_cells
from entrypoints.api.paging import listing
from entrypoints.api.views.books import totals
from entrypoints.console.pages import REFUSED, Form, Page
from entrypoints.csv_files import csv_file

_REFRESH = {"Refresh": "3"}

KINDS = {
    "missing_here": "Missing here",
    "missing_there": "Missing there",
    "amount": "Another amount",
    "state": "Another state",
    "fee": "Another fee",
}


class ReconciliationPages(Controller):
    """/console/reconciliations"""

    path = "/reconciliations"

    @get("/")
    async def show_all(self, page: Page, slice: Slice, providers: Providers) -> Response[str]:
        """Newest first, with a form that begins another."""
        return await _show_all(page, slice, providers)

    @post("/")
    async def start(
        self,
        page: Page,
        caller: Caller,
        form: Form,
        slice: Slice,
        providers: Providers,
        start_reconciliation: StartReconciliation,
    ) -> Response[str]:
        """For whole days (UTC)."""
        try:
            since, last = _day(form, "since"), _day(form, "until")
            run = await start_reconciliation(
                caller,
                form.text("connection"),
                since=since,
                until=last + timedelta(days=1) if last else None,
                once=form.once(),
            )
        except AlreadyThere:
            return page.go("/console/reconciliations")
        except REFUSED as refused:
            return await _show_all(page, slice, providers, refused=refused, typed=form.typed)
        return page.go(f"/console/reconciliations/{run.id}", done="reconciliation-started")

    @get("/{run_id:str}")
    async def show(self, page: Page, slice: Slice, run_id: str) -> Response[str]:
        """One report."""
        return await _show(page, slice, run_id)

    @get("/{run_id:str}/differences.csv", media_type="text/csv")
    async def download(self, page: Page, caller: Caller, store: Store, run_id: str) -> Stream:
        """All its differences."""
        async with page.reading() as work:
            run = await work.reconciliations.get(run_id)
        name, org, titles = f"{run.id}.csv", caller.organisation_id, DIFFERENCE_TITLES
        return csv_file(name, store, org, lambda work: work.differences, titles, difference_cells, run_id=run.id)

    @post("/{run_id:str}/differences/{difference_id:str}/fix")
    async def fix(
        self,
        page: Page,
        caller: Caller,
        form: Form,
        slice: Slice,
        run_id: str,
        difference_id: str,
        fix_difference: FixDifference,
    ) -> Response[str]:
        """A person's click."""
        try:
            wanted = form.text("fix")
            if wanted not in {one.value for one in Fix}:
                raise Invalid.field("fix", "Choose what is to be done.")
            invoice_id = await _invoice_id(page, form.text("invoice"))
            note = form.text("note")
            await fix_difference(
                caller, run_id, difference_id, Fix(wanted), note=note, invoice_id=invoice_id, once=form.once()
            )
        except AlreadyThere:
            return page.go(f"/console/reconciliations/{run_id}")
        except REFUSED as refused:
            return await _show(page, slice, run_id, refused=refused)
        return page.go(f"/console/reconciliations/{run_id}", done="difference-fixed")


def _day(form: Form, name: str) -> datetime | None:
    text = form.text(name)
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC) if text else None
    except ValueError as error:
        raise Invalid.field(name, "A day is written as 2026-02-28.") from error


async def _invoice_id(page: Page, number: str) -> str | None:
    """People know an invoice by its number."""
    if not number:
        return None
    async with page.reading() as work:
        found = await work.invoices.all(number=number)
    if not found:
        raise Invalid.field("invoice", f"There is no invoice {number[:60]} here.")
    return found[0].id


async def _show_all(
    page: Page,
    slice: Slice,
    providers: Providers,
    *,
    refused: Refusal | Held | None = None,
    typed: dict[str, str] | None = None,
) -> Response[str]:
    async with page.reading() as work:
        runs = await work.reconciliations.page(slice)
        connections = await work.connections.all()
    names = {one.id: one.name for one in connections}
    listed = {one.id: _listed_after(providers, one) for one in connections if one.connected}
    choices = {id_: names[id_] for id_, after in listed.items() if after is not None}
    complete = page.reader.now - max((after for after in listed.values() if after), default=timedelta())
    yesterday = (midnight(complete) - timedelta(days=1)).date().isoformat()
    return page(
        "reconciliations.html",
        refused=refused,
        runs=listing(runs, lambda run: (run, names.get(run.connection_id, run.provider))),
        connections=choices,
        once=page.ids.token(),
        typed={"since": yesterday, "until": yesterday, "connection": "", **(typed or {})},
        headers=_REFRESH if refused is None and any(run.state is RunState.RUNNING for run in runs.items) else {},
    )


def _listed_after(providers: Providers, connection: Connection) -> timedelta | None:
    """After which time the provider's books are complete; None for one that lists nothing."""
    try:
        return settlements_of(providers, connection.provider).settled_after
    except (NotOffered, NotFound):
        return None


async def _show(page: Page, slice: Slice, run_id: str, *, refused: Refusal | Held | None = None) -> Response[str]:
    async with page.reading() as work:
        run = await work.reconciliations.get(run_id)
        connection = await work.connections.find(run.connection_id)
        found = await work.differences.page(slice, run_id=run_id)
    return page(
        "reconciliation.html",
        refused=refused,
        run=run,
        name=connection.name if connection else run.provider,
        totals=totals(run),
        kinds=KINDS,
        differences=listing(found, lambda one: (one, page.ids.token())),
        headers=_REFRESH if run.state is RunState.RUNNING and refused is None else {},
    )
