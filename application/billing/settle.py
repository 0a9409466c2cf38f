"""Bring our books in line with the provider: fetch a payment as it is now, under a lock, and learn what is new.

Called for a webhook, for a payer who comes back, and after a refund. It is safe at any time, in any order, any number of
times: the provider is asked, nothing is believed, and a fact that is known already changes nothing (ADR 0005).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import attrs

from application.billing.close_checkouts import STATES, CloseCheckouts
from application.billing.learn import Answered, Belongs, Learned, LearnPayment
from application.connections.access import opened
from application.ports.clock import Clock
from application.ports.leases import Leases
from application.ports.payments import (
    CheckoutState,
    HostedCheckout,
    Intent,
    PaymentProvider,
    ProviderRefund,
    ProviderRefused,
    ReconnectNeeded,
)
from application.ports.providers import Providers
from application.ports.store import AlreadyThere, StaleWrite, Store, Work
from application.ports.vault import Vault
from domain.billing.invoices import InvoiceState
from domain.billing.links import Checkout
from domain.billing.links import CheckoutState as OurState
from domain.billing.payments import FactKind
from domain.connections.connection import Connection

__all__ = ["Belongs", "Settle"]

_LOCK = timedelta(seconds=20)
_WAIT = timedelta(seconds=30)

_TRIES = 5

_ASKS_AT_ONCE = 16
_AT_ONCE = 3.0
"""Seconds: of many payments, those that the provider does not tell of within are left to be asked for alone."""

T = TypeVar("T")


async def _afresh(do: Callable[[], Awaitable[T]]) -> T:
    """Do it, and again from reading on where a webhook or a payer who is back wrote the same thing at this moment.

    Raises StaleWrite when that goes on.
    """
    for _ in range(_TRIES - 1):
        with suppress(StaleWrite):
            return await do()
    return await do()


@attrs.define
class Settle:
    """Learns facts about payments."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _close: CloseCheckouts
    _learn: LearnPayment

    async def checkout(self, organisation_id: str, connection_id: str, reference: str) -> bool:
        """Learn about a hosted page, and about the payment made on it; a page that its payer has agreed to is captured, as
        long as its invoice asks for the money. Returns whether the page is one of ours."""
        connection, access = await self._open(organisation_id, connection_id)
        payments = self._providers.payments(connection.provider)
        page = await payments.fetch_checkout(access, reference)
        async with self._store.reading(organisation_id) as work:
            row = await _row(work, connection, page)
        if row is None and page.metadata.get("patchbay_organisation") != organisation_id:
            return False
        if page.state is CheckoutState.APPROVED:
            page = await self._approved(connection, access, page, row)
        # The payment first: a page that is noted as paid is not asked for again.
        if page.intent_reference is not None:
            belongs = Belongs(row.invoice_id) if row is not None else None
            await self.intent(organisation_id, connection_id, page.intent_reference, belongs=belongs)
        if row is not None:
            await _afresh(lambda: self._move(organisation_id, row.id, page))
        return True

    async def intent(
        self,
        organisation_id: str,
        connection_id: str,
        reference: str,
        *,
        failure: str | None = None,
        belongs: Belongs | None = None,
    ) -> bool:
        """Learn about a payment. `failure`: the id of a failure the provider reported. `belongs`: what it is for, where its
        metadata is not ours. Returns whether it is ours."""
        connection, access = await self._open(organisation_id, connection_id)
        payments = self._providers.payments(connection.provider)
        # One lock for all connections to the provider: two may be to the same account, and both hear of the payment.
        async with self._leases.hold(_lock(connection, reference), for_=_LOCK, wait=_WAIT):
            intent = await payments.fetch_intent(access, reference)
            refunds = await payments.refunds_of(access, reference) if intent.received else ()
            learned = await self._learned(connection, intent, refunds, failure, belongs)
        await self._paid(learned, organisation_id)
        return learned.payment is not None

    async def refund(self, organisation_id: str, connection_id: str, reference: str) -> bool:
        """Learn about the payment of a refund that we know by its reference alone. Returns whether it is ours."""
        async with self._store.reading(organisation_id) as work:
            found = await work.refunds.all(reference=reference)
            payments = [await work.payments.get(one.payment_id) for one in found]
        for payment in payments:
            await self.intent(organisation_id, connection_id, payment.reference)
        return bool(payments)

    async def intents(
        self, organisation_id: str, connection_id: str, wanted: Mapping[str, str | None]
    ) -> Mapping[str, bool]:
        """Learn about many payments of one connection, each as `intent` does: references, and the failure that was reported
        of each. Returns for each whether it is ours; those that are left out have to be learned alone.

        What went back of a payment is not asked for, so one of which something did is left out.
        """
        connection, access = await self._open(organisation_id, connection_id)
        payments = self._providers.payments(connection.provider)
        names = {reference: _lock(connection, reference) for reference in wanted}
        async with self._leases.hold_free(names.values(), for_=_LOCK) as held:
            answers = await self._fetched(
                payments, access, {one: failure for one, failure in wanted.items() if names[one] in held}
            )
            answers = await self._without_refunds(connection, answers)
            try:
                learned = await self._learn.together(connection, answers) if answers else ()
            except (StaleWrite, AlreadyThere):
                return {}
        for one in learned:
            await self._paid(one, organisation_id)
        return {answer.intent.reference: one.payment is not None for answer, one in zip(answers, learned, strict=True)}

    async def _fetched(
        self, payments: PaymentProvider, access: Mapping[str, str], wanted: Mapping[str, str | None]
    ) -> list[Answered]:
        """What the provider says of them; what it does not say at once is left out."""

        async def fetch(reference: str, failure: str | None) -> Answered:
            async with asks:
                return Answered(await payments.fetch_intent(access, reference), failure=failure)

        asks = asyncio.Semaphore(_ASKS_AT_ONCE)
        asking = [asyncio.create_task(fetch(reference, failure)) for reference, failure in wanted.items()]
        if not asking:
            return []
        done, late = await asyncio.wait(asking, timeout=_AT_ONCE)
        for one in late:
            one.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return [one.result() for one in asking if one in done and not one.cancelled() and one.exception() is None]

    async def _without_refunds(self, connection: Connection, answers: list[Answered]) -> list[Answered]:
        """Those of which nothing went back, here or there."""
        fresh = [one for one in answers if not one.intent.refunded and not one.intent.disputed]
        async with self._store.reading(connection.organisation_id) as work:
            references = tuple(one.intent.reference for one in fresh)
            known = await work.payments.all(provider=connection.provider, reference=references) if references else ()
        there = {one.reference for one in known if any(fact.kind is FactKind.REFUNDED for fact in one.facts)}
        return [one for one in fresh if one.intent.reference not in there]

    async def answer(self, connection: Connection, intent: Intent, belongs: Belongs) -> Learned:
        """Learn from what the provider has just answered about a charge of ours."""
        async with self._leases.hold(_lock(connection, intent.reference), for_=_LOCK, wait=_WAIT):
            learned = await self._learned(connection, intent, (), None, belongs)
        await self._paid(learned, connection.organisation_id)
        return learned

    async def _learned(
        self,
        connection: Connection,
        intent: Intent,
        refunds: tuple[ProviderRefund, ...],
        failure: str | None,
        belongs: Belongs | None,
    ) -> Learned:
        # Another payment of the same invoice has a lock of its own.
        return await _afresh(lambda: self._learn(connection, intent, refunds, failure=failure, belongs=belongs))

    async def _paid(self, learned: Learned, organisation_id: str) -> None:
        if learned.paid_invoice is not None:
            # Idempotent, and before the caller reports success: a crash here has the webhook handled again.
            await self._close(organisation_id, invoice_id=learned.paid_invoice)

    async def _approved(
        self, connection: Connection, access: Mapping[str, str], page: HostedCheckout, row: Checkout | None
    ) -> HostedCheckout:
        """Take the money if its invoice still asks for it; else close the page, and nothing was taken."""
        payments: PaymentProvider = self._providers.payments(connection.provider)
        # One for all pages of an invoice, so that of two agreements at two providers one sees what the other took.
        what = row.invoice_id if row is not None else f"{connection.provider}:{page.reference}"
        lock = f"capture:{connection.organisation_id}:{what}"
        async with self._leases.hold(lock, for_=_LOCK, wait=_WAIT):
            if row is not None:
                await self._paid_elsewhere(row)
                async with self._store.reading(connection.organisation_id) as work:
                    row = await work.checkouts.get(row.id)
            if not await self._wanted(connection.organisation_id, page, row):
                closed = await payments.expire_checkout(access, page.reference, url=page.url)
                return attrs.evolve(closed, state=CheckoutState.EXPIRED) if not closed.paid else closed
            # The same key after a lost answer; another after a decline, so that another card is not declined unasked.
            key = f"{row.id}-capture-{row.version}" if row is not None else f"capture-{page.reference}"
            try:
                return await payments.capture_checkout(access, page.reference, key=key)
            except ProviderRefused as refused:
                if refused.missing:
                    raise
                if row is not None:
                    await _afresh(lambda: self._declined(row))
                return page  # the payer may choose another way to pay there, and agree again

    async def _paid_elsewhere(self, row: Checkout) -> None:
        """Ask about the invoice's other open pages, whose webhooks may be on their way. Raises RetryLater where a provider
        cannot tell now: nothing is taken until it does."""
        async with self._store.reading(row.organisation_id) as work:
            others = await work.checkouts.all(invoice_id=row.invoice_id, state=OurState.OPEN)
            connections = {one.id: one for one in await work.connections.all()}
        for other in others:
            connection = connections.get(other.connection_id)
            if other.id == row.id or other.reference is None or connection is None or not connection.connected:
                continue
            payments = self._providers.payments(connection.provider)
            with suppress(ReconnectNeeded, ProviderRefused):  # nobody can tell of it any more
                page = await payments.fetch_checkout(opened(self._vault, connection), other.reference)
                if page.intent_reference is not None and page.state is CheckoutState.COMPLETE:
                    belongs = Belongs(row.invoice_id)
                    await self.intent(row.organisation_id, connection.id, page.intent_reference, belongs=belongs)

    async def _declined(self, row: Checkout) -> None:
        async with self._store.of(row.organisation_id) as work:
            fresh = await work.checkouts.get(row.id)
            await work.checkouts.save(attrs.evolve(fresh, updated_at=self._clock.now()))
            await work.commit()

    async def _wanted(self, organisation_id: str, page: HostedCheckout, row: Checkout | None) -> bool:
        invoice_id = row.invoice_id if row is not None else page.metadata.get("patchbay_invoice", "")
        async with self._store.reading(organisation_id) as work:
            invoice = await work.invoices.find(invoice_id)
        if row is not None and row.state is OurState.EXPIRED:
            return False
        if invoice is None:
            return row is None  # asked for without an invoice, by our own metadata
        if invoice.state in (InvoiceState.PAID, InvoiceState.VOID) or page.amount is None:
            return False
        return page.amount.currency == invoice.currency and page.amount <= invoice.amount_due

    async def _move(self, organisation_id: str, checkout_id: str, page: HostedCheckout) -> None:
        now = self._clock.now()
        async with self._store.of(organisation_id) as work:
            checkout = await work.checkouts.get(checkout_id)
            if checkout.reference is None and page.url is not None:
                checkout = checkout.opened(page.reference, page.url, page.expires_at or checkout.expires_at, now)
                checkout = await work.checkouts.save(checkout)
            moved = checkout.moved(STATES[page.state], now)
            if moved is not checkout:
                await work.checkouts.save(moved)
            await work.commit()

    async def _open(self, organisation_id: str, connection_id: str) -> tuple[Connection, Mapping[str, str]]:
        async with self._store.reading(organisation_id) as work:
            connection = await work.connections.get(connection_id)
        return connection, opened(self._vault, connection)


def _lock(connection: Connection, reference: str) -> str:
    return f"payment:{connection.organisation_id}:{connection.provider}:{reference}"


async def _row(work: Work, connection: Connection, page: HostedCheckout) -> Checkout | None:
    """The page as we wrote it down: by its metadata, its reference, or our own id where the provider calls it so."""
    found = await work.checkouts.find(page.metadata.get("patchbay_checkout", ""))
    if found is None:
        known = await work.checkouts.all(connection_id=connection.id, reference=page.reference)
        found = known[0] if known else await work.checkouts.find(page.reference)
    return found
