"""The jobs: invoices that became overdue, links that lapsed, old rows."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Protocol

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.store import StaleWrite, Store
from domain.billing.bodies import invoice_body
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState, LinkState
from domain.notifications.endpoints import EndpointMode


class Job(Protocol):
    """Something done every so often. Doing it twice, or late, is the same as once."""

    name: str
    every: timedelta
    what: str

    @abstractmethod
    async def __call__(self) -> Mapping[str, int]:
        """Do it. Returns counts of what was done, for the log.

        What goes wrong with one thing keeps nothing else from being done; it is raised at the end, as an ExceptionGroup.
        """


@attrs.define
class Troubles:
    """What went wrong on the way."""

    errors: list[Exception] = attrs.field(factory=list)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Put what goes wrong in the block aside, for the end."""
        try:
            yield
        except StaleWrite:
            return  # someone was quicker; the next round decides anew
        except Exception as error:  # noqa: BLE001  # one organisation's trouble is not another's
            self.errors.append(error)

    def tell(self) -> None:
        """Raise what was put aside."""
        if self.errors:
            raise ExceptionGroup("some of it could not be done", self.errors)


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
        troubles = Troubles()
        now = self._clock.now()
        for organisation in await self._store.organisations():
            late: list[str] = []
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    for state in (InvoiceState.OPEN, InvoiceState.PARTLY_PAID):
                        waiting = await work.invoices.all(state=state)
                        late += [one.id for one in waiting if one.overdue(now.date(), now) is not one]
            for id_ in late:
                with troubles.aside():
                    marked += await self._mark(organisation.id, id_)
        troubles.tell()
        return {"invoices": marked}

    async def _mark(self, organisation_id: str, invoice_id: str) -> bool:
        """One invoice, as it is now: it may have been paid since the list was read."""
        now = self._clock.now()
        async with self._store.of(organisation_id) as work:
            invoice = await work.invoices.get(invoice_id)
            late = invoice.overdue(now.date(), now)
            if late is invoice:
                return False
            late = await work.invoices.save(late)
            await self._tell(work, "invoice.overdue", {"invoice": invoice_body(late, None)})
            await work.commit()
        return True


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
        troubles = Troubles()
        now = self._clock.now()
        for organisation in await self._store.organisations():
            lapsed: list[str] = []
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    lapsed = [k.id for k in await work.links.all(state=LinkState.ACTIVE) if k.expires_at <= now]
            for id_ in lapsed:
                with troubles.aside():
                    expired += await self._expire(organisation.id, id_)
            ended: list[str] = []
            with troubles.aside():
                ended = await self._ended(organisation.id)
            for id_ in ended:
                with troubles.aside(), suppress(ReconnectNeeded, ProviderRefused, RetryLater):
                    # If not now, the next round tries again; the page lapses by itself within a day.
                    closed += await self._close(organisation.id, link_id=id_)
        troubles.tell()
        return {"links": expired, "pages": closed}

    async def _expire(self, organisation_id: str, link_id: str) -> bool:
        """One link, as it is now: it may have been paid through since the list was read."""
        async with self._store.of(organisation_id) as work:
            link = await work.links.get(link_id)
            if link.state is not LinkState.ACTIVE:
                return False
            await work.links.save(link.expire(self._clock.now()))
            await work.commit()
        return True

    async def _ended(self, organisation_id: str) -> list[str]:
        """Links that ended and have pages open, also those that could not be closed then: the provider was away."""
        async with self._store.reading(organisation_id) as work:
            open_pages = await work.checkouts.all(state=CheckoutState.OPEN)
            links = [await work.links.get(id_) for id_ in sorted({page.link_id for page in open_pages})]
        return [link.id for link in links if link.state is not LinkState.ACTIVE]


@attrs.define
class ExpireWaiting(Job):
    """What its receiver has not fetched in time is expired, also where nobody fetches any more."""

    _store: Store
    _clock: Clock
    name = "unfetched"
    every = timedelta(hours=1)
    what = "Expires deliveries that waited too long to be fetched from a polled endpoint."

    async def __call__(self) -> Mapping[str, int]:
        expired, troubles = 0, Troubles()
        for organisation in await self._store.organisations():
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    endpoints = [one for one in await work.endpoints.all() if one.mode is EndpointMode.POLL]
                for endpoint in endpoints:
                    async with self._store.of(organisation.id) as work:
                        expired += await work.deliveries.expire_waiting(endpoint.id, self._clock.now())
                        await work.commit()
        troubles.tell()
        return {"expired": expired}


@attrs.frozen
class Retention:
    """How long what is finished is kept.

    keep: finished deliveries, events without deliveries, handled webhooks, kept answers. payloads: the headers and bodies
    of attempts. audit: the audit trail.
    """

    keep: timedelta
    payloads: timedelta = timedelta(days=30)
    audit: timedelta = timedelta(days=400)


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
