"""Give an invoice up: it is still owed, and nobody asks for it any more."""

import attrs

from application.billing.books import Books
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.store import Store
from domain.billing.bodies import invoice_body
from domain.billing.invoices import Invoice


@attrs.define
class WriteOffInvoice:
    """Marks an invoice uncollectible. Its links stay: a payment that comes all the same opens it again."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _books: Books

    async def __call__(self, caller: Caller, id: str, *, once: Once | None = None) -> Invoice:
        """Raises NotFound, or Conflict for a draft and for what is paid or void."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            given_up = invoice.write_off(now)
            if given_up is not invoice:
                given_up = await work.invoices.save(given_up)
                await self._books.invoice_written_off(work, given_up)
                await self._tell(work, "invoice.uncollectible", {"invoice": invoice_body(given_up, None)})
                await self._tell.note(work, caller, "invoice.uncollectible", id)
            await remember(work, once, given_up, now)
            await work.commit()
        return given_up
