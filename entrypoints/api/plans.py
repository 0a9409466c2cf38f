"""Plans: what clients can subscribe to."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.billing.subscriptions.plans import ChangePlan, CreatePlan, PriceAsked, plan_named
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.billing.plans import Interval, PlanState
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.invoices import Decimal
from entrypoints.api.paging import Listing, listing
from entrypoints.api.versions import versioned
from entrypoints.api.views.recurring import PlanView

Features = Annotated[
    list[str], msgspec.Meta(max_length=50, description="What the plan switches on in your application.")
]
Limits = Annotated[dict[str, int], msgspec.Meta(max_length=50, description="How much of what; -1 for no limit.")]


class PriceGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A price for one unit, in one currency."""

    amount: Decimal
    currency: Annotated[str, msgspec.Meta(examples=["USD"])]

    def asked(self) -> PriceAsked:
        return PriceAsked(self.amount, self.currency)


class PlanCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new plan. `code`: its name in your application, unique. `interval_count`: 3 with `month` is every quarter."""

    code: Annotated[str, msgspec.Meta(examples=["studio-monthly"])]
    name: str
    interval: Interval
    prices: Annotated[list[PriceGiven], msgspec.Meta(min_length=1, max_length=50)]
    interval_count: int = 1
    description: str = ""
    trial_days: int = 0
    features: Features = []
    limits: Limits = {}


class PlanChanged(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to change; what is left out stays. Whoever has subscribed keeps their price. `archived`: nobody new can."""

    name: str | None = None
    description: str | None = None
    prices: Annotated[list[PriceGiven], msgspec.Meta(min_length=1, max_length=50)] | None = None
    features: Features | None = None
    limits: Limits | None = None
    archived: bool | None = None


class PlanRoutes(Controller):
    """Plans of the organisation."""

    path = "/api/billing/plans"
    tags = ("Subscriptions",)

    @get("/", scope=Scope.BILLING_READ, summary="List plans")
    async def list_plans(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        status: Annotated[PlanState | None, QueryParameter(name="status", required=False)] = None,
    ) -> Listing[PlanView]:
        """Newest first, archived ones too unless a status is asked for."""
        async with store.reading(caller.organisation_id) as work:
            page = await work.plans.page(slice, **({"state": status} if status else {}))
        return listing(page, PlanView.of)

    @post("/", scope=Scope.BILLING_WRITE, summary="Create a plan")
    async def create_plan(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[PlanCreated],
        create_plan: NamedDependency[CreatePlan],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[PlanView]:
        """Providers that renew by themselves get their copy when somebody first subscribes there."""
        plan = await create_plan(
            caller,
            code=data.code,
            name=data.name,
            interval=data.interval,
            prices=[price.asked() for price in data.prices],
            count=data.interval_count,
            description=data.description,
            trial_days=data.trial_days,
            features=data.features,
            limits=data.limits,
            once=idempotency.once(PlanView.of),
        )
        return versioned(PlanView.of(plan), plan.version, status=201)

    @get("/{plan_id:str}", scope=Scope.BILLING_READ, summary="One plan")
    async def get_plan(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], plan_id: FromPath[str]
    ) -> Response[PlanView]:
        """By its id or its code."""
        async with store.reading(caller.organisation_id) as work:
            plan = await plan_named(work, plan_id)
        return versioned(PlanView.of(plan), plan.version)

    @patch("/{plan_id:str}", scope=Scope.BILLING_WRITE, summary="Change or archive a plan")
    async def change_plan(
        self,
        caller: NamedDependency[Caller],
        plan_id: FromPath[str],
        data: JSONBody[PlanChanged],
        change_plan: NamedDependency[ChangePlan],
        if_match: NamedDependency[int | None],
    ) -> Response[PlanView]:
        """How often it is charged and its trial stay as they are: make another plan for others."""
        plan = await change_plan(
            caller,
            plan_id,
            name=data.name,
            description=data.description,
            prices=[price.asked() for price in data.prices] if data.prices is not None else None,
            features=data.features,
            limits=data.limits,
            archived=data.archived,
            version=if_match,
        )
        return versioned(PlanView.of(plan), plan.version)
