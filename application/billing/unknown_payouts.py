"""Find out what became of payouts that got no answer: the provider is asked, nothing is guessed."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import attrs

from application.billing.payouts import CreatePayout, NotePayout, about_payout, payouts_of
from application.connections.access import opened, standing_in
from application.connections.connect import ProviderUnavailable
from application.ports.clock import Clock
from application.ports.leases import Leases
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.payouts import PayoutOrder
from application.ports.providers import Providers
from application.ports.store import Store
from application.ports.vault import Vault
from application.upkeep.jobs import Job, Troubles
from domain.billing.payouts import Payout, PayoutDeclined, PayoutState
from domain.connections.connection import Connection, ConnectionState

ASKED_AGAIN = timedelta(hours=20)
"""Until this long after it was written down, a payout of which the provider is sure that it has none is sent again with the
same key; after that it is given up, because by then somebody may have paid by other means."""

_LOCK = timedelta(minutes=2)


@attrs.define
class ResolvePayouts(Job):
    """Looks up what the provider made of a payout, by the hub's own key."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _create: CreatePayout
    _note: NotePayout
    name = "unknown-payouts"
    every = timedelta(minutes=5)
    what = "Looks up payouts that got no answer: after 5 minutes, an hour, then daily; one that was never made is sent again."

    async def __call__(self) -> Mapping[str, int]:
        found, troubles = 0, Troubles()
        now = self._clock.now()
        for organisation in await self._store.organisations():
            waiting: list[Payout] = []
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    states = (PayoutState.REQUESTED, PayoutState.UNKNOWN)
                    waiting = [one for one in await work.payouts.all(state=states) if one.due(now)]
            for payout in waiting:
                with troubles.aside(), suppress(PayoutDeclined, ProviderUnavailable):
                    found += await self._resolve(payout)
        troubles.tell()
        return {"payouts": found}

    async def _resolve(self, payout: Payout) -> bool:
        async with self._store.reading(payout.organisation_id) as work:
            connection = await standing_in(work, payout.connection_id)
        if connection.state is ConnectionState.DISCONNECTED:
            return False
        there = await self._look_up(payout, connection)
        if there is False:
            await self._create.carry_out(payout, connection, self._order(payout))
        return there is not None

    async def _look_up(self, payout: Payout, connection: Connection) -> bool | None:
        """Whether the provider has it; None when that could not be found out, or when it was given up as too old."""
        payouts = payouts_of(self._providers, connection.provider)
        now = self._clock.now()
        async with self._leases.hold(f"payout:{payout.id}", for_=_LOCK):
            sure, made = True, None
            try:
                made = await payouts.find_payout(opened(self._vault, connection), payout.id)
            except (ReconnectNeeded, ProviderRefused, RetryLater):
                sure = False
            async with self._store.of(payout.organisation_id) as work:
                fresh = await work.payouts.get(payout.id)
                if not fresh.waits:
                    return True
                if made is not None:
                    await self._note(work, fresh, made)
                elif not sure:
                    await work.payouts.save(fresh.looked(now))
                elif fresh.created_at + ASKED_AGAIN <= now:
                    await work.payouts.save(fresh.refused("The provider knows of no such payout.", now))
                    sure = False
                await work.commit()
        return made is not None if sure else None

    def _order(self, payout: Payout) -> PayoutOrder:
        destination: dict[str, str] = {}
        if payout.sealed_destination is not None:
            text = self._vault.open(payout.sealed_destination, about=about_payout(payout.id))
            destination = dict(line.split("=", 1) for line in text.split("\n"))
        return PayoutOrder(payout.amount, destination, payout.description, payout.id)
