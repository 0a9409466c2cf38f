"""What the API shows of plans and subscriptions."""

from datetime import datetime

import msgspec

from application.billing.checkout import OpenedCheckout
from application.billing.subscriptions.preview import Foreseen
from domain.billing.plans import Plan
from domain.billing.subscriptions import Planned, Subscription
from domain.money import Money
from entrypoints.api.views.billing import BilledView
from entrypoints.api.views.money import MoneyView


class PlanView(msgspec.Struct, frozen=True):
    """A plan. Each of its prices is for one unit and `interval_count` intervals; a limit of -1 is none."""

    id: str
    code: str
    name: str
    description: str
    status: str
    interval: str
    interval_count: int
    prices: list[MoneyView]
    trial_days: int
    features: list[str]
    limits: dict[str, int]
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, plan: Plan) -> "PlanView":
        return cls(
            plan.id,
            plan.code,
            plan.name,
            plan.description,
            plan.state.value,
            plan.interval.value,
            plan.count,
            [MoneyView.of(price) for price in plan.prices],
            plan.trial_days,
            list(plan.features),
            dict(plan.limits),
            plan.created_at,
            plan.updated_at,
            plan.version,
        )


class PlannedView(msgspec.Struct, frozen=True):
    """A change that waits: for the end of the period, or for `invoice_id` to be paid."""

    plan_id: str
    price: MoneyView
    quantity: int
    invoice_id: str | None

    @classmethod
    def of(cls, planned: Planned) -> "PlannedView":
        return cls(planned.plan_id, MoneyView.of(planned.price), planned.quantity, planned.invoice_id)


class SubscriptionView(msgspec.Struct, frozen=True):
    """A subscription. `url`: where the client agrees to it or pays, while they have to. `renewed_by`: provider or hub.

    `price` is for one unit, `total` for all. `credit` comes off what is due next. `retry_at`: when a failed renewal is charged
    again; `tries`: how often it failed.
    """

    id: str
    status: str
    client: BilledView
    plan_id: str
    price: MoneyView
    quantity: int
    total: MoneyView
    provider: str
    connection_id: str
    reference: str | None
    renewed_by: str
    url: str | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    access: bool
    access_until: datetime | None
    trial_ends_at: datetime | None
    cancel_at_period_end: bool
    canceled_at: datetime | None
    ended_at: datetime | None
    reason: str
    planned: PlannedView | None
    credit: MoneyView
    invoice_id: str | None
    tries: int
    retry_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, one: Subscription) -> "SubscriptionView":
        credit = Money(one.credit, one.price.currency)
        return cls(
            one.id,
            one.state.value,
            BilledView(one.client.id, one.client.name, one.client.email),
            one.plan_id,
            MoneyView.of(one.price),
            one.quantity,
            MoneyView.of(one.total),
            one.provider,
            one.connection_id,
            one.reference,
            one.renewed_by.value,
            one.url,
            one.period_start,
            one.period_end,
            one.gives_access,
            one.access_until,
            one.trial_ends_at,
            one.cancel_at_period_end,
            one.canceled_at,
            one.ended_at,
            one.reason,
            PlannedView.of(one.planned) if one.planned is not None else None,
            MoneyView.of(credit),
            one.invoice_id,
            one.tries,
            one.next_try_at if one.tries else None,
            one.created_at,
            one.updated_at,
            one.version,
        )


class SubscriptionDetail(msgspec.Struct, frozen=True):
    """A subscription with its plan, and what that gives the client: nothing while `access` is false."""

    subscription: SubscriptionView
    plan: PlanView
    access: bool
    access_until: datetime | None
    features: list[str]
    limits: dict[str, int]

    @classmethod
    def of(cls, one: Subscription, plan: Plan) -> "SubscriptionDetail":
        given = one.gives_access
        return cls(
            SubscriptionView.of(one),
            PlanView.of(plan),
            given,
            one.access_until,
            list(plan.features) if given else [],
            dict(plan.limits) if given else {},
        )


class ChangePreviewView(msgspec.Struct, frozen=True):
    """What a change would cost. `credit`: for the unused rest (not above zero); `charge`: for the new rest; `due_now`: what
    is billed at once. `computed_by`: the provider, or the hub."""

    subscription_id: str
    plan: PlanView
    price: MoneyView
    quantity: int
    credit: MoneyView
    charge: MoneyView
    due_now: MoneyView
    next_total: MoneyView
    next_at: datetime | None
    computed_by: str

    @classmethod
    def of(cls, seen: Foreseen) -> "ChangePreviewView":
        return cls(
            seen.subscription.id,
            PlanView.of(seen.plan),
            MoneyView.of(seen.price),
            seen.quantity,
            MoneyView.of(seen.credit),
            MoneyView.of(seen.charge),
            MoneyView.of(seen.due_now),
            MoneyView.of(seen.next_total),
            seen.next_at,
            seen.by.value,
        )


class CheckoutView(msgspec.Struct, frozen=True):
    """Where to send the client. `link`: the payment link, which outlives the page; only for an invoice."""

    url: str | None
    link: str | None
    invoice_id: str | None
    subscription_id: str | None

    @classmethod
    def of(cls, opened: OpenedCheckout) -> "CheckoutView":
        return cls(opened.url, opened.link, opened.invoice.id, None)

    @classmethod
    def of_subscription(cls, subscription: Subscription) -> "CheckoutView":
        return cls(subscription.url, None, subscription.invoice_id, subscription.id)
