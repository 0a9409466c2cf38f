"""Subscriptions: a client, a plan, and who charges for the next period."""

from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.billing.invoices import Billed, Period
from domain.money import Money
from domain.refusals import Conflict, Invalid

MOST_UNITS = 1_000_000

TRIAL_NOTICE = timedelta(days=3)
"""So long before its end a trial's end is told."""

AGREED_WITHIN = timedelta(days=7)
"""A subscription that nobody agreed to in this time is expired, and so is a change whose difference was not paid."""


class SubscriptionState(Enum):
    """Where a subscription stands."""

    INCOMPLETE = "incomplete"
    """The client has not agreed yet, or the first payment is not made."""
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELED = "canceled"
    EXPIRED = "expired"
    """The client never agreed."""
    UNKNOWN = "unknown"
    """The provider's word for it is not known to this version of the hub."""


class RenewedBy(Enum):
    """Who charges for the next period."""

    PROVIDER = "provider"
    HUB = "hub"


OVER = (SubscriptionState.CANCELED, SubscriptionState.EXPIRED)

_IN_USE = (SubscriptionState.TRIALING, SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE)


@attrs.frozen
class Planned:
    """A change of plan or quantity that waits: for the end of the period, or for the difference to be paid.

    invoice_id: over the difference; None at the period's end. anew: whether a new period begins with it. credit: how much of
    the subscription's credit the invoice takes off, which is used up once it is paid; in minor units of the price's currency.
    """

    plan_id: str
    price: Money
    quantity: int
    invoice_id: str | None = None
    anew: bool = False
    credit: int = 0


@attrs.frozen
class Subscription:
    """A client's subscription to a plan.

    price: for one unit and one period. reference: the provider's id, None until it has one. began_reference: what lets the
    client agree (a hosted page's id), `url` its address, or where the first invoice is paid. lost_method: the SHA-256 of a
    kept method that can never be charged again (a stolen card's).
    period_start, period_end: what is paid for. tries: failed charges of the period that is due; next_try_at: when the hub
    charges again. account: the provider's account. seen_at: the provider's time of what we know (only where it says so).
    """

    id: str
    organisation_id: str
    client: Billed
    plan_id: str
    price: Money
    quantity: int
    provider: str
    connection_id: str
    account: str
    renewed_by: RenewedBy
    created_at: datetime
    updated_at: datetime
    state: SubscriptionState = SubscriptionState.INCOMPLETE
    reference: str | None = None
    began_reference: str | None = None
    url: str | None = None
    lost_method: str | None = None
    anchor: datetime | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    trial_ends_at: datetime | None = None
    cancel_at_period_end: bool = False
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""
    planned: Planned | None = None
    tries: int = 0
    next_try_at: datetime | None = None
    invoice_id: str | None = None
    """The invoice of the period that is being charged."""
    seen_at: datetime | None = None
    worth: int = 0
    """What was paid for this period, credits of earlier ones counted, in minor units of the price's currency."""
    credit: int = 0
    """What is still to be taken off the next bill, likewise."""
    trial_told: bool = False
    """Whether it was told that the trial is about to end."""
    client_id: str = ""
    """The client's, to find it by; set by itself."""
    version: int = 1

    def __attrs_post_init__(self) -> None:
        if not self.client_id:
            object.__setattr__(self, "client_id", self.client.id)
        if not 1 <= self.quantity <= MOST_UNITS:
            raise Invalid.field("quantity", f"A quantity is a whole number from 1 to {MOST_UNITS}.")

    @property
    def total(self) -> Money:
        """For one period, without tax."""
        return self.price * self.quantity

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.state in OVER

    @property
    def gives_access(self) -> bool:
        """Whether the client has what the plan gives: also while a failed renewal is tried again."""
        return self.state in _IN_USE

    @property
    def access_until(self) -> datetime | None:
        """The end of what is paid for (or of the trial); when it ended, for one that is over. None before it began."""
        if self.state is SubscriptionState.INCOMPLETE:
            return None
        return self.ended_at or self.period_end if self.over else self.period_end

    def require(self, *states: SubscriptionState, to: str) -> None:
        """Raise Conflict unless it is in one of these states. `to`: what was to be done, for the text."""
        if self.state not in states:
            raise Conflict(f"The subscription is {self.state.value.replace('_', ' ')}; it cannot be {to}.")

    # Renewed by the hub.

    def due(self, now: datetime) -> bool:
        """Whether there may be something to do for it: a period that is over, or something that waits to be paid."""
        change = self.planned.invoice_id if self.planned is not None else None
        waits = self.invoice_id is not None or change is not None
        return waits or (self.period_end is not None and self.period_end <= now)

    def on_trial(self, until: datetime, now: datetime) -> "Subscription":
        """It begins with a trial, which costs nothing; its end is what the periods are counted from."""
        return attrs.evolve(
            self,
            state=SubscriptionState.TRIALING,
            anchor=until,
            period_start=now,
            period_end=until,
            trial_ends_at=until,
            updated_at=now,
        )

    def charging(self, invoice_id: str | None, credit_left: int, now: datetime) -> "Subscription":
        """The next period's invoice is written and to be charged at once; None when credit pays for all of it."""
        return attrs.evolve(
            self, invoice_id=invoice_id, credit=credit_left, next_try_at=now if invoice_id else None, updated_at=now
        )

    def paid(self, period: Period, worth: int, now: datetime) -> "Subscription":
        """This period is paid for. One that was paid for already, or that came too late, changes nothing."""
        if self.over or (self.period_start is not None and period.start < self.period_start):
            return self
        if period.start == self.period_start and self.worth:
            return self
        return attrs.evolve(
            self,
            state=SubscriptionState.PAUSED if self.state is SubscriptionState.PAUSED else SubscriptionState.ACTIVE,
            anchor=self.anchor or period.start,
            period_start=period.start,
            period_end=period.end,
            worth=worth,
            tries=0,
            next_try_at=None,
            invoice_id=None,
            url=None,
            updated_at=now,
        )

    def failed(self, retries: tuple[int, ...], now: datetime) -> "Subscription":
        """A charge failed: it is past due and tried again after so many days; `next_try_at` is None when that was the last."""
        again = now + timedelta(days=retries[self.tries]) if self.tries < len(retries) else None
        return attrs.evolve(
            self, state=SubscriptionState.PAST_DUE, tries=self.tries + 1, next_try_at=again, updated_at=now
        )

    def failed_for_good(self, retries: tuple[int, ...], now: datetime) -> "Subscription":
        """The method can never be charged again: one more try, with another method, after the longest wait; then the end."""
        again = now + timedelta(days=max(retries)) if self.tries < len(retries) else None
        tried = max(len(retries), self.tries + 1)
        return attrs.evolve(self, state=SubscriptionState.PAST_DUE, tries=tried, next_try_at=again, updated_at=now)

    def ended(self, reason: str, now: datetime) -> "Subscription":
        """Over, now. One that is over stays as it is."""
        if self.over:
            return self
        agreed = self.state is not SubscriptionState.INCOMPLETE
        return attrs.evolve(
            self,
            state=SubscriptionState.CANCELED if agreed else SubscriptionState.EXPIRED,
            canceled_at=self.canceled_at or now,
            ended_at=now,
            reason=self.reason or reason,
            planned=None,
            next_try_at=None,
            invoice_id=None,
            url=None,
            updated_at=now,
        )

    def ending(self, reason: str, now: datetime) -> "Subscription":
        """It ends with the period that is paid for."""
        self.require(SubscriptionState.TRIALING, SubscriptionState.ACTIVE, to="canceled for the end of its period")
        return attrs.evolve(self, cancel_at_period_end=True, canceled_at=now, reason=reason, updated_at=now)

    def kept(self, now: datetime) -> "Subscription":
        """The end that was set is taken back."""
        if self.over:
            raise Conflict("The subscription has ended; make a new one.")
        if not self.cancel_at_period_end:
            raise Conflict("No end is set for the subscription: there is nothing to take back.")
        return attrs.evolve(self, cancel_at_period_end=False, canceled_at=None, reason="", updated_at=now)

    def paused(self, now: datetime) -> "Subscription":
        """Nothing is charged until it goes on."""
        self.require(SubscriptionState.TRIALING, SubscriptionState.ACTIVE, to="paused")
        if self.invoice_id is not None:
            raise Conflict("The next period is being charged just now; pause it when that is done.")
        return attrs.evolve(self, state=SubscriptionState.PAUSED, updated_at=now)

    def unpaused(self, now: datetime) -> "Subscription":
        """It goes on: with what is left of the period or trial, else with a new period that is due at once."""
        self.require(SubscriptionState.PAUSED, to="taken up again")
        if self.period_end is not None and now < self.period_end:
            trial = self.trial_ends_at is not None and now < self.trial_ends_at
            state = SubscriptionState.TRIALING if trial else SubscriptionState.ACTIVE
            return attrs.evolve(self, state=state, updated_at=now)
        return attrs.evolve(self, state=SubscriptionState.ACTIVE, anchor=now, period_end=now, updated_at=now)

    def changed(self, change: Planned, now: datetime) -> "Subscription":
        """The plan, its price and the quantity are these from now on."""
        return attrs.evolve(
            self,
            plan_id=change.plan_id,
            price=change.price,
            quantity=change.quantity,
            planned=None,
            credit=self.credit - change.credit,
            updated_at=now,
        )
