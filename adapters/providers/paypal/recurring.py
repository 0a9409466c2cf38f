"""Plans and subscriptions at PayPal (Catalog Products, Plans and Subscriptions v1).

PayPal ends a subscription at once, has no proration and takes back no end: the manifest says that the hub does those. A
trial is a start that lies ahead, so that a client who had one already gets none with the same plan.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from adapters.providers.paypal import mapping, notes
from adapters.providers.paypal import subscriptions as words
from adapters.providers.paypal.opened import Opened
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
from domain.billing.plans import LONGEST
from domain.ids import made_at
from domain.refusals import Invalid

_NAME = 127
_PRODUCT = "PATCHBAY-SUBSCRIPTIONS"
_REASON = 128
_FAILURES = 2
"""Failed charges after which PayPal suspends a subscription. It tries each charge again twice, five days apart."""
_SINCE = timedelta(days=3 * 365)
_NOT_SO = ("SUBSCRIPTION_STATUS_INVALID", "SUBSCRIPTION_CANNOT_BE_ACTIVATED")
_OVER = (SubscriptionStanding.CANCELED, SubscriptionStanding.EXPIRED)


class PayPalRecurring(Opened, Plans, Subscriptions):
    """The part of the adapter that has PayPal renew."""

    async def ensure_plan(
        self, access: Mapping[str, str], terms: PlanTerms, *, product: str | None, key: str
    ) -> ProviderPlan:
        """A plan with one regular cycle that never ends, under the product that all plans share."""
        if not 1 <= terms.count <= LONGEST[terms.interval]:
            most = LONGEST[terms.interval]
            raise Invalid.field("count", f"PayPal charges after at most {most} {terms.interval.value}s.")
        product = product or await self._product(access, key)
        cycle = {
            "frequency": {"interval_unit": terms.interval.name, "interval_count": terms.count},
            "tenure_type": "REGULAR",
            "sequence": 1,
            "total_cycles": 0,
            "pricing_scheme": {"fixed_price": mapping.wire(terms.amount)},
        }
        body: dict[str, Any] = {
            "product_id": product,
            "name": terms.name[:_NAME],
            "status": "ACTIVE",
            "billing_cycles": [cycle],
            "payment_preferences": {"auto_bill_outstanding": True, "payment_failure_threshold": _FAILURES},
            "quantity_supported": True,
        }
        if terms.description.strip():
            body["description"] = terms.description.strip()[:_NAME]
        plan = (await self._client.call(access, "POST", "/v1/billing/plans", body=body, key=key, writes=True)).body
        return ProviderPlan(str(plan["id"]), product, terms.amount, plan.get("status", "ACTIVE") == "ACTIVE")

    async def retire_plan(self, access: Mapping[str, str], reference: str) -> None:
        """Deactivate it."""
        try:
            await self._client.call(access, "POST", f"/v1/billing/plans/{reference}/deactivate", writes=True)
        except ProviderRefused as refused:
            if not refused.missing and refused.code != "PLAN_STATUS_INVALID":
                raise

    async def begin_subscription(self, access: Mapping[str, str], order: SubscriptionOrder, *, key: str) -> Begun:
        """A subscription that its payer has yet to agree to at PayPal."""
        context = {
            "user_action": "SUBSCRIBE_NOW",
            "shipping_preference": "NO_SHIPPING",
            "return_url": order.success_url,
            "cancel_url": order.cancel_url,
        }
        body: dict[str, Any] = {
            "plan_id": order.plan_reference,
            "quantity": str(order.quantity),
            "application_context": context,
        }
        note = notes.Note(order.metadata).text
        if note:
            body["custom_id"] = note
        if order.trial_days:
            # By the key's own time: asked again, it is the same question.
            begun_at = made_at(key) or self._clock.now()
            body["start_time"] = mapping.stamp(begun_at + timedelta(days=order.trial_days))
        if mapping.is_email(order.customer_email):
            body["subscriber"] = {"email_address": order.customer_email}
        answer = await self._client.call(access, "POST", "/v1/billing/subscriptions", body=body, key=key, writes=True)
        return Begun(str(answer.field("id")), None, mapping.link(answer.body, "approve"))

    async def find_subscription(self, access: Mapping[str, str], begun: Begun) -> ProviderSubscription | None:
        """By its id. None while the payer has not agreed."""
        if begun.reference is None:
            return None
        found = await self.fetch_subscription(access, begun.reference)
        return None if found.raw_status == "APPROVAL_PENDING" else found

    async def fetch_subscription(self, access: Mapping[str, str], reference: str) -> ProviderSubscription:
        """The subscription as it is now."""
        return words.subscription_of(await self._subscription(access, reference), self._clock.now())

    async def renewals_of(
        self, access: Mapping[str, str], reference: str, since: datetime | None = None
    ) -> tuple[Renewal, ...]:
        """One bill for each period: its transactions are tries to charge for it, of which the last may have gone well.

        PayPal does not say which period one pays, so a period is what begins after the charge before it; all of them are
        read each time, so that its number stays the same.
        """
        subscription = await self._subscription(access, reference, with_plan=True)
        now = self._clock.now()
        query: dict[str, str | int] = {
            "start_time": mapping.stamp(mapping.moment(subscription.get("create_time")) or now - _SINCE),
            # A little beyond: what was charged this second is wanted too.
            "end_time": mapping.stamp(now + timedelta(minutes=5)),
        }
        path = f"/v1/billing/subscriptions/{reference}/transactions"
        answer = await self._client.call(access, "GET", path, query=query, writes=False)
        bills = words.bills_of(answer.field("transactions") or (), subscription)
        return tuple(bill for at, bill in bills if since is None or at >= since)

    async def preview_change(
        self, access: Mapping[str, str], reference: str, *, plan_reference: str, quantity: int, at: datetime
    ) -> ChangePreview:
        """PayPal has no proration to preview."""
        raise ProviderRefused("PayPal does not say what a change would cost; the hub does.", code="NOT_OFFERED")

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
        """Ask for the change, which holds from the next charge; the payer agrees to it at `url`."""
        body = {"plan_id": plan_reference, "quantity": str(quantity)}
        path = f"/v1/billing/subscriptions/{reference}/revise"
        answer = await self._client.call(access, "POST", path, body=body, key=key, writes=True)
        now = await self._subscription(access, reference)
        return words.subscription_of(now, self._clock.now(), url=mapping.link(answer.body, "approve"))

    async def cancel_subscription(
        self, access: Mapping[str, str], reference: str, *, at_period_end: bool, reason: str, key: str
    ) -> ProviderSubscription:
        """End it now. Raises ProviderRefused for an end that lies ahead, which PayPal does not know."""
        if at_period_end:
            raise ProviderRefused(
                "PayPal ends a subscription at once only; the hub waits for the time.", code="NOT_OFFERED"
            )
        return await self._moved(access, reference, "cancel", reason or "Ended by the merchant")

    async def keep_subscription(self, access: Mapping[str, str], reference: str, *, key: str) -> ProviderSubscription:
        """PayPal knows no end that lies ahead."""
        raise ProviderRefused("PayPal takes back no end; the hub does while it lies ahead.", code="NOT_OFFERED")

    async def pause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """Suspend it."""
        return await self._moved(access, reference, "suspend", reason or "Paused by the merchant")

    async def unpause_subscription(
        self, access: Mapping[str, str], reference: str, *, reason: str, key: str
    ) -> ProviderSubscription:
        """Activate it."""
        return await self._moved(access, reference, "activate", reason or "Resumed by the merchant")

    async def _moved(self, access: Mapping[str, str], reference: str, verb: str, reason: str) -> ProviderSubscription:
        """One that is there already is returned as it is."""
        path = f"/v1/billing/subscriptions/{reference}/{verb}"
        there = {"cancel": _OVER, "suspend": (SubscriptionStanding.PAUSED,), "activate": words.GOING}[verb]
        try:
            await self._client.call(access, "POST", path, body={"reason": reason.strip()[:_REASON]}, writes=True)
        except ProviderRefused as refused:
            if refused.code not in _NOT_SO:
                raise
            now = await self.fetch_subscription(access, reference)
            if now.standing not in there:
                raise
            return now
        return await self.fetch_subscription(access, reference)

    async def _subscription(
        self, access: Mapping[str, str], reference: str, *, with_plan: bool = False
    ) -> Mapping[str, Any]:
        path = f"/v1/billing/subscriptions/{reference}"
        query: dict[str, str | int] = {"fields": "plan"} if with_plan else {}
        answer = await self._client.call(access, "GET", path, query=query or None, writes=False)
        if not isinstance(answer.body, dict) or not answer.body.get("id"):
            raise ProviderRefused("PayPal answered without a subscription.", code="answer_unreadable")
        return answer.body

    async def _product(self, access: Mapping[str, str], key: str) -> str:
        """The one product of all plans, made where it is not there: PayPal changes a subscription's plan only within one."""
        id_ = _PRODUCT
        body: dict[str, Any] = {"id": id_, "name": "Subscriptions", "type": "SERVICE"}
        path = "/v1/catalogs/products"
        try:
            await self._client.call(access, "POST", path, body=body, key=f"{key}-product", writes=True)
        except ProviderRefused as refused:
            try:
                await self._client.call(access, "GET", f"{path}/{id_}", writes=False)
            except ProviderRefused:
                raise refused from refused.__cause__
        return id_
