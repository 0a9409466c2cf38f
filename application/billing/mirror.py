"""Keep a provider's bill as an invoice of ours: a renewal that the provider charged by itself."""

from collections.abc import Sequence

import attrs

from application.billing.books import Books
from application.billing.opening import open_invoice, settings_of
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Work
from domain.billing.bodies import invoice_body
from domain.billing.invoices import Billed, Discount, Invoice, Line, Period


@attrs.define
class MirrorInvoice:
    """Writes an open invoice with the next number of our own, once for each bill; in the caller's unit of work."""

    _tell: Tell
    _clock: Clock
    _ids: Ids
    _books: Books

    async def __call__(
        self,
        work: Work,
        *,
        source: str,
        client: Billed,
        lines: Sequence[Line],
        discount: Discount | None = None,
        subscription_id: str | None = None,
        period: Period | None = None,
        memo: str = "",
    ) -> Invoice:
        """`source`: the provider's bill, such as `stripe:in_1`. The one that mirrors it already is returned as it is.

        Raises Invalid for lines that make no invoice, such as a total of nothing.
        """
        known = await work.invoices.all(source=source)
        if known:
            return known[0]
        now = self._clock.now()
        number = await work.counters.next("invoice")
        invoice = Invoice(
            self._ids.new("invoice"),
            work.organisation_id,
            (await settings_of(work, now)).invoice_number(number),
            client,
            lines[0].unit_price.currency,
            tuple(lines),
            now,
            now,
            memo=memo,
            discount=discount,
            subscription_id=subscription_id,
            period=period,
            source=source,
        )
        await work.invoices.add(invoice)
        invoice = await open_invoice(work, self._books, invoice, now)
        await self._tell(work, "invoice.created", {"invoice": invoice_body(invoice, None)})
        return invoice
