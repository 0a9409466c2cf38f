"""Reconciling: what the provider lists against what the hub has, for each connection every night, and by hand."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

import attrs

from application.billing.ask_provider import AskProvider
from application.billing.comparison import Comparison
from application.caller import Caller
from application.connections.access import opened, same_account, usable
from application.notifications.carry import ConsoleUrl
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held, Leases
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.settlements import Settlements
from application.ports.store import Slice, Store
from application.ports.vault import Vault
from application.upkeep.jobs import Job, Troubles
from domain.billing.bodies import reconciliation_body
from domain.billing.reconciliation import Reconciliation, RunState, check_window
from domain.connections.abilities import Ability, By, NotOffered, require
from domain.connections.connection import Connection
from domain.connections.provider import Capability

_LEASE = timedelta(minutes=5)
_DAY = timedelta(days=1)
_CATCH_UP = timedelta(days=7)
"""How far back nights are made up for, after the hub was away."""
_PATIENCE = timedelta(hours=1)
"""After a night's reconciliation failed, until it is tried again."""


def settlements_of(providers: Providers, slug: str) -> Settlements:
    """What lists a provider's movements. Raises NotOffered for one that lists none."""
    manifest = providers.manifest(slug)
    by = require(manifest.name, manifest.abilities, Ability.SETTLEMENTS, field="connection")
    payments = providers.payments(slug)
    if by is not By.PROVIDER or not isinstance(payments, Settlements):
        raise NotOffered(f"{manifest.name} does not list what moved.", field="connection")
    return payments


@attrs.define
class StartReconciliation:
    """Asked for by a person; it is carried out in the background."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _providers: Providers

    async def __call__(
        self,
        caller: Caller,
        connection: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        once: Once | None = None,
    ) -> Reconciliation:
        """`connection`: its id, or the provider's slug where there is one. Without times, the last whole day (UTC) of which
        the provider's books are complete.

        Raises NotFound, Conflict (several connections), NotOffered, Invalid naming `since` or `until`.
        """
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            found = await usable(work, connection)
            complete = now - settlements_of(self._providers, found.provider).settled_after
            until = until or (midnight(complete) if since is None else complete)
            since = since or until - _DAY
            check_window(since, until, now, now - complete)
            run = new_run(self._ids, found, since, until, caller.actor, now)
            await work.reconciliations.add(run)
            window = {"since": since.isoformat(), "until": until.isoformat()}
            await self._tell.note(work, caller, "reconciliation.started", run.id, connection=found.id, **window)
            await remember(work, once, run, now)
            await work.commit()
        return run


@attrs.define
class Reconcile(Job):
    """Carries out what was asked for, and yesterday for every connection whose provider lists what moved."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _console: ConsoleUrl
    name = "reconciliation"
    every = timedelta(minutes=1)
    what = "Compares the providers' books of yesterday (UTC), and of what was asked for by hand, with ours."

    async def __call__(self) -> Mapping[str, int]:
        done, troubles = 0, Troubles()
        for organisation in await self._store.organisations():
            with troubles.aside():
                await self._make_nightly(organisation.id)
            running: tuple[Reconciliation, ...] = ()
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    running = await work.reconciliations.all(state=RunState.RUNNING)
            for run in running:
                with troubles.aside():
                    done += await self.carry_out(organisation.id, run.id)
        troubles.tell()
        return {"reconciliations": done}

    async def carry_out(self, organisation_id: str, run_id: str) -> bool:
        """Do one. Returns whether it was done: not when another worker does it, nor when it had been cut off."""
        try:
            async with self._leases.hold(f"reconcile:{run_id}", for_=_LEASE):
                return await self._carry_out(organisation_id, run_id)
        except Held:
            return False

    async def _carry_out(self, organisation_id: str, run_id: str) -> bool:
        async with self._store.of(organisation_id) as work:
            run = await work.reconciliations.get(run_id)
            if run.state is not RunState.RUNNING:
                return False
            if run.begun_at is not None:
                await work.reconciliations.save(run.failed("It was cut off. Begin another.", self._clock.now()))
                await work.commit()
                return False
            run = await work.reconciliations.save(run.begin(self._clock.now()))
            connection = await work.connections.get(run.connection_id)
            same = [
                one.id for one in await work.connections.all(provider=run.provider) if same_account(one, connection)
            ]
            await work.commit()
        access = opened(self._vault, connection)
        ask = AskProvider(self._providers.payments(run.provider), access)
        accounts = frozenset({*same, connection.id})
        comparison = Comparison(self._store, self._clock, self._ids, ask, accounts, run)
        try:
            lister = settlements_of(self._providers, run.provider)
            await comparison.compare(lister.settled_between(access, run.since, run.until))
        except (ReconnectNeeded, ProviderRefused, RetryLater, NotOffered) as problem:
            why = f"{connection.provider} could not be asked: {problem}"
            async with self._store.of(organisation_id) as work:
                await work.reconciliations.save(comparison.run.failed(why, self._clock.now()))
                await work.commit()
            return False
        await self._finish(comparison)
        return True

    async def _finish(self, comparison: Comparison) -> None:
        now = self._clock.now()
        ended = attrs.evolve(
            comparison.run,
            state=RunState.DONE,
            compared=comparison.tally.compared,
            totals=comparison.tally.totals,
            updated_at=now,
        )
        url = f"{self._console.url}/reconciliations/{ended.id}" if self._console.url else None
        async with self._store.of(ended.organisation_id) as work:
            ended = await work.reconciliations.save(ended)
            await self._tell(work, "reconciliation.finished", {"reconciliation": reconciliation_body(ended, url)})
            await work.commit()

    async def _make_nightly(self, organisation_id: str) -> None:
        """Write down the days that nobody has compared yet; one connection for each account."""
        async with self._store.reading(organisation_id) as work:
            connections = [one for one in await work.connections.all() if one.connected]
        compared: list[Connection] = []
        for connection in connections:
            if any(one.provider == connection.provider and same_account(one, connection) for one in compared):
                continue
            if Capability.PAYMENTS not in self._providers.manifest(connection.provider).offers:
                continue
            try:
                settled_after = settlements_of(self._providers, connection.provider).settled_after
            except NotOffered:
                continue
            compared.append(connection)
            await self._make_days(connection, settled_after)

    async def _make_days(self, connection: Connection, settled_after: timedelta) -> None:
        now = self._clock.now()
        today = midnight(now - settled_after)
        async with self._store.of(connection.organisation_id) as work:
            newest = (await work.reconciliations.page(Slice(1), connection_id=connection.id, nightly=True)).items
            if newest and newest[0].state is RunState.RUNNING:
                return
            if newest and newest[0].state is RunState.FAILED and newest[0].updated_at > now - _PATIENCE:
                return
            done = await work.reconciliations.page(
                Slice(1), connection_id=connection.id, nightly=True, state=RunState.DONE
            )
            since = done.items[0].until if done.items else max(today - _DAY, midnight(connection.created_at))
            day = max(since, today - _CATCH_UP)
            if day < today:
                # One at a time, so that one that fails is tried again before the next.
                await work.reconciliations.add(
                    new_run(self._ids, connection, day, day + _DAY, "hub", now, nightly=True)
                )
                await work.commit()


def new_run(
    ids: Ids, connection: Connection, since: datetime, until: datetime, by: str, now: datetime, *, nightly: bool = False
) -> Reconciliation:
    """One that is to be carried out."""
    return Reconciliation(
        ids.new("reconciliation"),
        connection.organisation_id,
        connection.id,
        connection.provider,
        since,
        until,
        by,
        now,
        now,
        nightly=nightly,
    )


def midnight(moment: datetime) -> datetime:
    """The beginning of the moment's day, in UTC."""
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
