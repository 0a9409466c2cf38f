"""Plans and subscriptions that a provider keeps and renews by itself."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Protocol, runtime_checkable

import attrs

from domain.billing.plans import Interval
from domain.money import Money


@attrs.frozen
class PlanTerms:
    """A plan in one currency, as the provider is to keep it. count: intervals between charges. our_reference: the plan's
    id here, which is kept there too."""

    name: str
    description: str
    amount: Money
    interval: Interval
    count: int
    trial_days: int
    our_reference: str


@attrs.frozen
class ProviderPlan:
    """A plan at the provider. product: what it is a price of, where the provider tells the two apart."""

    reference: str
    product: str | None
    amount: Money
    active: bool


@attrs.frozen
class SubscriptionOrder:
    """What a payer is to agree to. trial_days: 0 for none. metadata comes back on the subscription and its webhooks."""

    plan_reference: str
    quantity: int
    trial_days: int
    customer_reference: str | None
    customer_email: str | None
    customer_name: str | None
    description: str
    success_url: str
    cancel_url: str
    metadata: Mapping[str, str]


class SubscriptionStanding(Enum):
    """Where a subscription stands at the provider."""

    INCOMPLETE = "incomplete"
    """The payer has not agreed yet, or the first payment is not made."""
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELED = "canceled"
    EXPIRED = "expired"
    """It ended by itself, or was never agreed to."""
    UNKNOWN = "unknown"
    """A status this version of the hub has not heard of; `raw_status` has it."""


@attrs.frozen
class Begun:
    """A subscription asked for. url: where the payer agrees. reference: the subscription's, or None until they have
    agreed (Stripe makes it then); checkout_reference: the page's, where it is a hosted checkout."""

    reference: str | None
    checkout_reference: str | None
    url: str | None


@attrs.frozen
class ProviderSubscription:
    """A subscription at the provider. cancel_at: when it ends, if that is settled. updated_at: when the provider last
    changed it, where it says so."""

    reference: str
    standing: SubscriptionStanding
    raw_status: str
    plan_reference: str | None
    quantity: int
    customer_reference: str | None
    period_start: datetime | None
    period_end: datetime | None
    trial_ends_at: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    ended_at: datetime | None
    metadata: Mapping[str, str]
    updated_at: datetime | None = None
    url: str | None = None


@attrs.frozen
class Renewal:
    """A charge of a subscription at the provider: one period's bill. reference: the bill's id there.

    intent_reference: the payment that paid it, or tried to. total: with tax; tax: of it. next_try_at: when the provider
    tries again, if it does.
    """

    reference: str
    number: str | None
    total: Money
    tax: Money
    description: str
    period_start: datetime
    period_end: datetime
    created_at: datetime
    paid: bool
    intent_reference: str | None
    tries: int = 0
    next_try_at: datetime | None = None


@attrs.frozen
class ChangePreview:
    """What a change would cost. credit: for the unused rest (not above zero). charge: for the new rest. due_now: both
    together, as the provider would bill it now (0 when it goes on the next bill). next_total: the next bill."""

    credit: Money
    charge: Money
    due_now: Money
    next_total: Money
    next_at: datetime


@runtime_checkable
class Plans(Protocol):
    """A provider that keeps plans. All methods raise as PaymentProvider's do."""

    @abstractmethod
    async def ensure_plan(
        self, access: Mapping[str, str], terms: PlanTerms, *, product: str | None, key: str
    ) -> ProviderPlan:
        """Make the plan; under `product` where one is there already for other terms of it."""

    @abstractmethod
    async def retire_plan(self, access: Mapping[str, str], reference: str) -> None:
        """Nobody can subscribe to it any more; who has goes on. Nothing happens when it is retired, or not there."""


@runtime_checkable
class Subscriptions(Protocol):
    """A provider that renews subscriptions by itself. All methods raise as PaymentProvider's do.

    What the manifest says the provider lacks (domain/connections/abilities.py) is not asked of it.
    """

    @abstractmethod
    async def begin_subscription(self, access: Mapping[str, str], order: SubscriptionOrder, *, key: str) -> Begun:
        """Open what lets the payer agree."""

    @abstractmethod
    async def find_subscription(self, access: Mapping[str, str], begun: Begun) -> ProviderSubscription | None:
        """The subscription that came of it; None while the payer has not agreed."""

    @abstractmethod
    async def fetch_subscription(self, access: Mapping[str, str], reference: str) -> ProviderSubscription:
        """The subscription as it is now."""

    @abstractmethod
    async def renewals_of(
        self, access: Mapping[str, str], reference: str, since: datetime | None = None
    ) -> tuple[Renewal, ...]:
        """Its charges made at or after `since`, oldest first, to the last page; also those that failed."""

    @abstractmethod
    async def preview_change(
        self, access: Mapping[str, str], reference: str, *, plan_reference: str, quantity: int, at: datetime
    ) -> ChangePreview:
        """What changing it at that moment would cost."""

    @abstractmethod
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
        """Change plan or quantity. A provider that needs the payer's consent answers with `url`, and changes it then."""

    @abstractmethod
    async def cancel_subscription(
        self, access: Mapping[str, str], reference: str, *, at_period_end: bool, reason: str, key: str
    ) -> ProviderSubscription:
        """End it, now or when what was paid for is used up. One that has ended is returned as it is."""

    @abstractmethod
    async def keep_subscription(self, access: Mapping[str, str], reference: str, *, key: str) -> ProviderSubscription:
        """Take back an end that was set for later."""

    @abstractmethod
    async def pause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """Charge nothing until it goes on."""

    @abstractmethod
    async def unpause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """Let a paused one go on."""
