"""Flutterwave's payment plans. Nobody is subscribed to them by the hub, which renews by itself; they are kept so that the
dashboard and other systems of the account know them."""

from collections.abc import Mapping

from adapters.providers.flutterwave import mapping
from adapters.providers.flutterwave.client import FlutterwaveApi
from application.ports.payments import ProviderRefused, RetryLater
from application.ports.recurring import Plans, PlanTerms, ProviderPlan

_NAME = 150
"""Characters of a plan's name (Flutterwave/Node-v3, services/payment-plans)."""


class PaymentPlans(Plans):
    """Plans. Flutterwave knows no keys for them: our reference is in the name, by which a plan is found again."""

    _api: FlutterwaveApi

    async def ensure_plan(
        self, access: Mapping[str, str], terms: PlanTerms, *, product: str | None, key: str
    ) -> ProviderPlan:
        """The plan with these terms; made where there is none. Raises ProviderRefused for an interval that Flutterwave
        does not have."""
        interval = mapping.INTERVALS.get((terms.interval, terms.count))
        if interval is None:
            raise ProviderRefused(
                "Flutterwave's plans are daily, weekly, monthly, quarterly or yearly.",
                code="interval",
                field="interval",
            )
        tail = f" [{terms.our_reference}]"
        name = terms.name.strip()[: _NAME - len(tail)] + tail
        async for row in self._api.pages(access, "/payment-plans", {}):
            same = (row.get("interval"), row.get("currency")) == (interval, terms.amount.currency.code)
            if same and row.get("status") == "active" and str(row.get("name")).endswith(tail):
                plan = mapping.plan_of(row)
                if plan.amount == terms.amount:
                    return plan
        envelope = await self._api.ask(
            access,
            "POST",
            "/payment-plans",
            body={
                "name": name,
                "amount": mapping.to_wire(terms.amount),
                "currency": terms.amount.currency.code,
                "interval": interval,
            },
        )
        data = envelope.get("data")
        if not isinstance(data, Mapping) or not data.get("id"):
            raise RetryLater("Flutterwave's answer has no plan in it.", may_have_happened=True)
        return mapping.plan_of(data)

    async def retire_plan(self, access: Mapping[str, str], reference: str) -> None:
        """Cancel it. One that is cancelled already, or not there, stays as it is."""
        if not (reference.isascii() and reference.isdigit()):
            return
        try:
            await self._api.ask(access, "PUT", f"/payment-plans/{reference}/cancel", body={})
        except ProviderRefused as refused:
            if not refused.missing and "cancel" not in refused.code:
                raise
