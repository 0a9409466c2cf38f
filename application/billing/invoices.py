"""Write invoices: create, revise a draft, make void."""

from collections.abc import Sequence
from datetime import date

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.providers import Providers
from application.ports.store import Store, Work
from application.versions import require_version
from domain.billing.bodies import invoice_body
from domain.billing.invoices import Billed, Invoice, Line
from domain.connections.provider import Capability
from domain.money import Currency, Money
from domain.refusals import Fault, Invalid, Refusal


@attrs.frozen
class LineAsked:
    """A line as it was typed: the price is a decimal in major units, such as "12.50"."""

    description: str
    quantity: int
    unit_price: str


def read_lines(asked: Sequence[LineAsked], currency: Currency) -> tuple[Line, ...]:
    """The lines in minor units. Raises Invalid naming every price that does not fit the currency."""
    lines: list[Line] = []
    faults: list[Fault] = []
    for index, line in enumerate(asked):
        field = f"lines.{index}.unit_price"
        try:
            price = Money.of(line.unit_price, currency, field=field)
        except Refusal as refusal:
            faults.extend(Fault(field, fault.reason) for fault in refusal.faults)
            continue
        if price.amount < 0:
            faults.append(Fault(field, "A price is not negative."))
        lines.append(Line(line.description.strip(), line.quantity, price))
    if faults:
        raise Invalid(*faults)
    return tuple(lines)


async def billed(work: Work, client_id: str) -> Billed:
    """The client as an invoice names them. Raises Invalid naming `client_id`."""
    client = await work.records.find(client_id)
    if client is None or client.kind.name != "client":
        raise Invalid.field("client_id", f"There is no client '{client_id[:80]}'.")
    return Billed(client.id, str(client.fields["name"]), client.fields.get("email"))


@attrs.define
class CreateInvoice:
    """Write a draft invoice with the next number of its organisation (INV-0001, …), without gaps."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _providers: Providers

    async def __call__(
        self,
        caller: Caller,
        *,
        client_id: str,
        currency: str,
        lines: Sequence[LineAsked],
        due_on: date | None = None,
        memo: str = "",
        once: Once | None = None,
    ) -> Invoice:
        """Raises Invalid naming every field that is wrong, UnknownCurrency, and what the connected payment provider
        could never charge (an amount over its maximum)."""
        known = Currency(currency)
        read = read_lines(lines, known)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            client = await billed(work, client_id)
            number = await work.counters.next("invoice")
            invoice = Invoice(
                self._ids.new("invoice"),
                caller.organisation_id,
                f"INV-{number:04d}",
                client,
                known,
                read,
                now,
                now,
                due_on=due_on,
                memo=memo.strip(),
            )
            await check_chargeable(work, self._providers, invoice)
            await work.invoices.add(invoice)
            await self._tell(work, "invoice.created", {"invoice": invoice_body(invoice, None)})
            await self._tell.note(work, caller, "invoice.created", invoice.id, number=invoice.number)
            await remember(work, once, invoice, now)
            await work.commit()
        return invoice


async def check_chargeable(work: Work, providers: Providers, invoice: Invoice) -> None:
    """Refuse an amount that none of the connected payment providers could charge. Raises Invalid naming the lines."""
    slugs = {c.provider for c in await work.connections.all() if c.connected}
    paying = sorted(s for s in slugs if Capability.PAYMENTS in providers.manifest(s).offers)
    refusals: list[Invalid] = []
    for slug in paying:
        try:
            providers.payments(slug).check_amount(invoice.total, field="lines")
            return
        except Invalid as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]


@attrs.define
class ReviseInvoice:
    """Change a draft; only what is given."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _providers: Providers

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        lines: Sequence[LineAsked] | None = None,
        due_on: date | None = None,
        memo: str | None = None,
        version: int | None = None,
    ) -> Invoice:
        """Raises NotFound, Stale, Conflict once it is no draft any more, Invalid."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            require_version(invoice.version, version)
            changes: dict[str, object] = {}
            if lines is not None:
                changes["lines"] = read_lines(lines, invoice.currency)
            if due_on is not None:
                changes["due_on"] = due_on
            if memo is not None:
                changes["memo"] = memo.strip()
            revised = invoice.revise(now, **changes)
            if lines is not None:
                await check_chargeable(work, self._providers, revised)
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

    async def __call__(self, caller: Caller, id: str) -> Invoice:
        """Raises NotFound, or Conflict when something was paid."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            void = invoice.void(now)
            if void is not invoice:
                void = await work.invoices.save(void)
                for link in await work.links.all(invoice_id=id, state="active"):
                    await work.links.save(link.expire(now))
                await self._tell(work, "invoice.voided", {"invoice": invoice_body(void, None)})
                await self._tell.note(work, caller, "invoice.voided", id)
            await work.commit()
        await self._close.soon(caller.organisation_id, invoice_id=id)
        return void
