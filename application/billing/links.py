"""Payment links: create and expire one."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from application.billing.books import Books
from application.billing.close_checkouts import CloseCheckouts
from application.billing.opening import open_invoice
from application.caller import Caller
from application.connections.access import usable
from application.connections.connect import PublicUrl
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Leases
from application.ports.providers import Providers
from application.ports.store import Store, Work
from domain.billing.invoices import Invoice
from domain.billing.links import LINK_LIFE, LinkState, PaymentLink
from domain.billing.subscriptions import RenewedBy
from domain.connections.connection import Connection
from domain.connections.provider import Capability
from domain.money import Money
from domain.refusals import Conflict, Invalid, NotFound

LONGEST_LIFE = timedelta(days=365)


@attrs.frozen
class LinkView:
    """A link, its address and its invoice."""

    link: PaymentLink
    url: str
    invoice: Invoice


@attrs.define
class CreatePaymentLink:
    """Make the link by which a client pays an invoice; an invoice has one live link per provider, and one by which the
    payer chooses, made once."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _leases: Leases
    _providers: Providers
    _public: PublicUrl
    _books: Books

    async def __call__(
        self,
        caller: Caller,
        *,
        invoice_id: str,
        provider: str | None = None,
        expires_at: datetime | None = None,
        once: Once | None = None,
    ) -> LinkView:
        """`provider`: a slug or a connection's id; None takes the only connected payment provider, or lets the payer choose
        where there are several.

        Raises NotFound, Conflict (paid, void, charged by the provider itself, nothing connected), Invalid
        (amount no provider can charge, expiry), Held.
        """
        now = self._clock.now()
        if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
            raise Invalid.field("expires_at", "A link expires in the future, within a year.")
        lock = f"links:{caller.organisation_id}:{invoice_id}"
        async with self._leases.hold(lock, for_=timedelta(seconds=20), wait=timedelta(seconds=20)):
            return await self._make(caller, invoice_id, provider, expires_at, once)

    async def _make(
        self, caller: Caller, invoice_id: str, provider: str | None, expires_at: datetime | None, once: Once | None
    ) -> LinkView:
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(invoice_id)
            invoice.require_payable()
            await require_asked_for_here(work, self._providers, invoice)
            connection = await self._connection(work, provider, invoice)
            connection_id, slug = (connection.id, connection.provider) if connection else ("", "")
            link = await self._live_link(work, invoice, connection_id, now)
            if link is None:
                invoice = await open_invoice(work, self._books, invoice, now)
                link = PaymentLink(
                    self._ids.new("link"),
                    caller.organisation_id,
                    invoice_id,
                    connection_id,
                    slug,
                    self._ids.token(),
                    now,
                    now,
                    expires_at or now + LINK_LIFE,
                )
                await work.links.add(link)
                await self._tell.note(work, caller, "payment_link.created", link.id, invoice=invoice_id)
            view = LinkView(link, self.url(link), invoice)
            await remember(work, once, view, now)
            await work.commit()
        return view

    def url(self, link: PaymentLink) -> str:
        """The link's address."""
        return f"{self._public.url}/pay/{link.token}"

    async def _connection(self, work: Work, provider: str | None, invoice: Invoice) -> Connection | None:
        """None where the payer is to choose."""
        if provider is not None:
            connection = await usable(work, provider)
            if Capability.PAYMENTS not in self._providers.manifest(connection.provider).offers:
                raise Invalid.field("provider", f"{connection.provider} takes no payments.")
            if not connection.connected:
                raise Conflict(f"The connection to {connection.provider} is switched off.")
        else:
            paying = await paying_connections(work, self._providers)
            if not paying:
                raise Conflict("No payment provider is connected.")
            if len(paying) > 1:
                require_chargeable(paying, self._providers, invoice.amount_due, field="invoice_id")
                return None
            connection = paying[0]
        self._providers.payments(connection.provider).check_amount(invoice.amount_due, field="invoice_id")
        return connection

    async def _live_link(self, work: Work, invoice: Invoice, connection_id: str, now: datetime) -> PaymentLink | None:
        links = await work.links.all(invoice_id=invoice.id, connection_id=connection_id, state=LinkState.ACTIVE)
        return next((link for link in links if link.live(now)), None)


async def require_asked_for_here(work: Work, providers: Providers, invoice: Invoice) -> None:
    """Raise Conflict for a bill of a subscription that a provider renews: it tries again by itself, so that a payment made
    elsewhere would be a second one."""
    known = await work.subscriptions.find(invoice.subscription_id or "")
    if known is None or known.over or known.renewed_by is RenewedBy.HUB or not invoice.billed_by(known.provider):
        return
    name = providers.manifest(known.provider).name
    raise Conflict(
        f"{name} charges this bill of a subscription by itself, and tries again: a payment made elsewhere would be a"
        f" second one. The client can give {name} another way to pay; or end the subscription, which withdraws the bill."
    )


async def paying_connections(work: Work, providers: Providers) -> tuple[Connection, ...]:
    """The connections that payments can be taken through, oldest first."""
    return tuple(
        one
        for one in await work.connections.all()
        if one.connected and Capability.PAYMENTS in providers.manifest(one.provider).offers
    )


def able(connections: Sequence[Connection], providers: Providers, amount: Money) -> tuple[Connection, ...]:
    """The first connection to each provider that can charge the amount."""
    found: dict[str, Connection] = {}
    for one in connections:
        with suppress(Invalid):
            providers.payments(one.provider).check_amount(amount)
            found.setdefault(one.provider, one)
    return tuple(found.values())


def require_chargeable(connections: Sequence[Connection], providers: Providers, amount: Money, *, field: str) -> None:
    """Raise Invalid naming `field`, with each provider's reason, where there are providers and none can charge the amount."""
    reasons: list[str] = []
    for slug in dict.fromkeys(one.provider for one in connections):
        try:
            providers.payments(slug).check_amount(amount, field=field)
        except Invalid as refusal:
            reasons.append(refusal.faults[0].reason)
        else:
            return
    if reasons:
        raise Invalid.field(field, " ".join(dict.fromkeys(reasons)))


async def link_of(work: Work, invoice_id: str, provider: str) -> PaymentLink:
    """The newest link of an invoice at a provider, else the one by which the payer chooses. Raises NotFound for the
    invoice or the link."""
    await work.invoices.get(invoice_id)
    links = await work.links.all(invoice_id=invoice_id, provider=provider)
    links = links or await work.links.all(invoice_id=invoice_id, provider="")
    if not links:
        raise NotFound("payment link for invoice", invoice_id)
    return links[-1]


@attrs.define
class ExpirePaymentLink:
    """End a link at once; its open hosted pages are closed at the provider."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _close: CloseCheckouts

    async def __call__(self, caller: Caller, *, invoice_id: str, provider: str) -> PaymentLink:
        """Raises NotFound, or Conflict when the invoice was paid through it."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            link = await link_of(work, invoice_id, provider)
            expired = await work.links.save(link.expire(now))
            await self._tell.note(work, caller, "payment_link.expired", link.id)
            await work.commit()
        await self._close.soon(caller.organisation_id, link_id=link.id)
        return expired
