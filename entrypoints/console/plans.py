"""Plans: the list, a new one, and one with what can be changed of it."""

from collections.abc import Mapping

from litestar import Controller, Response, get, post

from application.billing.subscriptions.plans import ChangePlan, CreatePlan, PriceAsked, plan_named
from application.caller import Caller
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Slice
from domain.billing.plans import NO_LIMIT, Interval, Plan, PlanState
from domain.refusals import Fault, Invalid, Refusal
from entrypoints.api.paging import listing
from entrypoints.console.pages import REFUSED, Form, Page

_STATES = {state.value: state for state in PlanState}
_INTERVALS = {interval.value: interval for interval in Interval}


class PlanPages(Controller):
    """/console/plans"""

    path = "/plans"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, of one state or of all."""
        chosen = _STATES.get(page.choice("status") or "")
        async with page.reading() as work:
            found = await work.plans.page(slice, **({"state": chosen} if chosen else {}))
        plans = listing(found, lambda plan: plan)
        return page("plans.html", plans=plans, states=_STATES, filters=page.filters("status"))

    @get("/new")
    async def ask(self, page: Page) -> Response[str]:
        """An empty form."""
        return _form(page)

    @post("/new")
    async def create(self, page: Page, form: Form, caller: Caller, create_plan: CreatePlan) -> Response[str]:
        """Make it."""
        try:
            if await page.done_before(once := form.once()):
                return page.go("/console/plans")
            plan = await create_plan(
                caller,
                code=form.text("code"),
                name=form.text("name"),
                interval=_INTERVALS.get(form.text("interval"), Interval.MONTH),
                count=_whole(form, "count", 1),
                prices=_prices(form),
                description=form.text("description"),
                trial_days=_whole(form, "trial_days", 0),
                features=_rows(form, "features"),
                limits=_limits(form),
                once=once,
            )
        except AlreadyThere:
            return page.go("/console/plans")  # the same form twice at once: one plan is made
        except REFUSED as refused:
            return _form(page, typed=form.typed, refused=_placed(refused))
        return page.go(f"/console/plans/{plan.id}", done="plan-made")

    @get("/{plan_id:str}")
    async def show(self, page: Page, plan_id: str) -> Response[str]:
        """One plan."""
        return await _show(page, plan_id)

    @post("/{plan_id:str}")
    async def change(
        self, page: Page, form: Form, caller: Caller, plan_id: str, change_plan: ChangePlan
    ) -> Response[str]:
        """Its name, description, prices, features and limits."""
        version = form.text("version")
        try:
            await change_plan(
                caller,
                plan_id,
                name=form.text("name"),
                description=form.text("description"),
                prices=_prices(form),
                features=_rows(form, "features"),
                limits=_limits(form),
                version=int(version) if version.isascii() and version.isdigit() else None,
            )
        except REFUSED as refused:
            return await _show(page, plan_id, typed=form.typed, refused=_placed(refused))
        return page.go(f"/console/plans/{plan_id}", done="changed")

    @post("/{plan_id:str}/archive")
    async def archive(self, page: Page, caller: Caller, plan_id: str, change_plan: ChangePlan) -> Response[str]:
        """Nobody new can subscribe to it."""
        return await _switch(page, caller, plan_id, change_plan, archived=True)

    @post("/{plan_id:str}/restore")
    async def restore(self, page: Page, caller: Caller, plan_id: str, change_plan: ChangePlan) -> Response[str]:
        """Again they can."""
        return await _switch(page, caller, plan_id, change_plan, archived=False)


async def _switch(page: Page, caller: Caller, plan_id: str, change: ChangePlan, *, archived: bool) -> Response[str]:
    try:
        await change(caller, plan_id, archived=archived)
    except REFUSED as refused:
        return await _show(page, plan_id, refused=refused)
    return page.go(f"/console/plans/{plan_id}", done="changed")


def _form(page: Page, *, typed: dict[str, str] | None = None, refused: Refusal | Held | None = None) -> Response[str]:
    return page("plan_new.html", refused=refused, typed=typed or {}, intervals=list(_INTERVALS), once=page.ids.token())


async def _show(
    page: Page, plan_id: str, *, typed: dict[str, str] | None = None, refused: Refusal | Held | None = None
) -> Response[str]:
    async with page.reading() as work:
        plan = await plan_named(work, plan_id)
        kept = await work.plans_at_providers.all(plan_id=plan.id)
    return page("plan.html", refused=refused, plan=plan, kept=kept, typed=typed if typed is not None else _typed(plan))


def _typed(plan: Plan) -> dict[str, str]:
    """A plan as its form has it."""
    return {
        "name": plan.name,
        "description": plan.description,
        "prices": "\n".join(f"{price.decimal} {price.currency.code}" for price in plan.prices),
        "features": "\n".join(plan.features),
        "limits": "\n".join(
            f"{name}: {'unlimited' if most == NO_LIMIT else most}" for name, most in plan.limits.items()
        ),
    }


def _rows(form: Form, name: str) -> list[str]:
    """The filled lines of a field."""
    return [line.strip() for line in form.text(name).splitlines() if line.strip()]


def _prices(form: Form) -> list[PriceAsked]:
    """`90.00 USD`, one a line."""
    prices = []
    for row in _rows(form, "prices"):
        amount, _, currency = row.partition(" ")
        prices.append(PriceAsked(amount, currency.strip()))
    return prices


def _limits(form: Form) -> Mapping[str, int]:
    """`seats: 5` or `projects: unlimited`, one a line. Raises Invalid naming `limits`."""
    limits: dict[str, int] = {}
    for row in _rows(form, "limits"):
        name, colon, most = (part.strip() for part in row.rpartition(":"))
        if not colon or not (most == "unlimited" or (most.isascii() and most.isdigit() and len(most) < 17)):
            raise Invalid.field(
                "limits", f"Write a name, a colon and a number or 'unlimited': '{row[:60]}' is neither."
            )
        limits[name] = NO_LIMIT if most == "unlimited" else int(most)
    return limits


def _whole(form: Form, name: str, otherwise: int) -> int:
    text = form.text(name)
    if not text:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise Invalid.field(name, "This is a whole number.")
    return int(text)


def _placed(refused: Refusal | Held) -> Refusal | Held:
    """With the faults of single lines at the field that has them all."""
    if not isinstance(refused, Invalid):
        return refused
    return Invalid(*(Fault(fault.field.partition(".")[0], fault.reason) for fault in refused.faults))
