"""A shop at Stripe: its sandbox at the beginning of a month, and the adapter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import attrs

from adapters.providers.stripe.payments import StripePayments
from application.ports.recurring import ProviderSubscription
from application.ports.settlements import Settled
from domain.money import Currency
from tests.contract.stripe_billing_calls import subscribed, terms
from tests.contract.stripe_sandbox import KEY, Stage, staged

ACCESS = {"secret_key": KEY}
USD = Currency("USD")


@attrs.frozen
class Shop:
    """A sandbox and the adapter."""

    stage: Stage
    stripe: StripePayments

    async def plan(self, price: str = "125.00", **more: object) -> str:
        """A plan of a month."""
        return (
            await self.stripe.ensure_plan(ACCESS, terms(price, **more), product=None, key=f"p{price}{more}")
        ).reference

    async def subscribed(self, plan: str, trial_days: int = 0) -> ProviderSubscription:
        """To two of it."""
        return await subscribed(self.stage, self.stripe, ACCESS, plan, trial_days=trial_days)

    async def now(self, subscription: ProviderSubscription) -> ProviderSubscription:
        """As it is now."""
        return await self.stripe.fetch_subscription(ACCESS, subscription.reference)

    async def types(self) -> list[str]:
        """Of the events so far, oldest first."""
        rows = (await self.stage.api("GET", "/v1/events", limit="100")).json()["data"]
        return [row["type"] for row in reversed(rows)]

    async def listed(self) -> list[Settled]:
        """What moved today and yesterday, newest first."""
        now, day = self.stage.clock.now(), timedelta(days=1)
        return [line async for line in self.stripe.settled_between(ACCESS, now - day, now + day)]


@asynccontextmanager
async def opened() -> AsyncIterator[Shop]:
    """On 1 November 2026, so that a period's length is known."""
    async with staged(now=datetime(2026, 11, 1, tzinfo=UTC)) as stage:
        await stage.control("rate", per_second=100_000)
        stripe = StripePayments(stage.base)
        yield Shop(stage, stripe)
        await stripe.aclose()
