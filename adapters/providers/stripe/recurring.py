"""Plans and subscriptions that Stripe keeps: Prices of Products, and Subscriptions begun on its hosted page.

To pause is `pause_collection` with `void`: every account and API version has it, the periods go on, and their bills are
void. The newer `pause` call is only for subscriptions in flexible billing; one that was paused by it is resumed by
`resume`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stripe.params import InvoiceCreatePreviewParams, InvoiceListParams, ProductCreateParams, SubscriptionUpdateParams
from stripe.params.checkout import SessionCreateParams

from adapters.providers.stripe import amounts, mapping, mapping_recurring
from adapters.providers.stripe.calls import PAGE, StripeCalls, plain
from adapters.providers.stripe.client import plain_errors
from adapters.providers.stripe.mapping import KEY
from application.ports.payments import ProviderRefused
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

_NAME = 250
_DESCRIPTION = 500
_ENDED = (SubscriptionStanding.CANCELED, SubscriptionStanding.EXPIRED)


class StripeRecurring(StripeCalls, Plans, Subscriptions):
    """What is charged again and again."""

    async def ensure_plan(
        self, access: Mapping[str, str], terms: PlanTerms, *, product: str | None, key: str
    ) -> ProviderPlan:
        """A Price whose lookup key is `key`, by which it is found again; under a new Product unless one is there."""
        client = self._open(access)
        with plain_errors(writes=True):
            found = await client.v1.prices.list_async({"lookup_keys": [key], "limit": 1})
            if found.data:
                return mapping_recurring.plan_of(plain(found.data[0]))
            if product is None:
                asked: ProductCreateParams = {
                    "name": terms.name[:_NAME],
                    "metadata": {"patchbay_plan": terms.our_reference},
                }
                if terms.description.strip():
                    asked["description"] = terms.description.strip()[:_DESCRIPTION]
                made = await client.v1.products.create_async(asked, {"idempotency_key": f"{key}/product"})
                product = made.id
            price = await client.v1.prices.create_async(
                {
                    "product": product,
                    "currency": terms.amount.currency.code.lower(),
                    "unit_amount": amounts.to_stripe(terms.amount),
                    "recurring": {"interval": terms.interval.value, "interval_count": terms.count},
                    "lookup_key": key,
                    "metadata": {"patchbay_plan": terms.our_reference},
                },
                {"idempotency_key": f"{key}/price"},
            )
        return mapping_recurring.plan_of(plain(price))

    async def retire_plan(self, access: Mapping[str, str], reference: str) -> None:
        """The Price is no longer active."""
        try:
            with plain_errors(writes=True):
                await self._open(access).v1.prices.update_async(reference, {"active": False})
        except ProviderRefused as refused:
            if not refused.missing:
                raise

    async def begin_subscription(self, access: Mapping[str, str], order: SubscriptionOrder, *, key: str) -> Begun:
        """A hosted page; the Subscription is made when the payer has agreed on it."""
        metadata = {**order.metadata, KEY: key}
        params: SessionCreateParams = {
            "mode": "subscription",
            "line_items": [{"price": order.plan_reference, "quantity": order.quantity}],
            "subscription_data": {"metadata": metadata},
            "metadata": metadata,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
        }
        if order.description.strip():
            params["subscription_data"]["description"] = order.description.strip()[:_DESCRIPTION]
        if order.trial_days:
            params["subscription_data"]["trial_period_days"] = order.trial_days
        if order.customer_reference:
            params["customer"] = order.customer_reference
        elif order.customer_email:
            params["customer_email"] = order.customer_email
        with plain_errors(writes=True):
            session = await self._open(access).v1.checkout.sessions.create_async(params, {"idempotency_key": key})
        return Begun(mapping.reference_of(plain(session).get("subscription")), session.id, session.url)

    async def find_subscription(self, access: Mapping[str, str], begun: Begun) -> ProviderSubscription | None:
        """By the hosted page that it was begun on."""
        reference = begun.reference
        if reference is None and begun.checkout_reference is not None:
            with plain_errors(writes=False):
                session = await self._open(access).v1.checkout.sessions.retrieve_async(begun.checkout_reference)
            reference = mapping.reference_of(plain(session).get("subscription"))
        return await self.fetch_subscription(access, reference) if reference else None

    async def fetch_subscription(self, access: Mapping[str, str], reference: str) -> ProviderSubscription:
        """The Subscription as it is now."""
        return mapping_recurring.subscription_of(await self._subscription(access, reference))

    async def renewals_of(
        self, access: Mapping[str, str], reference: str, since: datetime | None = None
    ) -> tuple[Renewal, ...]:
        """Its invoices that ask for money, also those of a change of plan."""
        asked: InvoiceListParams = {"subscription": reference, "limit": PAGE, "expand": ["data.payments"]}
        if since is not None:
            asked["created"] = {"gte": int(since.timestamp())}
        with plain_errors(writes=False):
            page = await self._open(access).v1.invoices.list_async(asked)
            rows = [plain(invoice) async for invoice in page.auto_paging_iter()]
        return mapping_recurring.renewals_in(rows)

    async def preview_change(
        self, access: Mapping[str, str], reference: str, *, plan_reference: str, quantity: int, at: datetime
    ) -> ChangePreview:
        """Stripe's own preview of the change's invoice and of the next one."""
        item = mapping_recurring.item_of(await self._subscription(access, reference))
        items: Any = [{"id": item, "price": plan_reference, "quantity": quantity}]
        now: InvoiceCreatePreviewParams = {
            "subscription": reference,
            "subscription_details": {
                "items": items,
                "proration_behavior": "always_invoice",
                "proration_date": int(at.timestamp()),
            },
        }
        following: InvoiceCreatePreviewParams = {
            "subscription": reference,
            "subscription_details": {"items": items, "proration_behavior": "none"},
        }
        client = self._open(access)
        with plain_errors(writes=False):
            bills = [plain(await client.v1.invoices.create_preview_async(asked)) for asked in (now, following)]
        return mapping_recurring.preview_of(*bills)

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
        """What it costs now is charged at once; if that is declined, Stripe refuses and nothing is changed."""
        item = mapping_recurring.item_of(await self._subscription(access, reference))
        changes: SubscriptionUpdateParams = {
            "items": [{"id": item, "price": plan_reference, "quantity": quantity}],
            "proration_behavior": "always_invoice" if prorate else "none",
            "payment_behavior": "error_if_incomplete",
        }
        if prorate:
            changes["proration_date"] = int(at.timestamp())
        return await self._update(access, reference, changes, key)

    async def cancel_subscription(
        self, access: Mapping[str, str], reference: str, *, at_period_end: bool, reason: str, key: str
    ) -> ProviderSubscription:
        """Now: without a last bill and without paying anything back."""
        details: Any = {"comment": reason.strip()[:_DESCRIPTION]} if reason.strip() else None
        try:
            if at_period_end:
                changes: SubscriptionUpdateParams = {"cancel_at_period_end": True}
                if details:
                    changes["cancellation_details"] = details
                return await self._update(access, reference, changes, key)
            with plain_errors(writes=True):
                ended = await self._open(access).v1.subscriptions.cancel_async(
                    reference, {"cancellation_details": details} if details else {}
                )
        except ProviderRefused:
            now = await self.fetch_subscription(access, reference)
            if now.standing in _ENDED:
                return now
            raise
        return mapping_recurring.subscription_of(plain(ended))

    async def keep_subscription(self, access: Mapping[str, str], reference: str, *, key: str) -> ProviderSubscription:
        """Take the end back."""
        return await self._update(access, reference, {"cancel_at_period_end": False}, key)

    async def pause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """Its bills are void until it goes on. Stripe keeps no reason for this."""
        return await self._update(access, reference, {"pause_collection": {"behavior": "void"}}, key)

    async def unpause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """Collect again. One that Stripe itself paused (a trial that ended without a method) is resumed."""
        now = await self._subscription(access, reference)
        if now["status"] != "paused":
            return await self._update(access, reference, {"pause_collection": ""}, key)
        with plain_errors(writes=True):
            resumed = await self._open(access).v1.subscriptions.resume_async(reference, {}, {"idempotency_key": key})
        return mapping_recurring.subscription_of(plain(resumed))

    async def _subscription(self, access: Mapping[str, str], reference: str) -> dict[str, Any]:
        with plain_errors(writes=False):
            return plain(await self._open(access).v1.subscriptions.retrieve_async(reference))

    async def _update(
        self, access: Mapping[str, str], reference: str, changes: SubscriptionUpdateParams, key: str
    ) -> ProviderSubscription:
        with plain_errors(writes=True):
            now = await self._open(access).v1.subscriptions.update_async(reference, changes, {"idempotency_key": key})
        return mapping_recurring.subscription_of(plain(now))
