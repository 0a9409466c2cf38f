"""Follow a payment link to a hosted page, and come back from it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.billing.links import able, paying_connections
from application.billing.open_page import NOT_NOW, OpenPage
from application.billing.settle import Settle
from application.connections.connect import ProviderUnavailable, PublicUrl
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Leases
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import Store, Work
from domain.billing.invoices import Invoice
from domain.billing.links import CHECKOUT_LIFE, Checkout, CheckoutState, LinkAnswer, PaymentLink
from domain.billing.payments import PaymentState
from domain.connections.connection import Connection
from domain.money import Money
from domain.refusals import Invalid, NotFound


@attrs.frozen
class Choice:
    """A provider that the payer may choose. name: what people call it."""

    provider: str
    name: str
    connection_id: str


@attrs.frozen
class Followed:
    """What someone who followed a link gets: a hosted page to go to (`pay_at`), an answer to read, or, when the answer is
    PAY and there is no page, the `choices` of providers to follow it with."""

    answer: LinkAnswer
    invoice: Invoice
    link: PaymentLink
    organisation: str
    pay_at: str | None = None
    choices: tuple[Choice, ...] = ()
    under_way: Money | None = None
    """What was paid already and has not arrived: a bank takes days for some payments."""


@attrs.define
class FollowPaymentLink:
    """A click on a link: open a hosted page, or hand out the one that is already open."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _leases: Leases
    _providers: Providers
    _public: PublicUrl
    _close: CloseCheckouts
    _pages: OpenPage

    async def look(self, token: str) -> Followed:
        """What the link leads to, without opening anything. Raises NotFound."""
        link = await self._store.link_by_token(token)
        if link is None:
            raise NotFound("payment link", token[:12])
        async with self._store.reading(link.organisation_id) as work:
            invoice = await work.invoices.get(link.invoice_id)
            organisation = await work.organisation.get(link.organisation_id)
            answer = link.answer(invoice, self._clock.now())
            choices: tuple[Choice, ...] = ()
            if answer is LinkAnswer.PAY and link.payer_chooses:
                choices = self._choices(await paying_connections(work, self._providers), invoice.amount_due)
            under_way = await _under_way(work, invoice) if answer is LinkAnswer.PAY else None
        return Followed(answer, invoice, link, organisation.name, choices=choices, under_way=under_way)

    def _choices(self, connections: Sequence[Connection], due: Money) -> tuple[Choice, ...]:
        return tuple(
            Choice(one.provider, self._providers.manifest(one.provider).name, one.id)
            for one in able(connections, self._providers, due)
        )

    async def __call__(self, token: str, provider: str | None = None) -> Followed:
        """`provider`: the slug that the payer chose; a page that was left open for the invoice, by this link or another, is
        closed first. Without one nothing is opened where there are several to choose from, or while a payment is under way.

        Raises NotFound, Invalid (`provider` cannot be chosen), ProviderUnavailable when no page can be had now, Held.
        """
        seen = await self.look(token)
        if seen.answer is not LinkAnswer.PAY:
            return seen
        connection_id = self._chosen(seen, provider)
        if connection_id is None or (seen.under_way and provider is None):
            return seen
        # One click on an invoice at a time: two at once get the same page instead of two to pay on.
        async with self._leases.hold(f"pages:{seen.invoice.id}", for_=timedelta(minutes=2), wait=timedelta(seconds=20)):
            seen = await self.look(token)
            if seen.answer is not LinkAnswer.PAY:
                return seen
            url = await self._page(seen, connection_id)
            # Asking the provider took time: the invoice may have been withdrawn, or paid elsewhere, meanwhile.
            now_seen = await self.look(token)
            if now_seen.answer is not LinkAnswer.PAY:
                await self._close.soon(seen.link.organisation_id, link_id=seen.link.id)
                return now_seen
        return attrs.evolve(now_seen, pay_at=url)

    def _chosen(self, seen: Followed, provider: str | None) -> str | None:
        """The connection to pay through; None while the payer has still to choose."""
        link = seen.link
        if not link.payer_chooses:
            if provider not in (None, link.provider):
                raise Invalid.field("provider", "This link is paid through another provider.")
            return link.connection_id
        if not seen.choices:
            raise ProviderUnavailable(NOT_NOW)
        if provider is None:
            return seen.choices[0].connection_id if len(seen.choices) == 1 else None
        for choice in seen.choices:
            if choice.provider == provider:
                return choice.connection_id
        raise Invalid.field("provider", "This invoice cannot be paid there. Choose one of those offered.")

    async def _page(self, seen: Followed, connection_id: str) -> str:
        now = self._clock.now()
        due = seen.invoice.amount_due
        async with self._store.of(seen.link.organisation_id) as work:
            connection = await work.connections.get(connection_id)
            mine = [one for one in await work.checkouts.all(link_id=seen.link.id) if one.at(connection_id)]
            checkout = next((one for one in mine if one.reusable(due, now)), None)
            checkout = checkout or next((one for one in mine if one.resumable(due, now)), None)
            if checkout is None:
                checkout = self._written(seen, connection_id, due, now)
                await work.checkouts.add(checkout)
                await work.commit()
        await self._close_others(checkout, connection)
        if checkout.reusable(due, now) and checkout.url is not None:
            return checkout.url
        return await self._pages(seen.invoice, seen.organisation, f"{self._public.url}/pay/{seen.link.token}", checkout)

    async def _close_others(self, kept: Checkout, connection: Connection) -> None:
        """A page of another link, for another amount, at another provider, or about to lapse must not be payable beside the
        new one; one that was just paid must not have its payer asked again."""
        async with self._store.reading(kept.organisation_id) as work:
            open_before = await work.checkouts.all(invoice_id=kept.invoice_id, state=CheckoutState.OPEN)
        try:
            for link_id in sorted({one.link_id for one in open_before}):
                await self._close(kept.organisation_id, link_id=link_id, keep=kept.id)
        except (ReconnectNeeded, ProviderRefused, RetryLater) as problem:
            await self._pages.note_failure(connection, problem)
            raise ProviderUnavailable(NOT_NOW) from problem
        others = tuple(one.id for one in open_before if one.id != kept.id)
        paid = (CheckoutState.OPEN, CheckoutState.COMPLETE)  # what was closed has expired
        async with self._store.reading(kept.organisation_id) as work:
            found = await work.checkouts.all(id=others, state=paid) if others else ()
        if found:
            raise ProviderUnavailable(
                "A payment was just made here and is being looked at. Please try again in a moment."
            )

    def _written(self, seen: Followed, connection_id: str, due: Money, now: datetime) -> Checkout:
        return Checkout(
            self._ids.new("checkout"),
            seen.link.organisation_id,
            seen.link.id,
            seen.invoice.id,
            connection_id,
            due,
            now,
            now,
            now + CHECKOUT_LIFE,
        )


async def _under_way(work: Work, invoice: Invoice) -> Money | None:
    """What a payer has paid on a page that is done, or the hub has charged, and the provider has not confirmed."""
    pending = await work.payments.all(invoice_id=invoice.id, state=(PaymentState.PENDING, PaymentState.UNKNOWN))
    if not pending:
        return None
    done = await work.checkouts.all(invoice_id=invoice.id, state=CheckoutState.COMPLETE)
    through = {page.connection_id for page in done}
    sums = [one.asked for one in pending if one.waits_for_answer or (not one.attempts and one.connection_id in through)]
    return sum((one for one in sums if one.currency == invoice.currency), Money.zero(invoice.currency)) or None


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
                    await self._settle.checkout(seen.link.organisation_id, checkout.connection_id, checkout.reference)
                except (ReconnectNeeded, ProviderRefused, RetryLater):
                    continue
        return await self._follow.look(token)
