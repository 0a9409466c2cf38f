"""Payment links: create, expire, and follow one to a hosted page."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.billing.settle import Settle
from application.caller import Caller
from application.connections.access import opened, usable
from application.connections.connect import ProviderUnavailable, PublicUrl
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Leases
from application.ports.payments import CheckoutOrder, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store, Work
from application.ports.vault import Vault
from domain.billing.invoices import Invoice
from domain.billing.links import (
    CHECKOUT_LIFE,
    LINK_LIFE,
    Checkout,
    CheckoutState,
    LinkAnswer,
    LinkState,
    PaymentLink,
)
from domain.connections.connection import Connection, ConnectionState
from domain.connections.provider import Capability
from domain.money import Money
from domain.refusals import Conflict, Invalid, NotFound

LONGEST_LIFE = timedelta(days=365)

_NOT_NOW = "The payment page cannot be opened just now. Please try again later."


@attrs.frozen
class LinkView:
    """A link, its address and its invoice."""

    link: PaymentLink
    url: str
    invoice: Invoice


@attrs.define
class CreatePaymentLink:
    """Make the link by which a client pays an invoice; an invoice has one live link per provider, made once."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _providers: Providers
    _public: PublicUrl

    async def __call__(
        self,
        caller: Caller,
        *,
        invoice_id: str,
        provider: str | None = None,
        expires_at: datetime | None = None,
        once: Once | None = None,
    ) -> LinkView:
        """`provider`: a slug or a connection's id; None takes the only connected payment provider.

        Raises NotFound, Conflict (paid, void, several providers), Invalid (amount the provider cannot charge, expiry).
        """
        now = self._clock.now()
        if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
            raise Invalid.field("expires_at", "A link expires in the future, within a year.")
        async with self._store.of(caller.organisation_id) as work:
            invoice = await work.invoices.get(invoice_id)
            invoice.require_payable()
            connection = await self._connection(work, provider)
            self._providers.payments(connection.provider).check_amount(invoice.amount_due, field="invoice_id")
            link = await self._live_link(work, invoice, connection, now)
            if link is None:
                opened_invoice = invoice.open(now)
                if opened_invoice is not invoice:
                    invoice = await work.invoices.save(opened_invoice)
                link = PaymentLink(
                    self._ids.new("link"),
                    caller.organisation_id,
                    invoice_id,
                    connection.id,
                    connection.provider,
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

    async def _connection(self, work: Work, provider: str | None) -> Connection:
        if provider is not None:
            connection = await usable(work, provider)
            if Capability.PAYMENTS not in self._providers.manifest(connection.provider).offers:
                raise Invalid.field("provider", f"{connection.provider} takes no payments.")
            if not connection.connected:
                raise Conflict(f"The connection to {connection.provider} is switched off.")
            return connection
        paying = [
            c
            for c in await work.connections.all()
            if c.connected and Capability.PAYMENTS in self._providers.manifest(c.provider).offers
        ]
        if not paying:
            raise Conflict("No payment provider is connected.")
        if len(paying) > 1:
            raise Invalid.field("provider", "Several payment providers are connected; name one.")
        return paying[0]

    async def _live_link(
        self, work: Work, invoice: Invoice, connection: Connection, now: datetime
    ) -> PaymentLink | None:
        links = await work.links.all(invoice_id=invoice.id, connection_id=connection.id, state=LinkState.ACTIVE)
        return next((link for link in links if link.live(now)), None)


async def link_of(work: Work, invoice_id: str, provider: str) -> PaymentLink:
    """The newest link of an invoice at a provider. Raises NotFound for the invoice or the link."""
    await work.invoices.get(invoice_id)
    links = await work.links.all(invoice_id=invoice_id, provider=provider)
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


@attrs.frozen
class Followed:
    """What someone who followed a link gets: a hosted page to go to (`pay_at`), or an answer to read."""

    answer: LinkAnswer
    invoice: Invoice
    link: PaymentLink
    organisation: str
    pay_at: str | None = None


@attrs.define
class FollowPaymentLink:
    """A click on a link: open a hosted page, or hand out the one that is already open."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _public: PublicUrl
    _close: CloseCheckouts

    async def look(self, token: str) -> Followed:
        """What the link leads to, without opening anything. Raises NotFound."""
        link = await self._store.link_by_token(token)
        if link is None:
            raise NotFound("payment link", token[:12])
        async with self._store.reading(link.organisation_id) as work:
            invoice = await work.invoices.get(link.invoice_id)
            organisation = await work.organisation.get(link.organisation_id)
        return Followed(link.answer(invoice, self._clock.now()), invoice, link, organisation.name)

    async def __call__(self, token: str) -> Followed:
        """Raises NotFound, or ProviderUnavailable when no page can be had now."""
        seen = await self.look(token)
        if seen.answer is not LinkAnswer.PAY:
            return seen
        # One click at a time: two at once get the same page instead of two to pay on.
        async with self._leases.hold(f"link:{seen.link.id}", for_=timedelta(minutes=2), wait=timedelta(seconds=20)):
            seen = await self.look(token)
            if seen.answer is not LinkAnswer.PAY:
                return seen
            url = await self._page(seen)
            # Asking the provider took time: the invoice may have been withdrawn, or paid elsewhere, meanwhile.
            now_seen = await self.look(token)
            if now_seen.answer is not LinkAnswer.PAY:
                await self._close.soon(seen.link.organisation_id, link_id=seen.link.id)
                return now_seen
        return attrs.evolve(now_seen, pay_at=url)

    async def _page(self, seen: Followed) -> str:
        now = self._clock.now()
        due = seen.invoice.amount_due
        async with self._store.of(seen.link.organisation_id) as work:
            checkouts = await work.checkouts.all(link_id=seen.link.id)
            for checkout in checkouts:
                if checkout.reusable(due, now):
                    assert checkout.url is not None
                    return checkout.url
            checkout = next((c for c in checkouts if c.resumable(due, now)), None) or self._written(seen, due, now)
            if checkout not in checkouts:
                await work.checkouts.add(checkout)
                await work.commit()
            connection = await work.connections.get(seen.link.connection_id)
        await self._close_others(seen.link, checkout, connection)
        return await self._open(seen, checkout, connection)

    async def _close_others(self, link: PaymentLink, kept: Checkout, connection: Connection) -> None:
        """A page for another amount, or about to lapse, must not be payable beside the new one; one that was just paid
        must not have its payer asked again."""
        async with self._store.reading(link.organisation_id) as work:
            open_before = await work.checkouts.all(link_id=link.id, state=CheckoutState.OPEN)
        try:
            await self._close(link.organisation_id, link_id=link.id, keep=kept.id)
        except (ReconnectNeeded, ProviderRefused, RetryLater) as problem:
            await self._note_failure(connection, problem)
            raise ProviderUnavailable(_NOT_NOW) from problem
        async with self._store.reading(link.organisation_id) as work:
            paid = await work.checkouts.all(id=tuple(c.id for c in open_before), state=CheckoutState.COMPLETE)
        if paid:
            raise ProviderUnavailable(
                "A payment was just made here and is being looked at. Please try again in a moment."
            )

    def _written(self, seen: Followed, due: Money, now: datetime) -> Checkout:
        return Checkout(
            self._ids.new("checkout"),
            seen.link.organisation_id,
            seen.link.id,
            seen.invoice.id,
            seen.link.connection_id,
            due,
            now,
            now,
            now + CHECKOUT_LIFE,
        )

    async def _open(self, seen: Followed, checkout: Checkout, connection: Connection) -> str:
        page = f"{self._public.url}/pay/{seen.link.token}"
        order = CheckoutOrder(
            checkout.amount,
            f"Invoice {seen.invoice.number} from {seen.organisation}",
            seen.invoice.id,
            f"{page}?returned=1",
            f"{page}?cancelled=1",
            checkout.expires_at,
            seen.invoice.client.email,
            {
                "patchbay_organisation": seen.link.organisation_id,
                "patchbay_invoice": seen.invoice.id,
                "patchbay_checkout": checkout.id,
            },
        )
        payments = self._providers.payments(connection.provider)
        try:
            made = await payments.create_checkout(opened(self._vault, connection), order, key=checkout.id)
        except (ReconnectNeeded, ProviderRefused, RetryLater) as problem:
            await self._note_failure(connection, problem)
            raise ProviderUnavailable(_NOT_NOW) from problem
        assert made.url is not None, "a page that was just made is open"
        if connection.state is ConnectionState.FAILING:
            await self._note(connection.id, connection.organisation_id, lambda known, now: known.worked(now))
        now = self._clock.now()
        async with self._store.of(checkout.organisation_id) as work:
            fresh = await work.checkouts.get(checkout.id)
            if fresh.state is CheckoutState.OPENING:  # its webhook may have been quicker
                await work.checkouts.save(fresh.opened(made.reference, made.url, made.expires_at, now))
                await work.commit()
        return made.url

    async def _note_failure(self, connection: Connection, problem: Exception) -> None:
        """Only what a person has to mend: a provider that is away for a moment comes back by itself."""
        if isinstance(problem, ReconnectNeeded):
            why = str(problem) or "The provider no longer accepts the key: connect again."
            await self._note(connection.id, connection.organisation_id, lambda known, now: known.failed(why, now))

    async def _note(
        self, connection_id: str, organisation_id: str, change: Callable[[Connection, datetime], Connection]
    ) -> None:
        with suppress(StaleWrite):  # someone noted something at the same moment, which is as good
            async with self._store.of(organisation_id) as work:
                await work.connections.save(change(await work.connections.get(connection_id), self._clock.now()))
                await work.commit()


@attrs.define
class ReturnFromCheckout:
    """The payer is back from the hosted page: ask the provider at once instead of waiting for its webhook."""

    _store: Store
    _follow: FollowPaymentLink
    _settle: Settle

    async def __call__(self, token: str) -> Followed:
        """Raises NotFound. A provider that cannot be asked now is no error: its webhook will come."""
        seen = await self._follow.look(token)
        if seen.answer is not LinkAnswer.PAY:
            return seen
        async with self._store.reading(seen.link.organisation_id) as work:
            checkouts = await work.checkouts.all(link_id=seen.link.id)
        for checkout in checkouts:
            if checkout.reference is not None:
                try:
                    await self._settle.checkout(seen.link.organisation_id, seen.link.connection_id, checkout.reference)
                except (ReconnectNeeded, ProviderRefused, RetryLater):
                    continue
        return await self._follow.look(token)
