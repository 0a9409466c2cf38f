"""Plans: make and change them here, and have the providers that renew by themselves keep a copy."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import attrs

from application.billing.subscriptions.at_provider import AtProvider, asking
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Leases
from application.ports.recurring import PlanTerms
from application.ports.store import AlreadyThere, Store, Work
from application.versions import require_version
from domain.billing.plans import Interval, Plan, PlanAtProvider, PlanState
from domain.money import Money
from domain.refusals import Conflict, Fault, Invalid, NotFound, Refusal


@attrs.frozen
class PriceAsked:
    """A price as it was typed: a decimal in major units."""

    amount: str
    currency: str


def read_prices(asked: Sequence[PriceAsked]) -> tuple[Money, ...]:
    """The prices in minor units. Raises Invalid naming every one that does not fit."""
    prices: list[Money] = []
    faults: list[Fault] = []
    for index, price in enumerate(asked):
        field = f"prices.{index}"
        try:
            prices.append(Money.of(price.amount, price.currency, field=f"{field}.amount"))
        except Refusal as refusal:
            faults.extend(
                Fault(fault.field if fault.field.startswith(field) else f"{field}.{fault.field}", fault.reason)
                for fault in refusal.faults
            )
    if faults:
        raise Invalid(*faults)
    return tuple(prices)


async def plan_named(work: Work, name: str) -> Plan:
    """The plan with this code, or this id. Raises NotFound."""
    found = await work.plans.all(code=name) or await work.plans.all(id=name)
    if not found:
        raise NotFound("plan", name[:80])
    return found[0]


@attrs.define
class CreatePlan:
    """Make a plan; a provider gets its copy when somebody first subscribes there."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids

    async def __call__(
        self,
        caller: Caller,
        *,
        code: str,
        name: str,
        interval: Interval,
        prices: Sequence[PriceAsked],
        count: int = 1,
        description: str = "",
        trial_days: int = 0,
        features: Sequence[str] = (),
        limits: Mapping[str, int] | None = None,
        once: Once | None = None,
    ) -> Plan:
        """Raises Invalid naming every field that is wrong, Conflict when the code is taken."""
        now = self._clock.now()
        plan = Plan(
            self._ids.new("plan"),
            caller.organisation_id,
            code.strip(),
            name.strip(),
            description.strip(),
            interval,
            count,
            read_prices(prices),
            now,
            now,
            trial_days,
            tuple(features),
            dict(limits or {}),
        )
        async with self._store.of(caller.organisation_id) as work:
            try:
                await work.plans.add(plan)
            except AlreadyThere as taken:
                raise Conflict(f"There is a plan with the code '{plan.code}' already.", field="code") from taken
            await self._tell.note(work, caller, "plan.created", plan.id, code=plan.code)
            await remember(work, once, plan, now)
            await work.commit()
        return plan


@attrs.define
class ChangePlan:
    """Change a plan, only what is given. Whoever has subscribed keeps the price they agreed to."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        prices: Sequence[PriceAsked] | None = None,
        features: Sequence[str] | None = None,
        limits: Mapping[str, int] | None = None,
        archived: bool | None = None,
        version: int | None = None,
    ) -> Plan:
        """`id`: the plan's id or code. Raises NotFound, Stale, Invalid."""
        now = self._clock.now()
        changes: dict[str, object] = {}
        if name is not None:
            changes["name"] = name.strip()
        if description is not None:
            changes["description"] = description.strip()
        if prices is not None:
            changes["prices"] = read_prices(prices)
        if features is not None:
            changes["features"] = tuple(features)
        if limits is not None:
            changes["limits"] = dict(limits)
        if archived is not None:
            changes["state"] = PlanState.ARCHIVED if archived else PlanState.ACTIVE
        async with self._store.of(caller.organisation_id) as work:
            plan = await plan_named(work, id)
            require_version(plan.version, version)
            revised = plan.revise(now, **changes)
            if revised is not plan:
                revised = await work.plans.save(revised)
                await self._tell.note(work, caller, "plan.changed", plan.id, fields=sorted(changes))
            await work.commit()
        return revised


@attrs.define
class EnsurePlan:
    """A plan's price as a provider's account keeps it: made once for each price; another price is another one there."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _leases: Leases

    async def __call__(self, at: AtProvider, plan: Plan, price: Money) -> PlanAtProvider:
        """Raises Conflict (refused), ProviderUnavailable, NotOffered."""
        lock = f"plan:{plan.id}:{at.connection.provider}:{at.account}"
        async with self._leases.hold(lock, for_=timedelta(minutes=2), wait=timedelta(seconds=30)):
            async with self._store.reading(plan.organisation_id) as work:
                there = await work.plans_at_providers.all(
                    plan_id=plan.id, provider=at.connection.provider, account=at.account
                )
            for one in there:
                if one.price == price:
                    return one
            product = next((one.product for one in there if one.product), None)
            terms = PlanTerms(
                plan.name, plan.description, price, plan.interval, plan.count, plan.trial_days, our_reference=plan.id
            )
            with asking(at.manifest.name, "the plan"):
                made = await at.plans.ensure_plan(
                    at.access, terms, product=product, key=f"{plan.id}:{price.currency.code}:{price.amount}"
                )
            now = self._clock.now()
            kept = PlanAtProvider(
                self._ids.new("plan_at_provider"),
                plan.organisation_id,
                plan.id,
                at.connection.provider,
                at.account,
                price,
                made.reference,
                made.product,
                now,
                now,
            )
            async with self._store.of(plan.organisation_id) as work:
                await work.plans_at_providers.add(kept)
                await work.commit()
        return kept
