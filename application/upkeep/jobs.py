"""The jobs: invoices that became overdue, links that lapsed, refunds left hanging, old rows."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.billing.refund import RefundDeclined, RefundPayment
from application.connections.connect import ProviderUnavailable
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.store import Store
from domain.billing.bodies import invoice_body
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState, LinkState
from domain.billing.payments import RefundState
from domain.refusals import Conflict


class Job(Protocol):
    """Something done every so often. Doing it twice, or late, is the same as once."""

    name: str
    every: timedelta
    what: str

    @abstractmethod
    async def __call__(self) -> Mapping[str, int]:
        """Do it. Returns counts of what was done, for the log."""


@attrs.define
class MarkOverdue(Job):
    """An open invoice whose day has passed (in UTC) is overdue, and that is told."""

    _store: Store
    _tell: Tell
    _clock: Clock
    name = "overdue-invoices"
    every = timedelta(hours=1)
    what = "Marks open invoices whose due day has passed as overdue and tells it."

    async def __call__(self) -> Mapping[str, int]:
        marked = 0
        now = self._clock.now()
        for organisation in await self._store.organisations():
            async with self._store.of(organisation.id) as work:
                for state in (InvoiceState.OPEN, InvoiceState.PARTLY_PAID):
                    for invoice in await work.invoices.all(state=state):
                        late = invoice.overdue(now.date(), now)
                        if late is not invoice:
                            late = await work.invoices.save(late)
                            await self._tell(work, "invoice.overdue", {"invoice": invoice_body(late, None)})
                            marked += 1
                await work.commit()
        return {"invoices": marked}


@attrs.define
class ExpireLinks(Job):
    """A payment link whose time is up is expired, and its open hosted pages are closed at the provider."""

    _store: Store
    _clock: Clock
    _close: CloseCheckouts
    name = "expiring-links"
    every = timedelta(minutes=10)
    what = "Expires payment links whose time is up, and closes hosted pages whose link can no longer be used."

    async def __call__(self) -> Mapping[str, int]:
        expired = closed = 0
        now = self._clock.now()
        for organisation in await self._store.organisations():
            async with self._store.of(organisation.id) as work:
                lapsed = [k for k in await work.links.all(state=LinkState.ACTIVE) if k.expires_at <= now]
                for link in lapsed:
                    await work.links.save(link.expire(now))
                # Also those that could not be closed when their link ended: the provider was away.
                open_pages = await work.checkouts.all(state=CheckoutState.OPEN)
                links = [await work.links.get(id_) for id_ in sorted({page.link_id for page in open_pages})]
                await work.commit()
            expired += len(lapsed)
            for link in links:
                if link.state is LinkState.ACTIVE:
                    continue
                try:
                    closed += await self._close(organisation.id, link_id=link.id)
                except (ReconnectNeeded, ProviderRefused, RetryLater):
                    continue  # the next round tries again; the page lapses by itself within a day
        return {"links": expired, "pages": closed}


KEY_LIFE = timedelta(hours=20)
"""For how long a refund is asked for again by itself: below the 24 hours that Stripe keeps an idempotency key at least
(docs.stripe.com/api/idempotent_requests)."""

_PATIENCE = timedelta(minutes=2)


@attrs.define
class ResumeRefunds(Job):
    """A refund whose provider could not be asked, or whose answer was cut off, is asked for again with the same key."""

    _store: Store
    _clock: Clock
    _refund: RefundPayment
    name = "hanging-refunds"
    every = timedelta(minutes=5)
    what = "Asks providers again for refunds that got no answer; the same key makes it safe."

    async def __call__(self) -> Mapping[str, int]:
        done = stuck = 0
        now = self._clock.now()
        for organisation in await self._store.organisations():
            async with self._store.reading(organisation.id) as work:
                waiting = await work.refunds.all(state=RefundState.REQUESTED)
                hanging = [r for r in waiting if now - KEY_LIFE < r.created_at and r.updated_at <= now - _PATIENCE]
                # An older one is left for a person: the provider may have forgotten its key and would refund twice.
                stuck += sum(r.created_at <= now - KEY_LIFE for r in waiting)
                payments = {r.id: await work.payments.get(r.payment_id) for r in hanging}
                connections = {r.id: await work.connections.get(payments[r.id].connection_id) for r in hanging}
            for refund in hanging:
                try:
                    await self._refund.carry_out(refund, payments[refund.id], connections[refund.id])
                    done += 1
                except (ProviderUnavailable, RefundDeclined, Conflict):
                    continue
        return {"refunds": done, "stuck": stuck}


@attrs.frozen
class Retention:
    """How long what is finished is kept."""

    keep: timedelta


@attrs.define
class ForgetOld(Job):
    """Finished deliveries with their attempts, handled webhooks, old answers and sessions are deleted."""

    _store: Store
    _clock: Clock
    _retention: Retention
    name = "retention"
    every = timedelta(hours=6)
    what = "Deletes finished deliveries, handled webhooks and kept answers that are older than the retention time."

    async def __call__(self) -> Mapping[str, int]:
        return await self._store.forget(self._clock.now() - self._retention.keep)
