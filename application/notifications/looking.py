"""Endpoints as they are looked at: how they are set up, how they fare, what stands at the head of an ordered one."""

from datetime import datetime, timedelta

import attrs

from application.notifications.endpoint_settings import EndpointSetup
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch
from application.ports.store import Page, Slice, Store
from domain.notifications.deliveries import Delivery
from domain.notifications.endpoints import Endpoint
from domain.notifications.grants import Grant
from domain.notifications.health import FAILURES_UNTIL_DISABLED, LONGEST_FAILING, WELL, Breaker, Health


@attrs.frozen
class Look:
    """One endpoint at one moment.

    headers: the names of its own. grant: its client credentials, without their secret. head: the delivery for which all
    others wait, where the order is kept.
    """

    endpoint: Endpoint
    now: datetime
    headers: tuple[str, ...] = ()
    grant: Grant | None = None
    health: Health = WELL
    head: Delivery | None = None

    @property
    def breaker(self) -> Breaker:
        """Whether it is called."""
        return self.health.breaker(self.now)

    @property
    def paused_until(self) -> datetime | None:
        """When it is called again; None when nothing holds it up."""
        return self.health.paused_until if self.health.paused(self.now) else None

    @property
    def towards_off(self) -> int:
        """How far it is on the way to being switched off, in per cent from 0 to 100."""
        since = self.health.failing_since
        failing = timedelta() if since is None else self.now - since
        part = max(self.health.failures / FAILURES_UNTIL_DISABLED, failing / LONGEST_FAILING)
        return min(100, max(0, int(100 * part)))

    @property
    def head_due(self) -> datetime | None:
        """When the head is tried next, if it has been tried; None when there is none or it is about to be."""
        if self.head is None:
            return None
        due = max(self.head.due_at, self.paused_until or self.head.due_at)
        return due if due > self.now else None


@attrs.define
class LookAtEndpoints:
    """Reads an organisation's endpoints with all that is to be shown of them."""

    _store: Store
    _dispatch: Dispatch
    _clock: Clock
    _setup: EndpointSetup

    async def one(self, organisation_id: str, id: str) -> Look:
        """Raises NotFound."""
        async with self._store.reading(organisation_id) as work:
            endpoint = await work.endpoints.get(id)
            head = await work.deliveries.head(id) if endpoint.options.fifo else None
        lane = (await self._dispatch.lanes(organisation_id, (id,))).get(id)
        return attrs.evolve(self.new(endpoint), health=lane.health if lane else WELL, head=head)

    async def page(self, organisation_id: str, slice: Slice) -> Page[Look]:
        """Newest first."""
        async with self._store.reading(organisation_id) as work:
            found = await work.endpoints.page(slice)
            heads = {e.id: await work.deliveries.head(e.id) for e in found.items if e.options.fifo}
        lanes = await self._dispatch.lanes(organisation_id, [endpoint.id for endpoint in found.items])
        looks = tuple(
            attrs.evolve(
                self.new(endpoint),
                health=lanes[endpoint.id].health if endpoint.id in lanes else WELL,
                head=heads.get(endpoint.id),
            )
            for endpoint in found.items
        )
        return Page(looks, found.next)

    def new(self, endpoint: Endpoint) -> Look:
        """One that was never called."""
        setup = self._setup
        return Look(endpoint, self._clock.now(), setup.header_names(endpoint), setup.grant(endpoint))
