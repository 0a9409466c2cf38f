"""Plans: what a client can subscribe to, at what price, how often."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum

import attrs

from domain.money import Currency, Money
from domain.refusals import Conflict, Fault, Invalid

NO_LIMIT = -1
"""How a plan's limits say that there is none."""

MOST_TRIAL_DAYS = 365
_CODE = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:-]{0,59}")
_MOST_WORDS = 50
_MOST_ALLOWED = 2**53 - 1
"""A JSON number that JavaScript reads exactly."""


class Interval(Enum):
    """How often a plan is charged, together with a count."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


LONGEST = {Interval.DAY: 365, Interval.WEEK: 52, Interval.MONTH: 12, Interval.YEAR: 1}
"""A year at most between two charges: the shortest bound of the providers' (PayPal, frequency of a billing cycle)."""


class PlanState(Enum):
    """Whether anybody can subscribe to it."""

    ACTIVE = "active"
    ARCHIVED = "archived"


@attrs.frozen
class Plan:
    """What a client can subscribe to. `code` is its name in the host application, unique in the organisation.

    prices: one a currency, for one unit and `count` intervals. trial_days: 0 for none. features: what the host application
    switches on. limits: how much of something it allows; -1 for no limit. How often it is charged and its trial stay as
    they were made: subscribers agreed to them, here and at the providers.
    """

    id: str
    organisation_id: str
    code: str
    name: str
    description: str
    interval: Interval
    count: int
    prices: tuple[Money, ...]
    created_at: datetime
    updated_at: datetime
    trial_days: int = 0
    features: tuple[str, ...] = ()
    limits: Mapping[str, int] = attrs.field(factory=dict)
    state: PlanState = PlanState.ACTIVE
    version: int = 1

    def __attrs_post_init__(self) -> None:
        faults = [*self._faults_of_terms(), *self._faults_of_prices(), *self._faults_of_contents()]
        if faults:
            raise Invalid(*faults)

    def price_in(self, currency: Currency, *, field: str = "currency") -> Money:
        """The price of one unit. Raises Invalid naming `field` when there is none in this currency."""
        for price in self.prices:
            if price.currency == currency:
                return price
        there = ", ".join(price.currency.code for price in self.prices)
        raise Invalid.field(field, f"The plan {self.code} has no price in {currency.code}; it has one in {there}.")

    def require_offered(self) -> None:
        """Raise Conflict when nobody can subscribe to it any more."""
        if self.state is not PlanState.ACTIVE:
            raise Conflict(f"The plan {self.code} is archived: nobody can subscribe to it any more.")

    def revise(self, now: datetime, **changes: object) -> "Plan":
        """Change name, description, prices, features or limits, or archive it. Who has subscribed keeps their price."""
        revised = attrs.evolve(self, **changes)  # type: ignore[arg-type]  # names checked by the caller
        return self if revised == self else attrs.evolve(revised, updated_at=now)

    def _faults_of_terms(self) -> Iterator[Fault]:
        if not _CODE.fullmatch(self.code):
            yield Fault("code", "A code has 1 to 60 small letters, digits, points, hyphens or underscores.")
        if not 1 <= len(self.name.strip()) <= 120:
            yield Fault("name", "A name has 1 to 120 characters.")
        if len(self.description) > 250:
            yield Fault("description", "A description has at most 250 characters.")
        if not 1 <= self.count <= LONGEST[self.interval]:
            most = LONGEST[self.interval]
            yield Fault("count", f"A plan is charged at least once a year: 1 to {most} for each {self.interval.value}.")
        if not 0 <= self.trial_days <= MOST_TRIAL_DAYS:
            yield Fault("trial_days", f"A trial has 0 to {MOST_TRIAL_DAYS} days.")

    def _faults_of_prices(self) -> Iterator[Fault]:
        if not self.prices:
            yield Fault("prices", "A plan has at least one price.")
        seen: set[str] = set()
        for index, price in enumerate(self.prices):
            if price.amount <= 0:
                yield Fault(f"prices.{index}.amount", "A price is more than nothing.")
            if price.currency.code in seen:
                yield Fault(f"prices.{index}.currency", f"There is another price in {price.currency.code}.")
            seen.add(price.currency.code)

    def _faults_of_contents(self) -> Iterator[Fault]:
        if len(self.features) > _MOST_WORDS:
            yield Fault("features", f"A plan names at most {_MOST_WORDS} features.")
        for index, feature in enumerate(self.features):
            if not _WORD.fullmatch(feature):
                yield Fault(f"features.{index}", "A feature's name has 1 to 60 letters, digits, blanks and . _ : -")
            elif feature in self.features[:index]:
                yield Fault(f"features.{index}", f"'{feature}' is named twice.")
        if len(self.limits) > _MOST_WORDS:
            yield Fault("limits", f"A plan has at most {_MOST_WORDS} limits.")
        for name, allowed in self.limits.items():
            if not _WORD.fullmatch(name):
                yield Fault("limits", "A limit's name has 1 to 60 letters, digits, blanks and . _ : -")
            elif not NO_LIMIT <= allowed <= _MOST_ALLOWED:
                yield Fault(f"limits.{name}", "A limit is a whole number, or -1 for no limit.")


@attrs.frozen
class PlanAtProvider:
    """A plan's price as a provider's account keeps it; unique by plan, price, provider and account.

    account: the Account's reference. price: the price it was made for. product: what it is a price of, where the provider
    tells the two apart.
    """

    id: str
    organisation_id: str
    plan_id: str
    provider: str
    account: str
    price: Money
    reference: str
    product: str | None
    created_at: datetime
    updated_at: datetime
    version: int = 1
