"""Plans and subscriptions that a provider keeps."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

import pytest

from application.ports.payments import ProviderRefused
from application.ports.recurring import (
    Begun,
    Plans,
    PlanTerms,
    ProviderSubscription,
    SubscriptionOrder,
    Subscriptions,
    SubscriptionStanding,
)
from domain.billing.plans import Interval
from domain.connections.abilities import NOT_SUPPORTED, Ability, By, Support
from domain.money import Money
from tests.contract.payments.rig import METADATA, PaymentRig

_OVER = (SubscriptionStanding.CANCELED, SubscriptionStanding.EXPIRED)


class RecurringRig(PaymentRig, Protocol):
    """A provider that keeps plans, and renews."""

    abilities: Mapping[Ability, Support]
    """The manifest's: what the provider lacks is not asked of it."""

    async def agree(self, begun: Begun) -> None:
        """The payer agrees to a subscription, and its first period is paid."""

    async def renew(self, reference: str) -> None:
        """The period is over: the provider charges for the next one."""


def terms(rig: PaymentRig, amount: Money | None = None, **more: object) -> PlanTerms:
    """A plan of a month."""
    return PlanTerms("Care", "Care of one site", amount or rig.price, Interval.MONTH, 1, 0, "plan_1")


def itself(rig: RecurringRig, ability: Ability) -> bool:
    """Whether the provider does it."""
    return rig.abilities.get(ability, NOT_SUPPORTED).by is By.PROVIDER


async def _plan(rig: RecurringRig, amount: Money | None = None, *, product: str | None = None, key: str = "p") -> str:
    plans = rig.provider
    assert isinstance(plans, Plans)
    return (await plans.ensure_plan(rig.access, terms(rig, amount), product=product, key=key)).reference


async def _begun(rig: RecurringRig, plan: str, key: str = "s") -> Begun:
    subscriptions = rig.provider
    assert isinstance(subscriptions, Subscriptions)
    order = SubscriptionOrder(
        plan_reference=plan,
        quantity=1,
        trial_days=0,
        customer_reference=None,
        customer_email="pat@example.com",
        customer_name="Pat Payer",
        description="Care, monthly",
        success_url="https://shop.example/agreed",
        cancel_url="https://shop.example/back",
        metadata={**METADATA, "patchbay_subscription": "subscription_1"},
    )
    return await subscriptions.begin_subscription(rig.access, order, key=key)


async def running(rig: RecurringRig, plan: str | None = None) -> ProviderSubscription:
    """A subscription that its payer agreed to."""
    subscriptions = rig.provider
    assert isinstance(subscriptions, Subscriptions)
    begun = await _begun(rig, plan or await _plan(rig))
    await rig.agree(begun)
    found = await subscriptions.find_subscription(rig.access, begun)
    assert found is not None
    return found


class PlanContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_a_plan_is_made_once(self, rig: RecurringRig) -> None:
        """A retry must not leave a second plan that nobody subscribes to."""
        plans = rig.provider
        assert isinstance(plans, Plans)
        made = await plans.ensure_plan(rig.access, terms(rig), product=None, key="p")
        assert (made.amount, made.active) == (rig.price, True)
        assert (await plans.ensure_plan(rig.access, terms(rig), product=None, key="p")).reference == made.reference

    async def test_new_terms_of_a_plan_are_another_price_of_the_same_product(self, rig: RecurringRig) -> None:
        """Who subscribed keeps what they agreed to."""
        plans = rig.provider
        assert isinstance(plans, Plans)
        first = await plans.ensure_plan(rig.access, terms(rig), product=None, key="p1")
        dearer = Money(rig.price.amount * 2, rig.price.currency)
        second = await plans.ensure_plan(rig.access, terms(rig, dearer), product=first.product, key="p2")
        assert (second.reference != first.reference, second.amount) == (True, dearer)
        assert second.product == first.product

    async def test_a_plan_can_be_retired_once_and_again(self, rig: RecurringRig) -> None:
        """Retiring is retried after a crash; and one that is not there is retired."""
        plans = rig.provider
        assert isinstance(plans, Plans)
        reference = await _plan(rig)
        for _ in range(2):
            await plans.retire_plan(rig.access, reference)


class SubscriptionContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_a_subscription_runs_once_its_payer_agreed(self, rig: RecurringRig) -> None:
        """The whole of an ordinary beginning."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        plan = await _plan(rig)
        begun = await _begun(rig, plan)
        assert begun.url
        early = await subscriptions.find_subscription(rig.access, begun)
        assert early is None or early.standing is SubscriptionStanding.INCOMPLETE
        assert await _begun(rig, plan) == begun
        await rig.agree(begun)
        found = await subscriptions.find_subscription(rig.access, begun)
        assert found is not None
        assert (found.standing, found.plan_reference, found.quantity) == (SubscriptionStanding.ACTIVE, plan, 1)
        assert found.metadata["patchbay_subscription"] == "subscription_1"
        assert not found.cancel_at_period_end
        assert await subscriptions.fetch_subscription(rig.access, found.reference) == found
        (bill,) = await subscriptions.renewals_of(rig.access, found.reference)
        assert (bill.total, bill.paid, bool(bill.intent_reference)) == (rig.price, True, True)
        assert bill.intent_reference
        assert (await rig.provider.fetch_intent(rig.access, bill.intent_reference)).received == rig.price

    async def test_each_renewal_is_one_bill(self, rig: RecurringRig) -> None:
        """From them come our invoices, one each."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        found = await running(rig)
        for _ in range(2):
            await rig.renew(found.reference)
        bills = await subscriptions.renewals_of(rig.access, found.reference)
        assert len({bill.reference for bill in bills}) == len(bills) == 3
        assert [bill.period_start for bill in bills] == sorted(bill.period_start for bill in bills)
        since = await subscriptions.renewals_of(rig.access, found.reference, bills[-1].created_at)
        assert bills[-1].reference in {bill.reference for bill in since}

    async def test_cancelling_ends_it_once_and_again(self, rig: RecurringRig) -> None:
        """An ended subscription is never charged again, and ending it twice is no error."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        found = await running(rig)
        for number in range(2):
            ended = await subscriptions.cancel_subscription(
                rig.access, found.reference, at_period_end=False, reason="Not needed", key=f"c{number}"
            )
            assert ended.standing in _OVER

    async def test_an_end_set_for_later_can_be_taken_back(self, rig: RecurringRig) -> None:
        """The client changed their mind. Where the provider has no such end, the hub keeps it."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        found = await running(rig)
        if not itself(rig, Ability.CANCEL_AT_PERIOD_END):
            assert rig.abilities[Ability.CANCEL_AT_PERIOD_END].by in (By.HUB, By.NOBODY)
            return
        ending = await subscriptions.cancel_subscription(
            rig.access, found.reference, at_period_end=True, reason="", key="cancel"
        )
        assert (ending.standing, ending.cancel_at_period_end) == (SubscriptionStanding.ACTIVE, True)
        kept = await subscriptions.keep_subscription(rig.access, found.reference, key="keep")
        assert (kept.standing, kept.cancel_at_period_end) == (SubscriptionStanding.ACTIVE, False)

    async def test_a_pause_ends_when_it_is_told_to(self, rig: RecurringRig) -> None:
        """Nothing is charged meanwhile."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        found = await running(rig)
        if not itself(rig, Ability.PAUSE):
            assert rig.abilities.get(Ability.PAUSE, NOT_SUPPORTED).by in (By.HUB, By.NOBODY)
            return
        paused = await subscriptions.pause_subscription(rig.access, found.reference, reason="Holidays", key="pause")
        assert paused.standing is SubscriptionStanding.PAUSED
        back = await subscriptions.unpause_subscription(rig.access, found.reference, reason="Back", key="unpause")
        assert back.standing is SubscriptionStanding.ACTIVE

    async def test_a_change_is_told_before_it_is_made(self, rig: RecurringRig) -> None:
        """Nobody is surprised by the sum."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        if not itself(rig, Ability.PRORATION):
            assert rig.abilities.get(Ability.PRORATION, NOT_SUPPORTED).by in (By.HUB, By.NOBODY)
            return
        plan = await _plan(rig)
        dearer = await _plan(rig, Money(rig.price.amount * 2, rig.price.currency), key="p2")
        found = await running(rig, plan)
        at = rig.now + timedelta(minutes=1)
        preview = await subscriptions.preview_change(
            rig.access, found.reference, plan_reference=dearer, quantity=1, at=at
        )
        assert preview.credit.amount <= 0 <= preview.charge.amount
        assert preview.due_now.amount in (0, (preview.credit + preview.charge).amount)
        changed = await subscriptions.change_subscription(
            rig.access, found.reference, plan_reference=dearer, quantity=1, prorate=True, at=at, key="change"
        )
        assert (changed.plan_reference, changed.quantity) == (dearer, 1)

    async def test_a_subscription_that_is_not_there_is_missing(self, rig: RecurringRig) -> None:
        """It is told apart from a provider that is away."""
        subscriptions = rig.provider
        assert isinstance(subscriptions, Subscriptions)
        with pytest.raises(ProviderRefused) as refused:
            await subscriptions.fetch_subscription(rig.access, "987654321")
        assert refused.value.missing
