"""Subscriptions: a client, a plan, and who charges for the next period."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.billing.checkout import OpenCheckout
from application.billing.subscriptions.cancel import CancelSubscription, ResumeSubscription
from application.billing.subscriptions.change import ChangeSubscription
from application.billing.subscriptions.create import CreateSubscription
from application.billing.subscriptions.current import chosen
from application.billing.subscriptions.pause import PauseSubscription
from application.billing.subscriptions.preview import ChangeAsked, PreviewChange
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.billing.subscriptions import SubscriptionState
from domain.organisations import Scope
from domain.refusals import Invalid
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.invoices import Decimal
from entrypoints.api.paging import Listing, listing
from entrypoints.api.versions import versioned
from entrypoints.api.views.recurring import ChangePreviewView, CheckoutView, SubscriptionDetail, SubscriptionView

Url = Annotated[str, msgspec.Meta(max_length=2000)]
Reason = Annotated[str, msgspec.Meta(max_length=500)]
Id = Annotated[str | None, QueryParameter(name="subscription_id", required=False)]
Client = Annotated[str | None, QueryParameter(name="client_id", required=False)]


class SubscriptionCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A client and a plan (its code or id). `currency`: needed where the plan has several prices. `trial_days`: instead of
    the plan's own. `success_url`, `cancel_url`: where the client goes from the provider's page; else to a page of the hub."""

    client_id: str
    plan: str
    currency: str | None = None
    provider: str | None = None
    quantity: int = 1
    trial_days: int | None = None
    success_url: Url | None = None
    cancel_url: Url | None = None


class Which(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which subscription: by its id, or as the client's only one."""

    subscription_id: str | None = None
    client_id: str | None = None


class CancelAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which subscription, and when: now, or at the end of what is paid for."""

    subscription_id: str | None = None
    client_id: str | None = None
    at_period_end: bool = False
    reason: Reason = ""


class PauseAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which subscription, and why."""

    subscription_id: str | None = None
    client_id: str | None = None
    reason: Reason = ""


class ChangeGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which subscription, and what it is to become. `prorate`: whether the rest of the period is set off; left out, it is
    where it can be. `at_period_end`: the change waits for the next period."""

    subscription_id: str | None = None
    client_id: str | None = None
    plan: str | None = None
    quantity: int | None = None
    prorate: bool | None = None
    at_period_end: bool = False

    def asked(self) -> ChangeAsked:
        return ChangeAsked(self.plan, self.quantity, self.prorate, self.at_period_end)


class CheckoutAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is to be paid for: a `plan`, an `invoice_id`, or an `amount` in a `currency`. A plan and an amount need a
    `client_id`."""

    plan: str | None = None
    invoice_id: str | None = None
    client_id: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""
    quantity: int = 1
    trial_days: int | None = None
    provider: str | None = None
    success_url: Url | None = None
    cancel_url: Url | None = None


class SubscriptionRoutes(Controller):
    """Subscriptions, whoever renews them."""

    path = "/api/billing"
    tags = ("Subscriptions",)

    @get("/subscriptions", scope=Scope.BILLING_READ, summary="List subscriptions")
    async def list_subscriptions(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        status: Annotated[SubscriptionState | None, QueryParameter(name="status", required=False)] = None,
        client_id: Client = None,
    ) -> Listing[SubscriptionView]:
        """Newest first."""
        filters = {"state": status, "client_id": client_id}
        async with store.reading(caller.organisation_id) as work:
            page = await work.subscriptions.page(slice, **{name: one for name, one in filters.items() if one})
        return listing(page, SubscriptionView.of)

    @get("/subscriptions/{subscription_id:str}", scope=Scope.BILLING_READ, summary="One subscription with its plan")
    async def get_subscription(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], subscription_id: FromPath[str]
    ) -> Response[SubscriptionDetail]:
        """The subscription with this id."""
        async with store.reading(caller.organisation_id) as work:
            one = await work.subscriptions.get(subscription_id)
            plan = await work.plans.get(one.plan_id)
        return versioned(SubscriptionDetail.of(one, plan), one.version)

    @get("/subscription", scope=Scope.BILLING_READ, summary="What a client has")
    async def current_subscription(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        subscription_id: Id = None,
        client_id: Client = None,
    ) -> Response[SubscriptionDetail]:
        """A client's only live subscription, or one by its id, with the features and limits that it gives now."""
        async with store.reading(caller.organisation_id) as work:
            one = await chosen(work, subscription_id, client_id)
            plan = await work.plans.get(one.plan_id)
        return versioned(SubscriptionDetail.of(one, plan), one.version)

    @post("/subscription", scope=Scope.BILLING_WRITE, summary="Subscribe a client to a plan")
    async def create_subscription(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[SubscriptionCreated],
        create_subscription: NamedDependency[CreateSubscription],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[SubscriptionView]:
        """Send the client to `url`: there they agree, or pay the first period. It is incomplete until they have."""
        made = await create_subscription(
            caller,
            client_id=data.client_id,
            plan=data.plan,
            currency=data.currency,
            provider=data.provider,
            quantity=data.quantity,
            trial_days=data.trial_days,
            success_url=data.success_url,
            cancel_url=data.cancel_url,
            once=idempotency.once(SubscriptionView.of),
        )
        return versioned(SubscriptionView.of(made), made.version, status=201)

    @post("/subscription/preview", scope=Scope.BILLING_READ, status_code=200, summary="What a change would cost")
    async def preview_change(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[ChangeGiven],
        preview_change: NamedDependency[PreviewChange],
    ) -> ChangePreviewView:
        """Nothing is changed. Computed by who will bill it: the provider, or the hub."""
        seen = await preview_change(
            caller, data.asked(), subscription_id=data.subscription_id, client_id=data.client_id
        )
        return ChangePreviewView.of(seen)

    @post("/subscription/change", scope=Scope.BILLING_WRITE, status_code=200, summary="Change plan or quantity")
    async def change_subscription(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[ChangeGiven],
        change_subscription: NamedDependency[ChangeSubscription],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[SubscriptionView]:
        """Where the answer has a `url`, it is changed when the client has agreed there (PayPal) or paid the difference."""
        changed = await change_subscription(
            caller,
            data.asked(),
            subscription_id=data.subscription_id,
            client_id=data.client_id,
            once=idempotency.once(SubscriptionView.of, status=200),
        )
        return versioned(SubscriptionView.of(changed), changed.version)

    @post("/subscription/cancel", scope=Scope.BILLING_WRITE, status_code=200, summary="Cancel a subscription")
    async def cancel_subscription(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[CancelAsked],
        cancel_subscription: NamedDependency[CancelSubscription],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[SubscriptionView]:
        """Now, or at the end of what is paid for. Nothing is paid back by it."""
        ended = await cancel_subscription(
            caller,
            subscription_id=data.subscription_id,
            client_id=data.client_id,
            at_period_end=data.at_period_end,
            reason=data.reason,
            once=idempotency.once(SubscriptionView.of, status=200),
        )
        return versioned(SubscriptionView.of(ended), ended.version)

    @post("/subscription/resume", scope=Scope.BILLING_WRITE, status_code=200, summary="Take a set end back")
    async def resume_subscription(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[Which],
        resume_subscription: NamedDependency[ResumeSubscription],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[SubscriptionView]:
        """Undoes a cancellation that was set for the end of the period."""
        kept = await resume_subscription(
            caller,
            subscription_id=data.subscription_id,
            client_id=data.client_id,
            once=idempotency.once(SubscriptionView.of, status=200),
        )
        return versioned(SubscriptionView.of(kept), kept.version)

    @post("/subscription/pause", scope=Scope.BILLING_WRITE, status_code=200, summary="Pause a subscription")
    async def pause_subscription(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[PauseAsked],
        pause_subscription: NamedDependency[PauseSubscription],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[SubscriptionView]:
        """Nothing is charged until it goes on."""
        paused = await pause_subscription(
            caller,
            subscription_id=data.subscription_id,
            client_id=data.client_id,
            reason=data.reason,
            once=idempotency.once(SubscriptionView.of, status=200),
        )
        return versioned(SubscriptionView.of(paused), paused.version)

    @post("/subscription/unpause", scope=Scope.BILLING_WRITE, status_code=200, summary="Let a paused one go on")
    async def unpause_subscription(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[PauseAsked],
        pause_subscription: NamedDependency[PauseSubscription],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[SubscriptionView]:
        """With what is left of the period; else a new one is due at once."""
        unpaused = await pause_subscription.unpause(
            caller,
            subscription_id=data.subscription_id,
            client_id=data.client_id,
            reason=data.reason,
            once=idempotency.once(SubscriptionView.of, status=200),
        )
        return versioned(SubscriptionView.of(unpaused), unpaused.version)

    @post("/checkout", scope=Scope.BILLING_WRITE, summary="Open a hosted checkout")
    async def open_checkout(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[CheckoutAsked],
        open_checkout: NamedDependency[OpenCheckout],
        create_subscription: NamedDependency[CreateSubscription],
        idempotency: NamedDependency[Idempotency],
    ) -> CheckoutView:
        """Send the client to `url`. For a plan it begins a subscription; for an amount it writes an invoice first."""
        if data.plan is None:
            opened = await open_checkout(
                caller,
                invoice_id=data.invoice_id,
                client_id=data.client_id,
                amount=data.amount,
                currency=data.currency,
                description=data.description,
                provider=data.provider,
                once=idempotency.once(CheckoutView.of),
            )
            return CheckoutView.of(opened)
        if data.client_id is None:
            raise Invalid.field("client_id", "Say which client subscribes.")
        if data.invoice_id is not None or data.amount is not None:
            raise Invalid.field("plan", "Give a plan, an invoice_id or an amount, not several of them.")
        made = await create_subscription(
            caller,
            client_id=data.client_id,
            plan=data.plan,
            currency=data.currency,
            provider=data.provider,
            quantity=data.quantity,
            trial_days=data.trial_days,
            success_url=data.success_url,
            cancel_url=data.cancel_url,
            once=idempotency.once(CheckoutView.of_subscription),
        )
        return CheckoutView.of_subscription(made)
