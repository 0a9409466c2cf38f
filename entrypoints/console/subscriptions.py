"""Subscriptions: the list, a new one, and one with its invoices, its payments, and what can be done with it."""

import attrs
from litestar import Controller, Response, get, post

from application.billing.subscriptions.cancel import CancelSubscription, ResumeSubscription
from application.billing.subscriptions.change import ChangeSubscription
from application.billing.subscriptions.create import CreateSubscription
from application.billing.subscriptions.pause import PauseSubscription
from application.billing.subscriptions.preview import ChangeAsked, Foreseen, PreviewChange
from application.caller import Caller
from application.ports.leases import Held
from application.ports.store import MAX_PAGE, AlreadyThere, Slice
from domain.billing.plans import PlanState
from domain.billing.subscriptions import SubscriptionState
from domain.connections.provider import Capability
from domain.money import Money
from domain.refusals import Invalid, Refusal
from domain.work.kinds import kind_named
from entrypoints.api.paging import listing
from entrypoints.console.pages import REFUSED, Form, Page

_STATES = {state.value: state for state in SubscriptionState}


class SubscriptionPages(Controller):
    """/console/subscriptions"""

    path = "/subscriptions"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, of one state or of all."""
        chosen = _STATES.get(page.choice("status") or "")
        async with page.reading() as work:
            found = await work.subscriptions.page(slice, **({"state": chosen} if chosen else {}))
            plans = {plan.id: plan for plan in await work.plans.all(id=tuple({one.plan_id for one in found.items}))}
        subscriptions = listing(found, lambda one: (one, plans[one.plan_id]))
        filters = page.filters("status")
        return page("subscriptions.html", subscriptions=subscriptions, states=_STATES, filters=filters)

    @get("/new")
    async def ask(self, page: Page) -> Response[str]:
        """Who, what, and through which provider."""
        return await _form(page)

    @post("/new")
    async def create(
        self, page: Page, form: Form, caller: Caller, create_subscription: CreateSubscription
    ) -> Response[str]:
        """What comes of it has an address for the client."""
        try:
            if await page.done_before(once := form.once()):
                return page.go("/console/subscriptions")
            one = await create_subscription(
                caller,
                client_id=form.text("client_id"),
                plan=form.text("plan"),
                currency=form.text("currency") or None,
                provider=form.text("connection") or None,
                quantity=_whole(form, "quantity") or 1,
                once=once,
            )
        except AlreadyThere:
            return page.go("/console/subscriptions")  # the same form twice at once
        except REFUSED as refused:
            return await _form(page, typed=form.typed, refused=refused)
        return page.go(f"/console/subscriptions/{one.id}", done="subscription-made")

    @get("/{subscription_id:str}")
    async def show(self, page: Page, subscription_id: str) -> Response[str]:
        """One subscription."""
        return await _show(page, subscription_id)

    @post("/{subscription_id:str}/preview")
    async def preview(
        self, page: Page, form: Form, caller: Caller, subscription_id: str, preview_change: PreviewChange
    ) -> Response[str]:
        """What a change would cost, before anybody makes it."""
        try:
            seen = await preview_change(caller, _asked(form), subscription_id=subscription_id)
        except REFUSED as refused:
            return await _show(page, subscription_id, refused=refused, typed=form.typed)
        return await _show(page, subscription_id, seen=seen, typed=form.typed)

    @post("/{subscription_id:str}/change")
    async def change(
        self, page: Page, form: Form, caller: Caller, subscription_id: str, change_subscription: ChangeSubscription
    ) -> Response[str]:
        """As it was previewed."""
        try:
            if not await page.done_before(once := form.once()):
                await change_subscription(caller, _asked(form), subscription_id=subscription_id, once=once)
        except AlreadyThere:
            pass  # the same form twice at once
        except REFUSED as refused:
            return await _show(page, subscription_id, refused=refused, typed=form.typed)
        return page.go(f"/console/subscriptions/{subscription_id}", done="changed")

    @post("/{subscription_id:str}/cancel")
    async def cancel(
        self, page: Page, form: Form, caller: Caller, subscription_id: str, cancel_subscription: CancelSubscription
    ) -> Response[str]:
        """Now, or at the end of what is paid for."""
        later = form.text("when") == "end"
        try:
            await cancel_subscription(caller, subscription_id=subscription_id, at_period_end=later)
        except REFUSED as refused:
            return await _show(page, subscription_id, refused=refused)
        return page.go(f"/console/subscriptions/{subscription_id}", done="subscription-ends")

    @post("/{subscription_id:str}/resume")
    async def resume(
        self, page: Page, caller: Caller, subscription_id: str, resume_subscription: ResumeSubscription
    ) -> Response[str]:
        """The end that was set is taken back."""
        try:
            await resume_subscription(caller, subscription_id=subscription_id)
        except REFUSED as refused:
            return await _show(page, subscription_id, refused=refused)
        return page.go(f"/console/subscriptions/{subscription_id}", done="changed")

    @post("/{subscription_id:str}/pause")
    async def pause(
        self, page: Page, caller: Caller, subscription_id: str, pause_subscription: PauseSubscription
    ) -> Response[str]:
        """Nothing is charged until it goes on."""
        try:
            await pause_subscription(caller, subscription_id=subscription_id)
        except REFUSED as refused:
            return await _show(page, subscription_id, refused=refused)
        return page.go(f"/console/subscriptions/{subscription_id}", done="changed")

    @post("/{subscription_id:str}/unpause")
    async def unpause(
        self, page: Page, caller: Caller, subscription_id: str, pause_subscription: PauseSubscription
    ) -> Response[str]:
        """It goes on."""
        try:
            await pause_subscription.unpause(caller, subscription_id=subscription_id)
        except REFUSED as refused:
            return await _show(page, subscription_id, refused=refused)
        return page.go(f"/console/subscriptions/{subscription_id}", done="changed")


async def _form(
    page: Page, *, typed: dict[str, str] | None = None, refused: Refusal | Held | None = None
) -> Response[str]:
    manifests = {manifest.slug: manifest for manifest in page.hub.providers.all()}
    async with page.reading() as work:
        clients = await work.records.matching(kind_named("client"), Slice(MAX_PAGE), {})
        plans = (await work.plans.page(Slice(MAX_PAGE), state=PlanState.ACTIVE)).items
        connections = [one for one in await work.connections.all() if one.connected]
    names = {client.id: str(client.fields["name"]) for client in clients.items}
    return page(
        "subscription_new.html",
        refused=refused,
        typed=typed or {},
        clients=dict(sorted(names.items(), key=lambda one: one[1].casefold())),
        plans={plan.id: plan.name for plan in plans},
        currencies=sorted({price.currency.code for plan in plans for price in plan.prices}),
        paying={one.id: one.name for one in connections if Capability.PAYMENTS in manifests[one.provider].offers},
        once=page.ids.token(),
    )


async def _show(
    page: Page,
    subscription_id: str,
    *,
    refused: Refusal | Held | None = None,
    seen: Foreseen | None = None,
    typed: dict[str, str] | None = None,
) -> Response[str]:
    async with page.reading() as work:
        one = await work.subscriptions.get(subscription_id)
        plan = await work.plans.get(one.plan_id)
        planned = await work.plans.get(one.planned.plan_id) if one.planned is not None else None
        others = (await work.plans.page(Slice(MAX_PAGE), state=PlanState.ACTIVE)).items
        connection = await work.connections.find(one.connection_id)
        invoices = (await work.invoices.all(subscription_id=one.id))[::-1]
        payments = (await work.payments.all(subscription_id=one.id))[::-1]
    fitting = [other for other in others if any(p.currency == one.price.currency for p in other.prices)]
    return page(
        "subscription.html",
        refused=refused,
        one=one,
        plan=plan,
        planned=planned,
        plans={other.id: other.name for other in fitting} | {plan.id: plan.name},
        connection=connection,
        invoices=invoices,
        payments=payments,
        credit=Money(one.credit, one.price.currency),
        seen=seen,
        typed=typed or {"plan": plan.id, "quantity": str(one.quantity)},
        once=page.ids.token(),
    )


def _asked(form: Form) -> ChangeAsked:
    later = form.text("when") == "end"
    return attrs.evolve(ChangeAsked(form.text("plan") or None, _whole(form, "quantity")), at_period_end=later)


def _whole(form: Form, name: str) -> int | None:
    text = form.text(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Invalid.field(name, "This is a whole number.")
    return int(text)
