"""Subscribe a client to a plan: at the provider that renews by itself, or by the hub's own engine."""

from datetime import timedelta
from urllib.parse import urlsplit

import attrs

from application.billing.customers import EnsureCustomer
from application.billing.invoices import billed
from application.billing.links import CreatePaymentLink
from application.billing.subscriptions.at_provider import AtProvider, Reach, afresh, asking
from application.billing.subscriptions.invoicing import SubscriptionInvoices
from application.billing.subscriptions.plans import EnsurePlan, plan_named
from application.billing.subscriptions.telling import TellOfSubscription
from application.caller import Caller
from application.connections.access import usable
from application.connections.connect import ProviderUnavailable, PublicUrl
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.payers import OffSession
from application.ports.providers import Providers
from application.ports.recurring import Begun, SubscriptionOrder
from application.ports.store import Store, Work
from domain.billing.invoices import Billed, Period
from domain.billing.periods import next_end
from domain.billing.plans import MOST_TRIAL_DAYS, Plan
from domain.billing.subscriptions import MOST_UNITS, RenewedBy, Subscription, SubscriptionState
from domain.connections.abilities import Ability, By, NotOffered
from domain.connections.connection import Connection
from domain.connections.provider import Capability
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid


@attrs.define
class CreateSubscription:
    """What comes back has a `url` where the client agrees, or pays the first period; a trial that the hub keeps has none."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _providers: Providers
    _public: PublicUrl
    _reach: Reach
    _plans: EnsurePlan
    _customers: EnsureCustomer
    _invoices: SubscriptionInvoices
    _links: CreatePaymentLink
    _told: TellOfSubscription

    async def __call__(
        self,
        caller: Caller,
        *,
        client_id: str,
        plan: str,
        currency: str | None = None,
        provider: str | None = None,
        quantity: int = 1,
        trial_days: int | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        once: Once | None = None,
    ) -> Subscription:
        """`plan`: its code or id. `currency`: needed where the plan has several prices. `provider`: a slug or a connection's
        id; None takes the only one. `trial_days`: instead of the plan's own.

        Raises NotFound, Invalid, Conflict (archived plan, refused by the provider), NotOffered, ProviderUnavailable.
        """
        for field, address in (("success_url", success_url), ("cancel_url", cancel_url)):
            _check_url(field, address)
        if not 1 <= quantity <= MOST_UNITS:
            raise Invalid.field("quantity", f"A quantity is a whole number from 1 to {MOST_UNITS}.")
        if trial_days is not None and not 0 <= trial_days <= MOST_TRIAL_DAYS:
            raise Invalid.field("trial_days", f"A trial has 0 to {MOST_TRIAL_DAYS} days.")
        async with self._store.reading(caller.organisation_id) as work:
            chosen = await plan_named(work, plan)
            client = await billed(work, client_id)
            connection = await self._connection(work, provider)
        chosen.require_offered()
        price = _price(chosen, currency)
        trial = chosen.trial_days if trial_days is None else trial_days
        at = await self._reach(connection)
        renewed_by = self._check(at, price * quantity, quantity, trial)
        now = self._clock.now()
        made = Subscription(
            self._ids.new("subscription"),
            caller.organisation_id,
            client,
            chosen.id,
            price,
            quantity,
            connection.provider,
            connection.id,
            at.account,
            renewed_by,
            now,
            now,
        )
        if renewed_by is RenewedBy.HUB:
            return await self._by_hub(caller, made, chosen, trial, once)
        return await self._by_provider(caller, made, chosen, at, trial, (success_url, cancel_url), once)

    def _check(self, at: AtProvider, total: Money, quantity: int, trial: int) -> RenewedBy:
        by = at.who(Ability.SUBSCRIPTIONS, field="provider")
        if quantity > 1:
            at.who(Ability.QUANTITY, field="quantity")
        if trial:
            at.who(Ability.TRIALS, field="trial_days")
        if by is By.HUB and not isinstance(at.payments, OffSession):
            raise NotOffered(f"{at.manifest.name} cannot charge a client who is away.", field="provider")
        at.payments.check_amount(total, field="plan")
        return RenewedBy.HUB if by is By.HUB else RenewedBy.PROVIDER

    async def _by_provider(
        self,
        caller: Caller,
        made: Subscription,
        plan: Plan,
        at: AtProvider,
        trial: int,
        urls: tuple[str | None, str | None],
        once: Once | None,
    ) -> Subscription:
        plan_at = await self._plans(at, plan, made.price)
        with asking(at.manifest.name, "the client"):
            customer = await self._customers(caller.organisation_id, at.connection, made.client)
        async with self._store.of(caller.organisation_id) as work:
            # Before the provider is asked: its webhook may be here before its answer.
            await work.subscriptions.add(made)
            await self._tell.note(work, caller, "subscription.asked", made.id, plan=plan.code)
            await work.commit()
        order = self._order(made, plan, plan_at.reference, customer, trial, urls)
        try:
            with asking(at.manifest.name, "the plan or the client"):
                begun = await at.subscriptions.begin_subscription(at.access, order, key=made.id)
        except (Conflict, ProviderUnavailable) as problem:
            await self._not_begun(made, problem.reason)
            raise

        async def note() -> Subscription:
            now = self._clock.now()
            async with self._store.of(caller.organisation_id) as work:
                fresh = _noted(await work.subscriptions.get(made.id), begun)
                fresh = await work.subscriptions.save(attrs.evolve(fresh, updated_at=now))
                await remember(work, once, fresh, now)
                await work.commit()
            return fresh

        return await afresh(note)  # its webhook may be handled at this moment

    def _order(
        self,
        made: Subscription,
        plan: Plan,
        plan_reference: str,
        customer: str | None,
        trial: int,
        urls: tuple[str | None, str | None],
    ) -> SubscriptionOrder:
        here = f"{self._public.url}/pay/agreed/{made.organisation_id}/{made.id}"
        client: Billed = made.client
        return SubscriptionOrder(
            plan_reference,
            made.quantity,
            trial,
            customer,
            client.email,
            client.name,
            plan.name,
            urls[0] or here,
            urls[1] or f"{here}?cancelled=1",
            {"patchbay_organisation": made.organisation_id, "patchbay_subscription": made.id},
        )

    async def _by_hub(
        self, caller: Caller, made: Subscription, plan: Plan, trial: int, once: Once | None
    ) -> Subscription:
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            await self._tell.note(work, caller, "subscription.asked", made.id, plan=plan.code)
            if trial:
                begun = made.on_trial(now + timedelta(days=trial), now)
                await work.subscriptions.add(begun)
                await self._told(work, made, begun)
                await remember(work, once, begun, now)
                await work.commit()
                return begun
            period = Period(now, next_end(now, plan.interval, plan.count, now))
            invoice = await self._invoices.of_period(work, made, plan, period, 0)
            made = attrs.evolve(made, invoice_id=invoice.id)
            await work.subscriptions.add(made)
            await work.commit()
        link = await self._links(caller, invoice_id=invoice.id, provider=made.connection_id)
        async with self._store.of(caller.organisation_id) as work:
            fresh = await work.subscriptions.get(made.id)
            fresh = await work.subscriptions.save(attrs.evolve(fresh, url=link.url))
            await remember(work, once, fresh, now)
            await work.commit()
        return fresh

    async def _not_begun(self, made: Subscription, reason: str) -> None:
        """Nobody has the address of a page that may have been made all the same: it cannot be agreed to."""
        async with self._store.of(made.organisation_id) as work:
            fresh = await work.subscriptions.get(made.id)
            await work.subscriptions.save(fresh.ended(reason, self._clock.now()))
            await work.commit()

    async def _connection(self, work: Work, provider: str | None) -> Connection:
        if provider is not None:
            connection = await usable(work, provider)
            if Capability.PAYMENTS not in self._providers.manifest(connection.provider).offers:
                raise Invalid.field("provider", f"{connection.provider} takes no payments.")
            if not connection.connected:
                raise Conflict(f"The connection to {connection.provider} is switched off.")
            return connection
        paying = [
            one
            for one in await work.connections.all()
            if one.connected and Capability.PAYMENTS in self._providers.manifest(one.provider).offers
        ]
        if not paying:
            raise Conflict("No payment provider is connected.")
        if len(paying) > 1:
            raise Invalid.field("provider", "Several payment providers are connected; name one.")
        return paying[0]


def _noted(subscription: Subscription, begun: Begun) -> Subscription:
    """What lets the client agree; its webhook may have been quicker, and then nothing is left to agree to."""
    waits = subscription.state is SubscriptionState.INCOMPLETE
    return attrs.evolve(
        subscription,
        reference=subscription.reference or begun.reference,
        began_reference=begun.checkout_reference,
        url=begun.url if waits else subscription.url,
    )


def _price(plan: Plan, currency: str | None) -> Money:
    if currency is not None:
        return plan.price_in(Currency(currency))
    if len(plan.prices) > 1:
        there = ", ".join(price.currency.code for price in plan.prices)
        raise Invalid.field("currency", f"The plan {plan.code} has several prices; name one of {there}.")
    return plan.prices[0]


def _check_url(field: str, address: str | None) -> None:
    if address is None:
        return
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound or len(address) > 2000:
        raise Invalid.field(field, "This is not an http(s) address.")
