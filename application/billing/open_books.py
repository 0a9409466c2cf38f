"""Begin the ledger of an organisation that is older than it: post what its invoices and payments say."""

from collections.abc import Mapping
from datetime import timedelta

import attrs

from application.billing.books import Books
from application.ports.store import MAX_PAGE, Slice, Store
from application.upkeep.jobs import Job, Troubles


@attrs.define
class OpenBooks(Job):
    """Once for each organisation. Every source is posted once, so what is posted meanwhile does no harm."""

    _store: Store
    _books: Books
    name = "opening-books"
    every = timedelta(hours=1)
    what = "Begins the ledger of an organisation that is older than the ledger: posts its invoices and payments, once."

    async def __call__(self) -> Mapping[str, int]:
        opened, troubles = 0, Troubles()
        for organisation in await self._store.organisations():
            with troubles.aside():
                if await self._store.marked(_mark(organisation.id)) is None:
                    await self._invoices(organisation.id)
                    await self._payments(organisation.id)
                    await self._store.mark(_mark(organisation.id), "done")
                    opened += 1
        troubles.tell()
        return {"organisations": opened}

    async def _invoices(self, organisation_id: str) -> None:
        after: str | None = None
        while True:
            async with self._store.reading(organisation_id) as work:
                page = await work.invoices.page(Slice(MAX_PAGE, after, newest_first=False))
            for invoice in page.items:
                async with self._store.of(organisation_id) as work:
                    await self._books.invoice_opened(work, await work.invoices.get(invoice.id))
                    await work.commit()
            after = page.next
            if after is None:
                return

    async def _payments(self, organisation_id: str) -> None:
        after: str | None = None
        while True:
            async with self._store.reading(organisation_id) as work:
                page = await work.payments.page(Slice(MAX_PAGE, after, newest_first=False))
            for payment in page.items:
                async with self._store.of(organisation_id) as work:
                    await self._books.facts_learned(work, await work.payments.get(payment.id), ())
                    await work.commit()
            after = page.next
            if after is None:
                return


def _mark(organisation_id: str) -> str:
    return f"books:{organisation_id}"
