"""The plans and subscriptions of FakePayments: agreed to on its page, renewed when a test lets time pass."""

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import attrs

from application.ports.clock import Clock
from application.ports.payments import CheckoutState, HostedCheckout, Intent, IntentState, ProviderRefused
from application.ports.recurring import (
    Begun,
    ChangePreview,
    Plans,
    PlanTerms,
    ProviderPlan,
    ProviderSubscription,
    Renewal,
    SubscriptionOrder,
    Subscriptions,
    SubscriptionStanding,
)
from domain.billing.periods import next_end
from domain.billing.proration import prorate
from domain.money import Money

_T = TypeVar("_T")
_OVER = (SubscriptionStanding.CANCELED, SubscriptionStanding.EXPIRED)


class FakeRecurring(Plans, Subscriptions):
    """A part of FakePayments.

    Tests use: `agree` (a payer agrees on the page), `renew` (the period passes, and the next is charged or declined),
    `retry` (a declined bill is tried again), `asks_consent` and `consent` (the payer has to agree to a change), `stand` (it
    gets another status), `forget_subscription` (it is deleted), `subscriptions`, `plans`, `bills` (by subscription, oldest
    first).
    """

    clock: Clock
    events: list[bytes]
    checkouts: dict[str, HostedCheckout]

    def __init__(self) -> None:
        self.plans: dict[str, ProviderPlan] = {}
        self.subscriptions: dict[str, ProviderSubscription] = {}
        self.bills: dict[str, list[Renewal]] = {}
        self._terms: dict[str, PlanTerms] = {}
        self._orders: dict[str, SubscriptionOrder] = {}
        self._agreed: dict[str, str] = {}
        self.asks_consent = False
        self._proposed: dict[str, tuple[str, int]] = {}

    # What a test tells it.

    def agree(self, page: str) -> str:
        """The payer agrees on a page; its first period is charged, unless it begins with a trial. Returns the id."""
        order = self._orders[page]
        assert self.checkouts[page].state is CheckoutState.OPEN, "nobody can agree on it any more"
        self.checkouts[page] = attrs.evolve(self.checkouts[page], state=CheckoutState.COMPLETE, url=None)
        now = self.clock.now()
        reference = self._id("subscription")
        trial = now + timedelta(days=order.trial_days) if order.trial_days else None
        terms = self._terms[order.plan_reference]
        self.subscriptions[reference] = ProviderSubscription(
            reference=reference,
            standing=SubscriptionStanding.TRIALING if trial else SubscriptionStanding.ACTIVE,
            raw_status="trialing" if trial else "active",
            plan_reference=order.plan_reference,
            quantity=order.quantity,
            customer_reference=order.customer_reference,
            period_start=now,
            period_end=trial or next_end(now, terms.interval, terms.count, now),
            trial_ends_at=trial,
            cancel_at_period_end=False,
            cancel_at=None,
            ended_at=None,
            metadata=dict(order.metadata),
        )
        self._agreed[page] = reference
        self.bills[reference] = []
        if trial is None:
            self._bill(reference, self._price(reference), pays=True)
        self._tell_of(reference, "created")
        return reference

    def renew(self, reference: str, *, pays: bool = True) -> Renewal | None:
        """The period is over: the next is charged; one that was to end then ends. Time itself is the test's to move."""
        one = self.subscriptions[reference]
        if one.cancel_at_period_end:
            self._set(reference, standing=SubscriptionStanding.CANCELED, ended_at=one.period_end)
            self._tell_of(reference, "deleted")
            return None
        start = one.period_end
        assert start is not None
        terms = self._terms[one.plan_reference or ""]
        self._set(reference, period_start=start, period_end=next_end(start, terms.interval, terms.count, start))
        bill = self._bill(reference, self._price(reference), pays=pays)
        standing = SubscriptionStanding.ACTIVE if pays else SubscriptionStanding.PAST_DUE
        self._set(reference, standing=standing)
        self._tell_of(reference, "updated")
        return bill

    def retry(self, reference: str, *, pays: bool = True) -> Renewal:
        """The newest bill is tried again."""
        bill = self.bills[reference][-1]
        assert not bill.paid
        intent = bill.intent_reference or ""
        if pays:
            self._succeed(intent)
        tried = attrs.evolve(bill, paid=pays, tries=bill.tries + 1)
        self.bills[reference][-1] = tried
        self._set(reference, standing=SubscriptionStanding.ACTIVE if pays else SubscriptionStanding.PAST_DUE)
        self._tell_bill(reference, tried)
        self._tell_of(reference, "updated")
        return tried

    def consent(self, reference: str) -> None:
        """The payer agrees to a change (`asks_consent`)."""
        plan, quantity = self._proposed.pop(reference)
        self._set(reference, plan_reference=plan, quantity=quantity)
        self._tell_of(reference, "updated")

    def stand(self, reference: str, standing: SubscriptionStanding, raw_status: str | None = None) -> None:
        """It gets this status, and that is told."""
        ended = self.clock.now() if standing in _OVER else None
        self._set(reference, standing=standing, raw_status=raw_status or standing.value, ended_at=ended)
        self._tell_of(reference, "deleted" if ended else "updated")

    def forget_subscription(self, reference: str) -> None:
        """It is not there any more."""
        del self.subscriptions[reference]

    # The port.

    async def ensure_plan(
        self, access: Mapping[str, str], terms: PlanTerms, *, product: str | None, key: str
    ) -> ProviderPlan:
        """Kept."""

        def work() -> ProviderPlan:
            self._chargeable(terms.amount)
            plan = ProviderPlan(self._id("plan"), product or self._id("product"), terms.amount, active=True)
            self.plans[plan.reference], self._terms[plan.reference] = plan, terms
            return plan

        return self._do("ensure_plan", access, work, key, terms, product)

    async def retire_plan(self, access: Mapping[str, str], reference: str) -> None:
        """Not active any more."""

        def work() -> None:
            if reference in self.plans:
                self.plans[reference] = attrs.evolve(self.plans[reference], active=False)

        self._do("retire_plan", access, work)

    async def begin_subscription(self, access: Mapping[str, str], order: SubscriptionOrder, *, key: str) -> Begun:
        """A page at pay.fake."""

        def work() -> Begun:
            if order.plan_reference not in self.plans:
                raise ProviderRefused("There is no such plan.", code="missing", missing=True)
            page = self._id("agreement")
            self._orders[page] = order
            url = f"https://pay.fake/{page}"
            metadata = dict(order.metadata)
            self.checkouts[page] = HostedCheckout(page, url, CheckoutState.OPEN, None, None, False, None, metadata)
            return Begun(None, page, url)

        asked = (order.plan_reference, order.quantity, order.trial_days, order.customer_reference)
        return self._do("begin_subscription", access, work, key, *asked)

    async def find_subscription(self, access: Mapping[str, str], begun: Begun) -> ProviderSubscription | None:
        """What was agreed to on the page."""

        def work() -> ProviderSubscription | None:
            reference = begun.reference or self._agreed.get(begun.checkout_reference or "")
            return self.subscriptions.get(reference) if reference else None

        return self._do("find_subscription", access, work)

    async def fetch_subscription(self, access: Mapping[str, str], reference: str) -> ProviderSubscription:
        """As it is now."""
        return self._do("fetch_subscription", access, lambda: self._subscription(reference))

    async def renewals_of(
        self, access: Mapping[str, str], reference: str, since: datetime | None = None
    ) -> tuple[Renewal, ...]:
        """Its bills."""

        def work() -> tuple[Renewal, ...]:
            bills = self.bills.get(reference, [])
            return tuple(bill for bill in bills if since is None or bill.created_at >= since)

        return self._do("renewals_of", access, work)

    async def preview_change(
        self, access: Mapping[str, str], reference: str, *, plan_reference: str, quantity: int, at: datetime
    ) -> ChangePreview:
        """By the second, billed at once."""

        def work() -> ChangePreview:
            one = self._subscription(reference)
            new = self.plans[plan_reference].amount * quantity
            assert one.period_start is not None
            assert one.period_end is not None
            old = self._price(reference)
            cost = prorate(old, new, start=one.period_start, end=one.period_end, at=at, worth=old)
            nothing = Money.zero(new.currency)
            due = cost.due if cost.due.amount > 0 else nothing
            return ChangePreview(nothing - cost.credit, cost.charge, due, new, one.period_end)

        return self._do("preview_change", access, work)

    async def change_subscription(
        self,
        access: Mapping[str, str],
        reference: str,
        *,
        plan_reference: str,
        quantity: int,
        prorate: bool,
        at: datetime,
        key: str,
    ) -> ProviderSubscription:
        """At once; the difference is billed."""

        def work() -> ProviderSubscription:
            one = self._running(reference)
            if self.asks_consent:
                self._proposed[reference] = (plan_reference, quantity)
                return attrs.evolve(one, url=f"https://pay.fake/consent/{reference}")
            before = self._price(reference)
            self._set(reference, plan_reference=plan_reference, quantity=quantity)
            more = self._price(reference)
            if prorate and one.period_start and one.period_end and one.standing is SubscriptionStanding.ACTIVE:
                cost = _cost(before, more, one.period_start, one.period_end, at)
                if cost.amount > 0:
                    self._bill(reference, cost, pays=True)
            self._tell_of(reference, "updated")
            return self.subscriptions[reference]

        return self._do("change_subscription", access, work, key, reference, plan_reference, quantity, prorate)

    async def cancel_subscription(
        self, access: Mapping[str, str], reference: str, *, at_period_end: bool, reason: str, key: str
    ) -> ProviderSubscription:
        """Now, or when `renew` is told."""

        def work() -> ProviderSubscription:
            one = self._subscription(reference)
            if one.standing in _OVER:
                return one
            if at_period_end:
                changed = self._set(reference, cancel_at_period_end=True, cancel_at=one.period_end)
                self._tell_of(reference, "updated")
                return changed
            self.stand(reference, SubscriptionStanding.CANCELED)
            return self.subscriptions[reference]

        return self._do("cancel_subscription", access, work, key, reference, at_period_end)

    async def keep_subscription(self, access: Mapping[str, str], reference: str, *, key: str) -> ProviderSubscription:
        """It does not end."""

        def work() -> ProviderSubscription:
            self._running(reference)
            kept = self._set(reference, cancel_at_period_end=False, cancel_at=None)
            self._tell_of(reference, "updated")
            return kept

        return self._do("keep_subscription", access, work, key, reference)

    async def pause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """PAUSED."""

        def work() -> ProviderSubscription:
            self._running(reference)
            self.stand(reference, SubscriptionStanding.PAUSED)
            return self.subscriptions[reference]

        return self._do("pause_subscription", access, work, key, reference)

    async def unpause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """ACTIVE."""

        def work() -> ProviderSubscription:
            self._running(reference)
            self.stand(reference, SubscriptionStanding.ACTIVE)
            return self.subscriptions[reference]

        return self._do("unpause_subscription", access, work, key, reference)

    # How it works.

    def _subscription(self, reference: str) -> ProviderSubscription:
        if reference not in self.subscriptions:
            raise ProviderRefused(f"There is no {reference!r}.", code="missing", missing=True)
        return self.subscriptions[reference]

    def _running(self, reference: str) -> ProviderSubscription:
        one = self._subscription(reference)
        if one.standing in _OVER:
            raise ProviderRefused(f"The subscription is {one.raw_status}.", code="ended")
        return one

    def _price(self, reference: str) -> Money:
        one = self.subscriptions[reference]
        return self.plans[one.plan_reference or ""].amount * one.quantity

    def _bill(self, reference: str, total: Money, *, pays: bool) -> Renewal:
        one = self.subscriptions[reference]
        assert one.period_start is not None
        assert one.period_end is not None
        intent = self._begin(total, {}, one.customer_reference)
        if pays:
            self._succeed(intent.reference)
        else:
            self._change(intent.reference, state=IntentState.WAITING, failure="The card was declined.")
        number = f"F-{sum(map(len, self.bills.values())) + 1}"
        bill = Renewal(
            reference=self._id("bill"),
            number=number,
            total=total,
            tax=Money.zero(total.currency),
            description="",
            period_start=one.period_start,
            period_end=one.period_end,
            created_at=self.clock.now(),
            paid=pays,
            intent_reference=intent.reference,
            tries=0 if pays else 1,
        )
        self.bills[reference].append(bill)
        self._tell_bill(reference, bill)
        return bill

    def _set(self, reference: str, **changes: Any) -> ProviderSubscription:
        if "standing" in changes:
            changes.setdefault("raw_status", changes["standing"].value)
        self.subscriptions[reference] = attrs.evolve(self.subscriptions[reference], **changes)
        return self.subscriptions[reference]

    def _tell_of(self, reference: str, what: str) -> None:
        self._append(f"subscription.{what}", "subscription", reference, None, reference)

    def _tell_bill(self, reference: str, bill: Renewal) -> None:
        kind = "bill.paid" if bill.paid else "bill.failed"
        self._append(kind, "invoice", bill.reference, bill.intent_reference, reference)

    def _append(self, type_: str, kind: str, about: str, intent: str | None, subscription: str) -> None:
        body: dict[str, Any] = {
            "id": self._id("event"),
            "type": type_,
            "kind": kind,
            "about": about,
            "intent": intent,
            "at": int(self.clock.now().timestamp()),
            "metadata": {},
            "subscription": subscription,
        }
        self.events.append(json.dumps(body).encode())

    # What FakePayments does for all its parts.

    @abstractmethod
    def _do(
        self, name: str, access: Mapping[str, str], work: Callable[[], _T], key: str = "", *asked: object
    ) -> _T: ...

    @abstractmethod
    def _begin(self, amount: Money, metadata: Mapping[str, str], customer: str | None) -> Intent: ...

    @abstractmethod
    def _succeed(self, reference: str) -> Intent: ...

    @abstractmethod
    def _change(self, reference: str, **changes: Any) -> Intent: ...

    @abstractmethod
    def _chargeable(self, amount: Money) -> None: ...

    @abstractmethod
    def _id(self, kind: str) -> str: ...


def _cost(before: Money, after: Money, start: datetime, end: datetime, at: datetime) -> Money:
    """The name `prorate` is the port's parameter where this is used."""
    return prorate(before, after, start=start, end=end, at=at, worth=before).due
