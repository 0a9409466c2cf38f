"""Write invoices: create, revise a draft, make void."""

from collections.abc import Sequence
from datetime import date

import attrs

from application.billing.books import Books
from application.billing.close_checkouts import CloseCheckouts
from application.billing.lines import DiscountAsked, LineAsked, TaxAsked, read_discount, read_lines
from application.billing.opening import open_invoice, settings_of
from application.billing.typed import read_due_day, read_words
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store, Work
from application.versions import require_version
from domain.billing.bodies import invoice_body
from domain.billing.invoices import Billed, Invoice, Line, Period
from domain.money import Currency
from domain.refusals import Invalid

__all__ = [
    "CreateInvoice",
    "DiscountAsked",
    "LineAsked",
    "ReviseInvoice",
    "TaxAsked",
    "VoidInvoice",
    "billed",
]


async def billed(work: Work, client_id: str) -> Billed:
    """The client as an invoice names them. Raises Invalid naming `client_id`."""
    client = await work.records.find(client_id)
    if client is None or client.kind.name != "client":
        raise Invalid.field("client_id", f"There is no client '{client_id[:80]}'.")
    return Billed(client.id, str(client.fields["name"]), client.fields.get("email"))


@attrs.define
class CreateInvoice:
    """Write an invoice with the next number of its organisation (INV-0001, …), without gaps."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _books: Books

    async def __call__(
        self,
        caller: Caller,
        *,
        client_id: str,
        currency: str,
        lines: Sequence[LineAsked | Line],
        due_on: date | None = None,
        memo: str = "",
        discount: DiscountAsked | None = None,
        subscription_id: str | None = None,
        period: Period | None = None,
        opened: bool = False,
        once: Once | None = None,
    ) -> Invoice:
        """`opened`: it is no draft, but asked for at once. `subscription_id`, `period`: what it renews.

        Raises Invalid naming every field that is wrong, and UnknownCurrency. Whether a connected provider could charge it
        in one payment is asked when a link for it is made: several payments may pay one invoice.
        """
        known = Currency(currency)
        read, off = read_lines(lines, known), read_discount(discount, known)
        now = self._clock.now()
        due_on, memo = read_due_day(due_on, now), read_words(memo, "memo")
        async with self._store.of(caller.organisation_id) as work:
            client = await billed(work, client_id)
            number = await work.counters.next("invoice")
            invoice = Invoice(
                self._ids.new("invoice"),
                caller.organisation_id,
                (await settings_of(work, now)).invoice_number(number),
                client,
                known,
                read,
                now,
                now,
                due_on=due_on,
                memo=memo,
                discount=off,
                subscription_id=subscription_id,
                period=period,
            )
            await work.invoices.add(invoice)
            if opened:
                invoice = await open_invoice(work, self._books, invoice, now)
            await self._tell(work, "invoice.created", {"invoice": invoice_body(invoice, None)})
            await self._tell.note(work, caller, "invoice.created", invoice.id, number=invoice.number)
            await remember(work, once, invoice, now)
            await work.commit()
        return invoice


@attrs.define
class ReviseInvoice:
    """Change a draft; only what is given."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        lines: Sequence[LineAsked] | None = None,
        due_on: date | None = None,
        memo: str | None = None,
        discount: DiscountAsked | None = None,
        version: int | None = None,
    ) -> Invoice:
        """`discount`: one with neither percent nor amount takes the discount away.

        Raises NotFound, Stale, Conflict once it is no draft any more, Invalid."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            require_version(invoice.version, version)
            changes: dict[str, object] = {}
            if lines is not None:
                changes["lines"] = read_lines(lines, invoice.currency)
            if due_on is not None:
                changes["due_on"] = read_due_day(due_on, now)
            if memo is not None:
                changes["memo"] = read_words(memo, "memo")
            if discount is not None:
                none = discount.percent is None and discount.amount is None
                changes["discount"] = None if none else read_discount(discount, invoice.currency)
            revised = invoice.revise(now, **changes)
            revised = await work.invoices.save(revised)
            await self._tell.note(work, caller, "invoice.revised", id)
            await work.commit()
        return revised


@attrs.define
class VoidInvoice:
    """Withdraw an invoice: nobody can pay it any more, and its open hosted pages are closed at the provider."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _close: CloseCheckouts
    _books: Books

    async def __call__(self, caller: Caller, id: str) -> Invoice:
        """Raises NotFound, or Conflict when something was paid."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            void = invoice.void(now)
            if void is not invoice:
                void = await work.invoices.save(void)
                await self._books.invoice_voided(work, void)
                for link in await work.links.all(invoice_id=id, state="active"):
                    await work.links.save(link.expire(now))
                await self._tell(work, "invoice.voided", {"invoice": invoice_body(void, None)})
                await self._tell.note(work, caller, "invoice.voided", id)
            await work.commit()
        await self._close.soon(caller.organisation_id, invoice_id=id)
        return void
