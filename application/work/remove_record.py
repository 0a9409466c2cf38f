"""Remove a work record, without breaking the records that name it.

The rule, for whatever names the record with a field of its own (`client_id`, a note's `subject`):

- What cannot be without it keeps it: a milestone needs its project, a contract its client, a registration without an
  address its contact, a task with a milestone its project. So does an invoice that is not settled need its client;
  a paid or void one keeps the name it was written to. The removal is refused, and says what stands in the way.
- What can be without it lets go of it: the field is emptied, as a change of that record like any other, with its
  version, its events and its audit entry.

An id inside a list (a meeting's participants) stays as it is: the entry keeps its name, and the id finds nothing more.
"""

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.store import MAX_PAGE, Slice, Store, Work
from application.versions import require_version
from application.work.change_record import keep_change
from application.work.pointers import Way, record_of, ways_to
from domain.billing.invoices import InvoiceState
from domain.refusals import Conflict, Invalid
from domain.work.records import Kind, Record

MOST_LET_GO = 500
"""How many records may lose their reference in one removal: it is one transaction."""

UNSETTLED = (InvoiceState.DRAFT, InvoiceState.OPEN, InvoiceState.PARTLY_PAID, InvoiceState.OVERDUE)


@attrs.define
class RemoveRecord:
    """Forget a record."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, caller: Caller, kind: Kind, id: str, *, version: int | None = None) -> None:
        """Raises NotFound, Stale, Conflict naming what needs it."""
        async with self._store.of(caller.organisation_id) as work:
            record = await record_of(work, kind, id)
            require_version(record.version, version)
            if kind.name == "client":
                await _refuse_if_billed(work, id)
            await self._let_go(work, caller, record)
            await work.records.remove(id)
            for event_type in record.told_on_deletion:
                await self._tell(work, event_type, record.data())
            await self._tell.note(work, caller, f"{kind.name}.removed", id, title=record.title)
            await work.commit()

    async def _let_go(self, work: Work, caller: Caller, record: Record) -> None:
        now = self._clock.now()
        for way, other in await _naming(work, record):
            try:
                after, types = other.change({way.field: None}, now)
            except Invalid as error:
                raise Conflict(
                    f"The {other.kind.name} '{other.title}' ({other.id}) needs it as its {way.field}."
                    " Change or remove that first."
                ) from error
            await keep_change(work, self._tell, caller, other, after, types, because=record.id)


async def _naming(work: Work, record: Record) -> list[tuple[Way, Record]]:
    found: list[tuple[Way, Record]] = []
    for way in ways_to(record.kind):
        after: str | None = None
        while True:
            page = await work.records.matching(way.kind, Slice(MAX_PAGE, after), {way.path: record.id})
            found.extend((way, other) for other in page.items)
            if len(found) > MOST_LET_GO:
                raise Conflict(f"More than {MOST_LET_GO} records name it. Change or remove some of them first.")
            if page.next is None:
                break
            after = page.next
    return found


async def _refuse_if_billed(work: Work, client_id: str) -> None:
    after: str | None = None
    while True:
        page = await work.invoices.page(Slice(MAX_PAGE, after), state=UNSETTLED)
        for invoice in page.items:
            if invoice.client.id == client_id:
                raise Conflict(
                    f"The invoice {invoice.number} ({invoice.id}) is {invoice.state.value}. Wait until it is paid, or"
                    " make it void first."
                )
        if page.next is None:
            return
        after = page.next
